"""Leases of lanes: each lane of a consumer group is read by one process, and a dead one's lanes pass on.

What leases write need not outlive a crash of the server: a transaction that moves a lane checks its owner, so the
worst that a forgotten lease does is to make somebody look again. So nobody waits for the disk on their account.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from fettle.kernel.database import Database, DriverConnection, is_contended, is_unreachable
from fettle.kernel.events import LANES

_BEAT_SECONDS = 0.5
_LOOK_SECONDS = 0.5
_RENEWED_BELOW = 0.6
_SKIPPED_SECONDS = 1.0
"""How often lanes that are skipped along while others' events come are stored."""

_WITHOUT_WAITING = "SELECT set_config('synchronous_commit', 'off', true) AS setting"

# One statement for all groups of a process. A lane that is locked is just being moved, and is renewed with that.
_BEAT = f"""
WITH quiet AS ({_WITHOUT_WAITING}), mine AS (
  SELECT m.* FROM quiet CROSS JOIN unnest($1::text[], $2::uuid[]) AS m(consumer_group, owner)
), skipped AS (
  SELECT * FROM unnest($4::text[], $5::smallint[], $6::bigint[]) AS s(consumer_group, lane, position)
), seen AS (
  INSERT INTO consumer_members (consumer_group, owner, seen_at)
  SELECT consumer_group, owner, clock_timestamp() FROM mine
  ON CONFLICT (consumer_group, owner) DO UPDATE SET seen_at = excluded.seen_at
), renewed AS (
  UPDATE consumer_lanes AS c SET lease_until = clock_timestamp() + make_interval(secs => $3), position = due.position
  FROM (SELECT l.consumer_group, l.lane, greatest(l.position, s.position) AS position
        FROM consumer_lanes AS l JOIN mine AS m ON l.consumer_group = m.consumer_group AND l.owner = m.owner
          LEFT JOIN skipped AS s ON s.consumer_group = l.consumer_group AND s.lane = l.lane
        WHERE l.lease_until < clock_timestamp() + make_interval(secs => $3 * {_RENEWED_BELOW})
          OR s.position > l.position
        FOR UPDATE OF l SKIP LOCKED) AS due
  WHERE c.consumer_group = due.consumer_group AND c.lane = due.lane
)
SELECT m.consumer_group, (
  SELECT count(*) FROM consumer_members AS o WHERE o.consumer_group = m.consumer_group AND o.owner <> m.owner
    AND o.seen_at > clock_timestamp() - make_interval(secs => $3)
) AS others, array(
  SELECT l.lane FROM consumer_lanes AS l WHERE l.consumer_group = m.consumer_group AND l.owner = m.owner
) AS lanes FROM mine AS m
"""  # noqa: S608 - constants

_PREPARE = """
INSERT INTO consumer_lanes (consumer_group, lane) SELECT $1, generate_series(0, $2 - 1) ON CONFLICT DO NOTHING
"""

_HELD = "SELECT lane, position FROM consumer_lanes WHERE consumer_group = $1 AND owner = $2"

_TAKE = f"""
UPDATE consumer_lanes AS c SET owner = $2, lease_until = clock_timestamp() + make_interval(secs => $3)
FROM (SELECT lane FROM consumer_lanes CROSS JOIN ({_WITHOUT_WAITING}) AS quiet
      WHERE consumer_group = $1 AND setting = 'off' AND (owner IS NULL OR lease_until < clock_timestamp())
      ORDER BY lane LIMIT $4 FOR UPDATE OF consumer_lanes SKIP LOCKED) AS free
WHERE c.consumer_group = $1 AND c.lane = free.lane RETURNING c.lane, c.position
"""  # noqa: S608 - constants

_GIVE_BACK = """
UPDATE consumer_lanes SET owner = NULL, lease_until = NULL
WHERE consumer_group = $1 AND owner = $2 AND lane = ANY($3)
"""

_LEAVE = "DELETE FROM consumer_members WHERE consumer_group = $1 AND owner = $2"


class LeaseLostError(Exception):
    """Another process took the lane meanwhile; whatever this one did in the transaction is undone."""


