"""A circuit breaker as a value: closed, open, half-open, and what moves it; pure.

Closed, failures are counted within a window. Open, nothing passes. After the time that the policy says, or until
somebody resets it, one run may try: it is half-open, and what comes of that run closes or opens it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from fettle.healing.brakes.limits import BreakerLimits

KEPT: Final = 50
PROBE_SECONDS: Final = 3_600
"""So long a run that tries has to come to its end; then another may try."""

PROBE_POLL_SECONDS: Final = 15
"""So soon a run that waits for one that tries is looked at again."""


class Standing(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Passage(StrEnum):
    """What a breaker says to a run that would begin."""

    FREE = "free"
    PROBE = "probe"
    WAIT = "wait"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Circuit:
    """One breaker.

    Attributes:
        failures: When runs failed, the oldest first, while it is closed.
        times_opened: In a row, without a run that ended well between.
        open_until: From then on a run may try; None while open: not before somebody resets it.
        probe: The run that tries.
        probe_until: When it is given up.
    """

    standing: Standing = Standing.CLOSED
    failures: tuple[datetime, ...] = ()
    times_opened: int = 0
    opened_at: datetime | None = None
    open_until: datetime | None = None
    probe: object | None = None
    probe_until: datetime | None = None

    def failed(self, at: datetime, limits: BreakerLimits) -> "Circuit":
        """Return it with one more failure counted; it opens by `opened`."""
        since = at - timedelta(seconds=limits.window_seconds)
        kept = sorted([*(moment for moment in self.failures if moment > since), at])[-KEPT:]
        return replace(self, failures=tuple(kept))

    def is_due(self, limits: BreakerLimits) -> bool:
        """Say whether its failures are enough, if they are also a large enough share of all."""
        return self.standing is Standing.CLOSED and len(self.failures) >= limits.failures

    def opened(self, at: datetime, seconds: float | None) -> "Circuit":
        """Return it open.

        Args:
            at: When.
            seconds: For how long; None: until it is reset by hand.
        """
        return Circuit(
            standing=Standing.OPEN,
            times_opened=self.times_opened + 1,
            opened_at=at,
            open_until=None if seconds is None else at + timedelta(seconds=seconds),
        )

    def passage(self, run: object, now: datetime) -> Passage:
        """Return what it says to a run that would begin."""
        if self.standing is Standing.CLOSED:
            return Passage.FREE
        if self.standing is Standing.OPEN:
            is_over = self.open_until is not None and now >= self.open_until
            return Passage.PROBE if is_over else Passage.REFUSED
        if self.probe == run:
            return Passage.FREE
        if self.probe is None or self.probe_until is None or now >= self.probe_until:
            return Passage.PROBE
        return Passage.WAIT

    def tried_by(self, run: object, now: datetime) -> "Circuit":
        """Return it with a run that tries."""
        until = now + timedelta(seconds=PROBE_SECONDS)
        return replace(self, standing=Standing.HALF_OPEN, probe=run, probe_until=until)

    def ended(self, run: object, now: datetime, limits: BreakerLimits, *, well: bool | None) -> "Circuit":
        """Return it after a run came to its end.

        Args:
            run: Which.
            now: When.
            limits: Of its kind.
            well: Whether it ended well; None where it says nothing, such as one that was stopped.
        """
        if self.standing is not Standing.HALF_OPEN or self.probe != run:
            return self
        if well is None:
            return replace(self, probe=None, probe_until=None)
        return Circuit() if well else self.opened(now, limits.open_seconds)


def is_share(failed: int, succeeded: int, limits: BreakerLimits) -> bool:
    """Say whether enough of what was tried has failed."""
    return failed > 0 and failed / (failed + succeeded) >= limits.share
