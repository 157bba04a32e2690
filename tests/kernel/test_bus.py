"""What consumers rely on: every event once in each group, streams in order, failures parked, lanes passed on."""

import asyncio
import contextlib
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise

import asyncpg
from sqlalchemy import text

from fettle.identity.tenants import ensure_tenant
from fettle.kernel import bus, bus_cursors, bus_groups, events
from fettle.kernel.bus import ConsumerSpec, run_consumers
from fettle.kernel.bus_groups import wait_until_idle
from fettle.kernel.bus_tail import Tail
from fettle.kernel.bus_turns import TURN_EVENTS, Turns
from fettle.kernel.errors import Invalid
from fettle.kernel.events import LANES, NewEvent
from fettle.kernel.ids import new_id

PATIENCE = timedelta(seconds=60)


def event(stream, number):
    return NewEvent(
        stream_type="thing",
        stream_id=stream,
        type="thing.happened",
        data={"number": number},
        actor="system:test",
    )


@contextlib.asynccontextmanager
async def consuming(platform, *specs):
    task = asyncio.create_task(run_consumers(platform, specs))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def append(database, tenant, *new):
    async with database.tenant(tenant) as session:
        await events.append(session, tenant, new)


def spec(handle, group=None, **options):
    return ConsumerSpec(group or f"test.{new_id().hex}", frozenset({"thing.happened"}), handle, **options)


async def test_each_group_gets_each_event_once_and_streams_in_order(platform, database, tenant, other_tenant):
    seen = {"one": defaultdict(list), "two": defaultdict(list)}

    def recorder(name):
        async def handle(batch):
            assert {e.tenant_id for e in batch.events} == {batch.tenant_id}
            for item in batch.events:
                seen[name][item.stream_id].append(item.data["number"])

        return handle

    streams = {tenant: [new_id() for _ in range(10)], other_tenant: [new_id() for _ in range(10)]}
    one, two = spec(recorder("one"), batch_size=7), spec(recorder("two"))
    async with consuming(platform, one, two):
        for number in range(20):
            for owner, ids in streams.items():
                await append(database, owner, *(event(stream, number) for stream in ids))
        assert await wait_until_idle(platform, [one.group, two.group], timeout=PATIENCE)
    for name in seen:
        for ids in streams.values():
            for stream in ids:
                assert seen[name][stream] == list(range(20))


async def _parked(connection, group):
    [found] = [lag for lag in await bus_groups.lag(connection) if lag.group == group]
    return found.dead, found.waiting


async def test_a_failing_event_blocks_its_stream_only_and_becomes_a_dead_letter_that_can_be_replayed(
    platform, database, tenant, monkeypatch
):
    monkeypatch.setattr("fettle.kernel.bus_parking.MAX_ATTEMPTS", 3)
    poisoned, healthy = new_id(), new_id()
    broken = True
    handled = defaultdict(list)

    async def handle(batch):
        for item in batch.events:
            if broken and item.stream_id == poisoned and item.data["number"] == 1:
                raise Invalid("the number one cannot be handled")
        for item in batch.events:
            handled[item.stream_id].append(item.data["number"])

    group = spec(handle)
    async with consuming(platform, group):
        await append(
            database, tenant, *(event(poisoned, n) for n in range(3)), *(event(healthy, n) for n in range(3))
        )
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
        assert handled[healthy] == [0, 1, 2]
        await until(lambda: handled[poisoned] == [0, 2])
        async with asyncio.timeout(PATIENCE.total_seconds()), database.raw_system() as connection:
            # What the handler has seen is committed a moment later.
            while (await _parked(connection, group.group)) != (1, 0):
                await asyncio.sleep(0.02)
            row = await connection.fetchrow(
                "SELECT id, last_error, attempts FROM parked_events WHERE consumer_group = $1", group.group
            )
        assert row["last_error"] == "Invalid: the number one cannot be handled"
        broken = False
        async with database.tenant(tenant) as session:
            assert await bus_groups.replay_dead(session, tenant, [row["id"]]) == 1
        await until(lambda: handled[poisoned] == [0, 2, 1])


