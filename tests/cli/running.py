"""A platform that `fettle up` started, as the tests of the command line see it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 120


@dataclass
class Fettle:
    """One home folder and port, and the platform that runs on them."""

    home: Path
    port: int
    process: asyncio.subprocess.Process | None = None
    told: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)
    untold: list[str] = field(default_factory=list)
    _reader: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        plain = {
            name: value for name, value in os.environ.items() if not name.startswith(("FETTLE_", "COLUMNS"))
        }
        return {
            **plain,
            "FETTLE_HOME": str(self.home),
            "FETTLE_PORT": str(self.port),
            "FETTLE_LEASE_SECONDS": "2",
            **self.more,
            **self.settings,
        }

    async def up(self) -> dict[str, Any]:
        """Start it and return what it tells when it is ready."""
        self.told.clear()
        self.process = await asyncio.create_subprocess_exec(
            *COMMAND, "up", "--json", env=self.env, cwd=tempfile.gettempdir(), stdout=subprocess.PIPE
        )
        self._reader = asyncio.create_task(self._read())
        return await self.until_told(lambda told: told.get("event") == "ready")

    async def until_told(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async def heard() -> dict[str, Any] | None:
            assert self.process is not None
            assert self.process.returncode is None, f"it ended; its logs say:\n{self.last_words()}"
            return next((told for told in self.told if wanted(told)), None)

        return await eventually(heard)

    def last_words(self) -> str:
        """Return the end of each log."""
        logs = sorted((self.home / "logs").glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs)

    async def down(self) -> int:
        """Stop it as Ctrl-C does, and return its exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_SECONDS):
            status = await self.process.wait()
        if self._reader is not None:
            await self._reader
        return status

    async def call(self, *arguments: str, given: str | None = None) -> tuple[int, str, str]:
        """Run a command and return its status, output and errors."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, env=self.env, cwd=tempfile.gettempdir(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await process.communicate(given.encode() if given is not None else None)
        return process.returncode or 0, out.decode(), err.decode()

    async def demo(self, rounds: int) -> tuple[int, str, str]:
        """Let the demo host look for some rounds, a second each, and break every second time."""
        return await self.call(
            "demo", "host", "--json", "--name", "demo-host", "--interval", "1", "--break-every", "2",
            "--rounds", str(rounds),
        )  # fmt: skip

    async def json(self, *arguments: str, given: str | None = None) -> Any:
        """Run a command that must succeed and return its JSON."""
        status, out, err = await self.call(*arguments, "--json", given=given)
        assert status == 0, err
        return json.loads(out)

    def pids(self, of: str) -> list[int]:
        """Return the processes of this home whose command line holds a text."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                ours = str(self.home) in words or f"FETTLE_HOME={self.home}" in _environment(folder)
                if of in words and ours:
                    found.append(int(folder.name))
        return found

    async def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            try:
                self.told.append(json.loads(line))
            except ValueError:
                self.untold.append(line.decode())


COMMAND = [sys.executable, "-m", "fettle.cli.main"]


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """Look again and again until there is something to see."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (seen := await look()):
            await asyncio.sleep(0.1)
    return seen


def _environment(folder: Path) -> list[str]:
    return (folder / "environ").read_bytes().decode(errors="replace").split("\0")
