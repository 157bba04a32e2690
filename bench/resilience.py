"""What a platform under attack still does: its throughput while parts are killed, and its neighbours' latency.

Two workers, the API, PostgreSQL, the senders and this program share the machine's cores.

- ``incidents sealed under kills``: a part is killed every ten seconds, in turns a worker, a backend of PostgreSQL, the
  other worker and the API; the floor is the same load in peace. Both are measured in turns of twenty seconds, so that
  a machine that is slower for a minute is so for both.
- ``neighbour's p99``: one tenant reports five exceptions a second while another floods the platform; the floor is the
  same without the flood. From the exception's acceptance to the incident's resolution, from the flood's first moment.
  In turns too: alone, beside a flood, and once all of that is healed, alone again. The long form adds what becomes of
  a neighbour that reports every four seconds (``seldom``): each of its exceptions meets a flood at full speed.
"""

import asyncio
import contextlib
import itertools
import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from bench.environment import main, quantiles, row
from tests.crash.stack import Stack, stack

KILLS_EVERY_SECONDS = 10.0
_KILLS_IN_A_ROUND = 2
NEIGHBOUR_EVERY_SECONDS = 0.2
SELDOM_EVERY_SECONDS = 4.0
_IN_TURNS = ("worker-1", "backend", "worker-2", "api")
_BATCH = 250
_MOST_AHEAD = 1_500

_SEALED = "SELECT coalesce(sum(size), 0)::bigint FROM evidence_chains"

_LATENCIES = """
SELECT extract(epoch FROM r.occurred_at - x.occurred_at)::float8 AS healed
FROM events x JOIN incident_exceptions n ON n.exception_id = x.stream_id
JOIN events r ON r.stream_id = n.incident_id AND r.tenant_id = n.tenant_id AND r.type = 'incident.resolved'
WHERE x.tenant_id = $1 AND x.type = 'exception.ingested' AND x.occurred_at >= to_timestamp($2)
"""


def run(short: bool) -> dict[str, Any]:
    """Measure both; `short` takes about two minutes."""
    return asyncio.run(_run(1, 20.0) if short else _run(4, 15.0))


async def _run(rounds: int, neighbour_seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="fettle-bench-") as folder:
        async with stack(Path(folder)) as here, _looking(here) as looking:
            load = _Load(here, looking)
            calm, killed = await load.under_kills(rounds)
            alone, beside = await load.beside_a_flood(rounds, neighbour_seconds, NEIGHBOUR_EVERY_SECONDS)
            more = {} if rounds == 1 else {"seldom": await load.beside_a_flood(1, 60.0, SELDOM_EVERY_SECONDS)}
    return {
        "benchmark": "resilience",
        "rows": [
            row(
                "incidents sealed under kills", floor=calm, measured=killed, unit="incidents/s", goal=0.8,
                kill_every_seconds=KILLS_EVERY_SECONDS,
            ),
            row(
                "neighbour's p99 beside a flood", floor=alone["p99_ms"], measured=beside["p99_ms"], unit="ms", goal=1.5,
                more_is_better=False, alone=alone, beside=beside, **more,
            ),
        ],
    }  # fmt: skip


def _looking(here: Stack) -> asyncpg.Pool:
    """Return connections that are kept: making one for each look would be a load of its own."""
    return asyncpg.create_pool(here.postgres.system_url, min_size=0, max_size=2)


