"""How far a consumer has read: its lanes, and the detours of tenants whose many events would keep others waiting.

A lane is read in the order of the store. A tenant that fills whole batches is taken out of its lanes: they go on
without its events, which are read beside them, in their own order, from where they were left. Once they have caught
up with the lanes the detour ends. A stream's events are always on one side of that, so their order holds.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events as store
from fettle.kernel.bus_leases import LaneLeases, LeaseLostError
from fettle.kernel.bus_tail import Tail
from fettle.kernel.database import Database, DriverConnection, bind_tenant, driver
from fettle.kernel.events import Event

_CROWD = 32
"""Events at once from which on it matters that one tenant's are handled before others'."""

_CALM_SECONDS = 1.0
"""How long a tenant sends nothing until it is believed that it floods no more."""

_MOVE = """
UPDATE consumer_lanes AS c SET position = t.position, lease_until = clock_timestamp() + $6::interval
FROM unnest($1::smallint[], $2::bigint[], $5::bigint[]) AS t(lane, position, believed)
WHERE c.consumer_group = $3 AND c.lane = t.lane AND c.owner = $4 AND c.position <= t.believed
"""

_HELD = (
    "SELECT lane FROM consumer_lanes WHERE consumer_group = $1 AND owner = $2 AND lane = ANY($3) FOR SHARE"
)

_LOAD = "SELECT tenant_id, lane, position FROM consumer_detours WHERE consumer_group = $1 AND lane = ANY($2)"

_OPEN = """
INSERT INTO consumer_detours (consumer_group, lane, tenant_id, position)
SELECT $1, d.lane, $2, d.position FROM unnest($3::smallint[], $4::bigint[]) AS d(lane, position)
ON CONFLICT DO NOTHING
"""

_ADVANCE = """
UPDATE consumer_detours AS c SET position = t.position
FROM unnest($1::smallint[], $2::bigint[], $5::bigint[]) AS t(lane, position, believed)
WHERE c.consumer_group = $3 AND c.lane = t.lane AND c.tenant_id = $4 AND c.position <= t.believed
"""

_END = "DELETE FROM consumer_detours WHERE consumer_group = $1 AND tenant_id = $2 AND lane = ANY($3)"

_READ = (
    f"SELECT {store.COLUMNS} FROM events WHERE tenant_id = $1 AND position > $2 AND position <= $3 "  # noqa: S608 - constants
    "AND type = ANY($4) AND lane = ANY($5) ORDER BY position LIMIT $6"
)


class Cursor(Protocol):
    """A place in the store, lane by lane, that moves in the transaction of what was handled."""

    @property
    def positions(self) -> dict[int, int]:
        """How far each lane was read."""

    async def save(self, session: AsyncSession, targets: Mapping[int, int]) -> None:
        """Store how far lanes are read.

        Raises:
            LeaseLostError: A lane is another's, or was moved already, by a transaction of ours whose commit went
                through though its answer was lost; its events must not be handled once more.
        """

    def moved(self, targets: Mapping[int, int]) -> None:
        """Note what was committed."""


class LaneCursor:
    """The lanes that a process holds."""

    def __init__(self, leases: LaneLeases) -> None:
        self._leases = leases

    @property
    def positions(self) -> dict[int, int]:
        """How far each held lane was read."""
        return self._leases.positions

    async def save(self, session: AsyncSession, targets: Mapping[int, int]) -> None:
        """Store how far lanes are read, which also renews their leases."""
        connection = await driver(session)
        moved = await connection.execute(
            _MOVE, list(targets), list(targets.values()), self._leases.group, self._leases.owner,
            [self.positions[lane] for lane in targets], timedelta(seconds=self._leases.lease_seconds),
        )  # fmt: skip
        if int(moved.rsplit(" ", 1)[1]) != len(targets):
            raise LeaseLostError(self._leases.group)

    def moved(self, targets: Mapping[int, int]) -> None:
        """Note what was committed."""
        self.positions.update(targets)


class Detour:
    """One tenant's events in the lanes that a process holds, read apart from the others'.

    Attributes:
        tenant_id: The tenant.
        positions: How far its events are read in each lane.
        is_short: Whether the last look found fewer events than it might have.
    """

    def __init__(self, leases: LaneLeases, tenant_id: UUID, positions: dict[int, int]) -> None:
        self._leases = leases
        self.tenant_id = tenant_id
        self.positions = positions
        self.is_short = False
        self._found_at = asyncio.get_running_loop().time()

    @property
    def is_calm(self) -> bool:
        """Whether the tenant has sent nothing for a while."""
        return asyncio.get_running_loop().time() - self._found_at >= _CALM_SECONDS

    @property
    def has_caught_up(self) -> bool:
        """Whether the lanes are exactly as far; lanes of a process that died may be behind, and must not read twice."""
        return all(self.positions[lane] == at for lane, at in self._leases.positions.items())

    async def read(
        self, database: Database, tail: Tail, types: Collection[str], limit: int
    ) -> tuple[list[Event], int]:
        """Return the next events, at most up to where the lanes are, and the position that this reaches."""
        upper = min(self._leases.positions.values())
        low = min(self.positions.values())
        batch = tail.read(types, self.positions, low, limit, only=self.tenant_id, up_to=upper)
        if batch is None:
            async with database.raw_system() as connection:
                rows = await connection.fetch(
                    _READ, self.tenant_id, low, upper, list(types), list(self.positions), limit
                )
            batch = [store.from_row(row) for row in rows]
        self.is_short = len(batch) < limit
        if batch:
            self._found_at = asyncio.get_running_loop().time()
        reached = upper if self.is_short else batch[-1].position
        return [event for event in batch if event.position > self.positions[event.lane]], reached

    async def save(self, session: AsyncSession, targets: Mapping[int, int]) -> None:
        """Store how far the tenant's events are read."""
        await bind_tenant(session, self.tenant_id)
        connection = await driver(session)
        group, lanes = self._leases.group, list(targets)
        moved = await connection.execute(
            _ADVANCE, lanes, list(targets.values()), group, self.tenant_id,
            [self.positions[lane] for lane in targets],
        )  # fmt: skip
        if int(moved.rsplit(" ", 1)[1]) != len(lanes):
            raise LeaseLostError(group)
        if len(await connection.fetch(_HELD, group, self._leases.owner, lanes)) != len(lanes):
            raise LeaseLostError(group)

    def moved(self, targets: Mapping[int, int]) -> None:
        """Note what was committed."""
        self.positions.update(targets)

    async def forget(self, session: AsyncSession) -> None:
        """Let the tenant be read in the lanes again, which are saved in the same transaction as far as they are."""
        await bind_tenant(session, self.tenant_id)
        connection = await driver(session)
        await connection.execute(_END, self._leases.group, self.tenant_id, list(self.positions))


