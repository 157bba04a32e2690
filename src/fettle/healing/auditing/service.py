"""What the auditor found: of a tenant as a list, of the whole installation as figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.auditing.models import OverdueItem
from fettle.kernel.database import DriverConnection

_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class Figures:
    """How the whole installation stands.

    Attributes:
        hanging: Things that a program should have moved by now; at most 1,000 are counted.
        waiting: The same for what a person should have moved.
        last_round_at: When the auditor last ended a round.
        last_whole_at: When it had last looked at everything.
        looked_at: How many open incidents that were.
    """

    hanging: int
    waiting: int
    last_round_at: datetime | None
    last_whole_at: datetime | None
    looked_at: int


async def figures(connection: DriverConnection) -> Figures:
    """Return how the whole installation stands.

    Args:
        connection: As the role that sees all tenants.
    """
    row = await connection.fetchrow(
        "SELECT p.last_round_at, p.last_whole_at, p.last_whole_looked_at, "
        "(SELECT count(*) FROM (SELECT FROM overdue_items WHERE moved_at IS NULL AND NOT is_for_person LIMIT $1) h), "
        "(SELECT count(*) FROM (SELECT FROM overdue_items WHERE moved_at IS NULL AND is_for_person LIMIT $1) w) "
        "FROM auditor_progress p",
        _COUNTED,
    )
    assert row is not None  # the migration wrote it
    return Figures(row[3], row[4], row[0], row[1], row[2])


async def listed(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    hanging: bool | None,
    incident_id: UUID | None,
    before: UUID | None,
    limit: int,
) -> Sequence[OverdueItem]:
    """Return what is or was overdue, newest first.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        hanging: What has not moved yet, or what has; both where it is None.
        incident_id: What the auditor told of by this incident.
        before: The last id of the page before.
        limit: How many at most.
    """
    query = select(OverdueItem).where(OverdueItem.tenant_id == tenant_id)
    if hanging is not None:
        query = query.where(OverdueItem.moved_at.is_(None) if hanging else OverdueItem.moved_at.is_not(None))
    if incident_id is not None:
        query = query.where(OverdueItem.incident_id == incident_id)
    if before is not None:
        query = query.where(OverdueItem.id < before)
    return (await session.scalars(query.order_by(OverdueItem.id.desc()).limit(limit))).all()
