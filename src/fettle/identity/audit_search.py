"""Reads the audit: pages by keyset, words and filters, and whole as CSV or as the lines that the chain vouches for."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.evidence.audit_records import line_of
from fettle.kernel.clock import rfc3339
from fettle.kernel.database import driver
from fettle.kernel.platform import Platform

_PAGE: Final = 500
_CLOCKS_APART: Final = timedelta(minutes=1)
"""A record's id was made a moment before its time was read, at most by so much."""

# Every condition but the words can use an index, for comparing ids and texts leaks nothing past the policy.
_PAGE_OF = """
SELECT r.id, r.tenant_id, r.actor, r.action, r.target_type, r.target_id, r.before, r.after, r.address, r.request_id,
       r.occurred_at, s.bundle_id
FROM audit_records r LEFT JOIN audit_seals s ON s.tenant_id = r.tenant_id AND s.record_id = r.id
WHERE r.tenant_id = $1 AND ($2::uuid IS NULL OR r.id < $2)
  AND ($3::text IS NULL OR r.actor = $3) AND ($4::text IS NULL OR r.action = $4)
  AND ($5::text IS NULL OR r.target_type = $5) AND ($6::text IS NULL OR r.target_id = $6)
  AND ($7::timestamptz IS NULL OR r.occurred_at >= $7) AND ($8::timestamptz IS NULL OR r.occurred_at < $8)
  AND ($9::uuid IS NULL OR r.id >= $9) AND ($10::uuid IS NULL OR r.id < $10)
  AND ($11::text IS NULL OR r.words @@ (
    SELECT to_tsquery('simple', coalesce(string_agg('''' || word || ''':*', ' & '), ''))
    FROM unnest(string_to_array(btrim(searchable($11)), ' ')) AS word))
ORDER BY r.id DESC LIMIT $12
"""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What is looked for; None lets everything through.

    Attributes:
        words: All must be in the record, each the beginning of a word of it.
        since: From this moment on.
        until: Before this moment.
    """

    actor: str | None = None
    action: str | None = None
    target_type: str | None = None
    target_id: str | None = None
    words: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def named(self) -> dict[str, Any]:
        """Return what was asked for, as the audit notes it."""
        pairs = {
            "actor": self.actor,
            "action": self.action,
            "target_type": self.target_type,
            "target_id": self.target_id,
            "q": self.words,
            "from": None if self.since is None else rfc3339(self.since),
            "to": None if self.until is None else rfc3339(self.until),
        }
        return {name: value for name, value in pairs.items() if value is not None}


async def page(
    session: AsyncSession, tenant_id: UUID, wanted: AuditFilter, *, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Read records, newest first, from the one before the given id."""
    connection = await driver(session)
    rows = await connection.fetch(_PAGE_OF, tenant_id, *_arguments(wanted, before, limit))
    return [dict(row) for row in rows]


async def records(platform: Platform, tenant_id: UUID, wanted: AuditFilter) -> AsyncIterator[dict[str, Any]]:
    """Read every record that the filter lets through, newest first, a page at a time."""
    before: UUID | None = None
    while True:
        async with platform.database.tenant(tenant_id) as session:
            found = await page(session, tenant_id, wanted, before=before, limit=_PAGE)
        for row in found:
            yield row
        if len(found) < _PAGE:
            return
        before = found[-1]["id"]


async def lines(rows: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    """Write records as JSON lines, each byte for byte what was sealed."""
    async for row in rows:
        form = {
            **row,
            "id": str(row["id"]),
            "tenant_id": str(row["tenant_id"]),
            "occurred_at": rfc3339(row["occurred_at"]),
        }
        yield line_of(form) + b"\n"


def changes(before: Any, after: Any) -> list[dict[str, Any]]:
    """Return the fields that differ between what was and what is, by name."""
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    return [
        {"field": name, "before": old.get(name), "after": new.get(name)}
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _arguments(wanted: AuditFilter, before: UUID | None, limit: int) -> list[Any]:
    return [
        before,
        wanted.actor,
        wanted.action,
        wanted.target_type,
        wanted.target_id,
        wanted.since,
        wanted.until,
        None if wanted.since is None else _least_id(wanted.since - _CLOCKS_APART),
        None if wanted.until is None else _least_id(wanted.until + _CLOCKS_APART),
        wanted.words,
        limit,
    ]


def _least_id(moment: datetime) -> UUID:
    """Return the least UUIDv7 of a moment: ids are in order of time, so the index finds where to begin."""
    milliseconds = min(max(int(moment.timestamp() * 1000), 0), 2**48 - 1)
    return UUID(int=milliseconds << 80)