async def test_a_handler_that_fails_after_writing_leaves_no_half_effect(platform, database, tenant):
    stream, effect = new_id(), new_id()
    calls = []

    async def handle(batch):
        mine = [item for item in batch.events if item.stream_id == stream]
        if not mine:
            return
        calls.append(len(mine))
        await batch.append(
            [
                NewEvent(
                    stream_type="effect", stream_id=effect, type="effect.made", data={}, actor="system:test"
                )
                for _ in mine
            ]
        )
        if len(calls) < 3:
            raise Invalid("not yet")

    group = spec(handle)
    async with consuming(platform, group):
        await append(database, tenant, event(stream, 0))
        await until(lambda: len(calls) == 3)
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    async with database.tenant(tenant) as session:
        assert len(await events.read_stream(session, tenant, "effect", effect)) == 1


async def test_the_lanes_of_a_process_that_vanished_are_taken_over_and_nothing_is_lost(
    platform, database, tenant, settings
):
    streams = [new_id() for _ in range(8)]
    handled = []

    async def handle(batch):
        handled.extend((e.stream_id, e.data["number"]) for e in batch.events if e.stream_id in streams)

    group = spec(handle)
    async with database.raw_system() as connection:
        # What a process leaves behind that was killed a moment ago: leases that still run.
        await connection.execute(
            "INSERT INTO consumer_lanes (consumer_group, lane, owner, lease_until) "
            "SELECT $1, generate_series(0, $2 - 1), $3, now() + interval '2 seconds'",
            group.group, events.LANES, new_id(),
        )  # fmt: skip
    await append(database, tenant, *(event(stream, 0) for stream in streams))
    async with consuming(platform, group):
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    assert sorted(handled, key=str) == sorted(((stream, 0) for stream in streams), key=str)


async def test_two_processes_share_the_lanes_and_each_event_has_its_effect_once(platform, database, tenant):
    streams = {new_id() for _ in range(200)}
    effects = new_id()

    async def handle(batch):
        # A lane may change hands while its events are handled; what counts is what was committed.
        made = [
            NewEvent(
                stream_type="effect", stream_id=effects, type="effect.made", data=e.data, actor="system:test"
            )
            for e in batch.events
            if e.stream_id in streams
        ]
        await batch.append(made)

    group = spec(handle, batch_size=5)
    async with consuming(platform, group), consuming(platform, group):
        for number, stream in enumerate(streams):
            await append(database, tenant, event(stream, number))
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    async with database.tenant(tenant) as session:
        seen = await events.read_stream(session, tenant, "effect", effects)
    assert sorted(effect.data["number"] for effect in seen) == list(range(200))


async def test_a_handler_is_bound_to_the_tenant_of_its_events(platform, database, tenant, other_tenant):
    bound = []

    async def handle(batch):
        value = await batch.session.scalar(text("SELECT current_setting('fettle.tenant_id')"))
        bound.append((str(batch.tenant_id), value))

    group = spec(handle)
    async with consuming(platform, group):
        await append(database, tenant, event(new_id(), 0))
        await append(database, other_tenant, event(new_id(), 0))
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    assert {pair[0] for pair in bound} >= {str(tenant), str(other_tenant)}
    assert all(expected == actual for expected, actual in bound)


async def until(holds):
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while not holds():
            await asyncio.sleep(0.02)


async def effects_of(database, tenant, stream):
    async with database.tenant(tenant) as session:
        return len(await events.read_stream(session, tenant, "effect", stream))


def effect(stream):
    return NewEvent(stream_type="effect", stream_id=stream, type="effect.made", data={}, actor="system:test")


async def test_a_commit_whose_answer_was_lost_is_not_made_again(platform, database, tenant, monkeypatch):
    stream, made = new_id(), new_id()
    lost = 0
    real = database.unbound

    @contextlib.asynccontextmanager
    async def unbound():
        nonlocal lost
        async with real() as session:
            yield session
        if session.info.get("test.effect") and not lost:
            lost += 1
            raise RuntimeError("the driver does not know what became of the commit")

    async def handle(batch):
        mine = [item for item in batch.events if item.stream_id == stream]
        if mine:
            await batch.append([effect(made) for _ in mine])
            batch.session.info["test.effect"] = True

    monkeypatch.setattr(database, "unbound", unbound)
    group = spec(handle)
    async with consuming(platform, group):
        await append(database, tenant, *(event(stream, number) for number in range(3)))
        await until(lambda: lost == 1)
        await append(database, tenant, event(stream, 3))
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    assert await effects_of(database, tenant, made) == 4


