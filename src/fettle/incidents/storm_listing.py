"""What people read of storms: which there were, what each stands for, and how fast its exceptions came."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents.states import SETTLED
from fettle.kernel.database import driver

Standing = Literal["going_on", "over"]
"""Whether anything of a storm may still be out of order."""

MOST_COUNTED: Final = 100_000
"""So many of a storm's exceptions are counted over time, the first of them."""

MOST_BINS: Final = 240
WIDTHS: Final = (60, 300, 3_600, 86_400)
"""Seconds that are counted together: minutes, and more of them where a storm goes on for long."""

# What was of an older storm and came again counts to the newer one, so an incident may have no members any more.
# The source is written out, for only so is the index used that holds nothing else.
_LIST: Final = """
SELECT i.id, i.number, i.title, i.state, i.severity, i.check_type, i.site, i.occurrences, i.opened_at,
  m.members, m.firing, coalesce(m.last_at, i.last_seen_at) AS last_at
FROM (SELECT * FROM incidents WHERE tenant_id = $1 AND source = 'fettle:storm' AND ($2::uuid IS NULL OR id < $2)
        AND ($4::bool IS NULL OR (state = ANY($5)) = $4)
        AND ($6::timestamptz IS NULL OR opened_at >= $6) AND ($7::timestamptz IS NULL OR opened_at < $7)
        AND ($8::text IS NULL OR number::text = ltrim($8, '#')
             OR position(lower($8) IN lower(check_type || ' ' || coalesce(site, ''))) > 0)
      ORDER BY id DESC LIMIT $3) i
CROSS JOIN LATERAL (
  SELECT count(*) AS members, count(*) FILTER (WHERE is_firing) AS firing, max(last_at) AS last_at
  FROM storm_members WHERE tenant_id = $1 AND incident_id = i.id) m
ORDER BY i.id DESC
"""
_MEMBERS: Final = """
SELECT fingerprint, host, is_firing, occurrences, first_at, last_at FROM storm_members
WHERE tenant_id = $1 AND incident_id = $2 AND fingerprint > $3 ORDER BY fingerprint LIMIT $4
"""
# The id of an exception says when it was accepted: its first 48 bits are milliseconds.
_SECONDS: Final = """
SELECT (('x' || left(translate(exception_id::text, '-', ''), 12))::bit(48)::bigint / 1000) AS second, count(*) AS times
FROM (SELECT exception_id FROM incident_exceptions WHERE tenant_id = $1 AND incident_id = $2
      ORDER BY exception_id LIMIT $3) e
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class StormFilter:
    """What a list of storms is narrowed to; what is not set lets everything through.

    Attributes:
        standing: Whether it goes on.
        opened_after: Its incident was opened at this moment or later.
        opened_before: Its incident was opened before this moment.
        text: Part of the check type and the site, or the incident's number.
    """

    standing: Standing | None = None
    opened_after: datetime | None = None
    opened_before: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How many exceptions of a storm came when.

    Attributes:
        seconds: How many seconds are counted together.
        first: Where the first of them begin, in seconds since 1970; None where nothing came.
        counts: How many came, in one after the other.
        is_whole: Whether all of its exceptions are counted.
    """

    seconds: int
    first: int | None
    counts: list[int]
    is_whole: bool


async def list_storms(
    session: AsyncSession, tenant_id: UUID, wanted: StormFilter, *, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Read the incidents that stand for storms, newest first, with how much of each still fires."""
    connection = await driver(session)
    rows = await connection.fetch(
        _LIST,
        tenant_id,
        before,
        limit,
        None if wanted.standing is None else wanted.standing == "over",
        [state.value for state in SETTLED],
        wanted.opened_after,
        wanted.opened_before,
        wanted.text,
    )
    return [dict(row) for row in rows]


async def list_members(
    session: AsyncSession, tenant_id: UUID, incident_id: UUID, *, after: str, limit: int
) -> list[dict[str, Any]]:
    """Read what a storm's incident stands for, by fingerprint."""
    connection = await driver(session)
    return [dict(row) for row in await connection.fetch(_MEMBERS, tenant_id, incident_id, after, limit)]


async def pace(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> Pace:
    """Count the exceptions of an incident minute by minute, or more coarsely where it went on for long."""
    connection = await driver(session)
    rows = await connection.fetch(_SECONDS, tenant_id, incident_id, MOST_COUNTED)
    return binned([(row["second"], row["times"]) for row in rows])


def binned(seconds: list[tuple[int, int]]) -> Pace:
    """Count together what came in the same minute, hour or day. Pure.

    Args:
        seconds: Seconds since 1970 in their order, and how many exceptions each saw.
    """
    total = sum(times for _, times in seconds)
    if not seconds:
        return Pace(WIDTHS[0], None, [], is_whole=True)
    begin, end = seconds[0][0], seconds[-1][0]
    width = next((one for one in WIDTHS if end // one - begin // one < MOST_BINS), WIDTHS[-1])
    first = begin // width
    counts = [0] * min(end // width - first + 1, MOST_BINS)
    for second, times in seconds:
        place = second // width - first
        if place < MOST_BINS:
            counts[place] += times
    is_whole = total < MOST_COUNTED and end // width - first < MOST_BINS
    return Pace(width, first * width, counts, is_whole)
