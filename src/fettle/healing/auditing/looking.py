"""Reads how things stand, a bounded number at a time: by the index of what is due, or page by page in key order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.healing.auditing.due import Standing, open_states
from fettle.kernel.database import DriverConnection

CHECK_TYPE: Final = "fettle_overdue"
"""Of the auditor's own incidents, which it does not watch: it would wait for itself."""

_NIL: Final = UUID(int=0)

# A page in the order of (state, id): each state's part is read from the index of states, at most a page of it.
_PAGE: Final = """
WITH page AS (
  SELECT i.* FROM unnest($2::text[]) WITH ORDINALITY AS s(state, rank)
  CROSS JOIN LATERAL (
    SELECT id, state, assignee, opened_at, check_type FROM incidents
    WHERE tenant_id = $1 AND state = s.state AND id > CASE WHEN s.rank = 1 THEN $3::uuid ELSE $4::uuid END
    ORDER BY id LIMIT $5
  ) i ORDER BY s.rank, i.id LIMIT $5
)
"""
_THESE: Final = """
WITH page AS (
  SELECT id, state, assignee, opened_at, check_type FROM incidents WHERE tenant_id = $1 AND id = ANY($2)
  AND state NOT IN ('resolved', 'closed')
)
"""
# Since when: the last event that moved it or gave it to somebody. What was merely reported again is no move.
_FACTS: Final = """
SELECT p.id, p.state, p.assignee, coalesce(moved.occurred_at, p.opened_at) AS since, p.check_type,
       approval.id IS NOT NULL AS asks, run.id IS NOT NULL AS runs, plan.id IS NOT NULL AS plans,
       muted.until AS muted_until, clock.id AS clock_id, clock.state AS clock_state, clock.opened_at AS clock_since,
       clock.acknowledged_at, least(clock.due_at, clock.update_at) AS clock_due,
       leader.state IS NOT NULL AND leader.state <> 'resolved' AS is_led
FROM page p
LEFT JOIN LATERAL (
  SELECT occurred_at FROM events WHERE tenant_id = $1 AND stream_type = 'incident' AND stream_id = p.id
  AND (data ? 'state' OR type IN ('incident.assigned', 'incident.handed_over')) ORDER BY version DESC LIMIT 1
) moved ON true
LEFT JOIN LATERAL (
  SELECT id FROM approvals WHERE tenant_id = $1 AND incident_id = p.id AND state = 'pending' LIMIT 1
) approval ON p.state = 'awaiting_approval'
LEFT JOIN LATERAL (
  SELECT id FROM playbook_runs WHERE tenant_id = $1 AND incident_id = p.id AND state <> 'finished' LIMIT 1
) run ON p.state IN ('healing', 'verifying', 'awaiting_approval')
LEFT JOIN plan_requests plan ON plan.tenant_id = $1 AND plan.incident_id = p.id AND p.state = 'planning'
LEFT JOIN muted_incidents muted ON muted.tenant_id = $1 AND muted.incident_id = p.id AND p.state = 'suppressed'
LEFT JOIN escalations clock ON clock.tenant_id = $1 AND clock.incident_id = p.id AND clock.state <> 'resolved'
LEFT JOIN escalations leader ON clock.state = 'grouped' AND leader.tenant_id = $1 AND leader.id = clock.storm_id
"""
_CLOCKS: Final = """
SELECT id, incident_id, state, opened_at, acknowledged_at, least(due_at, update_at) AS due,
       state = 'grouped' AND EXISTS (SELECT FROM escalations l WHERE l.tenant_id = $1 AND l.id = e.storm_id
                                     AND l.state <> 'resolved') AS is_led
FROM escalations e WHERE tenant_id = $1 AND id = ANY($2) AND state <> 'resolved'
"""
# One statement for what lies in a tenant's queues; the longest due come first.
_QUEUES: Final = """
(SELECT 'run' AS kind, id, state, incident_id, created_at AS since, due_at AS promised FROM playbook_runs
 WHERE tenant_id = $1 AND state <> 'finished' AND due_at < $2 ORDER BY due_at LIMIT $3)
UNION ALL
(SELECT 'plan_request', id, 'open', incident_id, created_at, due_at FROM plan_requests
 WHERE tenant_id = $1 AND due_at < $2 ORDER BY due_at LIMIT $3)
UNION ALL
(SELECT 'message', id, state, incident_id, created_at, due_at FROM escalation_deliveries
 WHERE tenant_id = $1 AND state IN ('queued', 'sending') AND due_at < $2 ORDER BY due_at LIMIT $3)
"""
# What was told of is left out, and each tenant's longest due come before any tenant's second: so however much hangs
# in one tenant, it hides neither what else hangs there nor what hangs in others.
_OF_ALL: Final = """
WITH late AS (
  SELECT tenant_id, 'approval' AS kind, id, state, incident_id, requested_at AS since, expires_at AS promised
  FROM approvals WHERE state = 'pending' AND expires_at < $1
  UNION ALL
  SELECT tenant_id, 'escalation', id, state, incident_id, opened_at, least(due_at, update_at)
  FROM escalations WHERE (due_at IS NOT NULL OR update_at IS NOT NULL) AND least(due_at, update_at) < $1
), placed AS (
  SELECT l.*, row_number() OVER (PARTITION BY tenant_id, kind ORDER BY promised, id) AS place FROM late l
  WHERE NOT EXISTS (SELECT FROM overdue_items o WHERE o.tenant_id = l.tenant_id AND o.kind = l.kind
                    AND o.subject_id = l.id AND o.moved_at IS NULL)
)
SELECT tenant_id, kind, id, state, incident_id, since, promised FROM placed WHERE place <= $2
ORDER BY place, promised LIMIT $3
"""
_TENANTS: Final = 25
"""Of so many tenants in which all hangs that a look reads, it reads everything; of more, the longest due of each."""

