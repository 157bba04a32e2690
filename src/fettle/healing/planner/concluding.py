"""Brings a planner's decision to the incident: the same policy and gate as a rule's plan, or a person."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing import approvals
from fettle.healing.attempts import read_attempts
from fettle.healing.autonomy import ACT
from fettle.healing.brakes.standing import brakes_of
from fettle.healing.deciding import PLANNER, PLANNER_PREFIX, Decision, Proposal, Situation, weigh
from fettle.healing.gating import signals_needed
from fettle.healing.muting.keeping import hold_back
from fettle.healing.planner import requests
from fettle.healing.planner.candidates import candidates, may_plan
from fettle.healing.planner.costs import note_decision
from fettle.healing.planner.requests import PlanRequest
from fettle.healing.planner.words import RUNBOOK, Candidate, L2Decision
from fettle.healing.plans import Plan, PlanError, draft, plan_hash
from fettle.healing.rule_sets import CompiledRules, rule_sets
from fettle.healing.rules import Rule
from fettle.incidents import service as incidents
from fettle.incidents.service import Transition
from fettle.incidents.states import State
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks
from fettle.tools.playbook_reader import load
from fettle.tools.playbooks import PlaybookError
from fettle.tools.service import disabled
from fettle.trust.signals import latest_signals

_TRIED: Final = (
    "SELECT rule_id FROM rule_attempts WHERE tenant_id = $1 AND incident_id = $2 AND failed > 0 "
    "AND rule_id LIKE $3"
)


async def offered(
    platform: Platform, session: AsyncSession, request: PlanRequest
) -> tuple[CompiledRules, ActivePacks, list[Candidate]]:
    """Return what holds for a request now, and what may be chosen for its incident.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        request: The request.
    """
    rules, packs = await rule_sets(platform).current(platform, session, request.tenant_id)
    if not may_plan(packs.policy):
        return rules, packs, []
    connection = await driver(session)
    rows = await connection.fetch(_TRIED, request.tenant_id, request.incident_id, f"{PLANNER_PREFIX}%")
    found = candidates(
        rules.parts,
        packs.policy,
        request.incident,
        disabled=await disabled(session, request.tenant_id),
        failed={
            *(row["rule_id"].removeprefix(PLANNER_PREFIX) for row in rows),
            *([str(request.after["choice"])] if request.after is not None else []),
        },
    )
    return rules, packs, found


async def conclude(platform: Platform, request: PlanRequest, decision: L2Decision) -> bool:
    """Do what follows from a decision, all or nothing; returns whether the request was still ours.

    Policy, packs and gate are asked as they are now, not as they were when the planner began.
    """
    async with platform.database.tenant(request.tenant_id) as session:
        is_planning = await _is_planning(session, request)
        if not await requests.finish(session, request):
            return False
        planned = None
        if is_planning:
            following = await _following(platform, session, request, decision)
            await incidents.transition(session, request.tenant_id, following.transitions)
            if following.approval is not None:
                await approvals.request(session, request.tenant_id, [following.approval])
            planned = _planned(following)
        # Whatever overtook the plan, what it cost is spent.
        await note_decision(session, request.tenant_id, request.incident_id, decision, planned)
    return True


async def leave_to_person(platform: Platform, request: PlanRequest, decision: L2Decision) -> bool:
    """Send the incident of a request whose outcome cannot be brought to a person; returns whether it was ours.

    Neither packs nor policy are asked: it may be they over which the outcome breaks.
    """
    async with platform.database.tenant(request.tenant_id) as session:
        is_planning = await _is_planning(session, request)
        if not await requests.finish(session, request):
            return False
        if is_planning:
            following = _to_person(request, decision, "planner_broke", _broke(decision))
            await incidents.transition(session, request.tenant_id, following.transitions)
    return True


async def _is_planning(session: AsyncSession, request: PlanRequest) -> bool:
    """Lock the incident; what a person or the sender did meanwhile overtakes the plan.

    Before its request: whoever asks for a plan anew has locked the incident, too.
    """
    standings = await incidents.lock(session, request.tenant_id, [request.incident_id])
    standing = standings.get(request.incident_id)
    return standing is not None and standing.state is State.PLANNING


async def _following(
    platform: Platform, session: AsyncSession, request: PlanRequest, decision: L2Decision
) -> Decision:
    rules, packs, choices = await offered(platform, session, request)
    chosen = decision.choice
    if not may_plan(packs.policy):
        return _to_person(request, decision, "planner_off", "The policy lets no planner look at it.")
    if chosen is None:
        return _to_person(request, decision, *_why(decision, _before(request)))
    if chosen.key not in {one.key for one in choices}:
        detail = f"The planner chose {chosen.name}, which is no longer allowed here."
        return _to_person(request, decision, "planner_not_allowed", detail)
    rule = _stand_in(chosen)
    try:
        plan = _plan(rules, rule, request.incident, decision)
    except PlanError as error:
        return _to_person(request, decision, "plan_failed", error.detail)
    needed = signals_needed(packs.trust_signals, request.incident)
    recorded = await latest_signals(session, request.tenant_id, {str(signal["id"]) for signal in needed})
    before = await read_attempts(session, request.tenant_id, [request.incident_id])
    situation = Situation(
        incident=request.incident,
        rule=rule,
        draft=None,
        policy=packs.policy,
        trust_signals=packs.trust_signals,
        recorded=recorded,
        attempts=before.get((request.incident_id, rule.id)),
        now=utcnow(),
        cause=request.id,
        brakes=await brakes_of(platform).of(request.tenant_id),
    )
    proposal = Proposal(
        told=decision.document(),
        explanation=decision.answer.reasoning if decision.answer is not None else "",
        most=(packs.policy.get("planner") or {}).get("autonomy", ACT),
        doubt=_doubt(decision) if decision.requires_human_review else "",
    )
    weighed = weigh(situation, rule, plan, proposal)
    await hold_back(platform, session, request.tenant_id, [(request.incident, weighed)], packs.runbooks)
    return weighed


def _stand_in(chosen: Candidate) -> Rule:
    """Return what stands in the place of the rule that would have won."""
    action = (
        {"action": "execute_runbook", "runbook_id": chosen.name}
        if chosen.kind == RUNBOOK
        else {"action": "run_playbook", "playbook_id": chosen.name}
    )
    return Rule.parse({"id": f"{PLANNER_PREFIX}{chosen.key}", "conditions": [], **action})


def _plan(rules: CompiledRules, rule: Rule, incident: Mapping[str, Any], decision: L2Decision) -> Plan:
    """Return the plan with the planner's parameters, which are data and never a template."""
    made = draft(rule, str(incident.get("check_type")), rules.parts).for_incident(incident)
    given = dict(decision.answer.parameters) if decision.answer is not None else {}
    wanted = {"parameters": given} if rule.runbook_id is not None else given
    try:
        collected = {"playbook": made.content["playbook"], "library": made.content["library"]}
        accepted = load(collected).main.accept(wanted)
    except PlaybookError as error:
        raise PlanError(f"The planner's parameters do not fit: {error}") from error
    content = {**made.content, "parameters": accepted}
    return Plan(content, plan_hash(content), made.playbook_id, made.tools)


