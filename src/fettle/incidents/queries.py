"""What is read of incidents: lists by keyset, one whole, the timeline, the rows of an export."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from fettle.incidents import timeline as whole_timeline
from fettle.incidents.filtering import IncidentFilter
from fettle.incidents.history import SEVERITIES
from fettle.incidents.models import Incident
from fettle.incidents.schemas import IncidentItem
from fettle.incidents.states import State
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, Invalid, NotFound
from fettle.kernel.events import Event

_ITEM = load_only(*(getattr(Incident, name) for name in IncidentItem.model_fields))

_MOST_MERGED = 200


async def page(
    session: AsyncSession, tenant_id: UUID, wanted: IncidentFilter, *, before: UUID | None, limit: int
) -> list[Incident]:
    """Read incidents, newest first, from the one before the given id; ids are in order of opening."""
    query = _newest(tenant_id, wanted).options(_ITEM).limit(limit)
    if before is not None:
        query = query.where(Incident.id < before)
    return list((await session.scalars(query)).all())


async def page_by_last_seen(
    session: AsyncSession,
    tenant_id: UUID,
    wanted: IncidentFilter,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Incident]:
    """Read incidents, last seen first, from the one before the given place."""
    query = select(Incident).where(Incident.tenant_id == tenant_id, *wanted.conditions())
    if before is not None:
        query = query.where(tuple_(Incident.last_seen_at, Incident.id) < tuple_(*before))
    ordered = query.order_by(Incident.last_seen_at.desc(), Incident.id.desc())
    return list((await session.scalars(ordered.options(_ITEM).limit(limit))).all())


async def page_by_severity(
    session: AsyncSession,
    tenant_id: UUID,
    wanted: IncidentFilter,
    *,
    before: tuple[str, UUID] | None,
    limit: int,
) -> list[Incident]:
    """Read incidents, gravest first and newest of those, from the one before the given place.

    Each severity is a stretch of one index, so they are read one after the other.

    Raises:
        Invalid: The place is of another list.
    """
    gravest_first = list(reversed(SEVERITIES))
    if before is not None and before[0] not in gravest_first:
        raise Invalid("The cursor is not one of this list. Pass next_cursor of the page before unchanged.")
    left = gravest_first if before is None else gravest_first[gravest_first.index(before[0]) :]
    found: list[Incident] = []
    for severity in left:
        if wanted.severities and severity not in wanted.severities:
            continue
        query = _newest(tenant_id, wanted).where(Incident.severity == severity).options(_ITEM)
        if before is not None and severity == before[0]:
            query = query.where(Incident.id < before[1])
        found += (await session.scalars(query.limit(limit - len(found)))).all()
        if len(found) == limit:
            break
    return found


async def count(session: AsyncSession, tenant_id: UUID, wanted: IncidentFilter, *, most: int) -> int:
    """Count the incidents that the filter lets through, and stop one above `most`."""
    some = select(Incident.id).where(Incident.tenant_id == tenant_id, *wanted.conditions()).limit(most + 1)
    return await session.scalar(select(func.count()).select_from(some.subquery())) or 0


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


async def timeline(
    session: AsyncSession, tenant_id: UUID, incident_id: UUID, *, after: int, limit: int
) -> list[Event]:
    """Read what happened to an incident after a position.

    Raises:
        NotFound: The tenant has no such incident.
    """
    exists = await session.scalar(
        select(Incident.id).where(Incident.tenant_id == tenant_id, Incident.id == incident_id)
    )
    if exists is None:
        raise NotFound(f"There is no incident {incident_id}.")
    return await whole_timeline.read(session, tenant_id, [incident_id], after=after, limit=limit)


async def each(session: AsyncSession, tenant_id: UUID, wanted: IncidentFilter) -> AsyncIterator[Incident]:
    """Read every incident that the filter lets through, newest first, without holding them all."""
    query = _newest(tenant_id, wanted).execution_options(yield_per=500)
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
    return {
        name: getattr(incident, name)
        for name in (*IncidentItem.model_fields, "source", "summary", "resolution", "fingerprint")
    }


def _newest(tenant_id: UUID, wanted: IncidentFilter) -> Select[Incident]:
    return (
        select(Incident)
        .where(Incident.tenant_id == tenant_id, *wanted.conditions())
        .order_by(Incident.id.desc())
    )
