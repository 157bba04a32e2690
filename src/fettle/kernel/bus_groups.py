"""Consumer groups as operators see them: how far each is behind, and its dead letters, which may be tried again."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.database import DriverConnection, driver
from fettle.kernel.platform import Platform


@dataclass(frozen=True, slots=True)
class GroupLag:
    """How far a consumer group is behind.

    Attributes:
        group: The consumer group.
        events: Events stored after its slowest lane's position, of whatever type.
        seconds: Age of the oldest of them.
        waiting: Parked events that will be tried again.
        dead: Parked events that wait for a person.
    """

    group: str
    events: int
    seconds: float
    waiting: int
    dead: int


async def lag(connection: DriverConnection) -> list[GroupLag]:
    """Measure every consumer group's lag; the connection is of the system role."""
    rows = await connection.fetch(
        """
        SELECT g.consumer_group, l.behind, coalesce(extract(epoch FROM now() - o.occurred_at), 0)::float8 AS seconds,
               p.waiting, p.dead
        FROM (SELECT consumer_group, min(position) AS position FROM (
                SELECT consumer_group, position FROM consumer_lanes
                UNION ALL SELECT consumer_group, position FROM consumer_detours) AS reached
              GROUP BY consumer_group) g
        CROSS JOIN LATERAL (SELECT count(*) AS behind FROM (
            SELECT 1 FROM events e WHERE e.position > g.position LIMIT 100000) AS capped) l
        LEFT JOIN LATERAL (SELECT occurred_at FROM events e WHERE e.position > g.position
                           ORDER BY e.position LIMIT 1) o ON true
        CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE state <> 'dead') AS waiting,
                                   count(*) FILTER (WHERE state = 'dead') AS dead
                            FROM parked_events k WHERE k.consumer_group = g.consumer_group) p
        ORDER BY g.consumer_group
        """
    )
    return [GroupLag(r["consumer_group"], r["behind"], r["seconds"], r["waiting"], r["dead"]) for r in rows]


async def replay_dead(session: AsyncSession, tenant_id: UUID, parked_ids: Sequence[UUID]) -> int:
    """Put dead letters back into their group's queue; returns how many there were."""
    connection = await driver(session)
    done = await connection.execute(
        "UPDATE parked_events SET state = 'waiting', attempts = 0, next_attempt_at = now() "
        "WHERE tenant_id = $1 AND id = ANY($2) AND state = 'dead'",
        tenant_id, list(parked_ids),
    )  # fmt: skip
    return int(done.rsplit(" ", 1)[1])


async def wait_until_idle(platform: Platform, groups: Iterable[str], *, timeout: timedelta) -> bool:
    """Wait until groups have read all that is stored; returns whether they did in time."""
    deadline = asyncio.get_running_loop().time() + timeout.total_seconds()
    wanted = list(groups)
    while asyncio.get_running_loop().time() < deadline:
        async with platform.database.raw_system() as connection:
            idle = await connection.fetchval(
                "SELECT count(*) FROM (SELECT consumer_group FROM consumer_lanes WHERE consumer_group = ANY($1) "
                "GROUP BY consumer_group "
                "HAVING min(position) >= (SELECT coalesce(max(position), 0) FROM events)) AS g "
                "WHERE NOT EXISTS (SELECT FROM consumer_detours d WHERE d.consumer_group = g.consumer_group)",
                wanted,
            )
        if idle == len(wanted):
            return True
        await asyncio.sleep(0.05)
    return False
