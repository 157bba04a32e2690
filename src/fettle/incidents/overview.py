"""The overview of one tenant, and of all that somebody looks after: what needs a person, and how healing goes."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from fettle.incidents.filtering import ATTENTION
from fettle.incidents.history import SEVERITIES
from fettle.incidents.models import Incident
from fettle.incidents.schemas import IncidentItem
from fettle.kernel.database import Database, driver

TARGETS: Final[Mapping[str, tuple[float, float]]] = {"L1": (0.7, 0.8), "L2": (0.15, 0.2), "L3": (0.05, 0.1)}
"""The share of incidents that each level is meant to decide, from and to."""

_NEED_CAP: Final = 999

_OVERVIEW = """
SELECT
  (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM (
     SELECT state, count(*) AS n FROM incidents WHERE tenant_id = $1 GROUP BY state) s
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
  (SELECT count(*) FROM incidents WHERE tenant_id = $1 AND resolved_at IS NOT NULL AND level IN ('L1', 'L2')
     AND run_id IS NOT NULL AND opened_at > now() - interval '30 days') AS healed_30d,
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

# What orders the tenants is counted for all of them, the rest for those of the page alone. The need is one number:
# critical before high, before what waits for a person, before what is merely open.
_TENANTS = """
WITH seen AS (
  SELECT id, name, slug FROM tenants WHERE $1::uuid[] IS NULL OR id = ANY($1)
), standing AS (
  SELECT i.tenant_id, jsonb_build_object(
           'critical', count(*) FILTER (WHERE severity = 'critical'), 'high', count(*) FILTER (WHERE severity = 'high'),
           'medium', count(*) FILTER (WHERE severity = 'medium'), 'low', count(*) FILTER (WHERE severity = 'low'),
           'info', count(*) FILTER (WHERE severity = 'info')) AS open,
         count(*) FILTER (WHERE state = ANY($2)) AS needs_attention,
         least(count(*) FILTER (WHERE severity = 'critical'), $3) * 1000000000
           + least(count(*) FILTER (WHERE severity = 'high'), $3) * 1000000
           + least(count(*) FILTER (WHERE state = ANY($2)), $3) * 1000 + least(count(*), $3) AS need
  FROM seen s JOIN incidents i ON i.tenant_id = s.id
  WHERE i.state NOT IN ('closed', 'resolved') GROUP BY i.tenant_id
), page AS (
  SELECT s.id, s.name, s.slug, t.open, coalesce(t.needs_attention, 0) AS needs_attention, coalesce(t.need, 0) AS need
  FROM seen s LEFT JOIN standing t ON t.tenant_id = s.id
  WHERE $4::bigint IS NULL OR (-coalesce(t.need, 0), s.id) > (-$4::bigint, $5::uuid)
  ORDER BY coalesce(t.need, 0) DESC, s.id LIMIT $6
)
SELECT p.*, h.*, (
  SELECT count(*) FROM events e WHERE e.tenant_id = p.id AND e.type = 'exception.ingested'
    AND e.occurred_at > now() - interval '24 hours') AS exceptions_24h
FROM page p CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE level = 'L1') AS l1, count(*) FILTER (WHERE level = 'L2') AS l2,
         count(*) FILTER (WHERE level = 'L3') AS l3,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM i.resolved_at - i.opened_at))
           FILTER (WHERE i.level = 'L1' AND i.resolved_at IS NOT NULL) AS median_heal_seconds
  FROM incidents i WHERE i.tenant_id = p.id AND i.opened_at > now() - interval '30 days'
) h
ORDER BY p.need DESC, p.id
"""


class HourOfIncidents(BaseModel):
    """What happened in one hour."""

    hour: datetime
    opened: int
    resolved: int


class LevelShare(BaseModel):
    """How much of the deciding one level did over 30 days, and how much it is meant to do."""

    count: int
    share: Annotated[float | None, Field(description="Of what was decided; null where nothing was.")]
    target_from: float
    target_to: float


class Savings(BaseModel):
    """People's time that healing saved over 30 days, and what that figure assumes."""

    incidents: Annotated[int, Field(description="Healed at L1 or L2 and verified, without a person's work.")]
    minutes_per_incident: Annotated[
        float, Field(description="Assumed for each, by the setting FETTLE_MINUTES_PER_INCIDENT.")
    ]
    hours: float


class Overview(BaseModel):
    """What needs somebody now, and how healing goes."""

    open: dict[str, int]
    by_state: dict[str, int]
    needs_attention: list[IncidentItem]
    levels: dict[str, int]
    level_shares: dict[str, LevelShare]
    median_heal_seconds: float | None
    saved: Savings
    exceptions_24h: int
    incidents_24h: int
    noise_removed_24h: Annotated[int, Field(description="Exceptions that opened no incident of their own.")]
    noise_removed_share: float | None
    series: list[HourOfIncidents]


class TenantOverview(BaseModel):
    """One tenant among those that somebody looks after."""

    tenant_id: UUID
    name: str
    slug: str
    open: Annotated[dict[str, int], Field(description="Incidents that are not in order, by severity.")]
    needs_attention: Annotated[int, Field(description="Incidents that wait for a person.")]
    level_shares: Annotated[dict[str, LevelShare], Field(description="Over 30 days.")]
    median_heal_seconds: Annotated[float | None, Field(description="Of what L1 healed in 30 days.")]
    exceptions_24h: int


async def overview(session: AsyncSession, tenant_id: UUID, *, minutes_per_incident: float) -> Overview:
    """Read what needs somebody now, and how healing goes."""
    connection = await driver(session)
    figures = await connection.fetchrow(_OVERVIEW, tenant_id)
    assert figures is not None
    columns = [getattr(Incident, name) for name in IncidentItem.model_fields]
    attention = await session.scalars(
        select(Incident)
        .where(Incident.tenant_id == tenant_id, Incident.state.in_([state.value for state in ATTENTION]))
        .options(load_only(*columns))
        .order_by(Incident.id.desc())
        .limit(10)
    )
    series = await connection.fetch(_SERIES, tenant_id)
    exceptions, incidents = figures["exceptions_24h"], figures["incidents_24h"]
    levels = dict.fromkeys(TARGETS, 0) | figures["levels"]
    return Overview(
        open=figures["open"],
        by_state=figures["by_state"],
        needs_attention=[IncidentItem.model_validate(incident) for incident in attention],
        levels=levels,
        level_shares=_shares(levels),
        median_heal_seconds=figures["median_heal_seconds"],
        saved=Savings(
            incidents=figures["healed_30d"],
            minutes_per_incident=minutes_per_incident,
            hours=round(figures["healed_30d"] * minutes_per_incident / 60, 2),
        ),
        exceptions_24h=exceptions,
        incidents_24h=incidents,
        noise_removed_24h=max(0, exceptions - incidents),
        noise_removed_share=max(0.0, 1 - incidents / exceptions) if exceptions else None,
        series=[HourOfIncidents(**dict(row)) for row in series],
    )


async def overview_of_tenants(
    database: Database, tenants: Collection[UUID] | None, *, after: tuple[int, UUID] | None, limit: int
) -> list[tuple[int, TenantOverview]]:
    """Read an overview of tenants, the neediest first, each with its place in that order.

    Args:
        database: Read as the system, since no single tenant is bound: `tenants` alone says what may be seen.
        tenants: Those that the caller may see; None for all.
        after: Place and id of the last one of the page before.
        limit: How many at most.
    """
    async with database.raw_system() as connection:
        rows = await connection.fetch(
            _TENANTS,
            None if tenants is None else list(tenants),
            [state.value for state in ATTENTION],
            _NEED_CAP,
            *(after or (None, None)),
            limit,
        )
    return [(row["need"], _tenant(row)) for row in rows]


def _tenant(row: asyncpg.Record) -> TenantOverview:
    return TenantOverview(
        tenant_id=row["id"],
        name=row["name"],
        slug=row["slug"],
        open=dict.fromkeys(reversed(SEVERITIES), 0) | (row["open"] or {}),
        needs_attention=row["needs_attention"],
        level_shares=_shares({"L1": row["l1"], "L2": row["l2"], "L3": row["l3"]}),
        median_heal_seconds=row["median_heal_seconds"],
        exceptions_24h=row["exceptions_24h"],
    )


def _shares(levels: Mapping[str, int]) -> dict[str, LevelShare]:
    decided = sum(levels.values())
    return {
        level: LevelShare(
            count=levels[level],
            share=round(levels[level] / decided, 4) if decided else None,
            target_from=low,
            target_to=high,
        )
        for level, (low, high) in TARGETS.items()
    }
