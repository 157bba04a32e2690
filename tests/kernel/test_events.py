"""What users of the event store rely on: versions, order of commit, nothing skipped, tenants apart."""

import asyncio
import contextlib
import random

import pytest

from fettle.kernel import events
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict
from fettle.kernel.events import NewEvent
from fettle.kernel.horizon import Horizon
from fettle.kernel.ids import new_id


def event(stream_id, number, type_="thing.happened"):
    return NewEvent(
        stream_type="thing", stream_id=stream_id, type=type_, data={"number": number}, actor="system:test"
    )


@contextlib.asynccontextmanager
async def open_transaction(database, tenant):
    """A transaction that the test itself ends."""
    async with database.raw_app() as connection:
        await connection.execute(f"BEGIN; SELECT set_config('fettle.tenant_id', '{tenant}', true)")
        yield connection


async def test_versions_count_up_per_stream(database, tenant):
    one, two = new_id(), new_id()
    async with database.tenant(tenant) as session:
        versions = await events.append(session, tenant, [event(one, 1), event(two, 1), event(one, 2)])
    assert versions == [1, 1, 2]
    async with database.tenant(tenant) as session:
        assert await events.append(session, tenant, [event(one, 3)], expected_version=2) == [3]
        assert [e.data["number"] for e in await events.read_stream(session, tenant, "thing", one)] == [
            1,
            2,
            3,
        ]


async def test_a_stale_expected_version_is_a_conflict_and_writes_nothing(database, tenant):
    stream = new_id()
    async with database.tenant(tenant) as session:
        await events.append(session, tenant, [event(stream, 1)], expected_version=0)
    for stale in (0, 2):
        with pytest.raises(Conflict):
            async with database.tenant(tenant) as session:
                await events.append(session, tenant, [event(stream, 2)], expected_version=stale)
    async with database.tenant(tenant) as session:
        assert len(await events.read_stream(session, tenant, "thing", stream)) == 1


async def test_of_two_writers_with_the_same_expected_version_one_wins(database, tenant):
    stream = new_id()

    async def write(number):
        async with database.tenant(tenant) as session:
            await events.append(session, tenant, [event(stream, number)], expected_version=0)

    results = await asyncio.gather(*(write(n) for n in range(8)), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert all(isinstance(result, Conflict) for result in results if result is not None)


async def test_another_tenant_reads_nothing_and_cannot_write(database, tenant, other_tenant):
    stream = new_id()
    async with database.tenant(tenant) as session:
        await events.append(session, tenant, [event(stream, 1)])
    async with database.tenant(other_tenant) as session:
        assert await events.read_stream(session, tenant, "thing", stream) == []
    with pytest.raises(Exception, match="row-level security"):
        async with database.tenant(other_tenant) as session:
            await events.append(session, tenant, [event(stream, 2)])


@pytest.mark.parametrize("rollbacks", [0.0, 0.2])
async def test_a_reader_sees_every_event_and_each_stream_in_order_under_64_writers(
    database, tenant, rollbacks
):
    dice = random.Random(7)
    streams = [new_id() for _ in range(24)]
    locks = {stream: asyncio.Lock() for stream in streams}
    written: dict = {stream: [] for stream in streams}
    gate = asyncio.Semaphore(18)

    async def writer(name):
        for turn in range(4):
            stream = dice.choice(streams)
            give_up = dice.random() < rollbacks
            async with gate, open_transaction(database, tenant) as connection:
                # Takes its transaction id before it waits for the stream, as a slow writer would.
                await connection.execute("SELECT pg_current_xact_id()")
                await asyncio.sleep(dice.random() * 0.01)
                async with locks[stream]:
                    number = (name, turn)
                    await events.append_raw(connection, tenant, [event(stream, list(number))])
                    await asyncio.sleep(dice.random() * 0.01)
                    await connection.execute("ROLLBACK" if give_up else "COMMIT")
                    if not give_up:
                        written[stream].append(list(number))

    seen: list = []
    done = asyncio.Event()
    horizon = Horizon()
    async with database.raw_system() as connection:
        horizon.position = await connection.fetchval("SELECT coalesce(max(position), 0) FROM events")

    async def reader():
        position = horizon.position
        while True:
            finished = done.is_set()
            async with database.raw_system() as connection:
                safe = await horizon.advance(connection)
                rows = await connection.fetch(
                    f"SELECT {events.COLUMNS} FROM events WHERE position > $1 AND position <= $2 ORDER BY position",
                    position,
                    safe,
                )
            seen.extend(events.from_row(row) for row in rows)
            position = safe
            if finished and not rows:
                return
            await asyncio.sleep(0.001)

    reading = asyncio.create_task(reader())
    await asyncio.gather(*(writer(n) for n in range(64)))
    done.set()
    await reading
    by_stream: dict = {stream: [] for stream in streams}
    for item in seen:
        by_stream[item.stream_id].append(item)
    for stream in streams:
        assert [e.version for e in by_stream[stream]] == list(range(1, len(written[stream]) + 1))
        assert [e.data["number"] for e in by_stream[stream]] == written[stream]


async def test_a_bound_read_sees_its_tenant_only_and_leaves_nothing_bound(database, tenant, other_tenant):
    stream = new_id()
    async with database.tenant(tenant) as session:
        await events.append(session, tenant, [event(stream, 1)])
    query = "SELECT id FROM events WHERE tenant_id = bound.tenant_id AND stream_id = $2"
    anyones = "SELECT id FROM events WHERE stream_id = $2 AND bound.tenant_id IS NOT NULL"
    assert len(await database.fetch_bound(tenant, query, stream)) == 1
    assert len(await database.fetch_bound(tenant, anyones, stream)) == 1
    assert await database.fetch_bound(other_tenant, query, stream) == []
    assert await database.fetch_bound(other_tenant, anyones, stream) == []
    async with database.raw_app() as connection:
        assert await connection.fetch("SELECT id FROM events WHERE stream_id = $1", stream) == []
    with pytest.raises(ValueError, match=r"bound\.tenant_id"):
        await database.fetch_bound(tenant, "SELECT 1")


async def test_what_is_done_on_the_bare_driver_of_a_session_is_undone_with_it(database, tenant):
    """The engine begins its transaction with its own first statement: the system role's has none before ours."""

    async def change_and_fail():
        async with database.system() as session:
            connection = await driver(session)
            await connection.execute("UPDATE tenants SET name = 'changed' WHERE id = $1", tenant)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()
    async with database.raw_system() as connection:
        assert await connection.fetchval("SELECT name FROM tenants WHERE id = $1", tenant) != "changed"
