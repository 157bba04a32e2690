"""Merges an incident into another, and takes a merge back.

The source is closed and points to the target. Nothing is copied: the target shows the exceptions of whatever
points to it, and intake follows the pointer, so what is reported later for the source goes to the target as
long as that is not closed.
"""

from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents import queries
from fettle.incidents.commands import By, standing_at
from fettle.incidents.history import Standing, worse
from fettle.incidents.models import Incident
from fettle.incidents.service import Transition, lock, transition
from fettle.incidents.states import ACTING, SETTLED, State
from fettle.kernel import events
from fettle.kernel.clock import rfc3339
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid
from fettle.kernel.events import Event

_PAGE: Final = 1_000

_ROOTS: Final = """
WITH RECURSIVE way AS (
  SELECT fingerprint, id AS source, merged_into AS reached FROM incidents
  WHERE tenant_id = $1 AND fingerprint = ANY($2) AND merged_into IS NOT NULL
  UNION
  SELECT w.fingerprint, w.source, i.merged_into FROM way w
  JOIN incidents i ON i.tenant_id = $1 AND i.id = w.reached WHERE i.merged_into IS NOT NULL
)
SELECT DISTINCT ON (w.fingerprint) w.fingerprint, i.fingerprint AS goes_to FROM way w
JOIN incidents i ON i.tenant_id = $1 AND i.id = w.reached
WHERE i.merged_into IS NULL AND i.state <> 'closed' ORDER BY w.fingerprint, w.source DESC
"""


async def destinations(
    connection: asyncpg.Connection, tenant_id: UUID, fingerprints: list[str]
) -> dict[str, str]:
    """Return, for fingerprints of merged incidents, that of the incident that is open in their place.

    Args:
        connection: With the tenant bound.
        tenant_id: The owner.
        fingerprints: Whatever was reported; the others are left out of the answer.
    """
    rows = await connection.fetch(_ROOTS, tenant_id, fingerprints)
    return {row["fingerprint"]: row["goes_to"] for row in rows}


async def merge(
    session: AsyncSession,
    tenant_id: UUID,
    by: By,
    source_id: UUID,
    target_id: UUID,
    *,
    reason: str,
    seen: int | None = None,
) -> None:
    """Make an incident a part of another.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        by: Who merges.
        source_id: What becomes a part; it is closed.
        target_id: What it becomes a part of.
        reason: Why, redacted.
        seen: The version of the source that was looked at.

    Raises:
        NotFound: The tenant does not have both.
        Invalid: They are one and the same.
        Conflict: The source changed since or a run has it in hand, or one of them is merged already, or the
            target is over while the source is not.
    """
    if source_id == target_id:
        fault = FieldError("/into", "is this incident")
        raise Invalid("An incident is not merged into itself.", errors=[fault])
    await lock(session, tenant_id, [source_id, target_id])  # both, in the one order, before anything else
    source = await standing_at(session, tenant_id, source_id, seen)
    target = await standing_at(session, tenant_id, target_id, None)
    source_row = await queries.one(session, tenant_id, source_id)
    target_row = await queries.one(session, tenant_id, target_id)
    _refuse_merge(source, target, target_row.number)
    await transition(session, tenant_id, _merge_moves(by, (source_row, source), (target_row, target), reason))


async def unmerge(
    session: AsyncSession, tenant_id: UUID, by: By, source_id: UUID, *, reason: str, seen: int | None = None
) -> UUID:
    """Take a merge back: the source stands by itself again, as it stood before; what came later stays.

    Returns:
        The incident that it was a part of.

    Raises:
        NotFound: The tenant has no such incident.
        Conflict: It is merged into nothing, or the target was split or merged since, or a newer incident is
            open for the same thing.
    """
    row = await queries.one(session, tenant_id, source_id)
    if row.merged_into is None:
        raise Conflict("The incident is not merged into another.")
    target_id = row.merged_into
    await lock(session, tenant_id, [source_id, target_id])
    source = await standing_at(session, tenant_id, source_id, seen)
    target = await standing_at(session, tenant_id, target_id, None)
    if source.merged_into != str(target_id):
        raise Conflict("The merge was taken back meanwhile. Look again.")
    merged = await _merge_event(session, tenant_id, source_id)
    if target.merged_into is not None:
        raise Conflict("The incident that it was merged into was merged itself. Take that back first.")
    if await _was_split_since(session, tenant_id, target_id, merged):
        raise Conflict("The incident that it was merged into was split since, so the merge stays.")
    was = State(merged.data["was"])
    if was is not State.CLOSED:
        await queries.refuse_second_open(session, tenant_id, source_id)
    back = {
        "merge_id": merged.data["merge_id"],
        "source_id": str(source_id),
        "source_number": row.number,
        "count": -int(merged.data["count"]),
        "reason": reason,
    }
    moves = [
        by.moves(source_id, "incident.unmerged", {"from": str(target_id), "reason": reason}),
        *_back_to(by, source_id, was, reason),
        by.moves(target_id, "incident.merge_undone", back),
    ]
    await transition(session, tenant_id, moves)
    return target_id


