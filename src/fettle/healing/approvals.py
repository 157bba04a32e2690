"""Approvals: plans that wait for a person, decided once, for one plan's hash, before they expire."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.brakes import delegations, stops
from fettle.healing.brakes.approval_terms import asks_two, terms_of
from fettle.healing.brakes.delegations import Authority
from fettle.healing.deciding import ACTOR, APPROVAL, SUGGESTION, NewApproval, approved
from fettle.healing.plans import plan_hash
from fettle.identity.permissions import KEY_SCOPES, ROLES, permissions_of
from fettle.incidents import service as incidents
from fettle.incidents.service import Transition
from fettle.incidents.states import State
from fettle.kernel import context
from fettle.kernel.clock import utcnow
from fettle.kernel.database import Database, driver, narrowed_by
from fettle.kernel.errors import Conflict, Forbidden, NotFound
from fettle.kernel.events import Event
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.platform import Platform

STEP: Final = "step"
KINDS: Final = (APPROVAL, SUGGESTION, STEP)

_COLUMNS = """
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

_DECIDE = f"""
UPDATE approvals AS a SET state = $4, decided_at = now(), decided_by = $5, decision_reason = $6
WHERE a.tenant_id = $1 AND a.id = $2 AND a.plan_hash = $3 AND a.state = 'pending' AND a.expires_at > now()
RETURNING {_COLUMNS}
"""  # noqa: S608 - a constant

_EXPIRE = f"""
UPDATE approvals AS a SET state = 'expired', decided_at = now()
WHERE a.tenant_id = $1 AND a.state = 'pending' AND a.expires_at <= now() RETURNING {_COLUMNS}
"""  # noqa: S608 - a constant


_LOCK = "SELECT state, expires_at, plan_hash FROM approvals WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
_VOTE = """
INSERT INTO approval_votes (tenant_id, approval_id, voter, on_behalf_of, reason) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING voter
"""
# That of a person and their deputy counts as one: the rule wants two who may, not one and their hand.
_COUNTED = """
SELECT voter FROM approval_votes
WHERE tenant_id = $1 AND approval_id = $2 AND voter <> $3 AND coalesce(on_behalf_of, voter) = $4 LIMIT 1
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
        [one.asked_by for one in wanted],
    )


async def request_steps(
    session: AsyncSession, tenant_id: UUID, asked: Sequence[Event], policy: Mapping[str, Any]
) -> None:
    """Store what steps of runs ask, from their `approval.requested` events; the policy says how many decide.

    Where it may take two, whoever had the playbook run by hand is none of them.
    """
    connection = await driver(session)
    facts = await _facts(connection, tenant_id, asked) if asks_two(policy) else {}
    by_hand = {run: _person(known.pop("asked_by")) for run, known in facts.items()}
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


def _person(actor: str | None) -> str | None:
    return actor if actor is not None and actor.startswith("user:") else None


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
    await connection.execute(
        "UPDATE approvals SET state = 'withdrawn', decided_at = now() "
        "WHERE tenant_id = $1 AND incident_id = ANY($2) AND state = 'pending' AND kind = ANY($3)",
        tenant_id, list(incident_ids), list(kinds),
    )  # fmt: skip


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
        f"SELECT {_COLUMNS}, i.number, i.title, i.severity, i.host, i.check_type "  # noqa: S608 - constants
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
        f"SELECT {_COLUMNS}, i.number, i.title, i.severity, i.host, i.check_type "  # noqa: S608 - a constant
        "FROM approvals a JOIN incidents i ON i.tenant_id = a.tenant_id AND i.id = a.incident_id "
        "WHERE a.tenant_id = $1 AND a.id = $2",
        tenant_id, approval_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("There is no such approval.")
    return row


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person says of a plan.

    Attributes:
        plan_hash: Of the plan that they looked at.
        reason: Why.
        actor: Who, as in events.
        permissions: What they may do.
    """

    plan_hash: str
    reason: str
    actor: str
    permissions: frozenset[str]


