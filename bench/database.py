"""The database's hot paths against bare queries: a point read under row-level security, and dispatch by the bus."""

import asyncio
import time
from typing import Any

from bench.environment import environment, main, quantiles, row, timed

from fettle.kernel.bus import Consumer, ConsumerSpec, TenantBatch
from fettle.kernel.bus_leases import keep_leases
from fettle.kernel.bus_tail import Tail
from fettle.kernel.bus_turns import Turns
from fettle.kernel.events import NewEvent, append_new_streams
from fettle.kernel.ids import new_id

QUEUE = """
CREATE TABLE bare_queue (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, body jsonb, done boolean DEFAULT false)
"""
LEASE = """
UPDATE bare_queue SET done = true WHERE id IN (
  SELECT id FROM bare_queue WHERE NOT done ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id, body
"""


def run(short: bool) -> dict[str, Any]:
    """Measure the database's hot paths."""
    return asyncio.run(_run(2_000 if short else 10_000, 20_000 if short else 100_000))


async def _run(reads: int, events: int) -> dict[str, Any]:
    async with environment() as here:
        rows = [await _point_read(here.platform, here.tenant_id, reads)]
        rows += await _dispatch(here.platform, here.tenant_id, events)
    return {"benchmark": "database", "rows": rows}


async def _point_read(platform: Any, tenant_id: Any, reads: int) -> dict[str, Any]:
    database = platform.database
    ids = [new_id() for _ in range(500)]
    async with database.raw_tenant(tenant_id) as connection:
        await append_new_streams(connection, tenant_id, [_event(stream) for stream in ids])
    query = "SELECT data FROM events WHERE tenant_id = $1 AND stream_type = 'thing' AND stream_id = $2 AND version = 1"
    turn = iter(range(10**9))

    async with database.raw_system() as connection:
        bare = await timed(lambda: connection.fetchval(query, tenant_id, ids[next(turn) % 500]), reads)

    bound_query = (
        "SELECT data FROM events WHERE tenant_id = bound.tenant_id AND stream_type = 'thing' AND stream_id = $2 "
        "AND version = 1"
    )

    async def bound() -> None:
        assert await database.fetch_bound(tenant_id, bound_query, ids[next(turn) % 500])

    await timed(bound, 200)
    ours = await timed(bound, reads)
    floor, measured = sorted(bare)[reads // 2], sorted(ours)[reads // 2]
    return row(
        "point read, tenant bound, p50", floor=1000 * floor, measured=1000 * measured, unit="ms", goal=2.0,
        more_is_better=False, **quantiles(ours),
    )  # fmt: skip


async def _dispatch(platform: Any, tenant_id: Any, count: int) -> list[dict[str, Any]]:
    database = platform.database
    async with database.raw_tenant(tenant_id) as connection:
        for _ in range(count // 1000):
            await append_new_streams(connection, tenant_id, [_event(new_id()) for _ in range(1000)])
    handled = 0

    async def handle(batch: TenantBatch) -> None:
        nonlocal handled
        handled += len(batch.events)

    spec = ConsumerSpec("bench.dispatch", frozenset({"thing.happened"}), handle, batch_size=1000)
    turns = Turns()
    tail = Tail(database, turns)
    consumer = Consumer(platform, spec, tail, turns)
    leasing = asyncio.create_task(keep_leases(database, [consumer.leases]))
    while not consumer.leases.positions:  # before the first beat it does not know its share of the lanes
        await asyncio.sleep(0.01)
        await consumer.leases.keep()
    began = time.perf_counter()
    while handled < count:
        await tail.look()
        await consumer.step()
    ours = handled / (time.perf_counter() - began)
    leasing.cancel()
    async with database.raw_system() as system:
        assert await system.fetchval("SELECT count(*) FROM events") >= count
    floor = await _bare_queue(platform, count)
    return [row("dispatch, 1,000 at a time", floor=floor, measured=ours, unit="events/s", goal=0.5)]


async def _bare_queue(platform: Any, count: int) -> float:
    import asyncpg

    connection = await asyncpg.connect(platform.settings.database_url.get_secret_value())
    await connection.execute(QUEUE)
    await connection.execute(
        "INSERT INTO bare_queue (body) SELECT jsonb_build_object('number', n, 'padding', repeat('x', 500)) "
        "FROM generate_series(1, $1) n",
        count,
    )
    await connection.execute("ANALYZE bare_queue")
    began, taken = time.perf_counter(), 0
    while taken < count:
        taken += len(await connection.fetch(LEASE, 1000))
    rate = taken / (time.perf_counter() - began)
    await connection.close()
    return rate


def _event(stream_id: Any) -> NewEvent:
    return NewEvent(
        stream_type="thing",
        stream_id=stream_id,
        type="thing.happened",
        data={"padding": "x" * 500},
        actor="system:bench",
    )


if __name__ == "__main__":
    main(run)