async def test_transactions_that_stand_in_each_others_way_are_tried_again_as_a_whole(
    platform, database, tenant
):
    streams = [new_id() for _ in range(6)]
    sizes = []

    async def handle(batch):
        mine = [item for item in batch.events if item.stream_id in streams]
        if mine:
            sizes.append(len(mine))
            if len(sizes) == 1:
                raise asyncpg.DeadlockDetectedError("deadlock detected")

    group = spec(handle)
    await append(database, tenant, *(event(stream, 0) for stream in streams))
    async with consuming(platform, group):
        await until(lambda: len(sizes) >= 2)
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    assert sizes == [6, 6]


async def test_the_one_event_that_cannot_be_handled_is_found_by_halves(platform, database, tenant):
    streams = [new_id() for _ in range(64)]
    handled, calls = set(), 0

    async def handle(batch):
        nonlocal calls
        mine = [item.stream_id for item in batch.events if item.stream_id in streams]
        if not mine:
            return
        calls += 1
        if streams[40] in mine:
            raise Invalid("not this one")
        handled.update(mine)

    group = spec(handle)
    await append(database, tenant, *(event(stream, 0) for stream in streams))
    async with consuming(platform, group):
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    assert handled == set(streams) - {streams[40]}
    assert calls < len(streams) / 2


async def test_a_handler_that_hangs_is_set_aside_and_blocks_nobody(platform, database, tenant, monkeypatch):
    monkeypatch.setattr(bus, "_HANDLER_SECONDS", 0.2)
    stuck, free = new_id(), new_id()
    handled = []

    async def handle(batch):
        if any(item.stream_id == stuck for item in batch.events):
            await asyncio.Event().wait()
        handled.extend(item.stream_id for item in batch.events if item.stream_id == free)

    group = spec(handle)
    async with consuming(platform, group):
        await append(database, tenant, event(stuck, 0), event(free, 0))
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
        await until(lambda: handled)
        async with database.raw_system() as connection:
            row = await connection.fetchrow(
                "SELECT last_error FROM parked_events WHERE consumer_group = $1 AND stream_id = $2",
                group.group, stuck,
            )  # fmt: skip
    assert set(handled) == {free}
    assert row["last_error"] == "HandlerTooSlowError"


async def test_a_slow_handler_keeps_its_lanes_from_a_process_that_looks_for_some(
    platform, database, tenant, monkeypatch
):
    brief = platform.settings.model_copy(update={"lease_seconds": 2})
    monkeypatch.setattr(platform, "settings", brief)
    stream = new_id()
    handled, begun, go_on = [], asyncio.Event(), asyncio.Event()

    async def handle(batch):
        mine = [item.data["number"] for item in batch.events if item.stream_id == stream]
        if mine:
            begun.set()
            await go_on.wait()
            handled.extend(mine)

    group = spec(handle)
    await append(database, tenant, event(stream, 0))
    async with consuming(platform, group):
        await begun.wait()
        async with consuming(platform, group):
            await lanes_shared(database, group.group)
            go_on.set()
            assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    assert handled == [0]


async def test_lanes_that_passed_on_while_nothing_was_to_be_done_are_taken_again_once_they_are_free(
    platform, database
):
    async def handle(_):
        pass

    group = spec(handle)
    held = "SELECT count(*) FROM consumer_lanes WHERE consumer_group = $1 AND owner IS NOT NULL"
    async with consuming(platform, group), database.raw_system() as connection, asyncio.timeout(60):
        for _ in range(2):
            while await connection.fetchval(held, group.group) < LANES:
                await asyncio.sleep(0.02)
            await connection.execute(
                "UPDATE consumer_lanes SET owner = NULL WHERE consumer_group = $1 AND lane < 5", group.group
            )
        while await connection.fetchval(held, group.group) < LANES:
            await asyncio.sleep(0.02)
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)


