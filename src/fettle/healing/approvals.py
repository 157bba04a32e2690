"""Approvals: plans and steps that wait for a person; `approval_decisions` says what comes of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.brakes.approval_terms import asks_two, terms_of
from fettle.healing.deciding import APPROVAL, SUGGESTION, NewApproval
from fettle.healing.plans import plan_hash
from fettle.kernel.database import Database, driver, narrowed_by
from fettle.kernel.errors import NotFound
from fettle.kernel.events import Event
from fettle.kernel.jsonio import dumps_str

STEP: Final = "step"
KINDS: Final = (APPROVAL, SUGGESTION, STEP)

COLUMNS = """
a.id, a.incident_id, a.kind, a.state, a.rule_id, a.run_id, a.path, a.plan, a.plan_hash, a.reason, a.approvers,
a.requested_at, a.expires_at, a.decided_at, a.decided_by, a.decision_reason, a.people, a.asked_by,
CASE WHEN a.people > 1 THEN coalesce((
  SELECT jsonb_agg(jsonb_build_object('voter', v.voter, 'on_behalf_of', v.on_behalf_of, 'reason', v.reason,
                                      'voted_at', v.voted_at) ORDER BY v.voted_at)
  FROM approval_votes v WHERE v.tenant_id = a.tenant_id AND v.approval_id = a.id), '[]') ELSE '[]' END AS votes
"""

_INSERT = """
INSERT INTO approvals (id, tenant_id, incident_id, kind, rule_id, plan, plan_hash, reason, approvers, expires_at,
                       people, asked_by)
SELECT n.id, $1, n.incident_id, n.kind, n.rule_id, n.plan::jsonb, n.plan_hash, n.reason,
       ARRAY(SELECT jsonb_array_elements_text(n.approvers::jsonb)), n.expires_at, n.people, n.asked_by
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::timestamptz[], $11::smallint[], $12::text[])
  AS n(id, incident_id, kind, rule_id, plan, plan_hash, reason, approvers, expires_at, people, asked_by)
"""

_WITHDRAW = """
WITH gone AS (
  SELECT id FROM approvals WHERE tenant_id = $1 AND incident_id = ANY($2) AND state = 'pending' AND kind = ANY($3)
  ORDER BY id FOR UPDATE
)
UPDATE approvals a SET state = 'withdrawn', decided_at = now() FROM gone WHERE a.tenant_id = $1 AND a.id = gone.id
"""
# A key may have been made with a key.
_BEHIND = """
WITH RECURSIVE behind(actor, by, depth) AS (
  SELECT n.actor, n.actor, 0 FROM unnest($2::text[]) AS n(actor)
  UNION ALL
  SELECT b.actor, k.created_by, b.depth + 1 FROM behind b
  JOIN api_keys k ON k.tenant_id = $1 AND 'key:' || k.id::text = b.by WHERE b.depth < 10
)
SELECT actor, by FROM behind WHERE by LIKE 'user:%'
"""
_FACTS = """
SELECT r.id AS run, i.check_type AS check_types, i.pack_id AS packs, r.rule_id AS rules, r.playbook_id AS playbooks,
       i.severity AS severities, i.platform AS platforms, i.host AS hosts, i.site AS sites,
       (SELECT e.metadata ->> 'actor' FROM events e
        WHERE e.tenant_id = r.tenant_id AND e.stream_type = 'incident' AND e.stream_id = r.incident_id
          AND e.type = 'plan.proposed' AND e.data ->> 'plan_hash' = r.plan_hash
        ORDER BY e.version DESC LIMIT 1) AS asked_by
