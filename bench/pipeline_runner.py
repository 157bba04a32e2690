"""The runner alone: runs of one no-op step and its verification, complete per second, and the commits they take.

The floor is what a durable-workflow library reaches for each database core (DBOS: 450 a second); here the
executor and PostgreSQL share the machine's two cores.
"""

import asyncio
import time
from typing import Any
from uuid import UUID

import uvloop
from bench.environment import Environment, environment, main, row

from fettle.kernel import events
from fettle.kernel.bus import TenantBatch
from fettle.kernel.events import Event, NewEvent
from fettle.kernel.ids import new_id
from fettle.tools.catalogue import registry_of
from fettle.tools.consumers import start
from fettle.tools.runner import RunExecutor

FLOOR = 450.0
_CHUNK = 250

_INCIDENT = """
INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, fingerprint, labels, details,
                       occurrences, opened_at, last_seen_at, version)
SELECT n.id, $1, n.number, 'bench', 'healing', 'high', 'bench_check', n.id::text, '{}', '{}', 1, now(), now(), 1
FROM unnest($2::uuid[], $3::bigint[]) AS n(id, number)
"""

PLAYBOOK = {
    "id": "PB-BENCH",
    "version": 1,
    "title": "Bench",
    "steps": [{"id": "fix", "tool": "noop", "with": {"echo": "${{ incident.host }}"}}],
    "verify": {"tool": "noop", "with": {"result": "pass"}},
}


def run(short: bool) -> dict[str, Any]:
    """Measure the runner; `short` takes a few seconds."""
    return uvloop.run(_run(2_000 if short else 10_000))


async def _run(count: int) -> dict[str, Any]:
    async with environment() as here:
        await _queue(here, 300)
        await _finish(here, 300)
        await _queue(here, count)
        commits = await _commits(here)
        began = time.perf_counter()
        await _finish(here, 300 + count)
        seconds = time.perf_counter() - began
        spent = await _commits(here) - commits
    line = row(
        "runs: no-op step and verification",
        floor=FLOOR,
        measured=count / seconds,
        unit="runs/s",
        goal=1.0,
        commits_per_run=round(spent / count, 4),
        commits_each="start recorded; result and verification's start; verification's result and the run's end",
    )
    return {"benchmark": "runner", "runs": count, "rows": [line]}


async def _queue(here: Environment, count: int) -> None:
    for first in range(0, count, _CHUNK):
        ids = [new_id() for _ in range(min(_CHUNK, count - first))]
        async with here.platform.database.raw_tenant(here.tenant_id) as connection:
            numbers = [int.from_bytes(one.bytes[8:14], "big") for one in ids]
            await connection.execute(_INCIDENT, here.tenant_id, ids, numbers)
        async with here.platform.database.tenant(here.tenant_id) as session:
            approved = [_approved(incident) for incident in ids]
            await events.append(session, here.tenant_id, approved)
            stored = [_stored(here.tenant_id, event) for event in approved]
            await start(TenantBatch(here.platform, session, here.tenant_id, stored))


def _approved(incident: UUID) -> NewEvent:
    plan = {
        "playbook": PLAYBOOK, "library": {}, "parameters": {},
        "incident": {"id": str(incident), "host": "front-desk-3", "check_type": "bench_check", "severity": "high"},
    }  # fmt: skip
    data = {"plan": plan, "plan_hash": "bench", "rule_id": "L1-BENCH"}
    return NewEvent(
        stream_type="incident", stream_id=incident, type="plan.approved", data=data, actor="bench",
        correlation_id=incident,
    )  # fmt: skip


def _stored(tenant_id: UUID, event: NewEvent) -> Event:
    return Event(
        id=event.id, tenant_id=tenant_id, stream_type=event.stream_type, stream_id=event.stream_id, version=1,
        type=event.type, schema_version=1, data=dict(event.data), metadata={}, occurred_at=event.occurred_at,
        position=0,
    )  # fmt: skip


async def _finish(here: Environment, count: int) -> None:
    working = asyncio.create_task(RunExecutor(here.platform, registry_of(here.platform)).run())
    while True:
        async with here.platform.database.raw_tenant(here.tenant_id) as connection:
            done = await connection.fetchval("SELECT count(*) FROM playbook_runs WHERE outcome = 'verified'")
        if done >= count:
            break
        if working.done():
            working.result()
        await asyncio.sleep(0.1)
    working.cancel()
    await asyncio.wait({working})


async def _commits(here: Environment) -> int:
    await asyncio.sleep(1.1)
    async with here.platform.database.raw_system() as connection:
        found: int = await connection.fetchval(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )
    return found


if __name__ == "__main__":
    main(run)
