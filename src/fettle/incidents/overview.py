"""The overview of one tenant, and of all that somebody looks after: what needs a person, and how healing goes."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from fettle.incidents.filtering import ATTENTION
from fettle.incidents.history import SEVERITIES
from fettle.incidents.schemas import IncidentItem
from fettle.incidents.states import SETTLED, State
from fettle.kernel.clock import utcnow
from fettle.kernel.database import Database
from fettle.kernel.ids import least_id

TARGETS: Final[Mapping[str, tuple[float, float]]] = {"L1": (0.7, 0.8), "L2": (0.15, 0.2), "L3": (0.05, 0.1)}
"""The share of incidents that each level is meant to decide, from and to."""

_NEED_CAP: Final = 999
_SHOWN: Final = 10
_DAY: Final = timedelta(days=1)
_MONTH: Final = timedelta(days=30)

_LATE: Final = timedelta(hours=1)
"""An id is made no earlier than the moment that its row is of, but by another clock."""

# Ids are in order of time, so the days that are looked at are one stretch of an index.
_RECENT = """
  SELECT count(*) FILTER (WHERE level = 'L1') AS l1, count(*) FILTER (WHERE level = 'L2') AS l2,
         count(*) FILTER (WHERE level = 'L3') AS l3,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM resolved_at - opened_at))
           FILTER (WHERE level = 'L1' AND resolved_at IS NOT NULL) AS median_heal_seconds,
         count(*) FILTER (WHERE resolved_at IS NOT NULL AND level IN ('L1', 'L2') AND run_id IS NOT NULL) AS healed_30d,
         count(*) FILTER (WHERE opened_at > now() - interval '24 hours') AS incidents_24h
  FROM incidents WHERE tenant_id = {tenant} AND id >= {month} AND opened_at > now() - interval '30 days'
"""
_EXCEPTIONS = "SELECT count(*) FROM incident_exceptions WHERE tenant_id = {tenant} AND exception_id >= {day}"

_WAITING = ", ".join(f"'{state}'" for state in ATTENTION)
_UNSETTLED = ", ".join(f"'{state}'" for state in State if state not in SETTLED)
_ITEM = ", ".join(f"i.{name}" for name in IncidentItem.model_fields)

_OVERVIEW: Final = f"""
SELECT
  (SELECT coalesce(jsonb_object_agg(state, n), '{{}}') FROM (
     SELECT state, count(*) AS n FROM incidents WHERE tenant_id = bound.tenant_id GROUP BY state) s
  ) AS by_state,
  (SELECT coalesce(jsonb_object_agg(severity, n), '{{}}') FROM (
     SELECT severity, count(*) AS n FROM incidents
     WHERE tenant_id = bound.tenant_id AND state IN ({_UNSETTLED}) GROUP BY severity) s
  ) AS open,
  recent.*,
  ({_EXCEPTIONS.format(tenant="bound.tenant_id", day="$3")}) AS exceptions_24h,
  (SELECT coalesce(jsonb_agg(to_jsonb(waiting) ORDER BY waiting.id DESC), '[]') FROM (
     SELECT {_ITEM} FROM (
       SELECT few.id FROM unnest(ARRAY[{_WAITING}]) AS stretch(state) CROSS JOIN LATERAL (
         SELECT id FROM incidents WHERE tenant_id = bound.tenant_id AND state = stretch.state
         ORDER BY id DESC LIMIT {_SHOWN}) AS few
       ORDER BY few.id DESC LIMIT {_SHOWN}
     ) AS found JOIN incidents i ON i.tenant_id = bound.tenant_id AND i.id = found.id) AS waiting
  ) AS needs_attention,
  (SELECT jsonb_agg(jsonb_build_object('hour', hour, 'opened', coalesce(o.n, 0), 'resolved', coalesce(r.n, 0))
                    ORDER BY hour)
   FROM generate_series(date_trunc('hour', now()) - interval '23 hours', date_trunc('hour', now()),
                        interval '1 hour') AS hours (hour)
   LEFT JOIN (
     SELECT date_trunc('hour', opened_at) AS hour, count(*) AS n FROM incidents
     WHERE tenant_id = bound.tenant_id AND id >= $4 AND opened_at > now() - interval '24 hours' GROUP BY 1
   ) o USING (hour) LEFT JOIN (
     SELECT date_trunc('hour', resolved_at) AS hour, count(*) AS n FROM incidents
     WHERE tenant_id = bound.tenant_id AND resolved_at > now() - interval '24 hours' GROUP BY 1
   ) r USING (hour)
  ) AS series
FROM ({_RECENT.format(tenant="bound.tenant_id", month="$2")}) AS recent
"""  # noqa: S608 - constants

# What orders the tenants is counted for all of them, the rest for those of the page alone. The need is one number:
# critical before high, before what waits for a person, before what is merely open.
_TENANTS = f"""
WITH seen AS (
  SELECT id, name, slug FROM tenants WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND id <> ALL($9::uuid[])
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
SELECT p.*, h.*, ({_EXCEPTIONS.format(tenant="p.id", day="$8")}) AS exceptions_24h
FROM page p CROSS JOIN LATERAL ({_RECENT.format(tenant="p.id", month="$7")}) h
ORDER BY p.need DESC, p.id
"""  # noqa: S608 - constants


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


async def overview(database: Database, tenant_id: UUID, *, minutes_per_incident: float) -> Overview:
    """Read what needs somebody now, and how healing goes."""
    month, day = utcnow() - _MONTH, utcnow() - _DAY
    (row,) = await database.fetch_bound(
        tenant_id, _OVERVIEW, least_id(month - _LATE), least_id(day), least_id(day - _LATE)
    )
    exceptions, incidents = row["exceptions_24h"], row["incidents_24h"]
    levels = {"L1": row["l1"], "L2": row["l2"], "L3": row["l3"]}
    return Overview(
        open=row["open"],
        by_state=row["by_state"],
        needs_attention=row["needs_attention"],
        levels=levels,
        level_shares=_shares(levels),
        median_heal_seconds=row["median_heal_seconds"],
        saved=Savings(
            incidents=row["healed_30d"],
            minutes_per_incident=minutes_per_incident,
            hours=round(row["healed_30d"] * minutes_per_incident / 60, 2),
        ),
        exceptions_24h=exceptions,
        incidents_24h=incidents,
        noise_removed_24h=max(0, exceptions - incidents),
        noise_removed_share=max(0.0, 1 - incidents / exceptions) if exceptions else None,
        series=row["series"],
    )


async def overview_of_tenants(
    database: Database,
    tenants: Collection[UUID] | None,
    *,
    after: tuple[int, UUID] | None,
    limit: int,
    without: Collection[UUID] = (),
) -> list[tuple[int, TenantOverview]]:
    """Read an overview of tenants, the neediest first, each with its place in that order.

    Args:
        database: Read as the system, since no single tenant is bound: `tenants` alone says what may be seen.
        tenants: Those that the caller may see; None for all.
        after: Place and id of the last one of the page before.
        limit: How many at most.
        without: Those that do not let the caller's sign-in in.
    """
    async with database.raw_system() as connection:
        rows = await connection.fetch(
            _TENANTS,
            None if tenants is None else list(tenants),
            [state.value for state in ATTENTION],
            _NEED_CAP,
            *(after or (None, None)),
            limit,
            least_id(utcnow() - _MONTH - _LATE),
            least_id(utcnow() - _DAY),
            list(without),
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
