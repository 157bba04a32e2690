"""The latest signals of a tenant, read from their streams in the event store."""

from collections.abc import Collection
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.database import driver

_LATEST = """
SELECT l.data, l.occurred_at FROM unnest($2::uuid[]) AS s(id)
CROSS JOIN LATERAL (
  SELECT data, occurred_at FROM events
  WHERE tenant_id = $1 AND stream_type = 'signal' AND stream_id = s.id ORDER BY version DESC LIMIT 1
) AS l
"""


def signal_stream(tenant_id: UUID, name: str) -> UUID:
    """Return the id of the stream that a signal's `signal.recorded` events stand in."""
    return uuid5(tenant_id, f"signal:{name}")


async def latest_signals(
    session: AsyncSession, tenant_id: UUID, names: Collection[str]
) -> list[dict[str, Any]]:
    """Return the last record of each named signal that has one, as the gate takes it.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        names: Names of signals.
    """
    if not names:
        return []
    connection = await driver(session)
    rows = await connection.fetch(
        _LATEST, tenant_id, [signal_stream(tenant_id, name) for name in sorted(names)]
    )
    return [{"observed_at": row["occurred_at"], **row["data"]} for row in rows]