_AGAIN: Final[Mapping[str, str]] = {
    "run": "SELECT id, state, incident_id, created_at AS since, due_at AS promised FROM playbook_runs "
    "WHERE tenant_id = $1 AND id = ANY($2) AND state <> 'finished'",
    "plan_request": "SELECT id, 'open' AS state, incident_id, created_at AS since, due_at AS promised "
    "FROM plan_requests WHERE tenant_id = $1 AND id = ANY($2)",
    "message": "SELECT id, state, incident_id, created_at AS since, due_at AS promised FROM escalation_deliveries "
    "WHERE tenant_id = $1 AND id = ANY($2) AND state IN ('queued', 'sending')",
    "approval": "SELECT id, state, incident_id, requested_at AS since, expires_at AS promised FROM approvals "
    "WHERE tenant_id = $1 AND id = ANY($2) AND state = 'pending'",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that is open, and how it stands.

    Attributes:
        subject_id: Its id.
        incident_id: The incident that it is or belongs to.
    """

    subject_id: UUID
    incident_id: UUID | None
    standing: Standing


@dataclass(frozen=True, slots=True)
class Place:
    """How far one is in a tenant's open incidents.

    Attributes:
        state: Those of the states before it are done.
        after: And of this state those up to here.
    """

    state: str = open_states()[0]
    after: UUID = _NIL


async def page(
    connection: DriverConnection, tenant_id: UUID, place: Place, limit: int
) -> tuple[list[Seen], int, Place | None]:
    """Read the next open incidents of a tenant, and their clocks.

    Returns:
        How they stand, how many incidents they were, and where the next page begins, None after the last.
    """
    states = open_states()
    left = states[states.index(place.state) :]
    rows = await connection.fetch(_PAGE + _FACTS, tenant_id, left, place.after, _NIL, limit)
    following = Place(rows[-1]["state"], _plain(rows[-1]["id"])) if len(rows) == limit else None
    return [seen for row in rows for seen in _of_incident(row)], len(rows), following


async def queues(connection: DriverConnection, tenant_id: UUID, before: datetime, limit: int) -> list[Seen]:
    """Read a tenant's runs, plan requests and messages that were due before a moment, the longest due first."""
    return [_queued(row, row["kind"]) for row in await connection.fetch(_QUEUES, tenant_id, before, limit)]


async def of_all(connection: DriverConnection, before: datetime, limit: int) -> dict[UUID, list[Seen]]:
    """Read all tenants' approvals and clocks that were due before a moment, as the role that sees all.

    Args:
        connection: Of the role that sees all tenants.
        before: The moment.
        limit: Most of a kind in one tenant.
    """
    found: dict[UUID, list[Seen]] = {}
    for row in await connection.fetch(_OF_ALL, before, limit, _TENANTS * limit):
        found.setdefault(_plain(row["tenant_id"]), []).append(_queued(row, row["kind"]))
    return found


async def again(
    connection: DriverConnection, tenant_id: UUID, subjects: Mapping[str, Sequence[UUID]]
) -> dict[tuple[str, UUID], Seen]:
    """Read how things stand by now that were seen before; whatever is no longer open is left out."""
    found: list[Seen] = []
    for kind, ids in subjects.items():
        if kind == "incident":
            rows = await connection.fetch(_THESE + _FACTS, tenant_id, list(ids))
            found += [seen for row in rows for seen in _of_incident(row) if seen.standing.kind == "incident"]
        elif kind == "escalation":
            rows = await connection.fetch(_CLOCKS, tenant_id, list(ids))
            found += [_of_clock(row) for row in rows]
        else:
            rows = await connection.fetch(_AGAIN[kind], tenant_id, list(ids))
            found += [_queued(row, kind) for row in rows]
    return {(seen.standing.kind, seen.subject_id): seen for seen in found}


def _of_incident(row: asyncpg.Record) -> list[Seen]:
    if row["check_type"] == CHECK_TYPE:
        return []
    incident_id = _plain(row["id"])
    standing = Standing(
        kind="incident",
        state=row["state"],
        since=row["since"],
        promised=row["muted_until"],
        held=_is_held(row),
        is_taken=row["assignee"] is not None,
    )
    seen = [Seen(incident_id, incident_id, standing)]
    if row["clock_id"] is not None:
        seen.append(_clock(row["clock_id"], incident_id, row["clock_state"], row["clock_since"], row))
    return seen


def _is_held(row: asyncpg.Record) -> bool:
    """Say whether something that has a line of its own has an incident in hand."""
    holders: dict[str, bool] = {
        "awaiting_approval": row["asks"] or row["runs"],
        "healing": row["runs"],
        "verifying": row["runs"],
        "planning": row["plans"],
        "escalated": row["clock_id"] is not None,
    }
    return holders.get(row["state"], False)


def _clock(
    clock_id: UUID, incident_id: UUID, state: str, opened_at: datetime, row: asyncpg.Record | dict[str, Any]
) -> Seen:
    standing = Standing(
        kind="escalation",
        state=state,
        since=row["acknowledged_at"] or opened_at,
        promised=row["clock_due"],
        # One that is grouped waits for the one that leads. One that stands still looks again by its own moment.
        held=row["is_led"],
    )
    return Seen(_plain(clock_id), incident_id, standing)


def _of_clock(row: asyncpg.Record) -> Seen:
    facts = {**dict(row), "clock_due": row["due"]}
    return _clock(row["id"], _plain(row["incident_id"]), row["state"], row["opened_at"], facts)


def _queued(row: asyncpg.Record, kind: str) -> Seen:
    standing = Standing(kind, row["state"], row["since"], row["promised"])
    incident_id = row["incident_id"]
    return Seen(_plain(row["id"]), None if incident_id is None else _plain(incident_id), standing)


def _plain(value: UUID) -> UUID:
    # The driver's own kind of UUID has no form in JSON.
    return UUID(int=value.int)