async def approve(session: AsyncSession, tenant_id: UUID, approval_id: UUID, verdict: Verdict) -> int:
    """Set the plan going, or count one of the people that it takes. Of several decisions at once, one wins.

    Returns:
        How many more people must approve; 0: the plan is set going.

    Raises:
        NotFound: The tenant has no such approval.
        Forbidden: The policy wants another role, or other people.
        Conflict: It was decided, it expired, the hash is another plan's, the incident has moved on, this person
            approved already, or the stop switch is pressed.
    """
    asked = await read(session, tenant_id, approval_id)
    behalf = await _authority(session, tenant_id, asked, verdict)
    await _refuse_stopped(session, tenant_id)
    if asked["people"] > 1:
        left = await _vote(session, tenant_id, asked, verdict, behalf)
        if left:
            return left
    row = await _decide(session, tenant_id, asked, "approved", verdict)
    if row["kind"] == STEP:
        await _tell_run(session, tenant_id, row, "approved", verdict)
        return 0
    waiting = State.ESCALATED if row["kind"] == SUGGESTION else State.AWAITING_APPROVAL
    standing = (await incidents.lock(session, tenant_id, [row["incident_id"]]))[row["incident_id"]]
    if standing.state is not waiting:
        raise Conflict(f"The incident is {standing.state} by now, so this plan no longer applies to it.")
    stored = {"plan": row["plan"], "plan_hash": row["plan_hash"]}
    more: dict[str, Any] = {"approval_id": str(approval_id), "reason": verdict.reason}
    if behalf is not None:
        more["on_behalf_of"] = behalf
    if row["votes"]:
        more["voters"] = [vote["voter"] for vote in row["votes"]]
    go = approved(row["incident_id"], stored, row["rule_id"], verdict.actor, actor=verdict.actor, more=more)
    await incidents.transition(session, tenant_id, [go])
    return 0


async def reject(session: AsyncSession, tenant_id: UUID, approval_id: UUID, verdict: Verdict) -> None:
    """Refuse the plan; its incident goes to a person.

    Raises:
        NotFound: The tenant has no such approval.
        Forbidden: The policy wants another role.
        Conflict: It was decided, it expired, or the hash is another plan's.
    """
    asked = await read(session, tenant_id, approval_id)
    await _authority(session, tenant_id, asked, verdict)
    row = await _decide(session, tenant_id, asked, "rejected", verdict)
    if row["kind"] == STEP:
        await _tell_run(session, tenant_id, row, "rejected", verdict)
        return
    moves = _rejected(row, "rejected", verdict.reason, verdict.actor)
    await incidents.transition(session, tenant_id, moves, if_allowed=True)


async def expire_due(platform: Platform) -> None:
    """Take what nobody decided in time as rejected, for every tenant."""
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT tenant_id FROM approvals WHERE state = 'pending' AND expires_at <= now()"
        )
    for tenant_id in [row["tenant_id"] for row in rows]:
        async with platform.database.tenant(tenant_id) as session:
            raw = await driver(session)
            expired = await raw.fetch(_EXPIRE, tenant_id)
            moves = [
                move
                for row in expired
                if row["kind"] != STEP  # a run knows by itself when its step has waited long enough
                for move in _rejected(row, "expired", "Nobody decided in time.", ACTOR)
            ]
            await incidents.transition(session, tenant_id, moves, if_allowed=True)


async def _tell_run(
    session: AsyncSession, tenant_id: UUID, row: asyncpg.Record, decision: str, verdict: Verdict
) -> None:
    """Tell the run what was decided; it goes on, or rolls back, by itself."""
    standing = (await incidents.lock(session, tenant_id, [row["incident_id"]]))[row["incident_id"]]
    if standing.state is not State.AWAITING_APPROVAL:
        raise Conflict(f"The incident is {standing.state} by now, so the step no longer waits.")
    data = {
        "approval_id": str(row["id"]),
        "run_id": str(row["run_id"]),
        "path": row["path"],
        "plan_hash": row["plan_hash"],
        "decision": decision,
        "reason": verdict.reason,
    }
    told = Transition(
        incident_id=row["incident_id"],
        type="approval.decided",
        to=State.HEALING,
        data=data,
        actor=verdict.actor,
        request_id=context.request_id.get(),
    )
    await incidents.transition(session, tenant_id, [told])


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


def _rejected(row: asyncpg.Record, outcome: str, reason: str, actor: str) -> list[Transition]:
    data: dict[str, Any] = {
        "approval_id": str(row["id"]),
        "plan_hash": row["plan_hash"],
        "rule_id": row["rule_id"],
        "outcome": outcome,
        "reason": reason,
    }
    request_id = context.request_id.get()
    incident_id = row["incident_id"]
    told = Transition(
        incident_id=incident_id, type="plan.rejected", data=data, actor=actor, request_id=request_id
    )
    if row["kind"] == SUGGESTION:
        return [told]  # its incident is with a person already
    escalated = {"level": "L3", "reason": f"plan_{outcome}", "detail": reason, "rule_id": row["rule_id"]}
    return [
        told,
        Transition(
            incident_id=incident_id,
            type="incident.escalated",
            to=State.ESCALATED,
            data=escalated,
            actor=actor,
            request_id=request_id,
        ),
    ]