class _Load:
    """Two tenants' senders over the processes of a stack."""

    def __init__(self, here: Stack, looking: asyncpg.Pool) -> None:
        self._here = here
        self._looking = looking
        self._noisy, self._quiet = here.keys
        self._sent = 0

    async def under_kills(self, rounds: int) -> tuple[float, float]:
        """Return the incidents sealed in a second in peace, and while parts are killed."""
        seconds = _KILLS_IN_A_ROUND * KILLS_EVERY_SECONDS
        turns = itertools.cycle(_IN_TURNS)
        calm = killed = 0.0
        async with self._flooding(self._noisy, most_ahead=_MOST_AHEAD):
            for _ in range(rounds):
                await self._here.all_back()
                await asyncio.sleep(5.0)
                calm += await self._sealed_per_second(seconds) / rounds
                killing = asyncio.create_task(self._kill_in_turns(turns))
                try:
                    killed += await self._sealed_per_second(seconds) / rounds
                finally:
                    killing.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await killing
        await self._here.all_back()
        return calm, killed

    async def beside_a_flood(
        self, rounds: int, seconds: float, every_seconds: float
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Return a tenant's latencies alone, and while another sends all that is taken."""
        alone: list[float] = []
        beside: list[float] = []
        for _ in range(rounds):
            await self._until_rest()
            alone += await self._neighbour(seconds, every_seconds)
            async with self._flooding(self._noisy, most_ahead=20 * _MOST_AHEAD):
                beside += await self._neighbour(seconds, every_seconds)
        return quantiles(alone), quantiles(beside)

    async def _neighbour(self, seconds: float, every_seconds: float) -> list[float]:
        began_at, until = time.time(), time.perf_counter() + seconds
        count = 0
        async with self._client(self._quiet) as client:
            while time.perf_counter() < until:
                count += 1
                await self._post(client, [self._exception()])
                await asyncio.sleep(every_seconds)
        while True:
            rows = await self._fetch(_LATENCIES, self._quiet, began_at)
            if len(rows) >= count:
                return [found["healed"] for found in rows]
            await asyncio.sleep(0.2)

    @contextlib.asynccontextmanager
    async def _flooding(self, tenant_id: UUID, *, most_ahead: int) -> AsyncIterator[None]:
        flood = asyncio.create_task(self._flood(tenant_id, most_ahead))
        try:
            yield
        finally:
            flood.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flood

    async def _flood(self, tenant_id: UUID, most_ahead: int) -> None:
        """Keep so many exceptions ahead of what is sealed, each of them an incident of its own."""
        sent = 0
        begin = (await self._fetch(_SEALED))[0][0]
        async with self._client(tenant_id) as client:
            while True:
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    while sent - ((await self._fetch(_SEALED))[0][0] - begin) > most_ahead:
                        await asyncio.sleep(0.05)
                await self._post(client, [self._exception() for _ in range(_BATCH)])
                sent += _BATCH

    def _client(self, tenant_id: UUID) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self._here.port}/api/v1",
            headers={
                "Authorization": f"Bearer {self._here.keys[tenant_id]}",
                "Content-Type": "application/json",
            },
            timeout=10,
        )

    async def _post(self, client: httpx.AsyncClient, items: list[dict[str, Any]]) -> None:
        """Send until it is accepted; one request under one key, so that it counts once."""
        body = json.dumps({"items": items}).encode()
        headers = {"Idempotency-Key": f"bench-{self._sent}-{id(client)}"}
        self._sent += 1
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await client.post("/exceptions/batch", content=body, headers=headers)
                if answer.status_code == 202:
                    return
            await asyncio.sleep(0.05)

    def _exception(self) -> dict[str, Any]:
        self._sent += 1
        return {
            "check_type": "crash_safe", "host": f"host-{self._sent}", "platform": "linux", "severity": "high",
            "summary": "Out of order",
        }  # fmt: skip

    async def _kill_in_turns(self, turns: Iterator[str]) -> None:
        while True:
            await self._here.kill(next(turns))
            await asyncio.sleep(KILLS_EVERY_SECONDS)

    async def _sealed_per_second(self, seconds: float) -> float:
        began, before = time.perf_counter(), (await self._fetch(_SEALED))[0][0]
        await asyncio.sleep(seconds)
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return ((await self._fetch(_SEALED))[0][0] - before) / (time.perf_counter() - began)
            await asyncio.sleep(0.05)

    async def _until_rest(self) -> None:
        before = -1
        while (now := (await self._fetch(_SEALED))[0][0]) != before:
            before = now
            await asyncio.sleep(2.0)

    async def _fetch(self, query: str, *arguments: object) -> list[Any]:
        found: list[Any] = await self._looking.fetch(query, *arguments)
        return found


if __name__ == "__main__":
    main(run)
