"""Trying a policy says what the clock would do: whom, when, and why not; and the contacts of the Policy Pack as one."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.escalation.test_schedules import ADA, BO, weekly

from fettle.healing.escalation.contacts import channels_of, policy_of_contacts
from fettle.healing.escalation.documents import policy_of
from fettle.healing.escalation.policies import Match, Policy, Quiet, Step, Target, due
from fettle.healing.escalation.schedules import Schedule, Window, on_call
from fettle.healing.escalation.schemas import TryIn
from fettle.healing.escalation.trying import MOST_STROKES, attempt

NOW = datetime(2026, 3, 27, 12, tzinfo=UTC)
ROOM, OFF, GONE, MAIN = (UUID(int=number) for number in (10, 11, 12, 13))
ROTA = Schedule(ZoneInfo("Europe/Berlin"), (weekly(ADA, BO),))
CHANNELS = {ROOM: True, OFF: False}


def trial(policy, severity="high", at=NOW):
    return attempt(policy, severity, at, channels=CHANNELS, schedules={MAIN: ROTA})


def test_it_says_who_is_on_call_at_each_steps_own_moment_and_why_somebody_is_not_told():
    steps = (
        Step((Target(ROOM, schedule_id=MAIN), Target(OFF)), 4 * 86_400),
        Step((Target(GONE),), 600),
        Step((Target(ROOM, user_id=BO),), 600),
    )
    found = trial(Policy(Match(), steps, fallback=(Target(ROOM),)))
    assert [(one.at - NOW, one.step) for one in found.strokes] == [
        (timedelta(0), 0),
        (timedelta(days=4), 1),
        # Nobody was told by the step before, so this one does not wait.
        (timedelta(days=4), 2),
        (timedelta(days=4, seconds=600), -1),
    ]
    first = found.strokes[0].told
    assert (first[0].person, first[0].why_not) == (on_call(ROTA, NOW), None)
    assert "switched off" in first[1].why_not
    assert "no such channel" in found.strokes[1].told[0].why_not
    assert found.strokes[2].told[0].person == BO


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"])
def test_a_moment_that_no_clock_reaches_is_refused_and_not_reckoned_with(at):
    with pytest.raises(ValidationError, match="between the years 2000 and 2200"):
        TryIn.model_validate({"severity": "high", "at": at})


def test_quiet_hours_come_first():
    night = Quiet(Window(frozenset(range(7)), time(11), time(14)), ZoneInfo("UTC"), frozenset({"low"}))
    policy = Policy(Match(), (Step((Target(ROOM),), 60),), quiet=(night,))
    assert trial(policy, "low").strokes[0].at == trial(policy, "low").quiet_until == NOW.replace(hour=14)
    assert (trial(policy).quiet_until, trial(policy).strokes[0].at) == (None, NOW)


@given(st.lists(st.integers(0, 9_000), min_size=1, max_size=6), st.integers(0, 20), st.booleans())
def test_it_tells_as_often_as_the_clock_does(waits, repeats, has_fallback):
    steps = tuple(Step((Target(ROOM),), wait) for wait in waits)
    policy = Policy(Match(), steps, repeats, (Target(ROOM),) * has_fallback)
    found = trial(policy)
    strokes = 0
    while due(policy, strokes) is not None:
        strokes += 1
    assert len(found.strokes) == min(strokes, MOST_STROKES)
    assert found.is_cut == (strokes > MOST_STROKES)
    assert [one.at for one in found.strokes] == sorted(one.at for one in found.strokes)


contacts = st.lists(
    st.fixed_dictionaries(
        {"name": st.just("Ops"), "channel": st.sampled_from(["console", "email", "webhook"])},
        optional={
            "address": st.sampled_from(["a@example.org", "b@example.org", "https://x.example/h"]),
            "severities": st.lists(st.sampled_from(["low", "high"]), min_size=1),
            "after_seconds": st.integers(0, 600_000),
        },
    ),
    max_size=6,
)


@given(contacts, st.sampled_from(["low", "high"]))
def test_contacts_are_told_so_long_after_the_escalation_as_they_say(named, severity):
    document = policy_of_contacts(named, severity)
    meant = [
        one
        for one in named
        if one["channel"] != "console" and "address" in one and severity in one.get("severities", [severity])
    ]
    if document is None:
        assert meant == []
        return
    places = channels_of(document)
    policy = policy_of(document)
    found = attempt(policy, severity, NOW, channels=dict.fromkeys(map(UUID, places), True), schedules={})
    told = {
        (int((stroke.at - NOW).total_seconds()), places[str(one.target.channel_id)]["kind"], address)
        for stroke in found.strokes
        for one in stroke.told
        for address in [_address(places[str(one.target.channel_id)])]
    }
    assert told == {(one.get("after_seconds", 0), one["channel"], one["address"]) for one in meant}


def _address(place):
    return place["document"].get("url") or place["document"]["to"][0]
