"""The event store: streams of events, appended with an expected version and read in commit order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID
from zlib import crc32

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import DriverConnection, driver, wake_after_commit
from fettle.kernel.errors import Conflict
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str

LANES = 16
"""Partitions of the store: a stream's events share a lane, and a lane has one reader in each consumer group."""


def metadata_of(
    *,
    actor: str,
    correlation_id: UUID | None = None,
    causation_id: UUID | None = None,
    request_id: str | None = None,
) -> dict[str, Any]:
    """Return an envelope's metadata."""
    return {
        "actor": actor,
        "correlation_id": correlation_id,
        "causation_id": causation_id,
        "request_id": request_id,
    }


@dataclass(slots=True, kw_only=True)
class NewEvent:
    """An event to be appended.

    Attributes:
        stream_type: What the stream is about: ``exception``, ``incident``, ``run``.
        stream_id: Which one.
        type: ``noun.past_tense``.
        data: The event's own content, JSON; never a secret, personal or health data.
        actor: Who: ``user:<id>``, ``key:<id>``, ``rule:<id>``, ``system:<part>``.
        correlation_id: The incident that it all belongs to.
        causation_id: The event that caused this one.
        request_id: The request that it came with.
    """

    stream_type: str
    stream_id: UUID
    type: str
    data: Mapping[str, Any]
    actor: str
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    request_id: str | None = None
    schema_version: int = 1
    id: UUID = field(default_factory=new_id)
    occurred_at: datetime = field(default_factory=utcnow)

    def metadata(self) -> dict[str, Any]:
        """Return the envelope's metadata."""
        return metadata_of(
            actor=self.actor,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            request_id=self.request_id,
        )


class Event(NamedTuple):
    """An event as it was stored; `position` is its place in the order of all events.

    A tuple, since a process makes and reads very many of them.
    """

    id: UUID
    tenant_id: UUID
    stream_type: str
    stream_id: UUID
    version: int
    type: str
    schema_version: int
    data: dict[str, Any]
    metadata: dict[str, Any]
    occurred_at: datetime
    position: int

    @property
    def correlation_id(self) -> UUID | None:
        """The incident that it belongs to."""
        value = self.metadata.get("correlation_id")
        return UUID(value) if value else None

    @property
    def lane(self) -> int:
        """The partition of the event's stream."""
        return lane_of(self.tenant_id, self.stream_id)

    def envelope(self) -> dict[str, Any]:
        """Return the event as the API and the exports show it."""
        return {
            "id": str(self.id),
            "tenant_id": str(self.tenant_id),
            "stream": {"type": self.stream_type, "id": str(self.stream_id)},
            "version": self.version,
            "type": self.type,
            "schema_version": self.schema_version,
            "data": self.data,
            "metadata": self.metadata,
            "occurred_at": rfc3339(self.occurred_at),
            "position": self.position,
        }


def lane_of(tenant_id: UUID, stream_id: UUID) -> int:
    """Return the lane of a stream."""
    return crc32(stream_id.bytes, crc32(tenant_id.bytes)) % LANES


COLUMNS = ", ".join(Event._fields)

_OF_EVENT = itemgetter(*Event._fields)

# Incident by incident: of all at once the planner reads everything of the tenant from that position on.
_CORRELATED = f"""
SELECT e.* FROM unnest($2::uuid[]) AS c(id) CROSS JOIN LATERAL (
  SELECT {COLUMNS} FROM events WHERE tenant_id = $1 AND correlation_id = c.id AND position > $3
  ORDER BY position LIMIT $4) AS e
ORDER BY position LIMIT $4
"""  # noqa: S608 - a constant