def _doubt(decision: L2Decision) -> str:
    return f"The planner is {decision.confidence:.0%} sure; below {decision.sure:.0%} a person decides."


def _tried(decision: L2Decision) -> str:
    return "; ".join(f"{one.provider}: {one.detail}" for one in decision.attempts)


def _broke(decision: L2Decision) -> str:
    return f"What the planner decided could not be put into effect, again and again. {_tried(decision)}"[
        :2_000
    ]


def _planned(following: Decision) -> str | None:
    return next((move.data["plan_hash"] for move in following.transitions if "plan_hash" in move.data), None)


def _before(request: PlanRequest) -> str:
    if request.after is None:
        return "No rule matches"
    return f"{request.after['rule_id']} tried {request.after['choice']} in vain ({request.after['detail']})"


def _why(decision: L2Decision, before: str) -> tuple[str, str]:
    tried = _tried(decision)
    if any(one.outcome == "no_candidate" for one in decision.attempts):
        return "planner_no_candidate", f"{before}, and the policy allows the planner nothing for it."
    if any(one.outcome in {"abstained", "unsure"} for one in decision.attempts):
        return "planner_abstained", f"{before}, and the planner found nothing that fits. {tried}"[:2_000]
    return "planner_failed", f"{before}, and no planner answered. {tried}"[:2_000]


def _to_person(request: PlanRequest, decision: L2Decision, reason: str, detail: str) -> Decision:
    data = {"level": "L3", "reason": reason, "detail": detail, "planner": decision.document()}
    if request.after is not None:
        data["after"] = dict(request.after)
    return Decision(
        [
            Transition(
                incident_id=request.incident_id,
                type="incident.escalated",
                to=State.ESCALATED,
                data=data,
                actor=PLANNER,
                causation_id=request.id,
            )
        ]
    )
