"""Runs a playbook on an incident because a person says so; the policy and the trust gate still decide whether."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing import approvals
from fettle.healing.autonomy import ACT, OBSERVE, autonomy, facts_of, refused_tools
from fettle.healing.brakes import stops
from fettle.healing.brakes.approval_terms import Terms, terms_of
from fettle.healing.deciding import APPROVAL, BY_HAND_PREFIX, NewApproval, approved
from fettle.healing.gating import ask_gate, signals_needed
from fettle.healing.plans import Plan, PlanError, draft, plan_hash
from fettle.healing.rules import Rule
from fettle.incidents import queries
from fettle.incidents import service as incidents
from fettle.incidents.service import Transition
from fettle.incidents.states import ACTING, SETTLED, State
from fettle.kernel import context
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict, FieldError, Invalid
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks
from fettle.tools.own_playbooks import Library, library_of
from fettle.tools.playbook_reader import load
from fettle.tools.playbooks import PlaybookError
from fettle.tools.service import incident_for_playbooks
from fettle.trust.gate import BLOCK, HOLD, GateDecision
from fettle.trust.signals import latest_signals

_LEVEL: Final = "L3"


@dataclass(frozen=True, slots=True)
class ByHand:
    """What a person wants to be run."""

    playbook_id: str
    incident_id: UUID
    parameters: Mapping[str, Any]
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it.

    Attributes:
        run_id: The run that starts, None where it waits for an approval.
        approval_id: The approval that it waits for, None where it starts.
        detail: Why, in a sentence.
    """

    run_id: UUID | None
    approval_id: UUID | None
    detail: str


@dataclass(frozen=True, slots=True)
class _Weighed:
    level: str
    gate: GateDecision
    plan: Plan
    rule: Rule


async def run_by_hand(platform: Platform, session: AsyncSession, tenant_id: UUID, wanted: ByHand) -> Answer:
    """Start a playbook on an incident that is with a person, or ask for the approval that the policy wants.

    Of several at once for one incident the first wins: the incident is locked, and has moved on for the others.

    Raises:
        NotFound: There is no such incident or playbook.
        Invalid: The parameters do not fit the playbook.
        Conflict: The incident is not with a person, or policy or gate do not let the playbook run.
    """
    library = await library_of(platform, session, tenant_id)
    library.find(wanted.playbook_id)
    found = await queries.one(session, tenant_id, wanted.incident_id)
    standing = (await incidents.lock(session, tenant_id, [wanted.incident_id]))[wanted.incident_id]
    _refuse_unless_with_a_person(standing.state)
    incident = incident_for_playbooks(found)
    rule = _rule(wanted.playbook_id)
    plan = _plan(rule, library, incident, wanted.parameters)
    await _refuse_stopped(session, tenant_id)
    weighed = await _weigh(session, tenant_id, library.packs, incident, rule, plan)
    _refuse_forbidden(library.packs.policy, weighed)
    proposed = _proposed(wanted, weighed)
    if weighed.level == ACT and weighed.gate.verdict != HOLD:
        run_id = new_id()
        more = {"level": _LEVEL, "run_id": str(run_id), "reason": wanted.reason}
        go = approved(wanted.incident_id, plan, rule.id, wanted.actor, actor=wanted.actor, more=more)
        await incidents.transition(session, tenant_id, [proposed, go])
        return Answer(run_id, None, "The policy lets it run at once.")
    reason = _gate_words(weighed.gate) if weighed.gate.verdict == HOLD else "The policy asks for an approval."
    terms = terms_of(library.packs.policy, facts_of(incident, rule, plan))
    asked = _approval(wanted, weighed, terms, f"{reason} Asked for by hand: {wanted.reason}")
    await incidents.transition(session, tenant_id, [proposed, _requested(asked, wanted)])
    await approvals.request(session, tenant_id, [asked])
    return Answer(None, asked.id, reason)


def _rule(playbook_id: str) -> Rule:
    """Return what stands in the place of the rule that would have won."""
    return Rule.parse(
        {
            "id": f"{BY_HAND_PREFIX}{playbook_id}",
            "conditions": [],
            "action": "run_playbook",
            "playbook_id": playbook_id,
        }
    )


async def _refuse_stopped(session: AsyncSession, tenant_id: UUID) -> None:
    stop = await stops.standing(session, tenant_id)
    if stop is not None:
        raise Conflict(f"{stop.brake().detail}. Nothing starts before it is lifted.")


