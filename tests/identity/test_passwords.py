"""Passwords and the lock-out: equal work for all, waits that grow, weak wishes refused."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.identity.lockout import FREE_ATTEMPTS, LONGEST_WAIT, Attempts, count_attempt, wait_after
from fettle.identity.passwords import Passwords, new_one_time_password, refuse_weak
from fettle.kernel.errors import Invalid

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


async def test_a_password_is_stored_as_argon2id_with_a_salt():
    passwords = Passwords()
    one, other = await passwords.hash("correct horse battery"), await passwords.hash("correct horse battery")
    assert one.startswith("$argon2id$")
    assert one != other
    assert await passwords.check("correct horse battery", one)
    assert not await passwords.check("correct horse batterx", one)


async def test_an_unknown_account_costs_the_same_work_and_is_never_right():
    passwords = Passwords()
    stored = await passwords.hash("correct horse battery")
    before = passwords.checks
    assert not await passwords.check("wrong", stored)
    assert passwords.checks == before + 1
    assert not await passwords.check("wrong", None)
    assert passwords.checks == before + 2
    # The stand-in hash has the parameters of a real one, so one computation costs what the other does.
    assert passwords._nobody.split("$")[:4] == stored.split("$")[:4]


async def test_a_damaged_hash_is_a_wrong_password():
    assert not await Passwords().check("x", "not a hash")


async def test_the_event_loop_stays_free_while_a_password_is_checked():
    passwords = Passwords()
    check = asyncio.ensure_future(passwords.check("wrong", None))
    turns = 0
    while not check.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


@pytest.mark.parametrize("wish", ["", "short", "aaaaaaaaaaaaaaaa", "x" * 129, "Ann@Example.org", "abab" * 4])
def test_weak_wishes_are_refused_with_the_field(wish):
    with pytest.raises(Invalid) as caught:
        refuse_weak(wish, pointer="/new_password", not_like=["ann@example.org"])
    assert caught.value.errors[0].pointer == "/new_password"
    assert wish == "" or wish not in caught.value.detail


def test_a_one_time_password_passes_our_own_policy():
    wishes = {new_one_time_password() for _ in range(50)}
    assert len(wishes) == 50
    for wish in wishes:
        refuse_weak(wish, pointer="")


def test_the_first_attempts_are_free_and_then_waits_double():
    past, waits = Attempts(), []
    now = NOW
    for _ in range(FREE_ATTEMPTS + 3):
        past, refused_for = count_attempt(past, now)
        assert refused_for is None
        if past.locked_until:
            waits.append((past.locked_until - now).total_seconds())
            assert count_attempt(past, past.locked_until - timedelta(seconds=1)) == (
                past,
                timedelta(seconds=1),
            )
            now = past.locked_until
    assert waits == [30, 60, 120, 240]


def test_parallel_guesses_are_counted_before_they_are_checked():
    past, through = Attempts(), 0
    for _ in range(100):
        past, refused_for = count_attempt(past, NOW)
        through += refused_for is None
    assert through == FREE_ATTEMPTS


def test_old_failures_are_forgotten():
    past = Attempts(
        failures=9, last_at=NOW - timedelta(days=1, seconds=1), locked_until=NOW - timedelta(hours=23)
    )
    assert count_attempt(past, NOW)[0].failures == 1


@given(st.integers(0, 10**9))
def test_a_wait_never_shrinks_and_never_passes_the_longest(failures):
    assert timedelta(0) <= wait_after(failures) <= wait_after(failures + 1) <= LONGEST_WAIT


def test_a_wait_that_a_clock_which_was_ahead_has_noted_locks_nobody_out():
    ahead = NOW + timedelta(days=365)
    past = Attempts(FREE_ATTEMPTS, ahead, ahead + LONGEST_WAIT)
    assert count_attempt(past, NOW)[1] is None
    assert count_attempt(Attempts(FREE_ATTEMPTS, NOW, NOW + LONGEST_WAIT), NOW)[1] == LONGEST_WAIT
