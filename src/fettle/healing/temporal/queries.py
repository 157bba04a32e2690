"""What the API reads of rules over time: figures, live keys, and what was found."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.temporal.moments import KeyState, from_ms
from fettle.healing.temporal.rules import MILLIONTHS
from fettle.kernel.database import DriverConnection, driver

_FIGURES: Final = "SELECT * FROM temporal_figures WHERE tenant_id = $1"
_REMEMBERED: Final = """
SELECT coalesce(sum(keys), 0)::bigint AS keys, coalesce(sum(bytes), 0)::bigint AS bytes FROM temporal_figures
"""
_KEYS: Final = """
SELECT key_hash, key, state, bytes, due_at, seen_at FROM temporal_keys
WHERE tenant_id = $1 AND rule_id = $2 AND ($3::text IS NULL OR key_hash > $3)
  AND ($4::text IS NULL OR key::text ILIKE '%' || $4 || '%')
ORDER BY key_hash LIMIT $5
"""
_FIRINGS: Final = """
SELECT f.id, f.rule_id, f.key, f.is_over, f.at, f.count, f.total, f.exception_ids, f.fired_at,
  (SELECT o.incident_id FROM incident_exceptions o WHERE o.tenant_id = $1 AND o.exception_id = f.id) AS incident_id,
  coalesce((SELECT array_agg(DISTINCT e.incident_id) FROM incident_exceptions e
   WHERE e.tenant_id = $1 AND e.exception_id = ANY(f.exception_ids) AND e.incident_id IS NOT NULL), '{}') AS led_by
FROM temporal_firings f
WHERE f.tenant_id = $1 AND f.rule_id = $2 AND ($3::uuid IS NULL OR f.id < $3) ORDER BY f.id DESC LIMIT $4
"""


async def remembered(connection: DriverConnection) -> tuple[int, int]:
    """Return how many keys are remembered for all tenants, and their bytes; the connection is of the system role."""
    row = await connection.fetchrow(_REMEMBERED)
    return (row["keys"], row["bytes"]) if row is not None else (0, 0)


async def figures(session: AsyncSession, tenant_id: UUID) -> dict[str, dict[str, Any]]:
    """Return the figures of every rule that ever saw anything, by its id."""
    connection = await driver(session)
    return {row["rule_id"]: dict(row) for row in await connection.fetch(_FIGURES, tenant_id)}


async def keys(
    session: AsyncSession, tenant_id: UUID, rule_id: str, *, part: str | None, after: str | None, limit: int
) -> list[asyncpg.Record]:
    """Return what a rule remembers, key by key.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        rule_id: The rule.
        part: A part of the key, as text.
        after: Where the page before ended.
        limit: How many at most.
    """
    connection = await driver(session)
    escaped = None if part is None else part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows: list[asyncpg.Record] = await connection.fetch(_KEYS, tenant_id, rule_id, after, escaped, limit)
    return rows


async def firings(
    session: AsyncSession, tenant_id: UUID, rule_id: str, *, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Return what a rule found, newest first, with the incidents that it is about by now."""
    connection = await driver(session)
    rows: list[asyncpg.Record] = await connection.fetch(_FIRINGS, tenant_id, rule_id, before, limit)
    return rows


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key's row as people read it."""
    state = KeyState.of(row["state"])
    counted = [moment for moment in state.moments if moment.mark and moment.id]
    return {
        "id": row["key_hash"],
        "key": row["key"],
        "remembered": len(counted),
        "total": state.total / MILLIONTHS if state.total else None,
        "last_at": from_ms(counted[-1].at) if counted else None,
        "quiet_until": None if state.quiet_until is None else from_ms(state.quiet_until),
        "due_at": row["due_at"],
        "is_told": state.is_told,
        "seen_at": row["seen_at"],
        "bytes": row["bytes"],
    }
