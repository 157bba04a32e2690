"""What the others of a process rely on while one tenant floods it: short turns, one at a time, with rests between."""

import asyncio

import uvloop

from fettle.kernel import bus_turns
from fettle.kernel.bus_cursors import crowding
from fettle.kernel.bus_turns import LastingTurn, Turns
from fettle.kernel.events import Event
from fettle.kernel.ids import new_id

NOISY, QUIET = new_id(), new_id()


def events_of(*tenants):
    return [Event._make([None, tenant_id, *[None] * 9]) for tenant_id in tenants]


async def test_where_nobody_else_has_work_there_are_no_turns():
    turns, wake = Turns(), asyncio.Event()
    turns.begun([NOISY])
    turns.note([NOISY])
    assert not turns.are_needed
    assert turns.take(wake)
    assert turns.take(wake)


async def test_one_goes_on_at_a_time_and_the_others_have_time_in_between_and_wait_for_no_poll():
    turns, first, second, third = Turns(), asyncio.Event(), asyncio.Event(), asyncio.Event()
    turns.begun([NOISY])
    turns.note([NOISY, QUIET])
    assert turns.are_needed
    assert turns.take(first)
    assert not turns.take(second)
    assert not turns.take(third)
    await asyncio.sleep(0.02)
    turns.give_back()
    assert not turns.take(second)
    woken = []
    waiting = [asyncio.create_task(_then(wake, woken, name)) for name, wake in (("3", third), ("2", second))]
    await asyncio.gather(*waiting)
    assert woken == ["2", "3"]
    assert turns.take(second)
    assert not turns.take(first)


async def test_while_others_may_come_back_turns_are_small_and_one_at_a_time_but_do_not_rest(monkeypatch):
    monkeypatch.setattr(bus_turns, "_SHORT_REST", 1_000.0)
    turns, first, second = Turns(), asyncio.Event(), asyncio.Event()
    turns.begun([NOISY])
    assert turns.most_events(300) == 300
    turns.note([QUIET])
    assert turns.most_events(300) == bus_turns.TURN_EVENTS
    monkeypatch.setattr(Turns, "are_needed", False)
    assert bus_turns.TURN_EVENTS < turns.most_events(300) < 300
    assert turns.take(first)
    assert not turns.take(second)
    await asyncio.sleep(0.01)
    turns.give_back()
    async with asyncio.timeout(60):
        await second.wait()
    assert turns.take(second)


async def test_a_turn_waits_for_a_pause_of_the_others_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(bus_turns, "_PAUSE_SECONDS", (0.05, 0.06))
    monkeypatch.setattr(bus_turns, "_LONG_REST_SECONDS", 0.2)
    turns, wake, now = Turns(), asyncio.Event(), asyncio.get_running_loop().time
    turns.begun([NOISY])
    turns.note([QUIET])
    assert turns.take(wake)
    await asyncio.sleep(0.01)
    turns.give_back()
    turns.note([QUIET])
    paused_at = now()
    async with asyncio.timeout(60):
        while not turns.take(wake):
            wake.clear()
            await wake.wait()
        assert now() - paused_at >= 0.05
        turns.give_back()
        while not turns.take(wake):
            turns.note([QUIET])
            await asyncio.sleep(0.005)


async def test_whose_events_another_process_handles_is_one_of_the_others_and_a_flood_is_not():
    turns = Turns()
    turns.begun([NOISY])
    turns.hear([NOISY])
    assert not turns.are_needed
    turns.hear([NOISY, QUIET])
    assert turns.are_needed


async def test_a_turn_that_does_not_end_keeps_nobody_else_from_theirs(monkeypatch):
    monkeypatch.setattr(bus_turns, "_LONGEST_SECONDS", 0.01)
    turns = Turns()
    turns.begun([NOISY])
    turns.note([QUIET])
    assert turns.take(asyncio.Event())
    assert not turns.take(asyncio.Event())
    await asyncio.sleep(0.02)
    assert turns.take(asyncio.Event())


async def test_a_turn_of_several_pieces_lasts_until_all_are_done_or_wait_for_somebody_else(monkeypatch):
    monkeypatch.setattr(bus_turns, "_SHORT_REST", 0.0)
    monkeypatch.setattr(bus_turns, "_PAUSE_SECONDS", (0.0, 0.0))
    turns, wake = Turns(), asyncio.Event()
    turns.begun([NOISY])
    turns.note([QUIET])
    first, second = new_id(), new_id()
    assert turns.take(wake)
    turn = LastingTurn(turns, [first, second])
    turn.done(first)
    assert not turns.take(wake)
    turn.done(second)
    assert turns.take(wake)
    turn.done(second)
    assert not turns.take(wake), "a turn that is over ends no other"
    monkeypatch.setattr(bus_turns, "_LASTING_SECONDS", 0.0)
    LastingTurn(turns, [first])
    await asyncio.sleep(0.01)
    assert turns.take(wake)


async def _then(wake, woken, name):
    async with asyncio.timeout(60):
        await wake.wait()
    woken.append(name)


async def test_a_tenant_that_is_read_among_the_others_again_is_one_of_them():
    turns = Turns()
    turns.begun([NOISY])
    turns.begun([NOISY])
    turns.ended([NOISY])
    turns.note([NOISY])
    assert not turns.are_needed
    turns.begun([QUIET])
    turns.ended([NOISY])
    assert turns.are_needed
    assert not turns.others_than([NOISY])


def test_turns_that_take_no_time_follow_each_other_on_the_loop_that_workers_run_on():
    async def take_many():
        turns, wake = Turns(), asyncio.Event()
        turns.begun([NOISY])
        turns.note([QUIET])
        async with asyncio.timeout(60):
            for _ in range(100):
                while not turns.take(wake):
                    wake.clear()
                    await wake.wait()
                turns.give_back()

    uvloop.run(take_many())


def test_whose_events_are_read_apart():
    assert crowding(events_of(*[NOISY] * 299), 300) == []
    assert crowding(events_of(*[NOISY] * 300), 300) == [NOISY]
    assert crowding(events_of(*[NOISY] * 40, QUIET), 300) == [NOISY]
    assert crowding(events_of(*[NOISY] * 40), 300) == []
    assert crowding(events_of(*[NOISY] * 40), 300, others=True) == [NOISY]
    assert crowding(events_of(*[NOISY] * 20, QUIET), 300) == []
    assert crowding(events_of(*[NOISY] * 20, *[QUIET] * 20), 300) == []
    assert crowding(events_of(NOISY, QUIET), 300, flooding=[NOISY]) == [NOISY]
    assert crowding(events_of(NOISY), 300, others=True, flooding=[NOISY]) == [NOISY]
    assert crowding(events_of(NOISY), 300, flooding=[NOISY]) == []
