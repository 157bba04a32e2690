"""The figures by which patterns are judged; pure."""

import math
from collections.abc import Sequence
from statistics import NormalDist, median
from typing import Final

RECENT_KEPT: Final = 50
"""So many outcomes are remembered one by one."""

SECONDS_KEPT: Final = 99
"""The median is of so many of the latest times to heal."""

WELL: Final = "1"
BADLY: Final = "0"


def lower_bound(succeeded: int, tried: int, confidence: float = 0.95) -> float:
    """Return the lower end of Wilson's interval for a share; 0 where nothing was tried.

    Args:
        succeeded: How many of them went well.
        tried: How many there were.
        confidence: Of the two-sided interval.
    """
    if tried <= 0:
        return 0.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = succeeded / tried
    middle = share + z * z / (2 * tried)
    spread = z * math.sqrt(share * (1 - share) / tried + z * z / (4 * tried * tried))
    return max(0.0, min(share, (middle - spread) / (1 + z * z / tried)))


def middle_of(seconds: Sequence[float]) -> float | None:
    """Return the median of times to heal, None where there are none."""
    return round(float(median(seconds)), 1) if seconds else None


def added(recent: str, outcomes: str) -> str:
    """Return the latest outcomes, the newest last."""
    return (recent + outcomes)[-RECENT_KEPT:]
