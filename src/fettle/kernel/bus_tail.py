"""The end of the event store, read once for all consumers of a process instead of once for each."""

import asyncio
from bisect import bisect_right
from collections.abc import Collection, Iterable
from uuid import UUID

from fettle.kernel import events as store
from fettle.kernel.database import Database
from fettle.kernel.events import Event
from fettle.kernel.horizon import Horizon

_KEPT = 6_000

_READ = (
    f"SELECT {store.COLUMNS} FROM events WHERE position > $1 AND position <= $2 AND type = ANY($3) "  # noqa: S608 - a constant
    "ORDER BY position LIMIT $4"
)


class Tail:
    """How far the store can be read, and the newest events up to there.

    Each notification wakes every consumer of a process. Asking the database the same for each would cost more
    than the work itself, so they share one look. Events are shared too: nobody may change their data.

    Args:
        database: Where the store is.
        types: The event types that any of the consumers takes.
    """

    def __init__(self, database: Database, types: Iterable[str]) -> None:
        self._database = database
        self._types = sorted(set(types))
        self._horizon = Horizon()
        self._looks = 0
        self._looking = asyncio.Lock()
        self._begin = 0
        self._recent: list[Event] = []

    async def advance(self, known: int) -> int:
        """Look at the store once more, or wait for a look that began after this call.

        Args:
            known: A position up to which everything is settled.

        Returns:
            Up to where everything is settled now.
        """
        seen = self._looks
        async with self._looking:
            if known > self._horizon.position:
                self._horizon.position = self._begin = known
                self._recent.clear()
            elif self._looks > seen:
                return self._horizon.position
            self._looks += 1
            await self._look()
            return self._horizon.position

    async def _look(self) -> None:
        before = self._horizon.position
        try:
            async with self._database.raw_system() as connection:
                safe = await self._horizon.advance(connection)
                if safe == before:
                    return
                rows = await connection.fetch(_READ, before, safe, self._types, _KEPT + 1)
        except BaseException:
            # What lies between is not remembered; whoever needs it reads it for itself.
            self._forget()
            raise
        if len(rows) > _KEPT:
            self._forget()
            return
        self._recent += [store.from_row(row) for row in rows]
        if len(self._recent) > 2 * _KEPT:
            self._begin = self._recent[-_KEPT - 1].position
            del self._recent[:-_KEPT]

    def _forget(self) -> None:
        self._recent.clear()
        self._begin = self._horizon.position

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
        """Return the first events after a position, None where that is further back than is remembered.

        Args:
            types: The types that are wanted.
            lanes: The lanes that are wanted.
            low: The position.
            limit: Most events.
            only: The tenant whose events are wanted; None for all.
            without: Tenants whose events are left out.
            up_to: The last position that is wanted; None for all that there are.
        """
        if low < self._begin:
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
