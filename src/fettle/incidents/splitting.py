"""Splits an incident: chosen exceptions become an incident of their own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents import history, opening, queries
from fettle.incidents.commands import By, standing_at
from fettle.incidents.history import SEVERITIES, Standing, worse
from fettle.incidents.merging import parts_of
from fettle.incidents.service import transition
from fettle.incidents.states import State
from fettle.kernel import events
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

MOST_EXCEPTIONS: Final = 500

_EXCEPTIONS: Final = """
SELECT x.exception_id AS id, x.incident_id, e.occurred_at AS received_at, e.data
FROM incident_exceptions x
LEFT JOIN events e ON e.tenant_id = x.tenant_id AND e.stream_type = 'exception' AND e.stream_id = x.exception_id
  AND e.version = 1
WHERE x.tenant_id = $1 AND x.incident_id = ANY($2) AND ($3::uuid IS NULL OR x.exception_id < $3)
ORDER BY x.exception_id DESC LIMIT $4
"""

_CHOSEN: Final = """
SELECT x.exception_id AS id, e.data FROM incident_exceptions x
JOIN events e ON e.tenant_id = x.tenant_id AND e.stream_type = 'exception' AND e.stream_id = x.exception_id
  AND e.version = 1
WHERE x.tenant_id = $1 AND x.incident_id = ANY($2) AND x.exception_id = ANY($3) ORDER BY x.exception_id
"""


async def exceptions_of(
    session: AsyncSession, tenant_id: UUID, incident_id: UUID, *, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Read what was reported for an incident and for what was merged into it, newest first.

    Raises:
        NotFound: The tenant has no such incident.
    """
    await queries.one(session, tenant_id, incident_id)
    parts = await parts_of(session, tenant_id, incident_id)
    connection = await driver(session)
    rows = await connection.fetch(_EXCEPTIONS, tenant_id, parts, before, limit)
    return [
        {
            "id": row["id"],
            "incident_id": row["incident_id"],
            "received_at": row["received_at"],
            "exception": (row["data"] or {}).get("exception"),
        }
        for row in rows
    ]


async def split(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    by: By,
    incident_id: UUID,
    *,
    exception_ids: Sequence[UUID],
    reason: str,
    title: str | None = None,
    seen: int | None = None,
) -> UUID:
    """Open an incident for some of what was reported; it goes to a person, and no rule acts on it.

    What is reported later goes where it went before: the new incident's fingerprint is one that no
    exception has.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: The owner.
        by: Who splits.
        incident_id: What is split.
        exception_ids: What the new incident is about; at least one must stay.
        reason: Why, redacted.
        title: What the new incident is called, redacted; None for what its first exception says.
        seen: The version that was looked at.

    Returns:
        The new incident.

    Raises:
        NotFound: The tenant has no such incident.
        Invalid: An exception is not one of this incident's, or none would stay.
        Conflict: It has changed since, or is itself merged into another.
    """
    standing = await standing_at(session, tenant_id, incident_id, seen)
    if standing.merged_into is not None:
        raise Conflict("The incident is merged into another. Split that one, or take the merge back.")
    row = await queries.one(session, tenant_id, incident_id)
    chosen = await _choose(session, tenant_id, incident_id, list(dict.fromkeys(exception_ids)), standing)
    packs = await active_packs(platform, tenant_id)
    bodies = [packs.normalise(exception["data"]["exception"]) for exception in chosen]
    new_incident_id, moment = new_id(), utcnow()
    connection = await driver(session)
    number = await opening.take_numbers(connection, tenant_id, 1)
    fingerprint = f"{row.fingerprint}~{new_incident_id.hex[-12:]}"
    content = opening.content_of(new_incident_id, number, fingerprint, bodies[0], moment)
    content |= {"severity": _worst(bodies), "title": title or content["title"]}
    begun = history.apply(None, "incident.opened", content | {"count": len(chosen)}, moment)
    await opening.insert(connection, tenant_id, [(content, begun)])
    moved = [exception["id"] for exception in chosen]
    await _open(session, tenant_id, by, content, moved, (incident_id, row.number), reason, moment)
    await connection.execute(
        "UPDATE incident_exceptions SET incident_id = $3 WHERE tenant_id = $1 AND exception_id = ANY($2)",
        tenant_id, moved, new_incident_id,
    )  # fmt: skip
    told = {
        "into": str(new_incident_id),
        "into_number": content["number"],
        "count": -len(moved),
        "reason": reason,
    }
    escalated = {
        "level": "L3",
        "reason": "split",
        "detail": f"Split off from incident {row.number}: {reason}",
    }
    moves = [
        by.moves(incident_id, "incident.split", told),
        by.moves(new_incident_id, "incident.escalated", escalated, State.ESCALATED),
    ]
    await transition(session, tenant_id, moves)
    return new_incident_id


async def _choose(
    session: AsyncSession, tenant_id: UUID, incident_id: UUID, wanted: list[UUID], standing: Standing
) -> list[Mapping[str, Any]]:
    parts = await parts_of(session, tenant_id, incident_id)
    connection = await driver(session)
    rows = await connection.fetch(_CHOSEN, tenant_id, parts, wanted)
    found = {row["id"] for row in rows}
    faults = [
        FieldError(f"/exception_ids/{index}", "is none of this incident's exceptions")
        for index, exception_id in enumerate(wanted)
        if exception_id not in found
    ]
    if faults:
        raise Invalid("Not all of these exceptions belong to the incident.", errors=faults)
    if len(found) >= standing.occurrences:
        fault = FieldError("/exception_ids", "are all that there are; at least one must stay")
        raise Invalid("Nothing would be left of the incident.", errors=[fault])
    return [dict(row) for row in rows]


async def _open(
    session: AsyncSession,
    tenant_id: UUID,
    by: By,
    content: Mapping[str, Any],
    moved: Sequence[UUID],
    origin: tuple[UUID, int],
    reason: str,
    moment: datetime,
) -> None:
    opened = NewEvent(
        stream_type="incident",
        stream_id=UUID(content["id"]),
        type="incident.opened",
        data={
            **content,
            "count": len(moved),
            "exception_ids": [str(exception_id) for exception_id in moved],
            "split_from": str(origin[0]),
            "split_from_number": origin[1],
            "reason": reason,
        },
        actor=by.actor,
        correlation_id=UUID(content["id"]),
        request_id=by.request_id,
        occurred_at=moment,
    )
    await events.append(session, tenant_id, [opened])


def _worst(bodies: Sequence[Mapping[str, Any]]) -> str:
    severity = SEVERITIES[0]
    for body in bodies:
        severity = worse(severity, body["severity"])
    return severity
