"""Rules over time: what their consumer costs where they look at nothing and at everything, and memory for each key.

The floor is a consumer of the same events that does nothing, in the same run. Memory is what the tables take on disk.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from bench.environment import Environment, environment, main, row

from fettle.healing.temporal import service
from fettle.healing.temporal.consumers import CONSUMERS, INGESTED
from fettle.incidents.accepting import acceptor
from fettle.incidents.schemas import ExceptionIn
from fettle.kernel.bus import ConsumerSpec, TenantBatch, run_consumers
from fettle.kernel.bus_groups import wait_until_idle

AT_ONCE: Final = 1_000
CHECK: Final = [{"field": "check_type", "operator": "eq", "value": "bench_seen"}]
RULES: Final = (
    {"kind": "count", "conditions": CHECK, "times": 5, "within_seconds": 600},
    {"kind": "absence", "conditions": CHECK, "within_seconds": 900},
)
_SIZE: Final = """
SELECT sum(pg_total_relation_size(name))::bigint
FROM unnest(ARRAY['temporal_keys', 'temporal_figures']::regclass[]) AS name
"""


def run(short: bool) -> dict[str, Any]:
    """Measure; `short` takes some seconds."""
    return asyncio.run(_run(6_000 if short else 40_000))


async def _run(events: int) -> dict[str, Any]:
    async with environment() as here:
        ours, bare = CONSUMERS[0], ConsumerSpec("bench.bare", frozenset({INGESTED}), _nothing)
        await _report(here, ["bench_other"] * events)
        floor, unseen = await _read(here, bare, events), await _read(here, ours, events)
        await _write_rules(here)
        await _report(here, ["bench_seen"] * events)
        again, seen = await _read(here, bare, events), await _read(here, ours, events)
        async with here.platform.database.raw_system() as connection:
            keys = await connection.fetchval("SELECT coalesce(sum(keys), 0) FROM temporal_figures")
            noted = await connection.fetchval("SELECT coalesce(sum(bytes), 0) FROM temporal_figures")
            size = await connection.fetchval(_SIZE)
    return {
        "benchmark": "temporal",
        "rows": [
            row("no rule looks at it", floor=floor, measured=unseen, unit="events/s", goal=0.7),
            row("two rules see each, a key each", floor=again, measured=seen, unit="events/s", goal=0.05),
            row(
                "memory of a key", floor=float(noted / keys), measured=float(size / keys), unit="bytes", goal=4.0,
                more_is_better=False, keys=int(keys),
            ),
        ],
    }  # fmt: skip


async def _nothing(_batch: TenantBatch) -> None:
    """Do nothing with a batch."""


async def _write_rules(here: Environment) -> None:
    async with here.platform.database.tenant(here.tenant_id) as session:
        for number, rule in enumerate(RULES):
            document = {
                **rule, "id": f"T-BENCH-{number}", "title": "Bench", "by": ["host"], "most_keys": 100_000,
                "raises": {"check_type": "bench_found"},
            }  # fmt: skip
            await service.RULES.create(
                session, here.tenant_id, service.checked(document), actor="system:bench"
            )


async def _report(here: Environment, check_types: Sequence[str]) -> None:
    wanted = [ExceptionIn(check_type=name, host=f"host-{number}") for number, name in enumerate(check_types)]
    for start in range(0, len(wanted), AT_ONCE):
        await acceptor(here.platform).accept(
            here.tenant_id, wanted[start : start + AT_ONCE], actor="system:bench"
        )


async def _read(here: Environment, spec: ConsumerSpec, events: int) -> float:
    """Let a consumer read to the end; returns how many events a second."""
    working = asyncio.create_task(run_consumers(here.platform, [spec]))
    began = time.perf_counter()
    idle = await wait_until_idle(here.platform, [spec.group], timeout=timedelta(minutes=5))
    taken = time.perf_counter() - began
    working.cancel()
    await asyncio.wait([working])
    if not idle:
        raise RuntimeError(f"{spec.group} did not read {events} events within five minutes")
    return events / taken


if __name__ == "__main__":
    main(run)
