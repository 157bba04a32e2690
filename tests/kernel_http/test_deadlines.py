"""Many requests' deadlines under one timer: each ends what is its own, whatever becomes of the others."""

import asyncio

import pytest

from fettle.kernel.http.deadlines import Deadlines


async def takes(deadlines, seconds, *, renewed=0):
    """Take so long under a deadline, renewed so many times on the way; returns whether it was let be."""
    try:
        async with asyncio.timeout(None) as timeout:
            deadlines.watch(timeout)
            try:
                for _ in range(renewed + 1):
                    await asyncio.sleep(seconds)
                    deadlines.watch(timeout)
            finally:
                deadlines.forget(timeout)
    except TimeoutError:
        return False
    return True


async def test_only_what_takes_too_long_is_ended():
    deadlines = Deadlines(0.5)
    slow = [takes(deadlines, 3600) for _ in range(3)]
    quick = [takes(deadlines, 0) for _ in range(3)]
    assert await asyncio.gather(*slow, *quick) == [False] * 3 + [True] * 3


async def test_what_is_renewed_may_take_longer_than_once():
    assert await takes(Deadlines(2), 0.25, renewed=11)


async def test_after_a_pause_deadlines_hold_again():
    deadlines = Deadlines(0.2)
    assert not await takes(deadlines, 3600)
    await asyncio.sleep(0.1)
    assert not await takes(deadlines, 3600)


async def test_what_is_forgotten_has_no_end():
    deadlines = Deadlines(0.1)
    async with asyncio.timeout(None) as timeout:
        deadlines.watch(timeout)
        deadlines.forget(timeout)
        assert not deadlines.is_watched(timeout)
        await asyncio.sleep(0.3)
    assert not timeout.expired()


async def test_who_is_cancelled_is_not_told_of_a_deadline():
    deadlines = Deadlines(3600)
    task = asyncio.create_task(takes(deadlines, 3600))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