class LaneLeases:
    """The lanes that one process holds in one group, and how far each has been read.

    Attributes:
        group: The consumer group.
        owner: The process, as the table names it.
        lease_seconds: How long a lane stays its own without a word.
        positions: Position of each held lane.
        others: Other processes that live in the group; None until they were counted.
    """

    def __init__(self, database: Database, group: str, owner: UUID, lease_seconds: float) -> None:
        self._database = database
        self.group = group
        self.owner = owner
        self.lease_seconds = lease_seconds
        self.positions: dict[int, int] = {}
        self.others: int | None = None
        self._known = False
        self._looked_at = float("-inf")
        self._skipped = False
        self._stored_at = float("-inf")
        self._at_last_beat: dict[int, int] = {}

    @property
    def lanes(self) -> list[int]:
        """The held lanes."""
        return list(self.positions)

    def forget(self) -> None:
        """Trust nothing that was remembered; the next `keep` reads it anew."""
        self.positions = {}
        self._known = False

    def skip_to(self, position: int) -> None:
        """Note that nothing up to here is for the group; the next beat stores it, so that nobody looks there again."""
        for lane, at in self.positions.items():
            if position > at:
                self.positions[lane] = position
                self._skipped = True

    def skipped(self) -> dict[int, int]:
        """Return the positions that a beat is to store: at once where nothing is new, else now and then."""
        is_at_rest, self._at_last_beat = self.positions == self._at_last_beat, dict(self.positions)
        stored_seconds_ago = asyncio.get_running_loop().time() - self._stored_at
        if self._skipped and (is_at_rest or stored_seconds_ago >= _SKIPPED_SECONDS):
            return self._at_last_beat
        return {}

    def beaten(
        self, others: int, lanes: Collection[int], before: Collection[int], stored: Mapping[int, int]
    ) -> None:
        """Note what a beat found and did.

        Args:
            others: Other processes that live in the group.
            lanes: The lanes that are held, as the table says.
            before: The lanes that were believed to be held when the beat began.
            stored: The positions that it stored.
        """
        self.others = others
        if any(lane in self.positions and lane not in lanes for lane in before):
            self._known = False
        if stored:
            self._stored_at = asyncio.get_running_loop().time()
            self._skipped = self.positions != stored

    @property
    def are_due(self) -> bool:
        """Whether it is time to look for free lanes, or to give some back."""
        if self.others is None:
            return False
        if not self._known:
            return True
        # Short of its share, a process looks often, so that a dead one's lanes pass on within their lease and 1 s.
        looked_seconds_ago = asyncio.get_running_loop().time() - self._looked_at
        return len(self.positions) != self._share and looked_seconds_ago >= self._look_seconds

    async def keep(self) -> bool:
        """Take free lanes up to a fair share, and give back beyond it; returns whether the lanes changed."""
        if not self.are_due:
            return False
        self._looked_at = asyncio.get_running_loop().time()
        before = set(self.positions)
        async with self._database.raw_system() as connection:
            if not self._known:
                await self._recall(connection)
            await self._rebalance(connection, self._share)
        return set(self.positions) != before

    @property
    def _share(self) -> int:
        return -(-LANES // ((self.others or 0) + 1))

    @property
    def _look_seconds(self) -> float:
        return min(_LOOK_SECONDS, self.lease_seconds / 3)

    async def release(self) -> None:
        """Give every lane back, so that another process need not wait for the lease to run out."""
        async with self._database.raw_system() as connection:
            await connection.execute(_GIVE_BACK, self.group, self.owner, list(range(LANES)))
            await connection.execute(_LEAVE, self.group, self.owner)

    async def _recall(self, connection: DriverConnection) -> None:
        await connection.execute(_PREPARE, self.group, LANES)
        rows = await connection.fetch(_HELD, self.group, self.owner)
        self.positions = {row["lane"]: row["position"] for row in rows}
        self._known = True

    async def _rebalance(self, connection: DriverConnection, share: int) -> None:
        surplus = sorted(self.positions)[share:]
        if surplus:
            await connection.execute(_GIVE_BACK, self.group, self.owner, surplus)
            for lane in surplus:
                del self.positions[lane]
        elif len(self.positions) < share:
            missing = share - len(self.positions)
            taken = await connection.fetch(_TAKE, self.group, self.owner, self.lease_seconds, missing)
            self.positions.update({row["lane"]: row["position"] for row in taken})


async def keep_leases(database: Database, leases: Sequence[LaneLeases]) -> None:
    """Hold what a process's consumers have leased, however long their handlers take, until cancelled."""
    if not leases:
        return
    seconds = min(held.lease_seconds for held in leases)
    by_group = {held.group: held for held in leases}
    groups, owners = list(by_group), [held.owner for held in by_group.values()]
    while True:
        before = {held.group: held.lanes for held in leases}
        skipped = {held.group: held.skipped() for held in leases}
        moves = [(group, lane, at) for group, positions in skipped.items() for lane, at in positions.items()]
        try:
            async with database.raw_system() as connection:
                rows = await connection.fetch(_BEAT, groups, owners, seconds, *_columns(moves))
        except Exception as error:
            if not is_unreachable(error) and not is_contended(error):
                raise
        else:
            for row in rows:
                group = row["consumer_group"]
                by_group[group].beaten(row["others"], row["lanes"], before[group], skipped[group])
        await asyncio.sleep(min(_BEAT_SECONDS, seconds / 4))


def _columns(moves: Sequence[tuple[str, int, int]]) -> tuple[list[str], list[int], list[int]]:
    return [group for group, _, _ in moves], [lane for _, lane, _ in moves], [at for _, _, at in moves]
