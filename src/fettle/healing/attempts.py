"""What rules have tried on incidents: read before they try again, noted when a run has ended."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.deciding import Attempts
from fettle.kernel.database import driver

_NOTE = """
INSERT INTO rule_attempts AS r (tenant_id, incident_id, rule_id, failed, last_at)
SELECT $1, i.id, i.rule_id, CASE WHEN o.verified THEN 0 ELSE 1 END, now()
FROM unnest($2::uuid[], $3::boolean[]) AS o(id, verified)
JOIN incidents i ON i.tenant_id = $1 AND i.id = o.id AND i.rule_id IS NOT NULL
ON CONFLICT (tenant_id, incident_id, rule_id) DO UPDATE
SET failed = CASE WHEN excluded.failed = 0 THEN 0 ELSE r.failed + 1 END, last_at = excluded.last_at
"""


async def read_attempts(
    session: AsyncSession, tenant_id: UUID, incident_ids: Collection[UUID]
) -> dict[tuple[UUID, str], Attempts]:
    """Return what was tried, by incident and rule."""
    if not incident_ids:
        return {}
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT incident_id, rule_id, failed, last_at FROM rule_attempts "
        "WHERE tenant_id = $1 AND incident_id = ANY($2)",
        tenant_id, list(incident_ids),
    )  # fmt: skip
    return {(row["incident_id"], row["rule_id"]): Attempts(row["failed"], row["last_at"]) for row in rows}


async def note_attempts(session: AsyncSession, tenant_id: UUID, ended: Sequence[tuple[UUID, bool]]) -> None:
    """Note runs that ended: a verified one clears the rule's failures on that incident.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        ended: Incident, and whether its run was verified; one entry for an incident.
    """
    connection = await driver(session)
    await connection.execute(
        _NOTE, tenant_id, [incident_id for incident_id, _ in ended], [verified for _, verified in ended]
    )
