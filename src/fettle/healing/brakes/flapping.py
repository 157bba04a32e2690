"""Whether a check flaps: which of its failures are returns, and how many of them are too many; pure.

A flap is the moment at which a check of a host at a site is out of order again although an incident of the same
fingerprint was resolved not longer ago than the window: the incident is reopened by a new exception, or it was
closed and a new one opens. A person who reopens an incident makes no flap, nor does one more report of what is
still out of order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fettle.healing.brakes.limits import FlapLimits

KEPT: Final = 20
"""Moments that are kept of one check: as many as the largest limit asks for."""


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What flaps, or not: one check of one host at one site; empty where there is none."""

    check_type: str
    host: str
    site: str


def is_flap(resolved_at: datetime | None, now: datetime, limits: FlapLimits) -> bool:
    """Say whether something that is out of order is a return.

    Args:
        resolved_at: When its incident, or an earlier one of the same fingerprint, was resolved; None for never.
        now: The time.
        limits: The window.
    """
    if not limits.enabled or resolved_at is None:
        return False
    return now - resolved_at <= timedelta(seconds=limits.window_seconds)


def within(moments: Sequence[datetime], now: datetime, limits: FlapLimits) -> list[datetime]:
    """Return the flaps that still count, the oldest first, at most `KEPT`."""
    since = now - timedelta(seconds=limits.window_seconds)
    return sorted(moment for moment in moments if moment > since)[-KEPT:]


def is_flapping(moments: Sequence[datetime], now: datetime, limits: FlapLimits) -> bool:
    """Say whether these flaps are too many within the window that ends now."""
    return limits.enabled and len(within(moments, now, limits)) >= limits.flaps