async def lanes_shared(database, group):
    """Wait until a second process had several leases' time to take lanes that nobody held."""
    async with database.raw_system() as connection:
        for _ in range(8):
            before = await connection.fetchval(
                "SELECT max(seen_at) FROM consumer_members WHERE consumer_group = $1", group
            )
            while before == await connection.fetchval(
                "SELECT max(seen_at) FROM consumer_members WHERE consumer_group = $1", group
            ):
                await asyncio.sleep(0.02)
        owners = await connection.fetch(
            "SELECT DISTINCT owner FROM consumer_lanes WHERE consumer_group = $1", group
        )
    assert len(owners) == 1


async def test_a_tenant_that_floods_the_store_keeps_nobody_waiting_and_stays_in_order(
    platform, database, tenant, other_tenant
):
    noisy, quiet = [new_id() for _ in range(4)], new_id()
    handled = []

    async def handle(batch):
        ours = [item for item in batch.events if item.stream_id in {*noisy, quiet}]
        handled.extend((item.stream_id, item.data["number"]) for item in ours)

    group = spec(handle, batch_size=20)
    for number in range(200):
        await append(database, tenant, *(event(stream, number) for stream in noisy))
    await append(database, other_tenant, event(quiet, 0))
    async with consuming(platform, group):
        await until(lambda: (quiet, 0) in handled)
        assert len(handled) < 400
        await append(database, tenant, *(event(stream, 200) for stream in noisy))
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
        await append(database, tenant, *(event(stream, 201) for stream in noisy))
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    for stream in noisy:
        assert [number for one, number in handled if one == stream] == list(range(202))
    async with database.raw_system() as connection:
        assert await connection.fetchval("SELECT count(*) FROM consumer_detours") == 0


async def test_between_an_event_and_its_handling_each_flood_has_one_turn_at_most(
    platform, database, tenant, other_tenant
):
    third_tenant = await ensure_tenant(platform, f"third-{new_id().hex}", "Third")
    floods, quiet = {tenant: new_id(), third_tenant: new_id()}, new_id()
    handled, waited, turns = Counter(), [], []
    seen = asyncio.Event()

    async def handle(batch):
        if batch.tenant_id in floods:
            handled[batch.tenant_id] += sum(item.stream_id in floods.values() for item in batch.events)
            turns.append(batch.tenant_id)
        if any(item.stream_id == quiet for item in batch.events):
            seen.set()

    group = spec(handle)
    for hundred in range(20):
        for flooding, stream in floods.items():
            await append(database, flooding, *(event(stream, 100 * hundred + one) for one in range(100)))
    async with consuming(platform, group):
        for number in range(12):
            seen.clear()
            before = handled.total()
            await append(database, other_tenant, event(quiet, number))
            await seen.wait()
            waited.append(handled.total() - before)
        meanwhile = turns[4:]
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    assert handled == dict.fromkeys(floods, 2_000)
    # The first comes upon whatever is just read; from then on it is known that others have work.
    assert max(waited[1:]) <= 2 * TURN_EVENTS
    assert all(one != following for one, following in pairwise(meanwhile))


async def test_a_detour_is_gone_on_with_by_whoever_takes_the_lanes_over(platform, database, tenant):
    streams = [new_id() for _ in range(5)]
    made = new_id()
    enough = asyncio.Event()

    async def handle(batch):
        mine = [item for item in batch.events if item.stream_id in streams]
        if mine:
            await batch.append([effect(made) for _ in mine])
        async with database.raw_system() as connection:
            if await connection.fetchval("SELECT count(*) FROM consumer_detours"):
                enough.set()

    group = spec(handle, batch_size=20)
    for number in range(60):
        await append(database, tenant, *(event(stream, number) for stream in streams))
    async with consuming(platform, group):
        await enough.wait()
    async with consuming(platform, group), consuming(platform, group):
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    assert await effects_of(database, tenant, made) == 300


