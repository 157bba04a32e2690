"""Locks of the database that stand for no row: whoever holds one is alone at what it names until the commit."""

from typing import Final
from uuid import UUID

from fettle.kernel.database import DriverConnection

_HOLD: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"


async def hold_lock(connection: DriverConnection, what: str, *whose: UUID | str) -> None:
    """Wait until nobody else is at this, and keep everybody else from it until the transaction ends.

    It is held before any row is locked, so that nobody who holds a row waits for it.

    Args:
        connection: In a transaction.
        what: What is done by one at a time, such as ``mutes``.
        whose: Within what: a tenant, a person.
    """
    await connection.execute(_HOLD, ":".join(("fettle", what, *map(str, whose))))
