"""Parked events: those whose handler failed, and those of the same stream that wait behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events as store
from fettle.kernel.bus_leases import LeaseLostError
from fettle.kernel.clock import utcnow
from fettle.kernel.database import DriverConnection, bind_tenant, driver
from fettle.kernel.events import Event
from fettle.kernel.ids import new_id

MAX_ATTEMPTS = 8
_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 2.0

_PARK = """
INSERT INTO parked_events (id, tenant_id, consumer_group, position, lane, stream_id, type, state, attempts,
                           next_attempt_at, last_error)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (consumer_group, position) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that is to be tried again."""

    id: UUID
    attempts: int
    event: Event


class Parking:
    """What one process knows of its group's parked events.

    Attributes:
        blocked: Streams whose next events must wait.
    """

    def __init__(self, group: str) -> None:
        self._group = group
        self._next_due: datetime | None = None
        self._look_at = utcnow()
        self.blocked: set[UUID] = set()

    async def load(self, connection: DriverConnection, lanes: Sequence[int]) -> None:
        """Read which streams of these lanes are blocked, and when the first is due."""
        rows = await connection.fetch(
            "SELECT stream_id, min(next_attempt_at) FILTER (WHERE state = 'waiting') AS due FROM parked_events "
            "WHERE consumer_group = $1 AND state <> 'dead' AND lane = ANY($2) GROUP BY stream_id",
            self._group, list(lanes),
        )  # fmt: skip
        self.blocked = {row["stream_id"] for row in rows}
        self._next_due = min((row["due"] for row in rows if row["due"]), default=None)
        self._look_at = utcnow() + timedelta(seconds=_LOOK_AGAIN_SECONDS)

    def due(self, now: datetime) -> bool:
        """Say whether something is to be tried, or an operator may have put something back."""
        return now >= self._look_at or (self._next_due is not None and now >= self._next_due)

    async def read_due(self, connection: DriverConnection, lanes: Sequence[int]) -> list[ParkedEvent]:
        """Read each due stream's parked events, in order."""
        columns = ", ".join(f"e.{name}" for name in store.COLUMNS.split(", "))
        rows = await connection.fetch(
            f"SELECT k.id AS parked_id, k.attempts, {columns} FROM parked_events k "  # noqa: S608 - constants
            "JOIN events e ON e.position = k.position WHERE k.consumer_group = $1 AND k.state <> 'dead' "
            "AND k.stream_id IN (SELECT stream_id FROM parked_events WHERE consumer_group = $1 "
            "AND lane = ANY($2) AND state = 'waiting' AND next_attempt_at <= now() LIMIT 100) "
            "ORDER BY k.stream_id, k.position",
            self._group, list(lanes),
        )  # fmt: skip
        return [ParkedEvent(row["parked_id"], row["attempts"], store.from_row(row)) for row in rows]

    async def park_behind(self, session: AsyncSession, batch: Sequence[Event]) -> None:
        """Park events of streams that are already blocked."""
        for event in batch:
            await self._insert(session, event, "behind", 0, None, None)

    async def park_failed(self, session: AsyncSession, event: Event, error: str) -> None:
        """Park an event whose handler failed for the first time, and block its stream."""
        due = utcnow() + timedelta(seconds=_FIRST_DELAY_SECONDS)
        await self._insert(session, event, "waiting", 1, due, error)
        self.blocked.add(event.stream_id)
        self._next_due = due if self._next_due is None else min(due, self._next_due)

    async def release(self, session: AsyncSession, parked_id: UUID) -> None:
        """Forget a parked event that was handled.

        Raises:
            LeaseLostError: Somebody handled it before.
        """
        connection = await driver(session)
        if await connection.execute("DELETE FROM parked_events WHERE id = $1", parked_id) != "DELETE 1":
            raise LeaseLostError(self._group)

    async def fail_again(
        self, session: AsyncSession, event: Event, parked_id: UUID, attempts: int, error: str
    ) -> bool:
        """Count another failure; returns whether it was the last and the event is a dead letter now."""
        await bind_tenant(session, event.tenant_id)
        connection = await driver(session)
        dead = attempts >= MAX_ATTEMPTS
        delay = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2**attempts)
        await connection.execute(
            "UPDATE parked_events SET state = $2, attempts = $3, next_attempt_at = $4, last_error = $5 WHERE id = $1",
            parked_id, "dead" if dead else "waiting", attempts,
            None if dead else utcnow() + timedelta(seconds=delay), error,
        )  # fmt: skip
        return dead

    async def _insert(
        self,
        session: AsyncSession,
        event: Event,
        state: str,
        attempts: int,
        due: datetime | None,
        error: str | None,
    ) -> None:
        await bind_tenant(session, event.tenant_id)
        connection = await driver(session)
        await connection.execute(
            _PARK, new_id(), event.tenant_id, self._group, event.position, event.lane, event.stream_id, event.type,
            state, attempts, due, error,
        )  # fmt: skip
