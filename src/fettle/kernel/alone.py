"""What one transaction does at a time for one tenant: count what there is, and add to it while there is room."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:whose, 0))")


async def alone(session: AsyncSession, what: str, *whose: UUID | str) -> None:
    """Wait until nobody else is at this, and keep everybody else from it until the transaction ends.

    It is locked before any row, so that of two who add at once the second counts what the first added.

    Args:
        session: In a transaction that has locked nothing yet.
        what: What is counted, such as ``mutes``.
        whose: Within what it is counted: a tenant, a person.
    """
    await session.execute(_LOCK, {"whose": ":".join(("fettle", what, *map(str, whose)))})
