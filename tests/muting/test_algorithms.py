"""What mutes an incident, against second implementations that are slow and plain."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples
from tests.muting.shapes import known, matchers, mid

from fettle.healing.muting.inhibition import Firing, Inhibition, Inhibitor
from fettle.healing.muting.matching import Matcher, MatcherError, Matchers, any_of, labels_of
from fettle.healing.muting.mutes import (
    HELD,
    HOLD,
    INHIBITED,
    MAINTENANCE,
    ONLY_THEN,
    SILENCE,
    SILENCED,
    SUPPRESS,
    MuteSet,
    Timed,
    hold_of,
    mute_of,
)
from fettle.healing.muting.reading import mute_set
from fettle.healing.muting.recurring import Recurrence, When

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")]
# Around the changes of clocks in 2026: spring and autumn in Europe, in America, and the half hour of Lord Howe.
DAYS = [
    datetime(2026, *day, tzinfo=UTC) for day in ((3, 28), (10, 24), (3, 7), (10, 31), (4, 4), (10, 3), (6, 9))
]
STEP = timedelta(minutes=15)


# --- when ------------------------------------------------------------------------------------------------------

times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
recurrences = st.builds(
    Recurrence, st.frozensets(st.integers(0, 6), min_size=1), times, times, st.sampled_from(ZONES)
)


def slow_spans(recurrence: Recurrence, start: datetime, steps: int) -> list[bool]:
    """Say for each quarter of an hour whether it is inside, by watching a clock from three days before."""
    moments = [start + number * STEP for number in range(-4 * 96, steps + 4 * 96)]
    shown = [moment.astimezone(recurrence.zone).replace(tzinfo=None) for moment in moments]
    inside = [False] * len(moments)
    for day in sorted({clock.date() for clock in shown}):
        if day.weekday() not in recurrence.weekdays:
            continue
        begin = datetime.combine(day, recurrence.begins)
        end = datetime.combine(day, recurrence.ends)
        if end <= begin:
            end += timedelta(days=1)
        first = next((i for i, clock in enumerate(shown) if clock >= begin), len(shown))
        last = max((i for i, clock in enumerate(shown) if clock < end), default=-1)
        for place in range(first, last + 1):
            inside[place] = True
    return inside[4 * 96 : -4 * 96]


@examples(150)
@given(recurrences, st.sampled_from(DAYS))
def test_hours_of_weekdays_hold_as_clocks_show_them(recurrence, start):
    when = When(recurrence=recurrence)
    steps = 3 * 96
    expected = slow_spans(recurrence, start, steps)
    assert [when.holds(start + number * STEP) for number in range(steps)] == expected
    end = start + steps * STEP
    covered = [False] * steps
    before = None
    for begin, until in when.spans(start, end):
        assert begin < until
        assert before is None or before < begin, "what touches is one"
        before = until
        for number in range(steps):
            if begin <= start + number * STEP < until:
                covered[number] = True
    assert covered == expected


@examples(100)
@given(recurrences, st.sampled_from(DAYS), st.integers(0, 96), st.integers(0, 200), st.integers(0, 300))
def test_the_next_change_is_where_it_first_is_otherwise(recurrence, day, from_step, length, at):
    starts = day + from_step * STEP
    when = When(starts, starts + length * STEP, recurrence)
    moment = day + (at - 100) * STEP
    now = when.holds(moment)
    following = next((n for n in range(1, 500) if when.holds(moment + n * STEP) != now), None)
    change = when.next_change(moment)
    if following is None:
        assert change is None or change > moment + 499 * STEP
    else:
        assert change == moment + following * STEP
        if now:
            assert when.until(moment) == change
        else:
            assert when.next_begin(moment) == change


def test_an_hour_that_is_left_out_and_one_that_is_repeated():
    night = Recurrence(frozenset({6}), time(2, 15), time(2, 45), BERLIN)
    assert night.on(date(2026, 3, 29)) is None
    begin, end = night.on(date(2026, 10, 25))
    assert end - begin == timedelta(minutes=90)
    longer = Recurrence(frozenset({6}), time(2, 30), time(4), BERLIN)
    begin, end = longer.on(date(2026, 3, 29))
    assert (begin, end) == (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 3, 29, 2, tzinfo=UTC))


def test_around_the_clock_has_no_end():
    always = When(recurrence=Recurrence(frozenset(range(7)), time(0), time(0), BERLIN))
    assert always.holds(DAYS[0])
    assert always.until(DAYS[0]) is None
    assert always.next_change(DAYS[0]) is None


# --- matchers --------------------------------------------------------------------------------------------------


def slow_holds(members, labels) -> bool:
    for member in members:
        value = labels.get(member.name, "")
        same = bool(re.fullmatch(member.value, value)) if "~" in member.op else value == member.value
        if same == member.op.startswith("!"):
            return False
    return True


@given(st.lists(matchers, max_size=4), known)
def test_matchers_hold_as_alertmanagers(members, labels):
    assert Matchers(tuple(members)).hold(labels) == slow_holds(members, labels)


def test_what_an_incident_is_known_by():
    labels = labels_of(
        {"check_type": "a", "host": None, "labels": {"host": "fake", "team": "ops"}, "severity": "high"}
    )
    assert labels["host"] == ""
    assert labels["labels.host"] == "fake"
    assert labels["team"] == labels["labels.team"] == "ops"


def test_a_pattern_covers_the_whole_and_cannot_leave_its_place():
    assert not Matchers.parse([{"name": "host", "op": "=~", "value": "ws"}]).hold({"host": "ws-01"})
    with pytest.raises(MatcherError):
        Matcher.parse({"name": "host", "op": "=~", "value": "a)|(b("})
    with pytest.raises(MatcherError):
        Matcher.parse({"name": "host", "op": "~", "value": "a"})
    stars = Matchers.parse([any_of("host", ["ws-*", "db.1"])])
    assert [stars.hold({"host": host}) for host in ("WS-9", "db.1", "dbx1", "")] == [True, True, False, False]


# --- both together ---------------------------------------------------------------------------------------------

whens = st.builds(
    lambda start, length, recurrence: When(
        DAYS[0] + start * STEP, DAYS[0] + (start + length) * STEP, recurrence
    ),
    st.integers(-50, 200),
    st.integers(1, 200),
    st.none() | recurrences,
)
timed = st.lists(
    st.builds(
        lambda number, effect, members, when: Timed(
            f"t{number}", effect, "t", Matchers(tuple(members)), when
        ),
        st.integers(0, 99),
        st.sampled_from([SILENCE, SUPPRESS, HOLD, ONLY_THEN]),
        st.lists(matchers, max_size=1),
        whens,
    ),
    unique_by=lambda one: one.id,
    max_size=4,
)


@examples(200)
@given(timed, known, st.integers(0, 200))
def test_overlapping_silences_and_windows_end_with_the_last(set_, labels, at):
    moment = DAYS[0] + at * STEP
    mutes = MuteSet(timed=tuple(set_))
    inhibitor = Inhibitor((), (), ())

    def muted(at):
        return any(
            one.effect in {SILENCE, SUPPRESS} and one.matchers.hold(labels) and one.when.holds(at)
            for one in set_
        )

    found = mute_of(mutes, inhibitor, mid(1), labels, moment)
    assert (found is not None) == muted(moment)
    if found is not None:
        ends = next(n for n in range(1, 1000) if not muted(moment + n * STEP))
        assert found.until == moment + ends * STEP
        silenced = any(
            one.effect == SILENCE and one.matchers.hold(labels) and one.when.holds(moment) for one in set_
        )
        assert found.reason == (SILENCED if silenced else MAINTENANCE)


@examples(200)
@given(timed, known, st.integers(0, 200), st.booleans())
def test_what_acts_is_held_and_disruptive_work_waits_for_its_window(set_, labels, at, is_disruptive):
    moment = DAYS[0] + at * STEP
    mutes = MuteSet(timed=tuple(set_))

    def held(at):
        fitting = [one for one in set_ if one.matchers.hold(labels)]
        kept = [one for one in fitting if one.effect == ONLY_THEN]
        if any(one.effect == HOLD and one.when.holds(at) for one in fitting):
            return True
        return is_disruptive and bool(kept) and not any(one.when.holds(at) for one in kept)

    found = hold_of(mutes, labels, moment, is_disruptive=is_disruptive)
    assert (found is not None) == held(moment)
    if found is not None:
        assert found.reason == HELD


def test_a_silence_goes_before_what_inhibits():
    rule = Inhibition(
        "i", "site down", Matchers.parse([{"name": "check_type", "op": "=", "value": "down"}]), Matchers()
    )
    inhibitor = Inhibitor([rule], (), [Firing(mid(2), {"check_type": "down"})])
    assert mute_of(MuteSet(inhibitions=(rule,)), inhibitor, mid(1), {}, DAYS[0]).reason == INHIBITED
    silence = Timed("s", SILENCE, "s", Matchers(), When())
    both = MuteSet(timed=(silence,), inhibitions=(rule,))
    assert mute_of(both, inhibitor, mid(1), {}, DAYS[0]).reason == SILENCED


def test_what_a_policy_says_is_read():
    policy = {
        "silences": [{"reason": "Moving", "until": "2026-06-01T00:00:00Z", "hosts": ["ws-*"], "check_types": ["disk"]}],
        "maintenance_windows": [
            {"title": "Night", "weekdays": ["sat"], "from": "22:00", "to": "04:00", "timezone": "Europe/Berlin",
             "sites": ["Hall"], "effect": "suppress"}
        ],
    }  # fmt: skip
    mutes = mute_set([], policy)
    saturday = datetime(2026, 5, 30, 23, tzinfo=UTC)
    inhibitor = Inhibitor((), (), ())

    def reason(moment, **labels):
        found = mute_of(mutes, inhibitor, mid(1), labels, moment)
        return found and (found.reason, found.by)

    assert reason(saturday, host="WS-1", check_type="disk") == ("silenced", "policy:silences/0")
    assert reason(saturday, host="db-1", check_type="disk") is None
    assert reason(saturday, host="db-1", site="Hall") == ("maintenance", "policy:maintenance_windows/0")
    assert reason(saturday + timedelta(days=2), host="WS-1", check_type="disk") is None