async def test_lanes_that_were_left_behind_a_detour_do_not_read_what_it_read_once_more(
    platform, database, tenant, other_tenant, monkeypatch
):
    monkeypatch.setattr(bus_cursors, "_CALM_SECONDS", 0.0)
    # Of three others none has more than half of a batch, so that the lanes go on to where the detour was by and by.
    others = [other_tenant, *[await ensure_tenant(platform, new_id().hex, "Other") for _ in range(2)]]
    ours, theirs = new_id(), [new_id() for _ in others]
    handled = Counter()

    async def handle(batch):
        handled.update((item.stream_id, item.data["number"]) for item in batch.events)

    group = spec(handle, batch_size=20)
    async with database.raw_system() as connection:
        began_at = await connection.fetchval("SELECT coalesce(max(position), 0) FROM events")
        for number in range(20):
            for other, stream in zip(others, theirs, strict=True):
                await append(database, other, event(stream, number))
        await append(database, tenant, event(ours, 0))
        reached = await connection.fetchval("SELECT max(position) FROM events")
        # A process saves how far its lanes are idle only now and then; it died between that and a detour's step.
        for table, columns, position in (
            ("consumer_lanes", "consumer_group, lane, position", began_at),
            ("consumer_detours", "consumer_group, lane, position, tenant_id", reached),
        ):
            values = "$1, lane, $2" + (", $3" if "tenant_id" in columns else "")
            await connection.execute(
                f"INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(0, {LANES - 1}) AS lane",
                group.group, position, *([tenant] if "tenant_id" in columns else []),
            )  # fmt: skip
    await append(database, tenant, event(ours, 1))
    async with consuming(platform, group):
        assert await wait_until_idle(platform, [group.group], timeout=PATIENCE)
    assert handled[ours, 0] == 0
    assert handled[ours, 1] == 1
    assert all(handled[stream, number] == 1 for stream in theirs for number in range(20))


async def test_only_who_takes_what_is_new_is_woken_at_once_and_everybody_when_nothing_is(database, tenant):
    turns = Turns()
    tail = Tail(database, turns)
    concerned, others = tail.subscribe({"thing.happened"}), tail.subscribe({"thing.vanished"})
    looking = asyncio.create_task(tail.run())
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await others.wait()  # the first look found nothing, or is over
            concerned.clear()
            others.clear()
            before = tail.position
            await append(database, tenant, event(new_id(), 0))
            await concerned.wait()
            assert tail.position > before
            found = tail.read({"thing.happened"}, range(LANES), before, 10)
            assert [item.tenant_id for item in found] == [tenant]
            assert turns.others_than([new_id()])
            assert not turns.others_than([tenant])
            await others.wait()
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


async def test_what_a_flood_brings_is_not_taken_in_while_others_have_work_and_is_never_missed(
    platform, database, tenant
):
    neighbour = await ensure_tenant(platform, "neighbour", "Neighbour")
    turns = Turns()
    tail = Tail(database, turns)
    tail.subscribe({"thing.happened", "thing.vanished"})
    await tail.look()
    before = tail.position
    turns.begun([tenant])
    turns.hear([neighbour])
    await append(database, tenant, *(event(new_id(), 0) for _ in range(100)))
    await append(database, neighbour, event(new_id(), 1))
    assert await tail.look() == {"thing.happened"}
    happened = ({"thing.happened"}, range(LANES), before, 10)
    assert tail.read(*happened) is None, "who needs it reads it for itself"
    assert tail.read(*happened, only=tenant) is None
    assert [found.tenant_id for found in tail.read(*happened, without=[tenant])] == [neighbour]
    assert [found.tenant_id for found in tail.read(*happened, only=neighbour)] == [neighbour]
    assert tail.read({"thing.vanished"}, range(LANES), before, 10) == []
    between = tail.position
    turns.ended([tenant])
    await append(database, tenant, event(new_id(), 2))
    await tail.look()
    assert [found.tenant_id for found in tail.read({"thing.happened"}, range(LANES), between, 10)] == [tenant]
    assert tail.read(*happened) is None