async def _authority(
    session: AsyncSession, tenant_id: UUID, asked: asyncpg.Record, verdict: Verdict
) -> str | None:
    """Return on whose behalf somebody decides, None where they may themselves.

    Raises:
        Forbidden: They may not, and nobody who may has made them their deputy.
    """
    if may_decide(asked["approvers"], verdict.permissions):
        return None
    deputed = await delegations.authorities(session, tenant_id, verdict.actor, utcnow())
    allowed = [one.actor for one in deputed if is_deputed(asked, [one])]
    if allowed:
        # A deputy of several stands for one who was not counted yet.
        spent = {vote["on_behalf_of"] or vote["voter"] for vote in asked["votes"]}
        return next((actor for actor in allowed if actor not in spent), allowed[0])
    roles = " or ".join(asked["approvers"])
    raise Forbidden(f"The policy wants this decided by a {roles}; ask one.")


async def _refuse_stopped(session: AsyncSession, tenant_id: UUID) -> None:
    stop = await stops.standing(session, tenant_id)
    if stop is not None:
        raise Conflict(f"{stop.brake().detail}. Nothing starts before it is lifted; then approve again.")


async def _vote(
    session: AsyncSession, tenant_id: UUID, asked: asyncpg.Record, verdict: Verdict, behalf: str | None
) -> int:
    """Count one of the people that it takes, and return how many more must approve."""
    if not verdict.actor.startswith("user:"):
        raise Forbidden(
            "The policy wants two people to approve this, and a key is nobody. Sign in to approve."
        )
    if verdict.actor == asked["asked_by"]:
        raise Forbidden("You asked for this yourself, so two others must approve it.")
    authority = behalf or verdict.actor
    connection = await driver(session)
    # Under the lock of its row, so that of two at once the second sees the first.
    row = await connection.fetchrow(_LOCK, tenant_id, asked["id"])
    if (
        row is None
        or row["state"] != "pending"
        or row["expires_at"] <= utcnow()
        or (row["plan_hash"] != verdict.plan_hash)
    ):
        _refuse(await read(session, tenant_id, asked["id"]), verdict.plan_hash, utcnow())
    if await connection.fetchval(_COUNTED, tenant_id, asked["id"], verdict.actor, authority) is not None:
        raise Conflict(
            "One of you has approved this in the other's place already. The two must not stand for one person."
        )
    inserted = await connection.fetchval(_VOTE, tenant_id, asked["id"], verdict.actor, behalf, verdict.reason)
    if inserted is None:
        raise Conflict("You have approved this already; somebody else must, too.")
    votes: int = await connection.fetchval(
        "SELECT count(*) FROM approval_votes WHERE tenant_id = $1 AND approval_id = $2",
        tenant_id, asked["id"],
    )  # fmt: skip
    left: int = max(0, asked["people"] - votes)
    if left:
        data = {
            "approval_id": str(asked["id"]),
            "plan_hash": asked["plan_hash"],
            "reason": verdict.reason,
            "on_behalf_of": behalf,
            "left": left,
        }
        told = Transition(
            incident_id=asked["incident_id"],
            type="approval.given",
            data=data,
            actor=verdict.actor,
            request_id=context.request_id.get(),
        )
        await incidents.transition(session, tenant_id, [told])
    return left


async def _decide(
    session: AsyncSession, tenant_id: UUID, asked: asyncpg.Record, state: str, verdict: Verdict
) -> asyncpg.Record:
    connection = await driver(session)
    row = await connection.fetchrow(
        _DECIDE, tenant_id, asked["id"], verdict.plan_hash, state, verdict.actor, verdict.reason
    )
    if row is None:
        _refuse(await read(session, tenant_id, asked["id"]), verdict.plan_hash, utcnow())
    return row


def is_deputed(asked: asyncpg.Record, deputed: Sequence[Authority]) -> bool:
    """Say whether a deputy of one of these may decide.

    Who asked for a plan that takes two people does not decide on it by another's hand.
    """
    return any(
        may_decide(asked["approvers"], one.permissions)
        and not (asked["people"] > 1 and one.actor == asked["asked_by"])
        for one in deputed
    )


def may_decide(approvers: Sequence[str], permissions: frozenset[str]) -> bool:
    """Say whether somebody may do all that one of the wanted roles may; without any, the permission is enough.

    What no API key can carry does not count, so that a key with all the rest of a role decides like its holder.
    """
    return not approvers or any(
        role in ROLES and permissions_of(role) & KEY_SCOPES <= permissions for role in approvers
    )


def _refuse(row: asyncpg.Record, looked_at: str, now: datetime) -> NoReturn:
    if row["state"] != "pending":
        raise Conflict(f"The approval is {row['state']} already. Look at it again.")
    if row["expires_at"] <= now:
        raise Conflict("The approval has expired.")
    if row["plan_hash"] != looked_at:
        raise Conflict(
            "The plan is not the one that you looked at: its hash differs. Read the approval again."
        )
    raise Conflict("Somebody else decided at the same time. Look at it again.")
