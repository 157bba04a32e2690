"""Decisions on approvals: by people who may, as many as the policy wants, or by the time that nobody used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.approvals import COLUMNS, STEP, read
from fettle.healing.brakes import delegations, stops
from fettle.healing.brakes.delegations import Authority
from fettle.healing.deciding import ACTOR, SUGGESTION, approved
from fettle.identity.permissions import KEY_SCOPES, ROLES, permissions_of
from fettle.incidents import service as incidents
from fettle.incidents.history import Standing
from fettle.incidents.service import Transition
from fettle.incidents.states import State
from fettle.kernel import context
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver, is_unreachable
from fettle.kernel.errors import Conflict, Forbidden
from fettle.kernel.platform import Platform

log = structlog.get_logger("fettle.approvals")

_DECIDE = f"""
UPDATE approvals AS a SET state = $4, decided_at = now(), decided_by = $5, decision_reason = $6
WHERE a.tenant_id = $1 AND a.id = $2 AND a.plan_hash = $3 AND a.state = 'pending' AND a.expires_at > now()
RETURNING {COLUMNS}
"""  # noqa: S608 - a constant

_DUE = """
SELECT id, incident_id FROM approvals WHERE tenant_id = $1 AND state = 'pending' AND expires_at <= now()
ORDER BY expires_at LIMIT $2
"""
_EXPIRE = f"""
WITH due AS (
  SELECT id FROM approvals WHERE tenant_id = $1 AND id = ANY($2) AND state = 'pending' ORDER BY id FOR UPDATE
)
UPDATE approvals AS a SET state = 'expired', decided_at = now() FROM due
WHERE a.tenant_id = $1 AND a.id = due.id RETURNING {COLUMNS}
"""  # noqa: S608 - a constant
_EXPIRED_AT_ONCE = 500

_LOCK_ROW = "SELECT state, expires_at, plan_hash FROM approvals WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
_VOTE = """
INSERT INTO approval_votes (tenant_id, approval_id, voter, on_behalf_of, reason, vouched_by)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING voter
"""
# That of a person and their deputy counts as one: the rule wants two who may, not one and their hand. So does that of
# a person whom a channel knows by an id, and of who entered it, for it may as well be an id of their own.
_COUNTED = """
SELECT voter FROM approval_votes
WHERE tenant_id = $1 AND approval_id = $2 AND voter <> $3
  AND (coalesce(on_behalf_of, voter) = $4 OR vouched_by IN ($3, $4) OR $5 IN (voter, on_behalf_of, vouched_by)) LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person says of a plan.

    Attributes:
        plan_hash: Of the plan that they looked at.
        reason: Why.
        actor: Who, as in events.
        permissions: What they may do.
        vouched_by: Who else says that it is they, where they are known by an id that somebody entered.
    """

    plan_hash: str
    reason: str
    actor: str
    permissions: frozenset[str]
    vouched_by: str | None = None


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
    asked, standing = await _lock(session, tenant_id, approval_id)
    behalf = await _authority(session, tenant_id, asked, verdict)
    await _refuse_stopped(session, tenant_id)
    if asked["people"] > 1:
        left = await _vote(session, tenant_id, asked, verdict, behalf)
        if left:
            return left
    row = await _decide(session, tenant_id, asked, "approved", verdict)
    if row["kind"] == STEP:
        await _tell_run(session, tenant_id, row, standing, "approved", verdict)
        return 0
    waiting = State.ESCALATED if row["kind"] == SUGGESTION else State.AWAITING_APPROVAL
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
    asked, standing = await _lock(session, tenant_id, approval_id)
    await _authority(session, tenant_id, asked, verdict)
    row = await _decide(session, tenant_id, asked, "rejected", verdict)
    if row["kind"] == STEP:
        await _tell_run(session, tenant_id, row, standing, "rejected", verdict)
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
        try:
            await _expire_for(platform, tenant_id)
        except Exception as error:
            if is_unreachable(error):
                raise
            # Whatever breaks over one tenant's approvals, those of the others expire in time.
            log.exception("approvals.expiry_broke", tenant_id=str(tenant_id))


async def _expire_for(platform: Platform, tenant_id: UUID) -> None:
    async with platform.database.tenant(tenant_id) as session:
        connection = await driver(session)
        due = await connection.fetch(_DUE, tenant_id, _EXPIRED_AT_ONCE)
        await incidents.lock(session, tenant_id, [row["incident_id"] for row in due])
        expired = await connection.fetch(_EXPIRE, tenant_id, [row["id"] for row in due])
        moves = [
            move
            for row in expired
            if row["kind"] != STEP  # a run knows by itself when its step has waited long enough
            for move in _rejected(row, "expired", "Nobody decided in time.", ACTOR)
        ]
        await incidents.transition(session, tenant_id, moves, if_allowed=True)


async def _lock(session: AsyncSession, tenant_id: UUID, approval_id: UUID) -> tuple[asyncpg.Record, Standing]:
    """Lock the incident, then read what waits for it: whoever settles the incident locks it first, too."""
    connection = await driver(session)
    incident_id = await connection.fetchval(
        "SELECT incident_id FROM approvals WHERE tenant_id = $1 AND id = $2", tenant_id, approval_id
    )
    standings = await incidents.lock(session, tenant_id, [] if incident_id is None else [incident_id])
    asked = await read(session, tenant_id, approval_id)
    return asked, standings[asked["incident_id"]]


async def _tell_run(
    session: AsyncSession,
    tenant_id: UUID,
    row: asyncpg.Record,
    standing: Standing,
    decision: str,
    verdict: Verdict,
) -> None:
    """Tell the run what was decided; it goes on, or rolls back, by itself."""
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
    if verdict.vouched_by is not None and verdict.vouched_by == asked["asked_by"]:
        raise Forbidden(
            "Who asked for this entered the id by which you are known here. Approve it in the console."
        )
    authority = behalf or verdict.actor
    connection = await driver(session)
    # Under the lock of its row, so that of two at once the second sees the first.
    row = await connection.fetchrow(_LOCK_ROW, tenant_id, asked["id"])
    if (
        row is None
        or row["state"] != "pending"
        or row["expires_at"] <= utcnow()
        or (row["plan_hash"] != verdict.plan_hash)
    ):
        _refuse(await read(session, tenant_id, asked["id"]), verdict.plan_hash, utcnow())
    of = (tenant_id, asked["id"], verdict.actor)
    if await connection.fetchval(_COUNTED, *of, authority, verdict.vouched_by) is not None:
        raise Conflict(
            "One of you has approved this in the other's place already, or entered the id by which the other is known "
            "in a channel. The two must not stand for one person; approve in the console, or let somebody else."
        )
    inserted = await connection.fetchval(_VOTE, *of, behalf, verdict.reason, verdict.vouched_by)
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
