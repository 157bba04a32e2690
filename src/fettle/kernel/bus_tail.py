"""The end of the event store, read once for all consumers of a process, of which it wakes those concerned."""

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import asyncpg
import structlog

from fettle.kernel import events as store
from fettle.kernel.bus_turns import Turns
from fettle.kernel.database import DATABASE_TROUBLE, Database, DriverConnection
from fettle.kernel.events import Event
from fettle.kernel.horizon import Horizon, settled_position
from fettle.kernel.leasing import keep_listening

_KEPT = 6_000
_POLL_SECONDS = 0.25
_REST_SECONDS = 0.02
"""How long nothing must be new until those are woken that are not concerned, to note how far they need not look."""

_FEW = 100
"""Events that are read in one statement with the look how far the store can be read; more are chosen from first."""

_READ_FEW = f"SELECT {store.COLUMNS} FROM events WHERE position > $1 ORDER BY position LIMIT {_FEW}"  # noqa: S608 - constants

_READ = (
    f"SELECT {store.COLUMNS} FROM events WHERE position > $1 AND position <= $2 AND type = ANY($3) "  # noqa: S608 - a constant
    "AND tenant_id <> ALL($5) ORDER BY position LIMIT $4"
)

_READ_TYPES = """
SELECT tenant_id, type, max(position) AS position FROM events
WHERE position > $1 AND position <= $2 AND type = ANY($3) AND tenant_id = ANY($4) GROUP BY tenant_id, type
"""

log = structlog.get_logger("fettle.bus")


class Tail:
    """How far the store can be read, and the newest events up to there.

    Each notification wakes every process. Were it to wake every consumer there too, their asking what is new would
    cost more than the work itself; so the tail alone asks, and wakes those that take what it found. Events are
    shared too: nobody may change their data. Of a tenant that floods the store while others have work, only the types
    are looked at: its turn comes much later, and thousands of events a second are not taken in for nothing.

    Args:
        database: Where the store is.
        turns: Told whose events were found, and knows who floods.

    Attributes:
        position: Up to where everything is settled, and can be read here as far as it is remembered.
    """

    def __init__(self, database: Database, turns: Turns) -> None:
        self._database = database
        self._turns = turns
        self.position = 0
        self._types: list[str] = []
        self._readers: list[tuple[frozenset[str], asyncio.Event]] = []
        self._horizon = Horizon()
        self._begin = 0
        self._recent: list[Event] = []
        self._passed_over: dict[tuple[UUID, str], int] = {}
        self._are_few = True

    def subscribe(self, types: Iterable[str]) -> asyncio.Event:
        """Return an event that is set when events of these types can be read, and now and then."""
        wanted, wake = frozenset(types), asyncio.Event()
        self._readers.append((wanted, wake))
        self._types = sorted({*self._types, *wanted})
        self._forget()
        return wake

    async def run(self) -> None:
        """Look whenever something was appended, and now and then, until cancelled."""
        signal = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_listening(self._database, signal), name="bus-listening")
            pause = 0.0
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await signal.wait()
                is_at_rest = not signal.is_set()
                signal.clear()
                try:
                    found = await self.look()
                except DATABASE_TROUBLE as error:
                    log.warning("bus.tail_interrupted", error=type(error).__name__)
                    pause = _POLL_SECONDS
                    continue
                is_at_rest = is_at_rest and not found
                for wanted, wake in self._readers:
                    if is_at_rest or not wanted.isdisjoint(found):
                        wake.set()
                pause = _POLL_SECONDS if is_at_rest and not self._horizon.is_held_up else _REST_SECONDS

    async def look(self) -> Collection[str]:
        """Look at the store once more; returns the types that are new, of those that anybody reads."""
        try:
            async with self._database.raw_system() as connection:
                if not self.position:
                    self._horizon.position = await settled_position(connection)
                    self._forget()
                if self._are_few and (few := await self._next_few(connection)) is not None:
                    return self._remember(few, self._horizon.position)
                safe = await self._horizon.advance(connection)
                if safe == self.position:
                    return ()
                flooding = list(self._turns.flooding) if self._turns.are_needed else []
                ahead = (self.position, safe, self._types)
                rows = await connection.fetch(_READ, *ahead, _KEPT + 1, flooding)
                passed_over = await connection.fetch(_READ_TYPES, *ahead, flooding) if flooding else []
        except BaseException:
            # What lies between is not remembered; whoever needs it reads it for itself.
            self._forget()
            raise
        self._are_few = safe - self.position < _FEW
        if len(rows) > _KEPT:
            self._forget()
            return self._types
        self._passed_over.update({(row["tenant_id"], row["type"]): row["position"] for row in passed_over})
        return self._remember(rows, safe) | {row["type"] for row in passed_over}

    async def _next_few(self, connection: DriverConnection) -> list[asyncpg.Record] | None:
        """Read what comes next, all of it, in the statement that looks how far that is; None if it is not so simple."""
        rows = await connection.fetch(_READ_FEW, self.position)
        self._are_few = len(rows) < _FEW and self._horizon.reach([row["position"] for row in rows])
        return [row for row in rows if row["type"] in self._types] if self._are_few else None

    def _remember(self, rows: Sequence[asyncpg.Record], position: int) -> set[str]:
        found = [store.from_row(row) for row in rows]
        self._recent += found
        self._turns.hear({event.tenant_id for event in found})
        self.position = position
        if len(self._recent) > 2 * _KEPT:
            self._begin = self._recent[-_KEPT - 1].position
            del self._recent[:-_KEPT]
            self._passed_over = {of: at for of, at in self._passed_over.items() if at > self._begin}
        return {event.type for event in found}

    def _forget(self) -> None:
        self._recent.clear()
        self._passed_over.clear()
        self._begin = self.position = self._horizon.position

    def read(
        self,
        types: Collection[str],
        lanes: Collection[int],
        low: int,
        limit: int,
        *,
        only: UUID | None = None,
        without: Collection[UUID] = (),
        up_to: int | None = None,
    ) -> list[Event] | None:
        """Return the first events after a position, None where not all of them are remembered.

        Args:
            types: The types that are wanted.
            lanes: The lanes that are wanted.
            low: The position.
            limit: Most events.
            only: The tenant whose events are wanted; None for all.
            without: Tenants whose events are left out.
            up_to: The last position that is wanted; None for all that there are.
        """
        if low < self._begin or any(
            position > low and type_ in types and tenant_id not in without and only in {None, tenant_id}
            for (tenant_id, type_), position in self._passed_over.items()
        ):
            return None
        found: list[Event] = []
        end = len(self._recent) if up_to is None else bisect_right(self._recent, up_to, key=_position)
        for index in range(bisect_right(self._recent, low, key=_position), end):
            event = self._recent[index]
            if event.type not in types or event.tenant_id in without or only not in {None, event.tenant_id}:
                continue
            if event.lane in lanes:
                found.append(event)
                if len(found) == limit:
                    break
        return found


def _position(event: Event) -> int:
    return event.position
