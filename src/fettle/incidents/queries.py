"""What is read of incidents: lists by keyset, one whole, the timeline, the overview, the rows of an export."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from fettle.incidents.models import Incident
from fettle.incidents.schemas import HourOfIncidents, IncidentItem, Overview
from fettle.incidents.states import State
from fettle.kernel import events
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.events import Event

_ITEM = load_only(*(getattr(Incident, name) for name in IncidentItem.model_fields))

ATTENTION = (State.AWAITING_APPROVAL, State.ESCALATED)
"""States in which nothing goes on until a person does something."""

_OVERVIEW = """
SELECT
  (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM (
     SELECT state, count(*) AS n FROM incidents WHERE tenant_id = $1 AND state <> 'closed' GROUP BY state) s
  ) AS by_state,
  (SELECT coalesce(jsonb_object_agg(severity, n), '{}') FROM (
     SELECT severity, count(*) AS n FROM incidents
     WHERE tenant_id = $1 AND state NOT IN ('closed', 'resolved') GROUP BY severity) s
  ) AS open,
  (SELECT coalesce(jsonb_object_agg(level, n), '{}') FROM (
     SELECT level, count(*) AS n FROM incidents
     WHERE tenant_id = $1 AND level IS NOT NULL AND opened_at > now() - interval '30 days' GROUP BY level) s
  ) AS levels,
  (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM resolved_at - opened_at))
   FROM incidents WHERE tenant_id = $1 AND resolved_at IS NOT NULL AND level = 'L1'
     AND opened_at > now() - interval '30 days') AS median_heal_seconds,
  (SELECT count(*) FROM events WHERE tenant_id = $1 AND type = 'exception.ingested'
     AND occurred_at > now() - interval '24 hours') AS exceptions_24h,
  (SELECT count(*) FROM incidents WHERE tenant_id = $1 AND opened_at > now() - interval '24 hours')
    AS incidents_24h
"""

_SERIES = """
WITH hours AS (
  SELECT generate_series(date_trunc('hour', now()) - interval '23 hours', date_trunc('hour', now()),
                         interval '1 hour') AS hour
), opened AS (
  SELECT date_trunc('hour', opened_at) AS hour, count(*) AS n FROM incidents
  WHERE tenant_id = $1 AND opened_at > now() - interval '24 hours' GROUP BY 1
), resolved AS (
  SELECT date_trunc('hour', resolved_at) AS hour, count(*) AS n FROM incidents
  WHERE tenant_id = $1 AND resolved_at > now() - interval '24 hours' GROUP BY 1
)
SELECT h.hour, coalesce(o.n, 0) AS opened, coalesce(r.n, 0) AS resolved
FROM hours h LEFT JOIN opened o USING (hour) LEFT JOIN resolved r USING (hour) ORDER BY h.hour
"""


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What a list of incidents is narrowed to; every field that is set must hold."""

    states: tuple[State, ...] = ()
    severities: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    check_type: str | None = None
    host: str | None = None
    text: str | None = None
    opened_after: datetime | None = None
    opened_before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filter as conditions of a query."""
        found: list[ColumnElement[bool]] = []
        if self.states:
            found.append(Incident.state.in_([state.value for state in self.states]))
        if self.severities:
            found.append(Incident.severity.in_(self.severities))
        if self.levels:
            found.append(Incident.level.in_(self.levels))
        if self.check_type is not None:
            found.append(Incident.check_type == self.check_type)
        if self.host is not None:
            found.append(Incident.host == self.host)
        if self.text:
            found.append(Incident.search.op("@@")(func.websearch_to_tsquery("simple", self.text)))
        if self.opened_after is not None:
            found.append(Incident.opened_at >= self.opened_after)
        if self.opened_before is not None:
            found.append(Incident.opened_at < self.opened_before)
        return found


async def page(
    session: AsyncSession, tenant_id: UUID, wanted: IncidentFilter, *, before: UUID | None, limit: int
) -> list[Incident]:
    """Read incidents, newest first, from the one before the given id; ids are in order of opening."""
    query = _newest(tenant_id, wanted).options(_ITEM).limit(limit)
    if before is not None:
        query = query.where(Incident.id < before)
    return list((await session.scalars(query)).all())


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
    return await events.read_correlated(session, tenant_id, [incident_id], after_position=after, limit=limit)


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


async def overview(session: AsyncSession, tenant_id: UUID) -> Overview:
    """Read what needs somebody now, and how healing goes."""
    connection = await driver(session)
    figures = await connection.fetchrow(_OVERVIEW, tenant_id)
    assert figures is not None
    attention = await session.scalars(
        _newest(tenant_id, IncidentFilter(states=ATTENTION)).options(_ITEM).limit(10)
    )
    series = await connection.fetch(_SERIES, tenant_id)
    exceptions, incidents = figures["exceptions_24h"], figures["incidents_24h"]
    return Overview(
        open=figures["open"],
        by_state=figures["by_state"],
        needs_attention=[IncidentItem.model_validate(incident) for incident in attention],
        levels={"L1": 0, "L2": 0, "L3": 0, **figures["levels"]},
        median_heal_seconds=figures["median_heal_seconds"],
        exceptions_24h=exceptions,
        incidents_24h=incidents,
        noise_removed_share=max(0.0, 1 - incidents / exceptions) if exceptions else None,
        series=[HourOfIncidents(**dict(row)) for row in series],
    )


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