_APPEND = """
WITH input AS (
  SELECT * FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::smallint[], $7::smallint[],
                       $8::text[], $9::text[], $10::uuid[], $11::timestamptz[])
    WITH ORDINALITY AS i(id, stream_type, stream_id, type, schema_version, lane, data, metadata,
                         correlation_id, occurred_at, ord)
), heads AS (
  SELECT s.stream_type, s.stream_id, coalesce(h.version, 0) AS version
  FROM (SELECT DISTINCT stream_type, stream_id FROM input) s
  LEFT JOIN LATERAL (
    SELECT e.version FROM events e
    WHERE e.tenant_id = $1 AND e.stream_type = s.stream_type AND e.stream_id = s.stream_id
    ORDER BY e.version DESC LIMIT 1
  ) h ON true
)
INSERT INTO events (id, tenant_id, stream_type, stream_id, version, type, schema_version, lane, data, metadata,
                    correlation_id, occurred_at)
SELECT i.id, $1, i.stream_type, i.stream_id,
       h.version + row_number() OVER (PARTITION BY i.stream_type, i.stream_id ORDER BY i.ord),
       i.type, i.schema_version, i.lane, i.data::jsonb, i.metadata::jsonb, i.correlation_id, i.occurred_at
FROM input i JOIN heads h USING (stream_type, stream_id)
WHERE $12::int IS NULL OR h.version = $12
ORDER BY i.ord
RETURNING version
"""

_APPEND_NEW = """
INSERT INTO events (id, tenant_id, stream_type, stream_id, version, type, schema_version, lane, data, metadata,
                    correlation_id, occurred_at)
SELECT i.id, $1, i.stream_type, i.stream_id, 1, i.type, i.schema_version, i.lane, i.data::jsonb,
       i.metadata::jsonb, i.correlation_id, i.occurred_at
FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::smallint[], $7::smallint[], $8::text[], $9::text[],
            $10::uuid[], $11::timestamptz[])
  AS i(id, stream_type, stream_id, type, schema_version, lane, data, metadata, correlation_id, occurred_at)
"""


_LANE_NAMES = [str(lane) for lane in range(LANES)]


class Opening(NamedTuple):
    """The first event of a stream that has the event's own id, already as JSON: what comes by the thousand.

    Attributes:
        id: The event's and the stream's, as text: a `UUID` costs more to make and to write than all else here.
        data: As `NewEvent.data`, in JSON.
        metadata: As `metadata_of` gives it, in JSON.
        on: What must have been claimed in the same statement for it to be appended, where it depends on that;
            without blanks.
    """

    id: str
    data: str
    metadata: str
    on: str | None = None


OPENINGS = """
INSERT INTO events (id, tenant_id, stream_type, stream_id, version, type, schema_version, lane, data, metadata,
                    correlation_id, occurred_at)
SELECT i.id::uuid, bound.tenant_id, $2, i.id::uuid, 1, $3, 1, i.lane::smallint, i.data::jsonb, i.metadata::jsonb,
       NULL, $4
FROM bound CROSS JOIN unnest(string_to_array($5, ' '), string_to_array($6, ' '), string_to_array($7, E'\\x1f'),
                             string_to_array($8, E'\\x1f'), string_to_array($9, ' ', '-'))
  AS i(id, lane, data, metadata, claim)
WHERE i.claim IS NULL
"""
"""For `Database.write_bound` with the arguments of `arguments_of_openings`: appends them, all of one moment."""

OPENINGS_CLAIMED = f"{OPENINGS} OR i.claim IN (SELECT claim FROM claimed)"  # noqa: S608 - constants
"""The same behind a query ``claimed`` that tells what was claimed."""


def arguments_of_openings(
    tenant_id: UUID, stream_type: str, type_: str, openings: Sequence[Opening], occurred_at: datetime
) -> list[Any]:
    """Return what `OPENINGS` takes.

    Each column comes as one text, which the server takes apart: of each element of an array the driver asks twice
    whether it is an array itself, for longer than all else that is done with it.
    """
    seed = crc32(tenant_id.bytes)
    return [
        stream_type,
        type_,
        occurred_at,
        " ".join([opening.id for opening in openings]),
        " ".join(
            [
                _LANE_NAMES[crc32(bytes.fromhex(opening.id.replace("-", "")), seed) % LANES]
                for opening in openings
            ]
        ),
        joined_json([opening.data for opening in openings]),
        joined_json([opening.metadata for opening in openings]),
        " ".join([opening.on or "-" for opening in openings]),
    ]


