"""What commands and exports read of incidents, in the transaction that they are in."""

from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from fettle.incidents.filtering import IncidentFilter
from fettle.incidents.models import Incident
from fettle.incidents.schemas import IncidentItem
from fettle.incidents.states import State
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound

_ITEM = load_only(*(getattr(Incident, name) for name in IncidentItem.model_fields))

EXPORTED: Final = (*IncidentItem.model_fields, "source", "summary", "resolution", "fingerprint")
"""What an export holds of each incident, in this order."""

_MOST_MERGED = 200


async def one(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> Incident:
    """Read one incident, whole.

    Raises:
        NotFound: The tenant has no such incident.
    """
    found = await session.scalar(
        select(Incident).where(Incident.tenant_id == tenant_id, Incident.id == incident_id)
    )
    if found is None:
        raise NotFound(f"There is no incident {incident_id}.")
    return found


async def merged_into(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> list[Incident]:
    """Read what was merged into an incident, newest first."""
    query = select(Incident).where(Incident.tenant_id == tenant_id, Incident.merged_into == incident_id)
    rows = await session.scalars(query.order_by(Incident.id.desc()).options(_ITEM).limit(_MOST_MERGED))
    return list(rows.all())


async def refuse_merged(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> None:
    """Refuse to reopen an incident that became a part of another.

    Raises:
        Conflict: It did.
        NotFound: The tenant has no such incident.
    """
    if (await one(session, tenant_id, incident_id)).merged_into is not None:
        raise Conflict("The incident is merged into another. Take the merge back instead.")


async def refuse_second_open(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> None:
    """Refuse to reopen a closed incident while a newer one of the same fingerprint is open.

    Raises:
        Conflict: There is one.
        NotFound: The tenant has no such incident.
    """
    incident = await one(session, tenant_id, incident_id)
    newer = await session.scalar(
        select(Incident.number).where(
            Incident.tenant_id == tenant_id,
            Incident.fingerprint == incident.fingerprint,
            Incident.state != State.CLOSED.value,
            Incident.id != incident_id,
        )
    )
    if newer is not None:
        raise Conflict(f"Incident {newer} is open for the same thing. Work on that one.")


async def each(session: AsyncSession, tenant_id: UUID, wanted: IncidentFilter) -> AsyncIterator[Incident]:
    """Read every incident that the filter lets through, newest first, without holding them all."""
    ordered = (
        select(Incident)
        .where(Incident.tenant_id == tenant_id, *wanted.conditions())
        .order_by(Incident.id.desc())
    )
    query = ordered.execution_options(yield_per=500)
    async for incident in await session.stream_scalars(query):
        yield incident


async def incident_of_exception(
    session: AsyncSession, tenant_id: UUID, exception_id: UUID
) -> tuple[bool, UUID | None]:
    """Return whether an exception was taken in, and the incident that it went to."""
    connection = await driver(session)
    row = await connection.fetchrow(
        "SELECT incident_id FROM incident_exceptions WHERE tenant_id = $1 AND exception_id = $2",
        tenant_id,
        exception_id,
    )
    return (False, None) if row is None else (True, row["incident_id"])


def summary_row(incident: Incident) -> dict[str, Any]:
    """Return an incident as a row of an export."""
    return {name: getattr(incident, name) for name in EXPORTED}
