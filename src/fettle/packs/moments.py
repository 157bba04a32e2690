"""Reads the many ways in which programs write a moment; pure, and never an error."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

_EARLIEST: Final = 1970
_NUMBER: Final = re.compile(r"\d{9,19}(\.\d{1,9})?")
_MILLISECONDS: Final = 10**11
_MICROSECONDS: Final = 10**14
_NANOSECONDS: Final = 10**17
_LONGEST: Final = 64
_LONG_FRACTION: Final = re.compile(r"(\.\d{6})\d+")


def moment_of(value: Any) -> datetime | None:
    """Return a moment in UTC, or None for what says none.

    Read are RFC 3339 and its relatives, RFC 5322, and seconds, milliseconds, microseconds or nanoseconds since
    1970 by their size. A moment without a zone is in UTC. The year 1 is how some programs write "not yet", and
    the first second of 1970 how others do.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(value)
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return _of_number(float(text))
    for read in (_of_iso, parsedate_to_datetime):
        try:
            return _in_utc(read(text))
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _of_iso(text: str) -> datetime:
    return datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", text))


def _of_number(number: float) -> datetime | None:
    for size, divisor in ((_NANOSECONDS, 10**9), (_MICROSECONDS, 10**6), (_MILLISECONDS, 10**3)):
        if number >= size:
            number = number / divisor
            break
    try:
        return _in_utc(datetime.fromtimestamp(number, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _in_utc(moment: datetime) -> datetime | None:
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return moment if moment.year > _EARLIEST or moment.timestamp() >= 1 else None
