"""On-call times as iCalendar (RFC 5545): a schedule's preview out, somebody else's calendar in as overrides; no I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from dateutil.rrule import MONTHLY, YEARLY, rrule, rrulestr  # type: ignore[import-untyped]  # it ships no types
from icalendar import Calendar, Event

from fettle.healing.escalation.schedules import Span

MOST_EVENTS: Final = 2_000
LONGEST_RULE: Final = 500
MOST_STEPS: Final = 100_000
"""Most steps that all that returns in a calendar may take; every day of 27 years is some 10,000."""

NOBODY: Final = "nobody"
"""Stands for a gap where a person would stand."""

_PERSON: Final = "x-fettle-person"
_PRICES: Final[Mapping[int, int]] = {YEARLY: 20, MONTHLY: 3}
"""In steps of a day, what it takes to look through all the days of a year or a month."""

HORIZON: Final = timedelta(days=366)
"""How far ahead what returns is taken in."""


class CalendarError(Exception):
    """The text is no calendar that can be taken in; says why, without what stood in it."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One event of a calendar: from when to when somebody is on call.

    Attributes:
        who: Whom Fettle put in, by id, or `NOBODY`; else an attendee's e-mail address in lower case, else its
            summary.
    """

    who: str
    begins: datetime
    ends: datetime


class _Effort:
    """What is left of the steps that may be taken for one calendar."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise CalendarError("what returns in it does so too often, or never")


class _Interval(int):
    """The interval of a rule; going on by it is paid for, so that a rule which fits no day at all comes to an end."""

    effort: _Effort
    price: int

    def __radd__(self, other: int) -> int:
        self.effort.spend(self.price)
        return other + int(self)

    def __mul__(self, other: int) -> int:
        self.effort.spend(self.price)
        return int(self) * other


@dataclass(frozen=True, slots=True)
class Part:
    """Who is on call when by one schedule.

    Attributes:
        name: Of the schedule.
    """

    schedule_id: UUID
    name: str
    spans: Sequence[Span]


