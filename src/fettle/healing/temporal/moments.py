"""What is kept of one key of a rule over time, and which time of an exception counts; pure.

Moments are whole milliseconds since 1970, so that they are compared and stored without loss.
"""

import bisect
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

MOST_LATE: Final = timedelta(hours=24)
"""An exception that says that it occurred longer ago than this before it came counts as of when it came."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(NamedTuple):
    """When an exception counts that is remembered; in their order, ties by id.

    Attributes:
        at: When.
        id: The exception's id.
        mark: Which of the rule's conditions it met, a bit for each.
    """

    at: int
    id: str
    mark: int


class Arrival(NamedTuple):
    """An exception that meets conditions of a rule.

    Attributes:
        at: The time of it that counts.
        id: Its id.
        mark: Which of the rule's conditions it meets, a bit for each.
        received: When it came.
        amount: In millionths, what it adds to a sum; None where it says no amount.
    """

    at: int
    id: str
    mark: int
    received: int
    amount: int | None = None


@dataclass(slots=True)
class KeyState:
    """What a rule remembers of one key.

    Attributes:
        moments: In order.
        quiet_until: Up to here what comes is noted, not counted.
        total: The sum so far, in millionths.
        since: What counts from where: the last sighting, the start of a sum, the beginning that was told of.
        is_told: Whether it was told that something is out of order and not yet that it is over.
    """

    moments: list[Moment] = field(default_factory=list)
    quiet_until: int | None = None
    total: int = 0
    since: int | None = None
    is_told: bool = False

    def knows(self, id_: str) -> bool:
        """Say whether an exception is among those remembered."""
        return any(moment.id == id_ for moment in self.moments)

    def is_quiet(self, at: int) -> bool:
        """Say whether a moment lies in the time in which nothing counts."""
        return self.quiet_until is not None and at <= self.quiet_until

    def remember(self, moment: Moment) -> int:
        """Put a moment where it belongs; returns its place."""
        place = bisect.bisect(self.moments, moment)
        self.moments.insert(place, moment)
        return place

    def document(self) -> dict[str, Any]:
        """Return it as JSON; what says nothing is left out."""
        whole: dict[str, Any] = {}
        if self.moments:
            whole["m"] = [list(moment) for moment in self.moments]
        if self.quiet_until is not None:
            whole["q"] = self.quiet_until
        if self.total:
            whole["t"] = self.total
        if self.since is not None:
            whole["s"] = self.since
        if self.is_told:
            whole["o"] = True
        return whole

    @classmethod
    def of(cls, document: dict[str, Any]) -> "KeyState":
        """Read what `document` wrote."""
        return cls(
            moments=[Moment(*moment) for moment in document.get("m", ())],
            quiet_until=document.get("q"),
            total=document.get("t", 0),
            since=document.get("s"),
            is_told=document.get("o", False),
        )


def counts_at(occurred_at: datetime | None, received_at: datetime) -> datetime:
    """Return the time of an exception that counts: its sender's, where that can be right.

    A clock that is ahead, or behind by more than `MOST_LATE`, says nothing: the time counts at which it came.
    """
    if occurred_at is None or occurred_at > received_at or occurred_at < received_at - MOST_LATE:
        return received_at
    return occurred_at


def read_time(text: Any) -> datetime | None:
    """Return the time that a stored exception says; None where it says none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def to_ms(moment: datetime) -> int:
    """Return a time in milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_ms(moment: int) -> datetime:
    """Return the time of so many milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=moment)