class Detours:
    """The detours in the lanes that a process holds, by tenant; each covers all of these lanes."""

    def __init__(self, leases: LaneLeases) -> None:
        self._leases = leases
        self._found: dict[UUID, dict[int, int]] = {}
        self.open: dict[UUID, Detour] = {}

    async def load(self, connection: DriverConnection) -> None:
        """Read what other processes left in the lanes that are held now."""
        self._found = {}
        for row in await connection.fetch(_LOAD, self._leases.group, self._leases.lanes):
            self._found.setdefault(row["tenant_id"], {})[row["lane"]] = row["position"]
        self.open = {
            tenant_id: Detour(self._leases, tenant_id, self._leases.positions | positions)
            for tenant_id, positions in self._found.items()
        }

    def incomplete(self) -> list[UUID]:
        """Return the tenants whose detour does not cover every held lane yet."""
        lanes = set(self._leases.positions)
        return [tenant_id for tenant_id, positions in self._found.items() if set(positions) != lanes]

    async def begin(self, session: AsyncSession, tenants: Sequence[UUID]) -> None:
        """Take tenants out of the lanes, which are saved in the same transaction; `begun` once it is committed."""
        connection = await driver(session)
        at = self._leases.positions
        for tenant_id in tenants:
            await bind_tenant(session, tenant_id)
            await connection.execute(_OPEN, self._leases.group, tenant_id, list(at), list(at.values()))

    def begun(self, tenants: Iterable[UUID]) -> None:
        """Note detours that were committed."""
        for tenant_id in tenants:
            positions = self._leases.positions | self._found.pop(tenant_id, {})
            self.open[tenant_id] = Detour(self._leases, tenant_id, positions)

    def put_last(self, tenant_id: UUID) -> None:
        """Let the other detours be gone on with before this one."""
        self.open[tenant_id] = self.open.pop(tenant_id)

    def end(self, tenant_id: UUID) -> None:
        """Note that a detour is over."""
        del self.open[tenant_id]


def crowding(
    batch: Sequence[Event], size: int, *, others: bool = False, flooding: Collection[UUID] = ()
) -> list[UUID]:
    """Return the tenants that fill more than half of a full batch, or of a smaller one where that keeps others waiting.

    Args:
        batch: What was read.
        size: Of a full batch.
        others: Whether others had work lately, though nothing of theirs is in the batch.
        flooding: Tenants that keep others waiting elsewhere, so that few events of theirs are too many here.
    """
    counts = Counter(event.tenant_id for event in batch)
    others = others or len(counts) > 1
    most = len(batch) // 2 if len(batch) >= (min(size, _CROWD) if others else size) else len(batch)
    return [found for found, count in counts.items() if count > most or (others and found in flooding)]