def _refuse_unless_with_a_person(state: State) -> None:
    if state is State.ESCALATED:
        return
    if state in ACTING:
        raise Conflict("A run has the incident in hand already. Wait for its end.")
    if state is State.AWAITING_APPROVAL:
        raise Conflict("A plan for the incident waits for an approval. Decide that one first.")
    if state in SETTLED:
        raise Conflict(f"The incident is {state}. Reopen it first, if it is out of order again.")
    raise Conflict(f"The incident is {state} and not with a person. Look at its timeline.")


@dataclass(frozen=True, slots=True)
class _Parts:
    library: Library

    @property
    def playbooks(self) -> Mapping[str, Mapping[str, Any]]:
        return self.library.documents

    @property
    def runbooks(self) -> Mapping[str, Mapping[str, Any]]:
        return self.library.packs.runbooks

    def exception_type(self, check_type: str) -> Any:
        return self.library.packs.exception_type(check_type)


def _plan(rule: Rule, library: Library, incident: Mapping[str, Any], parameters: Mapping[str, Any]) -> Plan:
    try:
        made = draft(rule, str(incident.get("check_type")), _Parts(library)).for_incident(incident)
    except PlanError as error:
        raise Conflict(error.detail) from None
    try:
        collected = {"playbook": made.content["playbook"], "library": made.content["library"]}
        accepted = load(collected).main.accept(parameters)
    except PlaybookError as error:
        faults = [
            FieldError(fault.path.replace("/params", "/parameters", 1), fault.detail)
            for fault in error.faults
        ]
        raise Invalid("The playbook cannot be run with this.", errors=faults) from None
    # What a person types is data: unlike a rule's parameters it is no template.
    content = {**made.content, "parameters": accepted}
    return Plan(content, plan_hash(content), made.playbook_id, made.tools)


async def _weigh(
    session: AsyncSession,
    tenant_id: UUID,
    packs: ActivePacks,
    incident: Mapping[str, Any],
    rule: Rule,
    plan: Plan,
) -> _Weighed:
    needed = signals_needed(packs.trust_signals, incident)
    recorded = await latest_signals(session, tenant_id, {str(signal["id"]) for signal in needed})
    gate = ask_gate(needed, recorded, packs.policy, utcnow())
    return _Weighed(autonomy(packs.policy, incident, rule, plan), gate, plan, rule)


def _refuse_forbidden(policy: Mapping[str, Any], weighed: _Weighed) -> None:
    refused = refused_tools(policy, weighed.plan.tools)
    if refused:
        raise Conflict(
            f"The policy does not allow {', '.join(refused)}. Change its allowed or denied tools first."
        )
    if weighed.level == OBSERVE:
        raise Conflict("The policy only observes: nothing runs. Change its autonomy first.")
    if weighed.gate.verdict == BLOCK:
        raise Conflict(f"The trust gate blocks it: {_gate_words(weighed.gate)}")


def _proposed(wanted: ByHand, weighed: _Weighed) -> Transition:
    data = {
        "level": _LEVEL,
        "rule_id": weighed.rule.id,
        "action": "run_playbook",
        "plan": weighed.plan.content,
        "plan_hash": weighed.plan.hash,
        "explanation": f"By hand: {wanted.reason}",
        "autonomy": weighed.level,
        "gate": weighed.gate.document(),
    }
    return _move(wanted, "plan.proposed", State.PLANNING, data)


def _approval(wanted: ByHand, weighed: _Weighed, terms: Terms, reason: str) -> NewApproval:
    return NewApproval(
        id=new_id(),
        incident_id=wanted.incident_id,
        kind=APPROVAL,
        rule_id=weighed.rule.id,
        plan=weighed.plan,
        reason=reason[:2_000],
        approvers=terms.by,
        expires_at=utcnow() + timedelta(seconds=terms.expires_seconds),
        people=terms.people,
        asked_by=wanted.actor,
    )


def _requested(asked: NewApproval, wanted: ByHand) -> Transition:
    data = {
        "approval_id": str(asked.id),
        "plan_hash": asked.plan.hash,
        "rule_id": asked.rule_id,
        "reason": asked.reason,
        "by": list(asked.approvers),
        "people": asked.people,
        "expires_at": asked.expires_at,
    }
    return _move(wanted, "approval.requested", State.AWAITING_APPROVAL, data)


def _move(wanted: ByHand, kind: str, to: State, data: Mapping[str, Any]) -> Transition:
    return Transition(
        incident_id=wanted.incident_id,
        type=kind,
        to=to,
        data=data,
        actor=wanted.actor,
        request_id=context.request_id.get(),
    )


def _gate_words(gate: GateDecision) -> str:
    return "; ".join(reason.detail for reason in gate.reasons if reason.verdict == gate.verdict)