def joined_json(documents: Iterable[str]) -> str:
    """Join compact JSON by U+001F, which does not stand in it: JSON has no control characters (RFC 8259, 7)."""
    return "\x1f".join(documents)


async def append(
    session: AsyncSession, tenant_id: UUID, events: Sequence[NewEvent], *, expected_version: int | None = None
) -> list[int]:
    """Append events, all or none, to one or several streams.

    Args:
        session: In a transaction with the tenant bound.
        tenant_id: The owner of the events.
        events: In the order in which they shall be read.
        expected_version: The version that their one stream has now, 0 for a new one; None to append to
            whatever is there, which is right only under a lock on what the stream is about.

    Returns:
        The version that each event got.

    Raises:
        Conflict: The stream has another version, or another transaction appended at the same time.
    """
    if not events:
        return []
    if expected_version is not None and len({(e.stream_type, e.stream_id) for e in events}) != 1:
        raise ValueError("an expected version is that of one stream; append each stream by itself")
    connection = await driver(session)
    versions = await append_raw(connection, tenant_id, events, expected_version=expected_version)
    wake_after_commit(session)
    return versions


async def append_raw(
    connection: DriverConnection,
    tenant_id: UUID,
    events: Sequence[NewEvent],
    *,
    expected_version: int | None = None,
) -> list[int]:
    """Append on a bare connection, as `append` does; the caller pokes the database after its commit."""
    try:
        rows = await connection.fetch(
            _APPEND,
            *_arrays(tenant_id, events),
            expected_version,
        )
    except asyncpg.UniqueViolationError:
        raise Conflict("Somebody else changed this at the same time. Read it again and repeat.") from None
    if len(rows) != len(events):
        raise Conflict(
            f"The stream is no longer at version {expected_version}. Read it again and repeat what still applies."
        )
    return [row["version"] for row in rows]


async def append_new_streams(
    connection: DriverConnection, tenant_id: UUID, events: Sequence[NewEvent]
) -> None:
    """Append the first event of each of many new streams; skips the look-up of their versions.

    Raises:
        asyncpg.UniqueViolationError: A stream is not new.
    """
    await connection.execute(_APPEND_NEW, *_arrays(tenant_id, events))


def _arrays(tenant_id: UUID, events: Sequence[NewEvent]) -> list[Any]:
    return [
        tenant_id,
        [e.id for e in events],
        [e.stream_type for e in events],
        [e.stream_id for e in events],
        [e.type for e in events],
        [e.schema_version for e in events],
        [lane_of(tenant_id, e.stream_id) for e in events],
        [dumps_str(e.data) for e in events],
        [dumps_str(e.metadata()) for e in events],
        [e.correlation_id for e in events],
        [e.occurred_at for e in events],
    ]


async def read_stream(
    session: AsyncSession,
    tenant_id: UUID,
    stream_type: str,
    stream_id: UUID,
    *,
    after_version: int = 0,
    limit: int = 1000,
) -> list[Event]:
    """Read one stream in order, from the version after the given one."""
    connection = await driver(session)
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM events WHERE tenant_id = $1 AND stream_type = $2 AND stream_id = $3 "  # noqa: S608 - a constant
        "AND version > $4 ORDER BY version LIMIT $5",
        tenant_id, stream_type, stream_id, after_version, limit,
    )  # fmt: skip
    return [from_row(row) for row in rows]


async def read_correlated(
    session: AsyncSession,
    tenant_id: UUID,
    correlation_ids: Sequence[UUID],
    *,
    after_position: int = 0,
    limit: int = 1000,
) -> list[Event]:
    """Read all that belongs to some incidents, whatever its stream, in the order of the store."""
    connection = await driver(session)
    rows = await connection.fetch(_CORRELATED, tenant_id, list(correlation_ids), after_position, limit)
    return [from_row(row) for row in rows]


def from_row(row: asyncpg.Record) -> Event:
    """Make an event of a row that has `COLUMNS`."""
    return Event._make(_OF_EVENT(row))
