"""What the planner has yet to plan: asked for with the decision, leased, finished once under the lease's fence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.database import Database, driver, wake_after_commit
from fettle.kernel.jsonio import dumps_str

# An incident that came back is asked for anew: whoever still plans for what it was loses the lease by that.
CHANNEL: Final = "fettle_plan_requests"
"""The NOTIFY channel that wakes who plans."""

_ASK: Final = """
INSERT INTO plan_requests AS r (tenant_id, incident_id, id, incident, after)
SELECT $1, n.incident_id, n.id, n.incident::jsonb, n.after::jsonb
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[]) AS n(incident_id, id, incident, after)
ON CONFLICT (tenant_id, incident_id) DO UPDATE SET id = excluded.id, incident = excluded.incident,
  after = excluded.after, fence = r.fence + 1, lease_owner = NULL, due_at = now(), created_at = now()
"""

# Shared out among tenants, so that one tenant's thousand keep no other tenant's one waiting.
_LEASE: Final = """
WITH RECURSIVE open_tenants AS (
  (SELECT tenant_id FROM plan_requests ORDER BY tenant_id LIMIT 1)
  UNION ALL
  SELECT (SELECT r.tenant_id FROM plan_requests r WHERE r.tenant_id > t.tenant_id ORDER BY r.tenant_id LIMIT 1)
  FROM open_tenants t WHERE t.tenant_id IS NOT NULL
), tenants AS (
  SELECT tenant_id FROM open_tenants WHERE tenant_id IS NOT NULL ORDER BY random()
), picked AS (
  SELECT p.tenant_id, p.incident_id FROM tenants t CROSS JOIN LATERAL (
    SELECT r.tenant_id, r.incident_id FROM plan_requests r WHERE r.tenant_id = t.tenant_id AND r.due_at <= now()
    ORDER BY r.due_at LIMIT greatest(1, $2 / (SELECT count(*) FROM tenants)) FOR UPDATE SKIP LOCKED
  ) p LIMIT $2
)
UPDATE plan_requests r SET lease_owner = $1, fence = r.fence + 1, due_at = now() + $3::interval
FROM picked WHERE r.tenant_id = picked.tenant_id AND r.incident_id = picked.incident_id
RETURNING r.tenant_id, r.incident_id, r.id, r.incident, r.fence, r.after
"""

_RENEW: Final = """
UPDATE plan_requests r SET due_at = now() + $4::interval
FROM unnest($2::uuid[], $3::int[]) AS n(id, fence)
WHERE r.id = n.id AND r.fence = n.fence AND r.lease_owner = $1
"""

_RELEASE: Final = """
UPDATE plan_requests r SET due_at = now(), lease_owner = NULL
FROM unnest($2::uuid[], $3::int[]) AS n(id, fence)
WHERE r.id = n.id AND r.fence = n.fence AND r.lease_owner = $1
"""

_FINISH: Final = (
    "DELETE FROM plan_requests WHERE tenant_id = $1 AND incident_id = $2 AND fence = $3 RETURNING id"
)


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A request that is leased.

    Attributes:
        id: The event that led to it.
        incident: As it was triaged.
        fence: Counts the leases.
        after: Rule, choice, outcome and detail of a run that did not heal it; None where no rule matched.
    """

    tenant_id: UUID
    incident_id: UUID
    id: UUID
    incident: Mapping[str, Any]
    fence: int
    after: Mapping[str, Any] | None = None


async def ask(
    session: AsyncSession,
    tenant_id: UUID,
    wanted: Sequence[tuple[UUID, UUID, Mapping[str, Any], Mapping[str, Any] | None]],
) -> None:
    """Ask for plans in the transaction that decided so.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        wanted: Incident, the event that led to it, the incident as it was triaged, and what a run tried before.
    """
    if not wanted:
        return
    connection = await driver(session)
    await connection.execute(
        _ASK,
        tenant_id,
        [incident_id for incident_id, _, _, _ in wanted],
        [cause for _, cause, _, _ in wanted],
        [dumps_str(dict(incident)) for _, _, incident, _ in wanted],
        [None if after is None else dumps_str(dict(after)) for _, _, _, after in wanted],
    )
    wake_after_commit(session, CHANNEL)


async def lease(database: Database, owner: UUID, limit: int, lease_seconds: float) -> list[PlanRequest]:
    """Take requests that are due."""
    async with database.raw_system() as connection:
        rows = await connection.fetch(_LEASE, owner, limit, timedelta(seconds=lease_seconds))
    return [PlanRequest(*row.values()) for row in rows]


async def renew(database: Database, owner: UUID, held: Sequence[PlanRequest], lease_seconds: float) -> None:
    """Keep requests for another lease."""
    async with database.raw_system() as connection:
        await connection.execute(
            _RENEW, owner, [one.id for one in held], [one.fence for one in held],
            timedelta(seconds=lease_seconds),
        )  # fmt: skip


async def release(database: Database, owner: UUID, held: Sequence[PlanRequest]) -> None:
    """Give requests back, so that another process takes them at once."""
    async with database.raw_system() as connection:
        await connection.execute(_RELEASE, owner, [one.id for one in held], [one.fence for one in held])
    database.poke(CHANNEL)


async def finish(session: AsyncSession, request: PlanRequest) -> bool:
    """Take a request off in the transaction of its outcome; returns whether it was still ours."""
    connection = await driver(session)
    found = await connection.fetchval(_FINISH, request.tenant_id, request.incident_id, request.fence)
    return found is not None
