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
  (SELECT exception_id FROM incident_exceptions WHERE tenant_id = {{tenant}} AND incident_id = {{incidents}}
   ORDER BY exception_id LIMIT {{most}})
  UNION
  (SELECT exception_id FROM incident_exceptions WHERE tenant_id = {{tenant}} AND incident_id = {{incidents}}
   ORDER BY exception_id DESC LIMIT {{most}})
), told AS (
  (SELECT {_QUALIFIED} FROM events e
   WHERE e.tenant_id = {{tenant}} AND e.correlation_id = {{incidents}} AND e.position > {{after}}
   ORDER BY e.position LIMIT {{limit}})
  UNION ALL
  (SELECT {_QUALIFIED} FROM held h JOIN events e
     ON e.tenant_id = {{tenant}} AND e.stream_type = 'exception' AND e.stream_id = h.exception_id
   WHERE e.position > {{after}} AND (e.correlation_id = {{incidents}}) IS NOT TRUE
   ORDER BY e.position LIMIT {{limit}})
)
SELECT * FROM told{{only}} ORDER BY position LIMIT {{limit}}
"""  # noqa: S608 - constants

_OF_SEVERAL: Final = _READ.format(
    tenant="$1", incidents="ANY($2)", after="$3", limit="$4", most="$5", only=""
)
_EXISTS: Final = " WHERE EXISTS (SELECT FROM incidents WHERE tenant_id = bound.tenant_id AND id = $2)"


def of_incident(limit: int) -> str:
    """Return the statement that reads the timeline of one incident that exists, for `Database.fetch_bound`.

    Its parameters are the incident, the position, and how many first and last exceptions.
    """
    return _READ.format(
        tenant="bound.tenant_id", incidents="$2", after="$3", limit=int(limit), most="$4", only=_EXISTS
    )


async def read(
    session: AsyncSession, tenant_id: UUID, incident_ids: Sequence[UUID], *, after: int, limit: int
) -> list[Event]:
    """Read all that belongs to some incidents after a position, in the order of the store."""
    connection = await driver(session)
    rows = await connection.fetch(_OF_SEVERAL, tenant_id, list(incident_ids), after, limit, EXCEPTIONS)
    return [events.from_row(row) for row in rows]
