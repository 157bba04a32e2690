"""Reads of the flywheel: patterns, promotions, and what it was all worth."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.flywheel.evaluating import Criteria
from fettle.healing.flywheel.figures import lower_bound, middle_of
from fettle.healing.flywheel.growing import PREFIX
from fettle.kernel.clock import utcnow
from fettle.kernel.database import Database, driver, narrowed_by
from fettle.kernel.errors import NotFound
from fettle.kernel.ids import least_id

_LATE: Final = timedelta(hours=1)

_PATTERNS: Final = """
SELECT s.*, i.title, p.state AS promotion FROM pattern_stats s
LEFT JOIN incidents i ON i.tenant_id = s.tenant_id AND i.id = s.last_incident_id
LEFT JOIN LATERAL (SELECT state FROM promotions p WHERE p.tenant_id = s.tenant_id AND p.pattern = s.pattern
                   ORDER BY p.id DESC LIMIT 1) p ON true
WHERE s.tenant_id = bound.tenant_id{conditions} ORDER BY s.last_at DESC, s.pattern DESC LIMIT {limit}
"""
_PROMOTIONS: Final = """
SELECT * FROM promotions WHERE tenant_id = bound.tenant_id{conditions} ORDER BY id DESC LIMIT {limit}
"""
_BY_DAY: Final = """
SELECT (opened_at AT TIME ZONE 'utc')::date AS day, count(*) FILTER (WHERE level = 'L1') AS l1,
       count(*) FILTER (WHERE level = 'L2') AS l2, count(*) FILTER (WHERE level = 'L3') AS l3,
       count(*) FILTER (WHERE level = 'L1' AND starts_with(rule_id, $4)) AS grown,
       count(*) FILTER (WHERE level = 'L1' AND resolved_at IS NOT NULL AND run_id IS NOT NULL) AS healed,
       count(*) FILTER (WHERE level = 'L1' AND resolved_at IS NOT NULL AND starts_with(rule_id, $4)) AS grown_healed
FROM incidents WHERE tenant_id = bound.tenant_id AND id >= $2 AND opened_at >= $3
GROUP BY 1 ORDER BY 1
"""


async def patterns(
    database: Database,
    tenant_id: UUID,
    *,
    q: str | None,
    check_type: str | None,
    platform: str | None,
    state: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return a page of patterns, those seen last first."""
    narrowed = narrowed_by(
        ("strpos(lower(s.pattern || ' ' || coalesce(i.title, '')), lower({})) > 0", q),
        ("s.check_type = {}", check_type),
        ("s.platform = {}", platform),
        ("p.state = {}", state),
    )
    sql, values = narrowed.sql, list(narrowed.values)
    if after is not None:
        sql += f" AND (s.last_at, s.pattern) < (${len(values) + 2}, ${len(values) + 3})"
        values += list(after)
    statement = _PATTERNS.format(conditions=sql, limit=int(limit))
    return list(await database.fetch_bound(tenant_id, statement, *values))


async def one_pattern(
    session: AsyncSession, tenant_id: UUID, pattern: str
) -> tuple[asyncpg.Record, list[asyncpg.Record]]:
    """Return a pattern, and what was tried for it.

    Raises:
        NotFound: The tenant has met no such pattern.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        "SELECT s.*, i.title, i.number FROM pattern_stats s LEFT JOIN incidents i ON i.tenant_id = s.tenant_id "
        "AND i.id = s.last_incident_id WHERE s.tenant_id = $1 AND s.pattern = $2",
        tenant_id, pattern,
    )  # fmt: skip
    if row is None:
        raise NotFound(f"There is no pattern {pattern}.")
    choices = await connection.fetch(
        "SELECT * FROM pattern_choices WHERE tenant_id = $1 AND pattern = $2 ORDER BY succeeded DESC, choice LIMIT 50",
        tenant_id, pattern,
    )  # fmt: skip
    return row, list(choices)


async def promotions_of(
    database: Database,
    tenant_id: UUID,
    *,
    states: Sequence[str] | None,
    pattern: str | None,
    before: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return a page of promotions, newest first."""
    narrowed = narrowed_by(
        ("state = ANY({})", list(states) if states else None), ("pattern = {}", pattern), ("id < {}", before)
    )
    statement = _PROMOTIONS.format(conditions=narrowed.sql, limit=int(limit))
    return list(await database.fetch_bound(tenant_id, statement, *narrowed.values))


async def by_day(database: Database, tenant_id: UUID, days: int) -> list[asyncpg.Record]:
    """Return who decided the incidents of each of the last days."""
    since = (utcnow() - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return list(await database.fetch_bound(tenant_id, _BY_DAY, least_id(since - _LATE), since, PREFIX))


async def counts(session: AsyncSession, tenant_id: UUID) -> dict[str, int]:
    """Return how many rules are in which stage."""
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT state, count(*) AS n FROM promotions WHERE tenant_id = $1 GROUP BY state", tenant_id
    )
    return {row["state"]: row["n"] for row in rows}


def saved(heals: int, criteria: Criteria) -> tuple[float, float]:
    """Return the hours and the money that heals without a person saved, by the policy's assumptions; pure."""
    hours = heals * criteria.minutes_by_hand / 60
    return round(hours, 1), round(hours * criteria.cost_per_hour, 2)


def figures(row: asyncpg.Record, criteria: Criteria) -> dict[str, Any]:
    """Return a pattern's own figures as the API shows them; pure."""
    tried = row["succeeded"] + row["failed"]
    return {
        "pattern": row["pattern"],
        "check_type": row["check_type"],
        "platform": row["platform"],
        "title": row["title"],
        "total": row["total"],
        "l1": row["l1"],
        "l2": row["l2"],
        "l3": row["l3"],
        "succeeded": row["succeeded"],
        "failed": row["failed"],
        "lower_bound": round(lower_bound(row["succeeded"], tried, criteria.confidence), 4),
        "median_heal_seconds": middle_of(row["seconds"]),
        "first_at": row["first_at"],
        "last_at": row["last_at"],
        "last_incident_id": row["last_incident_id"],
    }
