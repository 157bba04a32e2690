"""Reads the audit: pages by keyset, words and filters, and whole as CSV or as the lines that the chain vouches for."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.evidence.audit_records import line_of
from fettle.kernel.clock import rfc3339
from fettle.kernel.database import Database, narrowed_by
from fettle.kernel.ids import least_id
from fettle.kernel.platform import Platform

_PAGE: Final = 500
_CLOCKS_APART: Final = timedelta(minutes=1)
"""A record's id was made a moment before its time was read, at most by so much."""

_PAGE_OF: Final = """
SELECT r.id, r.tenant_id, r.actor, r.action, r.target_type, r.target_id, r.before, r.after, r.address, r.request_id,
       r.occurred_at, s.bundle_id
FROM audit_records r LEFT JOIN audit_seals s ON s.tenant_id = r.tenant_id AND s.record_id = r.id
WHERE r.tenant_id = bound.tenant_id
"""

# Every condition but this one can use an index, for comparing ids and texts leaks nothing past the policy.
_WORDS: Final = """
r.words @@ (SELECT to_tsquery('simple', coalesce(string_agg('''' || word || ''':*', ' & '), ''))
            FROM unnest(string_to_array(btrim(searchable({})), ' ')) AS word)
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
    database: Database, tenant_id: UUID, wanted: AuditFilter, *, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Read records, newest first, from the one before the given id."""
    since, until = wanted.since, wanted.until
    narrowed = narrowed_by(
        ("r.id < {}", before),
        ("r.actor = {}", wanted.actor),
        ("r.action = {}", wanted.action),
        ("r.target_type = {}", wanted.target_type),
        ("r.target_id = {}", wanted.target_id),
        ("r.occurred_at >= {}", since),
        ("r.occurred_at < {}", until),
        ("r.id >= {}", None if since is None else least_id(since - _CLOCKS_APART)),
        ("r.id < {}", None if until is None else least_id(until + _CLOCKS_APART)),
        (_WORDS, wanted.words),
    )
    select = f"{_PAGE_OF}{narrowed.sql} ORDER BY r.id DESC LIMIT {int(limit)}"
    return await database.fetch_bound(tenant_id, select, *narrowed.values)


async def records(platform: Platform, tenant_id: UUID, wanted: AuditFilter) -> AsyncIterator[dict[str, Any]]:
    """Read every record that the filter lets through, newest first, a page at a time."""
    before: UUID | None = None
    while True:
        found = await page(platform.database, tenant_id, wanted, before=before, limit=_PAGE)
        for row in found:
            yield dict(row)
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
