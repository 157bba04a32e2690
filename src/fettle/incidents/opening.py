"""Writes new incidents: their numbers, their content, their rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.incidents.history import Standing
from fettle.kernel.errors import Conflict
from fettle.kernel.jsonio import dumps_str

_NUMBER: Final = """
INSERT INTO incident_counters (tenant_id, last_number) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET last_number = incident_counters.last_number + $2 RETURNING last_number
"""

_OPEN: Final = """
INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, host, site, platform, source,
                       summary, fingerprint, pack_id, labels, details, occurrences, opened_at, last_seen_at, version)
SELECT n.id, $1, n.number, n.title, n.state, n.severity, n.check_type, n.host, n.site, n.platform, n.source,
       n.summary, n.fingerprint, n.pack_id, n.labels::jsonb, n.details::jsonb, n.occurrences, n.opened_at,
       n.last_seen_at, n.version
FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::timestamptz[],
            $17::int[], $18::text[], $19::timestamptz[], $20::int[])
  AS n(id, number, title, severity, check_type, host, site, platform, source, summary, fingerprint, pack_id,
       labels, details, opened_at, occurrences, state, last_seen_at, version)
ON CONFLICT (tenant_id, fingerprint) WHERE state <> 'closed' DO NOTHING
"""

OWN_FIELDS: Final = (
    "check_type", "host", "site", "platform", "source", "summary", "pack_id", "labels", "details", "title", "category",
)  # fmt: skip
"""What an incident takes over from its first exception."""


async def take_numbers(connection: asyncpg.Connection, tenant_id: UUID, wanted: int) -> int:
    """Take the tenant's next numbers and return the first; they are held until the transaction ends."""
    last = await connection.fetchval(_NUMBER, tenant_id, wanted)
    return int(last) - wanted + 1


def content_of(
    incident_id: UUID, number: int, fingerprint: str, body: Mapping[str, Any], moment: datetime
) -> dict[str, Any]:
    """Return an incident as its first exception makes it.

    Args:
        incident_id: Its id.
        number: Its number.
        fingerprint: Tells what belongs to it.
        body: The exception, normalised.
        moment: When it is opened.
    """
    return {
        "id": str(incident_id),
        "number": number,
        "fingerprint": fingerprint,
        **{name: body.get(name) for name in OWN_FIELDS},
        "labels": body.get("labels") or {},
        "details": body.get("details") or {},
        "severity": body["severity"],
        "opened_at": moment,
    }


async def insert(
    connection: asyncpg.Connection, tenant_id: UUID, opened: Sequence[tuple[Mapping[str, Any], Standing]]
) -> None:
    """Write the rows of new incidents; the caller appends their events.

    Args:
        connection: With the tenant bound.
        tenant_id: The owner.
        opened: Of each incident what `content_of` says, and where it stands: not closed, or somebody who
            opens the same at this moment would not be noticed.

    Raises:
        Conflict: Another lane opened one of them at this moment.
    """
    contents = [content for content, _ in opened]
    standings = [standing for _, standing in opened]
    result = await connection.execute(
        _OPEN,
        tenant_id,
        [UUID(c["id"]) for c in contents],
        [c["number"] for c in contents],
        [c["title"] for c in contents],
        [s.severity for s in standings],
        [c["check_type"] for c in contents],
        [c["host"] for c in contents],
        [c["site"] for c in contents],
        [c["platform"] for c in contents],
        [c["source"] for c in contents],
        [c["summary"] for c in contents],
        [c["fingerprint"] for c in contents],
        [c["pack_id"] for c in contents],
        [dumps_str(c["labels"]) for c in contents],
        [dumps_str(c["details"]) for c in contents],
        [s.opened_at for s in standings],
        [s.occurrences for s in standings],
        [s.state.value for s in standings],
        [s.last_seen_at for s in standings],
        [s.version for s in standings],
    )
    if int(result.rsplit(" ", 1)[1]) != len(opened):
        raise Conflict("An incident with the same fingerprint was opened meanwhile.")