FROM playbook_runs r JOIN incidents i ON i.tenant_id = r.tenant_id AND i.id = r.incident_id
WHERE r.tenant_id = $1 AND r.id = ANY($2)
"""


async def request(session: AsyncSession, tenant_id: UUID, wanted: Sequence[NewApproval]) -> None:
    """Store approvals that wait; what waited for the same incidents before is withdrawn."""
    if not wanted:
        return
    await withdraw(session, tenant_id, [one.incident_id for one in wanted], (APPROVAL, SUGGESTION))
    connection = await driver(session)
    people = await people_behind(connection, tenant_id, [one.asked_by for one in wanted])
    await connection.execute(
        _INSERT,
        tenant_id,
        [one.id for one in wanted],
        [one.incident_id for one in wanted],
        [one.kind for one in wanted],
        [one.rule_id for one in wanted],
        [dumps_str(one.plan.content) for one in wanted],
        [one.plan.hash for one in wanted],
        [one.reason for one in wanted],
        [dumps_str(one.approvers) for one in wanted],
        [one.expires_at for one in wanted],
        [one.people for one in wanted],
        [people.get(one.asked_by or "", one.asked_by) for one in wanted],
    )


async def request_steps(
    session: AsyncSession, tenant_id: UUID, asked: Sequence[Event], policy: Mapping[str, Any]
) -> None:
    """Store what steps of runs ask, from their `approval.requested` events; the policy says how many decide.

    Where it may take two, whoever had the playbook run by hand is none of them.
    """
    connection = await driver(session)
    facts = await _facts(connection, tenant_id, asked) if asks_two(policy) else {}
    asked_by = {run: known.pop("asked_by") for run, known in facts.items()}
    people = await people_behind(connection, tenant_id, list(asked_by.values()))
    by_hand = {run: people.get(actor or "") for run, actor in asked_by.items()}
    await connection.executemany(
        "INSERT INTO approvals (id, tenant_id, incident_id, kind, rule_id, run_id, path, plan, plan_hash, reason, "
        "approvers, expires_at, people, asked_by) "
        "VALUES ($1, $2, $3, 'step', $4, $5, $6, $7::text::jsonb, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
        [
            (
                *_step(tenant_id, event),
                terms_of(policy, facts.get(event.data["run_id"], {})).people,
                by_hand.get(event.data["run_id"]),
            )
            for event in asked
        ],
    )


async def people_behind(
    connection: asyncpg.Connection, tenant_id: UUID, actors: Collection[str | None]
) -> dict[str, str]:
    """Return the person behind each actor: themselves, or who made the key; nobody else is in it.

    Who asks by a key and approves in person is one person.
    """
    people = {actor: actor for actor in actors if actor is not None and actor.startswith("user:")}
    keys = [actor for actor in actors if actor is not None and actor.startswith("key:")]
    if keys:
        rows = await connection.fetch(_BEHIND, tenant_id, sorted(set(keys)))
        people |= {row["actor"]: row["by"] for row in rows}
    return people


async def _facts(
    connection: asyncpg.Connection, tenant_id: UUID, asked: Sequence[Event]
) -> dict[str, dict[str, str | None]]:
    """Return what the policy's cases look at, by run, and who proposed its plan."""
    rows = await connection.fetch(_FACTS, tenant_id, [UUID(event.data["run_id"]) for event in asked])
    return {str(row["run"]): {name: value for name, value in row.items() if name != "run"} for row in rows}


async def withdraw(
    session: AsyncSession, tenant_id: UUID, incident_ids: Collection[UUID], kinds: Sequence[str] = KINDS
) -> None:
    """Withdraw what waits for incidents of which it is no longer true."""
    connection = await driver(session)
    await connection.execute(_WITHDRAW, tenant_id, list(incident_ids), list(kinds))


async def listed(
    database: Database,
    tenant_id: UUID,
    *,
    states: Sequence[str] | None = None,
    incident_id: UUID | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return approvals, newest first, each with its incident's number, title, severity and host."""
    narrowed = narrowed_by(
        ("a.state = {}" if states and len(states) == 1 else "a.state = ANY({})", _one_or_all(states)),
        ("a.incident_id = {}", incident_id),
        ("a.id < {}", before),
    )
    return await database.fetch_bound(
        tenant_id,
        f"SELECT {COLUMNS}, i.number, i.title, i.severity, i.host, i.check_type "  # noqa: S608 - constants
        "FROM approvals a JOIN incidents i ON i.tenant_id = a.tenant_id AND i.id = a.incident_id "
        f"WHERE a.tenant_id = bound.tenant_id{narrowed.sql} ORDER BY a.id DESC LIMIT {int(limit)}",
        *narrowed.values,
    )


def _one_or_all(states: Sequence[str] | None) -> str | Sequence[str] | None:
    """Return one state by itself: its approvals stand in an index in the order of the list."""
    return states[0] if states and len(states) == 1 else states or None


async def read(session: AsyncSession, tenant_id: UUID, approval_id: UUID) -> asyncpg.Record:
    """Return one approval, with its incident's number, title, severity and host.

    Raises:
        NotFound: The tenant has no such approval.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        f"SELECT {COLUMNS}, i.number, i.title, i.severity, i.host, i.check_type "  # noqa: S608 - a constant
        "FROM approvals a JOIN incidents i ON i.tenant_id = a.tenant_id AND i.id = a.incident_id "
        "WHERE a.tenant_id = $1 AND a.id = $2",
        tenant_id, approval_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("There is no such approval.")
    return row


def _step(tenant_id: UUID, event: Event) -> tuple[Any, ...]:
    data = event.data
    subject = {"run_id": data["run_id"], "path": data["path"]}
    return (
        UUID(data["approval_id"]),
        tenant_id,
        event.stream_id,
        data.get("rule_id"),
        UUID(data["run_id"]),
        data["path"],
        dumps_str(subject),
        data.get("plan_hash") or plan_hash(subject),
        data["reason"],
        list(data.get("by") or ()),
        datetime.fromisoformat(data["expires_at"]),
    )
