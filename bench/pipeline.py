"""The whole way with a no-op tool: accepted, triaged, decided, run, verified, resolved and sealed into the chain.

The API and the workers are processes of their own; they, the client and PostgreSQL share the machine's cores, once
with one worker, once with two. The floor is what a durable-workflow library reaches for each database core (DBOS: 450
a second); ``per_database_core`` is what we reach for each second that PostgreSQL computes.

An incident that comes alone takes ten commits, and none of them can be spared:

| # | commit | why it is one of its own |
| --- | --- | --- |
| 1 | the exception is accepted | the sender is answered 202 only for what cannot be lost |
| 2 | intake opens and triages it | the group's position moves with its effect: a consumer's batch is one transaction |
| 3 | it is decided and its plan approved | as 2, for the group that decides |
| 4 | its run is queued | as 2, for the group that starts runs |
| 5 | the run is leased | the fencing token holds before anything is done under it |
| 6 | the step's start | recorded before the effect, or a crash could not tell whether it was begun |
| 7 | the step's result, with the verification's start | the effect is known before the check looks at it |
| 8 | the verification's result, with the run's end | what resolves must not be lost |
| 9 | the incident is resolved | as 2, for the group that takes outcomes |
| 10 | its evidence is sealed | as 2, for the chain, which has one writer at a time |

Under load each is shared by as many incidents as wait for it, which is what `commits_per_incident` tells.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from bench.environment import Environment, answers, environment, free_port, main, process, quantiles, row
from bench.healable import CHECK_TYPE, let_heal
from bench.load import cpu_seconds, parent_of

FLOOR = 450.0
STEADY_PER_SECOND = 100
_BATCH = 500

_SEALED = "SELECT size FROM evidence_chains WHERE tenant_id = $1"

_LATENCIES = """
SELECT extract(epoch FROM r.occurred_at - x.occurred_at)::float8 AS healed
FROM events x JOIN incident_exceptions n ON n.exception_id = x.stream_id
JOIN events r ON r.stream_id = n.incident_id AND r.tenant_id = n.tenant_id AND r.type = 'incident.resolved'
WHERE x.tenant_id = $1 AND x.type = 'exception.ingested' AND x.position > $2
"""


def run(short: bool) -> dict[str, Any]:
    """Measure the pipeline; `short` takes about a minute."""
    return asyncio.run(_run(4.0, 3_000, 20) if short else _run(15.0, 20_000, 50))


async def _run(steady_seconds: float, backlog: int, alone: int) -> dict[str, Any]:
    lines = []
    for workers, name in ((1, "one worker"), (2, "two workers")):
        async with _pipeline(workers) as pipeline:
            await pipeline.send(_BATCH, "warm")
            await pipeline.until_sealed()
            one = await pipeline.one_by_one(alone)
            steady = await pipeline.steadily(steady_seconds)
            full = await pipeline.saturated(backlog)
        lines.append(
            row(
                f"resolved and sealed, {name}", floor=FLOOR, measured=full["per_second"], unit="incidents/s",
                goal=1.0, backlog=backlog, per_database_core=full["per_database_core"], cpu_ms=full["cpu_ms"],
                commits_per_incident=full["commits_per_incident"], alone=one,
                **{f"at_{STEADY_PER_SECOND}_per_second": steady},
            )
        )  # fmt: skip
    return {"benchmark": "pipeline", "rows": lines}


@contextlib.asynccontextmanager
async def _pipeline(workers: int) -> AsyncIterator["_Pipeline"]:
    """Run the API and so many workers on a database of their own."""
    async with environment() as here, contextlib.AsyncExitStack() as stack:
        await let_heal(here.platform, here.tenant_id, {CHECK_TYPE: "noop"})
        async with here.platform.database.raw_system() as connection:
            postgres = parent_of(await connection.fetchval("SELECT pg_backend_pid()")) or 0
        port = free_port()
        api = stack.enter_context(
            process("fettle.central.run", "api", ready=lambda: answers(port), FETTLE_PORT=str(port))
        )
        working = [
            stack.enter_context(process("fettle.central.run", "worker", ready=lambda: True))
            for _ in range(workers)
        ]
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {here.api_key}", "Content-Type": "application/json"},
                timeout=30,
            )
        )
        pids = {"api": [api.pid], "workers": [one.pid for one in working], "postgres": [postgres]}
        yield _Pipeline(here, client, pids)


class _Pipeline:
    """Sends exceptions and watches the chain grow."""

    def __init__(self, here: Environment, client: httpx.AsyncClient, pids: Mapping[str, list[int]]) -> None:
        self._here = here
        self._client = client
        self._pids = pids
        self.sent = 0

    async def send(self, count: int, name: str) -> None:
        """Send so many exceptions, each of which is an incident of its own, in one request."""
        items = [_exception(f"{name}-{number}") for number in range(count)]
        answer = await self._client.post(
            "/api/v1/exceptions/batch", content=json.dumps({"items": items}).encode()
        )
        answer.raise_for_status()
        self.sent += count

    async def until_sealed(self) -> None:
        """Wait until every incident is sealed."""
        while await self._sealed() < self.sent:
            await asyncio.sleep(0.02)

    async def one_by_one(self, count: int) -> dict[str, float]:
        """Heal incidents one after the other, with nothing else going on."""
        begin = await self._position()
        for number in range(count):
            await self.send(1, f"alone-{number}")
            await self.until_sealed()
        return await self._latencies(begin)

    async def steadily(self, seconds: float) -> dict[str, float]:
        """Send at an even rate, whatever the pipeline does, and measure how long each takes."""
        begin = await self._position()
        began, number = time.perf_counter(), 0
        sending: set[asyncio.Task[None]] = set()
        while (now := time.perf_counter() - began) < seconds:
            while number < now * STEADY_PER_SECOND:
                sending.add(asyncio.create_task(self.send(1, f"steady-{number}")))
                number += 1
            await asyncio.sleep(0.002)
        await asyncio.gather(*sending)
        await self.until_sealed()
        return await self._latencies(begin)

    async def saturated(self, count: int) -> dict[str, Any]:
        """Send faster than the pipeline heals, and measure from the first sent to the last sealed."""
        commits, begin = await self._commits(), self.sent
        cpu = {part: cpu_seconds(pids) for part, pids in self._pids.items()}
        began = time.perf_counter()
        for number in range(0, count, _BATCH):
            await self.send(min(_BATCH, count - number), f"full-{number}")
        await self.until_sealed()
        seconds = time.perf_counter() - began
        cpu = {part: cpu_seconds(pids) - cpu[part] for part, pids in self._pids.items()}
        spent = await self._commits() - commits
        healed = self.sent - begin
        return {
            "per_second": healed / seconds,
            "per_database_core": round(healed / cpu["postgres"]),
            "cpu_ms": {part: round(1000 * used / healed, 2) for part, used in cpu.items()},
            "commits_per_incident": round(spent / healed, 3),
        }

    async def _latencies(self, begin: int) -> dict[str, float]:
        async with self._here.platform.database.raw_system() as connection:
            rows = await connection.fetch(_LATENCIES, self._here.tenant_id, begin)
        return quantiles([item["healed"] for item in rows])

    async def _position(self) -> int:
        async with self._here.platform.database.raw_system() as connection:
            found: int = await connection.fetchval("SELECT max(position) FROM events")
        return found

    async def _sealed(self) -> int:
        async with self._here.platform.database.raw_system() as connection:
            return await connection.fetchval(_SEALED, self._here.tenant_id) or 0

    async def _commits(self) -> int:
        await asyncio.sleep(1.1)  # a backend tells of its commits once a second
        async with self._here.platform.database.raw_system() as connection:
            found: int = await connection.fetchval(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            )
        return found


def _exception(host: str) -> dict[str, Any]:
    return {
        "check_type": CHECK_TYPE, "host": host, "site": "main-street", "platform": "linux", "severity": "high",
        "summary": "The service's file is not as it was declared", "details": {"mode": "0644"},
    }  # fmt: skip


if __name__ == "__main__":
    main(run)
