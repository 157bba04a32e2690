"""Calendars out and in: whoever is on call stays so through both, over both changes of the clocks, in many zones."""

import contextlib
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.escalation.test_schedules import ADA, BO, CY, ZONES, schedules, wall
from tests.examples import examples

from fettle.healing.escalation import calendars, service
from fettle.healing.escalation.calendars import NOBODY, CalendarError, Part, read
from fettle.healing.escalation.models import OnCallSchedule
from fettle.healing.escalation.schedules import Layer, Override, Schedule, Unit, instant, on_call, preview
from fettle.healing.escalation.schemas_schedules import ScheduleBody
from fettle.kernel.clock import rfc3339, utcnow

NAMES = {ADA: "Ada", BO: 'Bo, "the" \\ second; one', CY: "Cy\nLee"}
CHANGES = [wall(2026, 3, 20, 9), wall(2026, 10, 16, 9), wall(2026, 9, 28, 2, 30), wall(2026, 3, 1, 2, 30)]
"""First turns from which a few weeks cross one change of the clocks or the other, somewhere."""


def taken(text, now, zone="UTC"):
    """Take a calendar in as the service does: each shift becomes an override of a schedule that has nothing else."""
    shifts = read(text, ZoneInfo(zone), now)
    people = {str(one): one for one in NAMES} | {NOBODY: None}
    return Schedule(
        ZoneInfo(zone), (), tuple(Override(people[one.who], one.begins, one.ends) for one in shifts)
    )


def whole(schedule):
    """Drop what a calendar cannot say: parts of a second."""
    return Schedule(
        schedule.zone,
        schedule.layers,
        tuple(
            Override(one.person, one.begins.replace(microsecond=0), one.ends.replace(microsecond=0))
            for one in schedule.overrides
        ),
    )


@examples(40)
@given(
    schedules.map(whole),
    st.datetimes(wall(2026, 1, 1), wall(2026, 12, 1)).map(lambda one: one.replace(microsecond=0, tzinfo=UTC)),
    st.sampled_from(ZONES),
    st.lists(st.floats(0, 0.999), min_size=5, max_size=20),
)
def test_a_calendar_that_is_taken_in_again_says_the_same_of_every_moment(schedule, now, zone, moments):
    lasts = timedelta(days=45)
    spans = preview(schedule, now, now + lasts)
    text = calendars.write("Main", [Part(UUID(int=9), "Main", spans)], NAMES, now).decode()
    again = taken(text, now, zone)
    for where in moments:
        moment = now + lasts * where
        assert on_call(again, moment) == on_call(schedule, moment)
    assert [span.person for span in preview(again, now, now + lasts)] == [span.person for span in spans]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("starts", CHANGES)
@pytest.mark.parametrize(("unit", "rule"), [(Unit.DAYS, "DAILY"), (Unit.WEEKS, "WEEKLY")])
def test_shifts_that_return_do_so_by_the_clock_on_the_wall_as_rotations_do(zone, starts, unit, rule):
    """Somebody else's calendar names its zone and a rule; its shifts begin when a rotation's turns begin."""
    layer = Layer((ADA,), starts, unit, 2)
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n"
        f"DTSTART;TZID={zone}:{starts:%Y%m%dT%H%M%S}\r\nDURATION:PT8H\r\nRRULE:FREQ={rule};INTERVAL=2;COUNT=20\r\n"
        "ATTENDEE:mailto:Ada@Example.org\r\nSUMMARY:On call\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    now = instant(starts, ZoneInfo(zone)) - timedelta(days=1)
    shifts = read(text, ZoneInfo("UTC"), now)
    assert {shift.who for shift in shifts} == {"ada@example.org"}
    assert [shift.begins for shift in shifts] == [
        layer.turn_begins(turn, ZoneInfo(zone)) for turn in range(20)
    ]


