"""The event store as operators read it: events, dead letters, lag."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events as store
from fettle.kernel.database import driver
from fettle.kernel.events import Event


class EventPage(BaseModel):
    """A page of events, oldest first."""

    items: list[dict[str, Any]]
    next_cursor: str | None


class DeadLetter(BaseModel):
    """An event that a consumer gave up on."""

    id: UUID
    consumer_group: str
    type: str
    stream_id: UUID
    position: int
    attempts: int
    last_error: str | None
    parked_at: datetime


class DeadLetterPage(BaseModel):
    """A page of dead letters, oldest first."""

    items: list[DeadLetter]
    next_cursor: str | None


class LagOfGroup(BaseModel):
    """How far a consumer group is behind."""

    group: str
    events: int
    seconds: float
    waiting: int
    dead: int


class Lag(BaseModel):
    """How far every consumer group is behind."""

    groups: list[LagOfGroup]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a list of events is narrowed to."""

    stream_type: str | None
    stream_id: UUID | None
    type: str | None


async def list_events(
    session: AsyncSession, tenant_id: UUID, wanted: EventFilter, *, after: int, limit: int
) -> list[Event]:
    """Read the tenant's events after a position, oldest first."""
    return await _read(session, tenant_id, wanted, "position > $2 ORDER BY position", after, limit)


async def list_latest_events(
    session: AsyncSession, tenant_id: UUID, wanted: EventFilter, *, before: int, limit: int
) -> list[Event]:
    """Read the tenant's events before a position, newest first."""
    return await _read(session, tenant_id, wanted, "position < $2 ORDER BY position DESC", before, limit)


async def _read(
    session: AsyncSession, tenant_id: UUID, wanted: EventFilter, side: str, position: int, limit: int
) -> list[Event]:
    connection = await driver(session)
    rows = await connection.fetch(
        f"SELECT {store.COLUMNS} FROM events WHERE tenant_id = $1 "  # noqa: S608 - two constants
        "AND ($3::text IS NULL OR stream_type = $3) AND ($4::uuid IS NULL OR stream_id = $4) "
        f"AND ($5::text IS NULL OR type = $5) AND {side} LIMIT $6",
        tenant_id, position, wanted.stream_type, wanted.stream_id, wanted.type, limit,
    )  # fmt: skip
    return [store.from_row(row) for row in rows]


async def list_dead_letters(
    session: AsyncSession, tenant_id: UUID, *, after: UUID | None, limit: int
) -> list[DeadLetter]:
    """Read the tenant's dead letters."""
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT id, consumer_group, type, stream_id, position, attempts, last_error, parked_at FROM parked_events "
        "WHERE tenant_id = $1 AND state = 'dead' AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        tenant_id, after, limit,
    )  # fmt: skip
    return [DeadLetter(**dict(row)) for row in rows]


async def count_parked(session: AsyncSession, tenant_id: UUID) -> dict[tuple[str, bool], int]:
    """Count the tenant's parked events by group and by whether they are dead."""
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT consumer_group, state = 'dead' AS dead, count(*) AS n FROM parked_events WHERE tenant_id = $1 "
        "GROUP BY 1, 2",
        tenant_id,
    )
    return {(row["consumer_group"], row["dead"]): row["n"] for row in rows}
