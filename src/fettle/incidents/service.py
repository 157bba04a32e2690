"""Moves incidents from state to state, many in one go, each move an event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents import history
from fettle.incidents.history import Standing
from fettle.incidents.states import State, may_move
from fettle.kernel import events
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.jsonio import dumps_str

STANDING_COLUMNS = (
    "state, severity, occurrences, opened_at, last_seen_at, version, level, rule_id, run_id, bundle_id, resolution, "
    "resolved_at, closed_at, assignee, merged_into"
)
"""All of a standing but its decision, which is long, and which no move of an incident looks at."""

_UPDATE = """
UPDATE incidents AS i SET state = n.state, severity = n.severity, occurrences = n.occurrences,
  last_seen_at = n.last_seen_at, version = n.version, level = n.level, rule_id = n.rule_id, run_id = n.run_id,
  bundle_id = n.bundle_id, resolution = n.resolution, resolved_at = n.resolved_at, closed_at = n.closed_at,
  decision = coalesce(n.decision::jsonb, i.decision), assignee = n.assignee, merged_into = n.merged_into
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::int[], $6::timestamptz[], $7::int[], $8::text[], $9::text[],
            $10::uuid[], $11::uuid[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::text[],
            $16::uuid[], $17::uuid[])
  AS n(id, state, severity, occurrences, last_seen_at, version, level, rule_id, run_id, bundle_id, resolution,
       resolved_at, closed_at, decision, assignee, merged_into)
WHERE i.tenant_id = $1 AND i.id = n.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One event of an incident and the state that it leads to.

    Attributes:
        incident_id: Which incident.
        to: The state afterwards; None leaves it as it is.
        type: The event's type.
        data: The event's data; `level`, `rule_id`, `run_id`, `bundle_id`, `resolution` and `severity`
            in it become the incident's own. `plan.proposed` becomes its decision.
        actor: Who did it.
        causation_id: The event that caused it.
    """

    incident_id: UUID
    type: str
    to: State | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    actor: str
    causation_id: UUID | None = None
    request_id: str | None = None


async def transition(
    session: AsyncSession, tenant_id: UUID, items: Sequence[Transition], *, if_allowed: bool = False
) -> list[UUID]:
    """Move incidents and append the events, in the caller's transaction: four statements, however many.

    Several transitions of one incident are applied in the order given.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        items: The moves.
        if_allowed: Leave out, instead of refusing, what the table of moves does not allow. Only that one
            item is left out. For consumers whose news may be overtaken by a person.

    Returns:
        The incidents that were moved, one entry for each item that was applied.

    Raises:
        NotFound: An incident is not there.
        Conflict: A move is not allowed from where the incident is.
    """
    if not items:
        return []
    standings = await lock(session, tenant_id, [item.incident_id for item in items])
    new_events: list[NewEvent] = []
    moved: list[UUID] = []
    for item in items:
        standing = standings.get(item.incident_id)
        if standing is None:
            raise NotFound(f"There is no incident {item.incident_id}.")
        if item.to is not None and not may_move(standing.state, item.to):
            if if_allowed:
                continue
            raise Conflict(
                f"The incident is {standing.state} and cannot become {item.to}. Look at its timeline first."
            )
        data = dict(item.data) if item.to is None else {**item.data, "state": item.to.value}
        event = NewEvent(
            stream_type="incident",
            stream_id=item.incident_id,
            type=item.type,
            data=data,
            actor=item.actor,
            correlation_id=item.incident_id,
            causation_id=item.causation_id,
            request_id=item.request_id,
            occurred_at=utcnow(),
        )
        standings[item.incident_id] = history.apply(standing, item.type, data, event.occurred_at)
        new_events.append(event)
        moved.append(item.incident_id)
    changed = set(moved)
    await save(session, tenant_id, {key: value for key, value in standings.items() if key in changed})
    await events.append(session, tenant_id, new_events)
    return moved


async def lock(session: AsyncSession, tenant_id: UUID, incident_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """Read and lock incidents for the rest of the transaction, always in the same order."""
    connection = await driver(session)
    rows = await connection.fetch(
        f"SELECT id, {STANDING_COLUMNS} FROM incidents WHERE tenant_id = $1 AND id = ANY($2) "  # noqa: S608 - a constant
        "ORDER BY id FOR UPDATE",
        tenant_id, list(set(incident_ids)),
    )  # fmt: skip
    return {row["id"]: standing_of(row) for row in rows}


async def save(session: AsyncSession, tenant_id: UUID, standings: Mapping[UUID, Standing]) -> None:
    """Write standings back; the rows are locked by the caller. Without a decision the stored one stays."""
    if not standings:
        return
    connection = await driver(session)
    values = list(standings.values())
    await connection.execute(
        _UPDATE,
        tenant_id,
        list(standings),
        [s.state.value for s in values],
        [s.severity for s in values],
        [s.occurrences for s in values],
        [s.last_seen_at for s in values],
        [s.version for s in values],
        [s.level for s in values],
        [s.rule_id for s in values],
        [_uuid(s.run_id) for s in values],
        [_uuid(s.bundle_id) for s in values],
        [s.resolution for s in values],
        [s.resolved_at for s in values],
        [s.closed_at for s in values],
        [None if s.decision is None else dumps_str(s.decision) for s in values],
        [_uuid(s.assignee) for s in values],
        [_uuid(s.merged_into) for s in values],
    )


def standing_of(row: asyncpg.Record) -> Standing:
    """Make a standing of a row of `STANDING_COLUMNS`; its decision stays in the database."""
    return Standing(
        state=State(row["state"]),
        severity=row["severity"],
        occurrences=row["occurrences"],
        opened_at=row["opened_at"],
        last_seen_at=row["last_seen_at"],
        version=row["version"],
        level=row["level"],
        rule_id=row["rule_id"],
        run_id=_text(row["run_id"]),
        bundle_id=_text(row["bundle_id"]),
        resolution=row["resolution"],
        resolved_at=row["resolved_at"],
        closed_at=row["closed_at"],
        assignee=_text(row["assignee"]),
        merged_into=_text(row["merged_into"]),
    )


def _uuid(value: str | None) -> UUID | None:
    return None if value is None else UUID(value)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
