"""Who is on call: hand-overs at the same time of day, also where daylight saving begins and ends, and never a hole."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.healing.escalation.schedules import (
    Layer,
    Override,
    Schedule,
    Unit,
    Window,
    gaps,
    instant,
    on_call,
    preview,
)

ADA, BO, CY = (UUID(int=number) for number in (1, 2, 3))
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "UTC",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
]


def wall(*parts):
    """Return a time as it stands on a clock on the wall."""
    return datetime(*parts)  # noqa: DTZ001 - its zone is the schedule's


MONDAY = wall(2026, 1, 5, 9)


def weekly(*people, starts=MONDAY, **more):
    return Layer(people, starts, more.pop("unit", Unit.WEEKS), more.pop("length", 1), **more)


def at(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def test_turns_change_at_the_same_time_of_day_in_winter_and_in_summer():
    schedule = Schedule(BERLIN, (weekly(ADA, BO),))
    assert on_call(schedule, at("2026-03-23T08:59")) is ADA
    assert on_call(schedule, at("2026-03-23T09:00")) is BO
    assert on_call(schedule, at("2026-03-30T08:59:59")) is BO
    assert on_call(schedule, at("2026-03-30T09:00")) is ADA
    spans = preview(schedule, at("2026-03-23T09:00"), at("2026-04-06T09:00"))
    assert [span.ends - span.begins for span in spans] == [timedelta(hours=167), timedelta(hours=168)]


def test_a_hand_over_within_the_hour_that_comes_twice_happens_once():
    schedule = Schedule(BERLIN, (weekly(ADA, BO, starts=wall(2026, 10, 24, 2, 30), unit=Unit.DAYS),))
    spans = preview(schedule, at("2026-10-24T12:00"), at("2026-10-26T12:00"))
    assert [span.person for span in spans] == [ADA, BO, ADA]
    assert spans[0].ends == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert (
        on_call(schedule, datetime(2026, 10, 25, 1, 15, tzinfo=UTC)) is BO
    )  # shows 02:15 for the second time


def test_a_hand_over_within_the_hour_that_is_left_out_still_happens():
    schedule = Schedule(BERLIN, (weekly(ADA, BO, starts=wall(2026, 3, 28, 2, 30), unit=Unit.DAYS),))
    spans = preview(schedule, at("2026-03-28T12:00"), at("2026-03-30T12:00"))
    assert [span.person for span in spans] == [ADA, BO, ADA]
    assert spans[0].ends == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_the_later_layer_and_above_all_the_last_override_counts():
    night = Window(frozenset(range(7)), time(20), time(8))
    schedule = Schedule(
        BERLIN,
        (weekly(ADA), weekly(BO, windows=(night,))),
        (Override(CY, at("2026-02-01T00:00"), at("2026-02-02T00:00")),
         Override(None, at("2026-02-01T10:00"), at("2026-02-01T11:00"))),
    )  # fmt: skip
    assert on_call(schedule, at("2026-01-20T12:00")) is ADA
    assert on_call(schedule, at("2026-01-20T23:00")) is BO
    assert on_call(schedule, at("2026-01-21T07:59")) is BO
    assert on_call(schedule, at("2026-02-01T09:00")) is CY
    assert on_call(schedule, at("2026-02-01T10:30")) is None


def test_a_gap_is_told():
    office = Window(frozenset(range(5)), time(9), time(17))
    schedule = Schedule(BERLIN, (weekly(ADA, windows=(office,)),))
    found = gaps(preview(schedule, at("2026-02-06T12:00"), at("2026-02-09T12:00")))
    assert [(gap.begins, gap.ends) for gap in found] == [(at("2026-02-06T17:00"), at("2026-02-09T09:00"))]


moments = st.datetimes(wall(2025, 12, 1), wall(2027, 3, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
windows = st.builds(
    Window,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.times().map(lambda one: one.replace(microsecond=0, tzinfo=None)),
    st.times().map(lambda one: one.replace(microsecond=0, tzinfo=None)),
)
layers = st.builds(
    Layer,
    st.lists(st.sampled_from([ADA, BO, CY]), min_size=1, max_size=3).map(tuple),
    st.datetimes(wall(2025, 12, 1), wall(2026, 6, 1)).map(lambda one: one.replace(microsecond=0)),
    st.sampled_from(list(Unit)),
    st.integers(1, 30),
    st.lists(windows, max_size=2).map(tuple),
)
overrides = st.tuples(
    st.sampled_from([ADA, BO, None]), moments, st.timedeltas(timedelta(0), timedelta(days=9))
).map(lambda one: Override(one[0], one[1], one[1] + one[2]))
schedules = st.builds(
    Schedule,
    st.sampled_from(ZONES).map(ZoneInfo),
    st.lists(layers, max_size=3).map(tuple),
    st.lists(overrides, max_size=3).map(tuple),
)


@given(schedules, moments, st.timedeltas(timedelta(hours=1), timedelta(days=20)), st.floats(0, 1))
def test_a_preview_says_of_every_moment_what_is_said_at_that_moment(schedule, begins, lasts, where):
    spans = preview(schedule, begins, begins + lasts)
    assert spans[0].begins == begins
    assert spans[-1].ends == begins + lasts
    for one, following in pairwise(spans):
        assert one.ends == following.begins
        assert one.person != following.person
    moment = begins + lasts * where * 0.999
    holding = next(span for span in spans if span.begins <= moment < span.ends)
    assert on_call(schedule, moment) == holding.person
    assert on_call(schedule, holding.begins) == holding.person


@given(st.sampled_from(ZONES).map(ZoneInfo), layers, st.integers(-3, 400))
def test_turns_follow_each_other_without_overlap_and_keep_their_time_of_day(zone, layer, turn):
    begins, ends = layer.turn_begins(turn, zone), layer.turn_begins(turn + 1, zone)
    assert begins < ends
    assert layer.turn_at(begins, zone) == turn
    assert layer.turn_at(ends - timedelta(microseconds=1), zone) == turn
    if layer.unit is not Unit.HOURS:
        wall = begins.astimezone(zone).replace(tzinfo=None)
        is_left_out = instant(wall, zone) != begins or wall.time() != layer.starts.time()
        assert wall.time() == layer.starts.time() or is_left_out


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_days_has_a_hand_over_each_day(zone):
    schedule = Schedule(ZoneInfo(zone), (weekly(ADA, BO, starts=wall(2025, 12, 31, 2, 30), unit=Unit.DAYS),))
    start = instant(wall(2026, 1, 1, 12), schedule.zone)
    total = sum(
        len(preview(schedule, start + timedelta(days=90 * part), start + timedelta(days=90 * (part + 1)))) - 1
        for part in range(4)
    )
    assert total == 360
