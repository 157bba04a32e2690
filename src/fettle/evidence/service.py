"""Seals incidents into their tenant's chain, many in one transaction, and reads the chain."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.evidence import keys
from fettle.evidence.appending import ACTOR, Due, Stored, append
from fettle.evidence.chain import GENESIS
from fettle.evidence.content import bundle_content
from fettle.evidence.export import ExportHeader
from fettle.evidence.signing import make_checkpoint
from fettle.incidents.service import Transition, transition
from fettle.kernel import events
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import Database, driver, narrowed_by
from fettle.kernel.errors import NotFound
from fettle.kernel.events import Event, NewEvent
from fettle.kernel.platform import Platform

_PAGE = 5_000
_EXPORT_PAGE = 500

_BUNDLES = """
SELECT b.id, b.kind, b.incident_id, i.number AS incident_number, i.title AS incident_title, b.sequence, b.hash,
       b.previous_hash, b.signature, b.key_id, b.sealed_at {more}
FROM evidence_bundles b LEFT JOIN incidents i ON i.tenant_id = b.tenant_id AND i.id = b.incident_id
WHERE b.tenant_id = bound.tenant_id {narrowed}
"""

_COVERED = """
SELECT incident_id, max(covers_position) AS position FROM evidence_bundles
WHERE tenant_id = $1 AND incident_id = ANY($2) GROUP BY incident_id
"""


async def seal_incidents(
    platform: Platform, session: AsyncSession, tenant_id: UUID, causes: Mapping[UUID, Event]
) -> int:
    """Seal each incident as it stood at the event that ended it, and tell so.

    An incident that was sealed since it was last opened is not sealed again.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: The owner.
        causes: The ending event of each incident.

    Returns:
        How many bundles were sealed.
    """
    timelines = await _timelines(session, tenant_id, causes)
    connection = await driver(session)
    rows = await connection.fetch(_COVERED, tenant_id, list(causes))
    covered = {row["incident_id"]: row["position"] for row in rows}
    due = {key: value for key, value in timelines.items() if _is_due(value, covered.get(key))}
    if not due:
        return 0
    wanted = [
        Due(str(incident_id), incident_id, bundle_content(timeline), timeline[-1].position)
        for incident_id, timeline in due.items()
    ]
    stored = await append(platform, connection, tenant_id, "incident", wanted)
    await _tell(session, tenant_id, list(zip(stored, due, strict=True)), causes)
    return len(stored)


async def checkpoint(platform: Platform, session: AsyncSession, tenant_id: UUID) -> dict[str, Any]:
    """Return a signed statement of how long the tenant's chain is now and what it ends in."""
    connection = await driver(session)
    row = await connection.fetchrow("SELECT size, head FROM evidence_chains WHERE tenant_id = $1", tenant_id)
    size, head = (row["size"], row["head"]) if row is not None else (0, GENESIS)
    return make_checkpoint(str(tenant_id), size, head, rfc3339(utcnow()), await keys.signer(platform))


async def export_lines(platform: Platform, tenant_id: UUID) -> AsyncIterator[bytes]:
    """Write the tenant's whole chain as an export, a page at a time, up to where it stood at the beginning."""
    public, rollovers = await keys.public_keys(platform)
    async with platform.database.tenant(tenant_id) as session:
        reached = await checkpoint(platform, session, tenant_id)
    header = ExportHeader(
        tenant_id=str(tenant_id),
        exported_at=rfc3339(utcnow()),
        keys=tuple(key["public_key"] for key in public),
        rollovers=tuple(rollovers),
        checkpoint=reached,
    )
    yield header.line() + b"\n"
    after = 0
    while after < reached["size"]:
        rows = await platform.database.fetch_bound(
            tenant_id,
            "SELECT sequence, bundle FROM evidence_bundles WHERE tenant_id = bound.tenant_id AND sequence > $2 "
            "AND sequence <= $3 ORDER BY sequence LIMIT $4",
            after,
            min(reached["size"], after + _EXPORT_PAGE),
            _EXPORT_PAGE,
        )
        if not rows:
            return
        yield b"".join(row["bundle"].encode() + b"\n" for row in rows)
        after = rows[-1]["sequence"]


async def list_bundles(
    database: Database, tenant_id: UUID, *, incident_id: UUID | None, before: int | None, limit: int
) -> list[asyncpg.Record]:
    """Read bundles as a list shows them, newest first, from the one before the given sequence."""
    narrowed = narrowed_by(("b.incident_id = {}", incident_id), ("b.sequence < {}", before))
    listed = _BUNDLES.format(more="", narrowed=narrowed.sql)
    return await database.fetch_bound(
        tenant_id, f"{listed} ORDER BY b.sequence DESC LIMIT {int(limit)}", *narrowed.values
    )


async def one_bundle(database: Database, tenant_id: UUID, bundle_id: UUID) -> dict[str, Any]:
    """Read one bundle, whole.

    Raises:
        NotFound: The tenant has no such bundle.
    """
    whole = _BUNDLES.format(more=", b.bundle", narrowed="AND b.id = $2")
    rows = await database.fetch_bound(tenant_id, whole, bundle_id)
    if not rows:
        raise NotFound(f"There is no evidence bundle {bundle_id}.")
    return dict(rows[0]) | {"bundle": orjson.loads(rows[0]["bundle"])}


async def _timelines(
    session: AsyncSession, tenant_id: UUID, causes: Mapping[UUID, Event]
) -> dict[UUID, list[Event]]:
    found: dict[UUID, list[Event]] = defaultdict(list)
    # A page holds many events of each incident, and to read an id of its text each time would be slow.
    ending = {str(incident_id): (incident_id, cause.position) for incident_id, cause in causes.items()}
    after = 0
    while True:
        page = await events.read_correlated(
            session, tenant_id, list(causes), after_position=after, limit=_PAGE
        )
        for event in page:
            incident_id, end = ending[event.metadata["correlation_id"]]
            if event.position <= end:
                found[incident_id].append(event)
        if len(page) < _PAGE:
            return found
        after = page[-1].position


def _is_due(timeline: Sequence[Event], covered: int | None) -> bool:
    if covered is None:
        return True
    reopened = [event.position for event in timeline if event.type == "incident.reopened"]
    return bool(reopened) and max(reopened) > covered


async def _tell(
    session: AsyncSession,
    tenant_id: UUID,
    sealed: Sequence[tuple[Stored, UUID]],
    causes: Mapping[UUID, Event],
) -> None:
    told = [
        NewEvent(
            stream_type="evidence",
            stream_id=bundle.id,
            type="evidence.sealed",
            data={"bundle_id": str(bundle.id), "sequence": bundle.sequence, "hash": bundle.hash},
            actor=ACTOR,
            correlation_id=incident_id,
            causation_id=causes[incident_id].id,
        )
        for bundle, incident_id in sealed
    ]
    await events.append(session, tenant_id, told)
    noted = [
        Transition(
            incident_id=incident_id,
            type="incident.evidence_sealed",
            data={"bundle_id": str(bundle.id), "sequence": bundle.sequence},
            actor=ACTOR,
            causation_id=causes[incident_id].id,
        )
        for bundle, incident_id in sealed
    ]
    await transition(session, tenant_id, noted)
