"""How often a password may be guessed, as arithmetic: each failure beyond the fifth doubles the wait."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

FREE_ATTEMPTS: Final = 5
"""Attempts before the first wait."""

FIRST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(hours=1)
FORGOTTEN_AFTER: Final = timedelta(days=1)
_MAX_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is remembered of an account's attempts.

    Attributes:
        failures: Attempts counted since the last success.
        last_at: When the last one was counted.
        locked_until: Until when none is let through.
    """

    failures: int = 0
    last_at: datetime | None = None
    locked_until: datetime | None = None


def wait_after(failures: int) -> timedelta:
    """Return how long an account rests after so many failures.

    Args:
        failures: Attempts counted since the last success.
    """
    if failures < FREE_ATTEMPTS:
        return timedelta(0)
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(failures - FREE_ATTEMPTS, _MAX_DOUBLINGS)))


def count_attempt(past: Attempts, now: datetime) -> tuple[Attempts, timedelta | None]:
    """Count one attempt before its password is looked at, so that parallel guesses gain nothing.

    Args:
        past: What is remembered.
        now: The present moment.

    Returns:
        What to remember now, and None where the attempt may go on or else how long to wait.
    """
    # What is further ahead than any wait was noted by a clock that was ahead, and locks nobody out.
    if past.locked_until is not None and now < past.locked_until <= now + LONGEST_WAIT:
        return past, past.locked_until - now
    stale = past.last_at is not None and now - past.last_at > FORGOTTEN_AFTER
    failures = 1 if stale else past.failures + 1
    wait = wait_after(failures)
    return Attempts(failures, now, now + wait if wait else None), None