def test_a_calendar_without_ids_is_known_by_addresses_and_titles_and_its_gaps_are_gaps():
    now = datetime(2026, 3, 28, tzinfo=UTC)
    spans = preview(
        Schedule(ZoneInfo("Europe/Berlin"), (), (Override(ADA, now, now + timedelta(hours=2)),)),
        now,
        now + timedelta(hours=4),
    )
    text = calendars.write("Main", [Part(UUID(int=9), "Main", spans)], NAMES, now).decode()
    assert "Nobody is on call" in text
    assert [shift.who for shift in read(text, ZoneInfo("UTC"), now)] == [str(ADA), NOBODY]
    foreign = "\r\n".join(line for line in text.split("\r\n") if not line.startswith("X-FETTLE"))
    assert [shift.who for shift in read(foreign, ZoneInfo("UTC"), now)] == [
        "Ada (Main)",
        "Nobody is on call (Main)",
    ]


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda one: one.decode("latin-1")))
def test_whatever_is_no_calendar_is_refused_and_breaks_nothing(text):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for body in (
        text,
        f"BEGIN:VCALENDAR\r\n{text}\r\nEND:VCALENDAR",
        f"BEGIN:VEVENT\r\n{text}\r\nEND:VEVENT",
    ):
        with contextlib.suppress(CalendarError):
            assert read(body, ZoneInfo("UTC"), now) == sorted(
                read(body, ZoneInfo("UTC"), now), key=lambda shift: (shift.begins, shift.ends)
            )


@pytest.mark.parametrize("rule", ["SECONDLY", "MINUTELY"])
def test_what_returns_without_end_is_cut_or_refused(rule):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    event = (
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20200101T000000Z\r\nDURATION:PT1H\r\nRRULE:FREQ={}\r\n"
        "SUMMARY:x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    with pytest.raises(CalendarError):
        read(event.format(rule), ZoneInfo("UTC"), now)
    assert 365 <= len(read(event.format("DAILY"), ZoneInfo("UTC"), now)) <= 368


@pytest.mark.parametrize(
    "rule",
    [
        "DAILY;BYMONTH=2;BYMONTHDAY=30",
        "HOURLY;BYMONTH=2;BYMONTHDAY=30",
        "YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "WEEKLY;INTERVAL=0;BYMONTH=2",
    ],
)
def test_what_never_returns_is_given_up_before_it_holds_anybody_up(rule, monkeypatch):
    taken_steps = 0
    spend = calendars._Effort.spend

    def counted(effort, steps):
        nonlocal taken_steps
        taken_steps += steps
        spend(effort, steps)

    monkeypatch.setattr(calendars._Effort, "spend", counted)
    event = (
        "BEGIN:VEVENT\r\nDTSTART:20260105T000000Z\r\nDURATION:PT1H\r\n"
        f"RRULE:FREQ={rule}\r\nSUMMARY:x\r\nEND:VEVENT\r\n"
    )
    with pytest.raises(CalendarError):
        read(
            f"BEGIN:VCALENDAR\r\n{20 * event}END:VCALENDAR\r\n",
            ZoneInfo("UTC"),
            datetime(2026, 1, 1, tzinfo=UTC),
        )
    assert calendars.MOST_STEPS < taken_steps < 2 * calendars.MOST_STEPS


async def test_a_schedule_can_still_be_changed_however_often_a_calendar_is_taken_in(rig):
    now = utcnow()
    gone = [
        {
            "person": None,
            "begins": rfc3339(now - timedelta(days=ago)),
            "ends": rfc3339(now - timedelta(days=ago - 1)),
        }
        for ago in range(1, 2_001)
    ]
    shifts = "".join(
        f"BEGIN:VEVENT\r\nDTSTART:{now + timedelta(days=day):%Y%m%dT%H%M%SZ}\r\nDURATION:PT1H\r\nSUMMARY:nobody\r\n"
        "END:VEVENT\r\n"
        for day in range(1, 4)
    )  # fmt: skip
    async with rig.platform.database.tenant(rig.tenant) as session:
        fields = {
            "name": "Main",
            "document": {"time_zone": "UTC", "layers": [], "overrides": gone},
            "updated_by": "t",
        }
        schedule = await service.create(session, OnCallSchedule, rig.tenant, fields)
        text = f"BEGIN:VCALENDAR\r\n{shifts}END:VCALENDAR\r\n"
        taken, _, changed = await service.take_calendar(session, schedule, text, version=1, actor="t")
    kept = changed.document["overrides"]
    assert taken == 3
    assert len(ScheduleBody.model_validate({"name": "Main", **changed.document}).overrides) == 2_000
    assert {one["begins"] for one in gone[:1_997]} <= {one["begins"] for one in kept}
