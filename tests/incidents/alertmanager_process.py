"""A real Prometheus Alertmanager on loopback that notifies a webhook, for the tests of its notifications."""

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from tests.ports import free_port

PROGRAMS = ("prometheus-alertmanager", "alertmanager")

_CONFIG: dict[str, Any] = {
    "global": {"resolve_timeout": "5m"},
    "route": {
        "receiver": "fettle",
        "group_by": ["alertname"],
        "group_wait": "100ms",
        "group_interval": "300ms",
        "repeat_interval": "500ms",
    },
}


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """A running Alertmanager.

    Attributes:
        client: For its own API.
        log: What it writes, to be shown when a test fails.
    """

    client: httpx.AsyncClient
    log: Path

    async def fire(self, *alerts: Mapping[str, str], summary: str = "It is out of order") -> None:
        """Say that alerts are firing; each is its labels."""
        await self._say(alerts, {"annotations": {"summary": summary}})

    async def resolve(self, *alerts: Mapping[str, str]) -> None:
        """Say that alerts have ended."""
        await self._say(alerts, {"endsAt": datetime.now(UTC).isoformat()})

    async def _say(self, alerts: Iterable[Mapping[str, str]], more: Mapping[str, Any]) -> None:
        starts = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        body = [
            {
                "labels": dict(labels),
                "startsAt": starts,
                "generatorURL": "http://prometheus.example/graph",
                **more,
            }
            for labels in alerts
        ]
        answer = await self.client.post("/api/v2/alerts", json=body)
        assert answer.status_code == 200, answer.text


def program() -> str:
    """Return where Alertmanager is.

    Raises:
        AssertionError: It is not installed; says which package has it.
    """
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert found, (
        "Alertmanager is not installed. Install the Debian package prometheus-alertmanager "
        "(apt-get install prometheus-alertmanager), or run 'make test', which does."
    )
    return found


@contextlib.asynccontextmanager
async def running_alertmanager(webhook: str, api_key: str) -> AsyncIterator[Alertmanager]:
    """Run Alertmanager with one receiver, the webhook, to which it shows the API key."""
    with tempfile.TemporaryDirectory(prefix="fettle-alertmanager-") as name:
        folder = Path(name)
        receiver = {
            "url": webhook,
            "send_resolved": True,
            "http_config": {"authorization": {"type": "Bearer", "credentials": api_key}},
        }
        config = {**_CONFIG, "receivers": [{"name": "fettle", "webhook_configs": [receiver]}]}
        (folder / "alertmanager.yml").write_text(json.dumps(config))  # JSON is YAML
        address = f"127.0.0.1:{free_port()}"
        log = folder / "log"
        with log.open("wb") as written:
            process = await asyncio.create_subprocess_exec(
                program(),
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
                stdout=written,
                stderr=written,
            )
        try:
            async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client:
                await _until_ready(client, process, log)
                yield Alertmanager(client, log)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _until_ready(client: httpx.AsyncClient, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(60):
        while True:
            assert process.returncode is None, log.read_text()  # noqa: ASYNC240 - the test has failed
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/-/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
