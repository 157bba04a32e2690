"""What neighbours rely on while a tenant sends batch after batch: it rests between, and hears when it overdoes."""

import asyncio
from itertools import pairwise

import pytest

from fettle.incidents import pacing
from fettle.incidents.pacing import Pacing
from fettle.kernel.errors import RateLimited
from fettle.kernel.ids import new_id

NOISY, QUIET = new_id(), new_id()


async def test_who_sends_alone_is_never_kept_waiting():
    pace, inside = Pacing(), 0
    pace.note(NOISY)
    async with pace.turn(NOISY), pace.turn(NOISY):
        inside += 1
    assert inside == 1


async def test_beside_others_one_batch_follows_the_other_after_a_rest(monkeypatch):
    monkeypatch.setattr(pacing, "_RESTS", 3.0)
    pace, now = Pacing(), asyncio.get_running_loop().time
    pace.note(NOISY)
    pace.note(QUIET)
    spans = []

    async def send():
        async with pace.turn(NOISY):
            began_at = now()
            await asyncio.sleep(0.02)
            spans.append((began_at, now()))

    await asyncio.gather(*(send() for _ in range(4)))
    for (began_at, ended_at), (following, _) in pairwise(spans):
        assert following - ended_at >= 2.9 * (ended_at - began_at)


async def test_more_batches_at_once_than_may_wait_are_refused_and_say_when_to_come_again(monkeypatch):
    monkeypatch.setattr(pacing, "_MOST_WAITING", 2)
    pace, over = Pacing(), asyncio.Event()
    pace.note(QUIET)

    async def send():
        async with pace.turn(NOISY):
            await over.wait()

    sending = [asyncio.create_task(send()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited, match="one after the other") as refused:
        async with pace.turn(NOISY):
            pytest.fail("it was let in")
    assert refused.value.headers["Retry-After"] == "1"
    async with pace.turn(QUIET):
        over.set()
    await asyncio.gather(*sending)


async def test_a_batch_that_fails_keeps_none_that_follows(monkeypatch):
    pace = Pacing()
    pace.note(QUIET)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            async with pace.turn(NOISY):
                raise ValueError("broken")
    async with asyncio.timeout(60), pace.turn(NOISY):
        pass
