"""How far the event store may be read: up to where no event can appear any more."""

from collections.abc import Sequence
from dataclasses import dataclass

from fettle.kernel.database import DriverConnection

_WINDOW = 20_000

_SPAN = """
SELECT coalesce(max(position), 0) AS last, count(*) AS present
FROM (SELECT position FROM events WHERE position > $1 ORDER BY position LIMIT $2) AS span
"""

_POSITIONS = """
SELECT array(SELECT position FROM events WHERE position > $1 AND position <= $2 ORDER BY position)
         AS positions,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_open
"""

_NEXT_TRANSACTION = "SELECT pg_current_xact_id()::text::bigint"


@dataclass(slots=True)
class Horizon:
    """The highest position below which every event is there to be read.

    Positions are taken before their transactions commit, so one can be visible while a lower one is
    still on its way. A reader stops before such a hole. When it first sees one, it takes a transaction
    id itself: whoever may still fill the hole has a lower one, because a transaction takes its id before
    its positions (the default of ``events.position``). Once the oldest transaction still open (``pg_snapshot_xmin``)
    is not lower than that id and the hole is still there, its transaction was rolled back. The snapshot's
    ``xmax`` would not do for the mark: it is one past the highest *completed* id.

    Reading in order of position, and not of transaction id, keeps each stream in order: an event of a
    stream is appended after the one before it was committed, but its transaction may have begun earlier.

    Attributes:
        position: Every event up to here is settled. Start it at any position known to be.
    """

    position: int = 0
    _hole: int = 0
    _hole_seen_at: int = 0

    @property
    def is_held_up(self) -> bool:
        """Whether it stands before a hole that may yet be filled."""
        return self._hole == self.position + 1

    async def advance(self, connection: DriverConnection) -> int:
        """Look how far the store can be read now.

        Args:
            connection: Of the system role, outside a transaction.

        Returns:
            The new position, never lower than the last.
        """
        span = await connection.fetchrow(_SPAN, self.position, _WINDOW)
        assert span is not None
        if not span["present"]:
            return self.position
        if span["last"] - self.position == span["present"]:
            self.position = span["last"]
            return self.position
        row = await connection.fetchrow(_POSITIONS, self.position, span["last"])
        assert row is not None
        if not self._walk(row["positions"], row["oldest_open"]):
            self._hole = self.position + 1
            self._hole_seen_at = await connection.fetchval(_NEXT_TRANSACTION)
        return self.position

    def reach(self, positions: Sequence[int]) -> bool:
        """Go on to the last of all positions that come next, unless there is a hole; returns whether it did."""
        if positions and positions[-1] - self.position != len(positions):
            return False
        self.position += len(positions)
        return True

    def _walk(self, positions: list[int], oldest_open: int) -> bool:
        """Go up to the first hole that may yet be filled; returns whether that hole was known before."""
        for position in positions:
            if position != self.position + 1:
                if self.position + 1 != self._hole:
                    return False
                if oldest_open < self._hole_seen_at:
                    return True
            self.position = position
        return True


async def settled_position(connection: DriverConnection) -> int:
    """Return a position up to which every event is settled: the furthest that any consumer has read."""
    position = await connection.fetchval("SELECT coalesce(max(position), 0) FROM consumer_lanes")
    return int(position)
