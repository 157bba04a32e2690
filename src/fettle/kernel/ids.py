"""Identifiers: UUIDv7, so that new rows land together at the end of an index."""

from datetime import datetime
from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a new UUIDv7 (RFC 9562, section 5.7)."""
    return uuid7()


def new_id_text() -> str:
    """Return a new UUIDv7 as text, in a quarter of the time that a `UUID` takes first."""
    return str(uuid_utils.uuid7())


def least_id(moment: datetime) -> UUID:
    """Return the least UUIDv7 of a moment: ids are in order of time, so an index finds where to begin."""
    milliseconds = min(max(int(moment.timestamp() * 1000), 0), 2**48 - 1)
    return UUID(int=milliseconds << 80)
