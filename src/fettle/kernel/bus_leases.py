"""Leases of lanes: each lane of a consumer group is read by one process, and a dead one's lanes pass on."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from fettle.kernel.database import Database, DriverConnection, is_contended, is_unreachable
from fettle.kernel.events import LANES

_JOIN = """
INSERT INTO consumer_members (consumer_group, owner, seen_at) VALUES ($1, $2, clock_timestamp())
ON CONFLICT (consumer_group, owner) DO UPDATE SET seen_at = clock_timestamp()
"""

_COUNT = """
SELECT greatest(1, count(*)) FROM consumer_members
WHERE consumer_group = $1 AND seen_at > clock_timestamp() - make_interval(secs => $2)
"""

_RENEW = """
UPDATE consumer_lanes SET lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE consumer_group = $1 AND owner = $2 RETURNING lane, position
"""

_TAKE = """
UPDATE consumer_lanes AS c SET owner = $2, lease_until = clock_timestamp() + make_interval(secs => $3)
FROM (SELECT lane FROM consumer_lanes WHERE consumer_group = $1
      AND (owner IS NULL OR lease_until < clock_timestamp()) ORDER BY lane LIMIT $4 FOR UPDATE SKIP LOCKED) AS free
WHERE c.consumer_group = $1 AND c.lane = free.lane RETURNING c.lane, c.position
"""

# One statement for all groups of a process, so that a handler that takes its time holds its lanes.
_STILL_HERE = """
WITH mine AS (
  SELECT * FROM unnest($1::text[], $2::uuid[]) AS m(consumer_group, owner)
), seen AS (
  UPDATE consumer_members AS c SET seen_at = clock_timestamp() FROM mine AS m
  WHERE c.consumer_group = m.consumer_group AND c.owner = m.owner
)
UPDATE consumer_lanes AS c SET lease_until = clock_timestamp() + make_interval(secs => $3) FROM mine AS m
WHERE c.consumer_group = m.consumer_group AND c.owner = m.owner
"""

_GIVE_BACK = """
UPDATE consumer_lanes SET owner = NULL, lease_until = NULL
WHERE consumer_group = $1 AND owner = $2 AND lane = ANY($3)
"""


class LeaseLostError(Exception):
    """Another process took the lane meanwhile; whatever this one did in the transaction is undone."""


async def keep_leases(database: Database, leases: Sequence["LaneLeases"]) -> None:
    """Hold what a process's consumers have leased, however long their handlers take, until cancelled."""
    if not leases:
        return
    seconds = min(held.lease_seconds for held in leases)
    groups, owners = [held.group for held in leases], [held.owner for held in leases]
    while True:
        await asyncio.sleep(seconds / 4)
        try:
            async with database.raw_system() as connection:
                await connection.execute(_STILL_HERE, groups, owners, seconds)
        except Exception as error:
            if not is_unreachable(error) and not is_contended(error):
                raise


class LaneLeases:
    """The lanes that one process holds in one group, and how far each has been read.

    Attributes:
        group: The consumer group.
        owner: The process, as the table names it.
        lease_seconds: How long a lane stays its own without a word.
        positions: Position of each held lane.
    """

    def __init__(self, database: Database, group: str, owner: UUID, lease_seconds: float) -> None:
        self._database = database
        self.group = group
        self.owner = owner
        self.lease_seconds = lease_seconds
        self._kept_at = float("-inf")
        self._prepared = False
        self.positions: dict[int, int] = {}

    @property
    def lanes(self) -> list[int]:
        """The held lanes."""
        return list(self.positions)

    def forget(self) -> None:
        """Trust nothing that was remembered; the next `keep` reads it anew."""
        self.positions = {}
        self._kept_at = float("-inf")

    async def keep(self) -> bool:
        """Renew, take free lanes up to a fair share, give back beyond it; returns whether the lanes changed."""
        now = asyncio.get_running_loop().time()
        # Short of its share, a process looks often, so that a dead one's lanes pass on within their lease and 1 s.
        interval = self.lease_seconds / 3 if self.positions else min(0.5, self.lease_seconds / 3)
        if now - self._kept_at < min(interval, 0.8):
            return False
        self._kept_at = now
        before = set(self.positions)
        async with self._database.raw_system() as connection:
            await self._rebalance(connection)
        return set(self.positions) != before

    async def release(self) -> None:
        """Give every lane back, so that another process need not wait for the lease to run out."""
        async with self._database.raw_system() as connection:
            await connection.execute(_GIVE_BACK, self.group, self.owner, list(range(LANES)))
            await connection.execute(
                "DELETE FROM consumer_members WHERE consumer_group = $1 AND owner = $2",
                self.group,
                self.owner,
            )

    async def _rebalance(self, connection: DriverConnection) -> None:
        if not self._prepared:
            await connection.execute(
                "INSERT INTO consumer_lanes (consumer_group, lane) SELECT $1, generate_series(0, $2 - 1) "
                "ON CONFLICT DO NOTHING",
                self.group, LANES,
            )  # fmt: skip
            self._prepared = True
        await connection.execute(_JOIN, self.group, self.owner)
        members = await connection.fetchval(_COUNT, self.group, self.lease_seconds + 1)
        share = -(-LANES // members)
        held = {
            row["lane"]: row["position"]
            for row in await connection.fetch(_RENEW, self.group, self.owner, self.lease_seconds)
        }
        # What this process has read beyond the stored position was empty for the group.
        self.positions = {lane: max(at, self.positions.get(lane, 0)) for lane, at in held.items()}
        surplus = sorted(self.positions)[share:]
        if surplus:
            await connection.execute(_GIVE_BACK, self.group, self.owner, surplus)
            for lane in surplus:
                del self.positions[lane]
        elif len(self.positions) < share:
            taken = await connection.fetch(
                _TAKE, self.group, self.owner, self.lease_seconds, share - len(self.positions)
            )
            self.positions.update({row["lane"]: row["position"] for row in taken})