def write(name: str, parts: Iterable[Part], people: Mapping[UUID, str], now: datetime) -> bytes:
    """Return who is on call when as a calendar; gaps stand in it as what they are.

    Whoever is meant stands in each event by id, too, so that the calendar can be taken in again as it was.

    Args:
        name: Of the calendar.
        parts: The schedules.
        people: Names by id.
        now: When it is written.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Fettle//on call//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", timedelta(minutes=15), parameters={"value": "DURATION"})
    for part in parts:
        for span in part.spans:
            calendar.add_component(_event(part, span, people, now))
    return bytes(calendar.to_ical())


def _event(part: Part, span: Span, people: Mapping[UUID, str], now: datetime) -> Event:
    event = Event()
    who = "Nobody is on call" if span.person is None else people.get(span.person, "Somebody who left")
    event.add("uid", f"{span.begins:%Y%m%dT%H%M%SZ}-{part.schedule_id}@fettle")
    event.add("dtstamp", now)
    event.add("dtstart", span.begins)
    event.add("dtend", span.ends)
    event.add("summary", f"{who} ({part.name})")
    event.add("transp", "TRANSPARENT")
    event.add(_PERSON, NOBODY if span.person is None else str(span.person))
    return event


def read(text: str, zone: ZoneInfo, now: datetime) -> list[Shift]:
    """Return the shifts of a calendar that are not over yet, at most a year ahead, in order.

    Args:
        text: The calendar.
        zone: For times that name no zone.
        now: The present.

    Raises:
        CalendarError: It is no calendar, or there is too much in it.
    """
    try:
        calendar = Calendar.from_ical(text)
        found: list[Shift] = []
        effort = _Effort()
        for event in calendar.walk("VEVENT"):
            for shift in _shifts(event, zone, now, effort):
                found.append(shift)
                if len(found) > MOST_EVENTS:
                    raise CalendarError(f"there are more than {MOST_EVENTS} shifts in it")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError):
        raise CalendarError("it is not an iCalendar text (RFC 5545)") from None
    return sorted(found, key=lambda shift: (shift.begins, shift.ends))


def _shifts(event: Any, zone: ZoneInfo, now: datetime, effort: _Effort) -> Iterator[Shift]:
    if str(event.get("STATUS", "")).upper() == "CANCELLED" or event.get("DTSTART") is None:
        return
    begins = _local(event.get("DTSTART").dt, zone)
    lasts = _length(event, begins, zone)
    if lasts <= timedelta(0):
        return
    left_out = _left_out(event, zone)
    for start in _starts(event, begins, lasts, now, effort):
        if start in left_out:
            continue
        shift = Shift(_who(event), start.astimezone(UTC), (start + lasts).astimezone(UTC))
        if shift.ends > now:
            yield shift


def _starts(
    event: Any, begins: datetime, lasts: timedelta, now: datetime, effort: _Effort
) -> Iterator[datetime]:
    """Return when an event begins, each time, in its own zone: what returns does so by the clock on the wall."""
    rule = event.get("RRULE")
    if rule is None:
        yield begins
        return
    text = rule.to_ical().decode()
    if len(text) > LONGEST_RULE or "SECONDLY" in text.upper() or "MINUTELY" in text.upper():
        raise CalendarError("what returns more often than every hour is no shift")
    zone = begins.tzinfo
    naive = begins.replace(tzinfo=None)
    parts = [
        part if not part.upper().startswith("UNTIL=") else _until(part, zone) for part in text.split(";")
    ]
    earliest = (now - lasts - timedelta(days=1)).astimezone(zone).replace(tzinfo=None)
    latest = (now + HORIZON).astimezone(zone).replace(tzinfo=None)
    for start in _bounded(rrulestr(";".join(parts), dtstart=naive), effort):
        if start > latest:
            return
        effort.spend(1)
        if start >= earliest:
            yield start.replace(tzinfo=zone)


def _bounded(rule: rrule, effort: _Effort) -> rrule:
    """Return a rule whose every step is paid for: of itself it looks for a day that fits up to the year 9999."""
    interval = _Interval(rule._interval)  # noqa: SLF001 - a rule tells its interval nowhere else
    interval.effort, interval.price = effort, _PRICES.get(rule._freq, 1)  # noqa: SLF001 - nor how it is counted
    return rule.replace(interval=interval)


def _until(part: str, zone: Any) -> str:
    value = part.partition("=")[2]
    if not value.endswith("Z"):
        return part
    moment = datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return f"UNTIL={moment.astimezone(zone):%Y%m%dT%H%M%S}"


def _left_out(event: Any, zone: ZoneInfo) -> set[datetime]:
    listed = event.get("EXDATE")
    if listed is None:
        return set()
    groups = listed if isinstance(listed, list) else [listed]
    return {_local(one.dt, zone) for group in groups for one in group.dts}


def _length(event: Any, begins: datetime, zone: ZoneInfo) -> timedelta:
    if event.get("DTEND") is not None:
        return _local(event.get("DTEND").dt, zone) - begins
    if event.get("DURATION") is not None:
        lasts = event.get("DURATION").dt
        return lasts if isinstance(lasts, timedelta) else timedelta(0)
    return timedelta(days=1) if not isinstance(event.get("DTSTART").dt, datetime) else timedelta(0)


def _local(value: date, zone: ZoneInfo) -> datetime:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=zone)
    return value if value.tzinfo is not None else value.replace(tzinfo=zone)


def _who(event: Any) -> str:
    own = event.get(_PERSON)
    if own is not None and not isinstance(own, list):
        return str(own).strip().lower()
    attendee = event.get("ATTENDEE")
    first = attendee[0] if isinstance(attendee, list) and attendee else attendee
    if first is not None and str(first).lower().startswith("mailto:"):
        return str(first)[len("mailto:") :].strip().lower()
    return str(event.get("SUMMARY", "")).strip()
