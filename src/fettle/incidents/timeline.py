"""An incident's timeline: what happened to it, and the exceptions that it was made of."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events
from fettle.kernel.database import driver
from fettle.kernel.events import COLUMNS, Event

EXCEPTIONS: Final = 1_000
"""Of an incident that was reported very often the timeline shows so many first and so many last exceptions."""

_QUALIFIED: Final = ", ".join(f"e.{name}" for name in COLUMNS.split(", "))

# An exception is reported before anybody knows its incident, so its event names none.
_READ: Final = f"""
WITH held AS (
  (SELECT exception_id FROM incident_exceptions WHERE tenant_id = $1 AND incident_id = ANY($2)
   ORDER BY exception_id LIMIT $5)
  UNION
  (SELECT exception_id FROM incident_exceptions WHERE tenant_id = $1 AND incident_id = ANY($2)
   ORDER BY exception_id DESC LIMIT $5)
), told AS (
  (SELECT {_QUALIFIED} FROM events e WHERE e.tenant_id = $1 AND e.correlation_id = ANY($2) AND e.position > $3
   ORDER BY e.position LIMIT $4)
  UNION ALL
  (SELECT {_QUALIFIED} FROM held h JOIN events e
     ON e.tenant_id = $1 AND e.stream_type = 'exception' AND e.stream_id = h.exception_id
   WHERE e.position > $3 AND (e.correlation_id = ANY($2)) IS NOT TRUE ORDER BY e.position LIMIT $4)
)
SELECT * FROM told ORDER BY position LIMIT $4
"""  # noqa: S608 - constants


async def read(
    session: AsyncSession, tenant_id: UUID, incident_ids: Sequence[UUID], *, after: int, limit: int
) -> list[Event]:
    """Read all that belongs to some incidents after a position, in the order of the store."""
    connection = await driver(session)
    rows = await connection.fetch(_READ, tenant_id, list(incident_ids), after, limit, EXCEPTIONS)
    return [events.from_row(row) for row in rows]
