"""Who is on call: rotations, restrictions and overrides in local time, as an algorithm without I/O.

Hand-overs stand in a schedule as wall-clock time of its zone; whoever is on call is looked up in instants, so
that the hour that daylight saving repeats or leaves out neither hands over twice nor leaves a hole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

LONGEST_PREVIEW: Final = timedelta(days=93)
"""Most that is looked ahead in one go."""

_DAY: Final = timedelta(days=1)


class Unit(StrEnum):
    """What the length of a turn is counted in."""

    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of some weekdays, in local time.

    Attributes:
        days: Weekdays on which it begins, Monday is 0.
        begins: When it begins.
        ends: When it ends; not later than it begins means the day after.
    """

    days: frozenset[int]
    begins: time
    ends: time

    def on(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
        """Return the window that begins on a day, as instants."""
        if day.weekday() not in self.days:
            return None
        last = day if self.ends > self.begins else day + _DAY
        return instant(datetime.combine(day, self.begins), zone), instant(
            datetime.combine(last, self.ends), zone
        )


@dataclass(frozen=True, slots=True)
class Layer:
    """A rotation of people.

    Attributes:
        people: In the order of their turns.
        starts: Local time at which the first turn begins; every later one begins at the same time of day,
            unless turns are counted in hours.
        unit: What a turn's length is counted in.
        length: Of one turn.
        windows: When the layer counts; always when there is none.
    """

    people: tuple[UUID, ...]
    starts: datetime
    unit: Unit
    length: int
    windows: tuple[Window, ...] = ()

    def turn_begins(self, turn: int, zone: ZoneInfo) -> datetime:
        """Return the instant at which a turn begins."""
        if self.unit is Unit.HOURS:
            return instant(self.starts, zone) + timedelta(hours=self.length * turn)
        days = self.length * (7 if self.unit is Unit.WEEKS else 1)
        return instant(self.starts + timedelta(days=days * turn), zone)

    def turn_at(self, moment: datetime, zone: ZoneInfo) -> int:
        """Return the turn that a moment falls into; negative before the first."""
        per_turn = {Unit.HOURS: 1, Unit.DAYS: 24, Unit.WEEKS: 168}[self.unit] * self.length
        turn = (moment - instant(self.starts, zone)) // timedelta(hours=per_turn)
        # Days are not always of 24 hours, so the estimate may be one off.
        while self.turn_begins(turn, zone) > moment:
            turn -= 1
        while self.turn_begins(turn + 1, zone) <= moment:
            turn += 1
        return turn

    def person_at(self, moment: datetime, zone: ZoneInfo) -> UUID | None:
        """Return whose turn it is, None outside of the layer's windows and before it starts."""
        if not self.people or not self._counts(moment, zone):
            return None
        turn = self.turn_at(moment, zone)
        return None if turn < 0 else self.people[turn % len(self.people)]

    def _counts(self, moment: datetime, zone: ZoneInfo) -> bool:
        if not self.windows:
            return True
        today = moment.astimezone(zone).date()
        for window in self.windows:
            for day in (today - _DAY, today, today + _DAY):
                span = window.on(day, zone)
                if span is not None and span[0] <= moment < span[1]:
                    return True
        return False


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody stands in for whoever would be on call; nobody at all when the person is None."""

    person: UUID | None
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """Rotations one over the other: the last override counts, else the last layer that has somebody.

    Attributes:
        zone: In which the layers' local times are meant.
    """

    zone: ZoneInfo
    layers: tuple[Layer, ...]
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """One person's time on call; without a person it is a gap."""

    begins: datetime
    ends: datetime
    person: UUID | None


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a local time; of two, the first, and of one that is left out, what clocks then show."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def on_call(schedule: Schedule, moment: datetime) -> UUID | None:
    """Return who is on call at a moment, None for nobody.

    Args:
        schedule: The schedule.
        moment: An aware datetime in any zone.
    """
    moment = moment.astimezone(UTC)
    for override in reversed(schedule.overrides):
        if override.begins <= moment < override.ends:
            return override.person
    for layer in reversed(schedule.layers):
        person = layer.person_at(moment, schedule.zone)
        if person is not None:
            return person
    return None


def preview(schedule: Schedule, begins: datetime, ends: datetime) -> list[Span]:
    """Return who is on call when, without holes: where nobody is, a span says so.

    Args:
        schedule: The schedule.
        begins: From when on.
        ends: Until when, at most `LONGEST_PREVIEW` later.
    """
    begins, ends = begins.astimezone(UTC), ends.astimezone(UTC)
    edges = sorted({begins, *(edge for edge in _edges(schedule, begins, ends) if begins < edge < ends)})
    spans: list[Span] = []
    for start, end in zip(edges, [*edges[1:], ends], strict=True):
        person = on_call(schedule, start)
        if spans and spans[-1].person == person:
            spans[-1] = Span(spans[-1].begins, end, person)
        elif start < end:
            spans.append(Span(start, end, person))
    return spans


def gaps(spans: Sequence[Span]) -> list[Span]:
    """Return the spans in which nobody is on call."""
    return [span for span in spans if span.person is None]


def _edges(schedule: Schedule, begins: datetime, ends: datetime) -> Iterable[datetime]:
    """Return every instant at which somebody else may be on call."""
    for override in schedule.overrides:
        yield override.begins
        yield override.ends
    for layer in schedule.layers:
        first = layer.turn_at(begins, schedule.zone)
        yield layer.turn_begins(0, schedule.zone)
        turn = first
        while (edge := layer.turn_begins(turn, schedule.zone)) < ends:
            yield edge
            turn += 1
        for window in layer.windows:
            day = begins.astimezone(schedule.zone).date() - 2 * _DAY
            while day <= ends.astimezone(schedule.zone).date() + _DAY:
                span = window.on(day, schedule.zone)
                if span is not None:
                    yield from span
                day += _DAY
