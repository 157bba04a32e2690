"""When something holds: between two moments, and within them on some weekdays by the clocks of a place; pure.

A recurring time stands as wall-clock time. It begins when clocks there first show its begin, and ends when they
have passed its end for good: an hour that clocks repeat lies in it twice, one that they leave out not at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_DAY: Final = timedelta(days=1)
_FURTHEST: Final = timedelta(days=15)
"""A weekday comes within eight days, unless clocks leave that time out; then a week later."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Hours of some weekdays.

    Attributes:
        weekdays: On which it begins, Monday is 0.
        begins: When clocks show this.
        ends: Not later than it begins means the day after.
        zone: Whose clocks.
    """

    weekdays: frozenset[int]
    begins: time
    ends: time
    zone: ZoneInfo

    def on(self, day: date) -> Span | None:
        """Return the span that begins on a day, None where there is none."""
        if day.weekday() not in self.weekdays:
            return None
        last = day if self.ends > self.begins else day + _DAY
        begins = first_shown(datetime.combine(day, self.begins), self.zone)
        ends = last_passed(datetime.combine(last, self.ends), self.zone)
        return (begins, ends) if begins < ends else None

    def spans(self, begins: datetime, ends: datetime) -> Iterator[Span]:
        """Yield the spans that touch a time, in their order."""
        day = begins.astimezone(self.zone).date() - 2 * _DAY
        final = ends.astimezone(self.zone).date() + _DAY
        while day <= final:
            span = self.on(day)
            if span is not None and span[0] < ends and begins < span[1]:
                yield span
            day += _DAY


@dataclass(frozen=True, slots=True)
class When:
    """When something holds.

    Attributes:
        starts_at: Not before.
        ends_at: Not from then on; None for ever.
        recurrence: Within that, only then; None for all of it.
    """

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    recurrence: Recurrence | None = None

    def spans(self, begins: datetime, ends: datetime) -> Iterator[Span]:
        """Yield when it holds within a time; what touches or overlaps is one span, cut at its bounds alone."""
        low = begins if self.starts_at is None else max(begins, self.starts_at)
        high = ends if self.ends_at is None else min(ends, self.ends_at)
        if low >= high:
            return
        if self.recurrence is None:
            yield low, high
            return
        held: Span | None = None
        for span in self.recurrence.spans(low, high):
            cut = max(low, span[0]), min(high, span[1])
            if held is not None and cut[0] <= held[1]:
                held = held[0], max(held[1], cut[1])
                continue
            if held is not None:
                yield held
            held = cut
        if held is not None:
            yield held

    def holds(self, moment: datetime) -> bool:
        """Say whether it holds at a moment."""
        return next(self.spans(moment, moment + timedelta(microseconds=1)), None) is not None

    def until(self, moment: datetime) -> datetime | None:
        """Return when it ends that holds at a moment; None for never, or for further than two weeks."""
        ahead = moment + _FURTHEST
        _, end = next(self.spans(moment, ahead), (moment, moment))
        if self.recurrence is None:
            return self.ends_at
        return None if end == ahead else end

    def next_change(self, moment: datetime) -> datetime | None:
        """Return when it next begins or ends after a moment, None for never or further than two weeks."""
        if self.recurrence is None:
            return min((at for at in (self.starts_at, self.ends_at) if at and at > moment), default=None)
        low = moment if self.starts_at is None else max(moment, self.starts_at)
        ahead = low + _FURTHEST
        edges = [edge for span in self.spans(moment, ahead) for edge in span if moment < edge < ahead]
        return min(edges, default=None)

    def next_begin(self, moment: datetime) -> datetime | None:
        """Return when it next begins after a moment, None for never or further than two weeks."""
        low = moment if self.starts_at is None else max(moment, self.starts_at)
        return next((begin for begin, _ in self.spans(moment, low + _FURTHEST) if begin > moment), None)


def first_shown(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when clocks first show a time or a later one; of one that they leave out, when they jump."""
    return min(_instants(local, zone))


def last_passed(local: datetime, zone: ZoneInfo) -> datetime:
    """Return from when on clocks show no earlier time any more; of one that they leave out, when they jump."""
    early, late = _instants(local, zone)
    # Set back to just this time, they have been past it since they showed it first.
    before = (late - timedelta(microseconds=1)).astimezone(zone).replace(tzinfo=None)
    return late if before < local else early


def _instants(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early <= late:
        return early, late
    # Left out: with the offset before the jump it lies after it, and the other way round.
    jump = _jump(late, early, zone)
    return jump, jump


def _jump(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment of the one change of the offset between two."""
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