async def parts_of(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> list[UUID]:
    """Return an incident's id and the ids of all that became a part of it, directly or by the way."""
    connection = await driver(session)
    rows = await connection.fetch(
        "WITH RECURSIVE part AS (SELECT $2::uuid AS id UNION "
        "SELECT i.id FROM incidents i JOIN part p ON i.tenant_id = $1 AND i.merged_into = p.id) "
        "SELECT id FROM part LIMIT $3",
        tenant_id, incident_id, _PAGE,
    )  # fmt: skip
    return [row["id"] for row in rows]


def _refuse_merge(source: Standing, target: Standing, target_number: int) -> None:
    for standing, which in ((source, "The incident"), (target, f"Incident {target_number}")):
        if standing.merged_into is not None:
            raise Conflict(f"{which} is merged into another already. Take that back first.")
    if source.state in ACTING:
        raise Conflict("A run has the incident in hand. Wait until it has ended, then merge.")
    if target.state in SETTLED and source.state not in SETTLED:
        raise Conflict(
            f"Incident {target_number} is {target.state.value}, and this one is not. Reopen that one first."
        )


def _merge_moves(
    by: By, source: tuple[Incident, Standing], target: tuple[Incident, Standing], reason: str
) -> list[Transition]:
    source_row, before = source
    target_row, after = target
    merge_id = f"{source_row.id}:{before.version}"
    told = {"merge_id": merge_id, "count": before.occurrences, "reason": reason}
    pointer = {
        **told,
        "merged_into": str(target_row.id),
        "target_number": target_row.number,
        "was": before.state.value,
        "resolution": f"Merged into incident {target_row.number}",
    }
    received = {
        **told,
        "source_id": str(source_row.id),
        "source_number": source_row.number,
        "severity": worse(before.severity, after.severity),
        "last_seen_at": rfc3339(before.last_seen_at),
    }
    moves = [by.moves(source_row.id, "incident.merged", pointer)]
    if before.state is not State.CLOSED:
        closing = {"resolution": pointer["resolution"], "reason": reason, "by": "person"}
        moves.append(by.moves(source_row.id, "incident.closed", closing, State.CLOSED))
    return [*moves, by.moves(target_row.id, "incident.merge_received", received)]


def _back_to(by: By, incident_id: UUID, was: State, reason: str) -> list[Transition]:
    if was is State.CLOSED:
        return []
    told: dict[str, Any] = {"reason": reason, "by": "person"}
    reopened = by.moves(incident_id, "incident.reopened", told, State.OPEN)
    if was is State.RESOLVED:
        resolved = {**told, "resolution": "Resolved before it was merged"}
        return [reopened, by.moves(incident_id, "incident.resolved", resolved, State.RESOLVED)]
    escalated = {**told, "level": "L3", "detail": "It was merged and taken back; a person decides."}
    return [reopened, by.moves(incident_id, "incident.escalated", escalated, State.ESCALATED)]


async def _merge_event(session: AsyncSession, tenant_id: UUID, source_id: UUID) -> Event:
    """Return the event of the merge that holds; of an incident that was merged more than once, the last."""
    found: Event | None = None
    after = 0
    while True:
        page = await events.read_stream(
            session, tenant_id, "incident", source_id, after_version=after, limit=_PAGE
        )
        found = next((event for event in reversed(page) if event.type == "incident.merged"), found)
        if len(page) < _PAGE:
            break
        after = page[-1].version
    if found is None:
        raise Conflict("There is no merge of this incident that could be taken back.")
    return found


async def _was_split_since(session: AsyncSession, tenant_id: UUID, target_id: UUID, merged: Event) -> bool:
    connection = await driver(session)
    split = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM events WHERE tenant_id = $1 AND stream_type = 'incident' "
        "AND stream_id = $2 AND type = 'incident.split' AND position > $3)",
        tenant_id, target_id, merged.position,
    )  # fmt: skip
    return bool(split)
