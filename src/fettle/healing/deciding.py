"""Decides what becomes of one triaged incident; pure, so that every path can be read and tried in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from fettle.healing.autonomy import (
    ACT,
    ACTED,
    ASKED,
    BLOCKED,
    BRAKED,
    LEVELS,
    RECORDED,
    REFUSED,
    SUGGESTED,
    Standing,
    autonomy,
    effect,
    facts_of,
    refused_tools,
)
from fettle.healing.brakes.approval_terms import terms_of
from fettle.healing.brakes.standing import Brake, Brakes
from fettle.healing.conditions import Leaf
from fettle.healing.gating import ask_gate, signals_needed
from fettle.healing.plans import Plan, PlanDraft, PlanError
from fettle.healing.rules import Rule
from fettle.incidents import storms
from fettle.incidents.service import Transition
from fettle.incidents.states import State
from fettle.kernel.ids import new_id
from fettle.trust.gate import HOLD, GateDecision

ACTOR: Final = "system:healing"
PLANNER: Final = "system:planner"
APPROVAL: Final = "approval"
SUGGESTION: Final = "suggestion"
PLANNER_PREFIX: Final = "planner:"
"""What stands in the place of a rule's id where the planner chose."""

BY_HAND_PREFIX: Final = "by-hand:"
PLAN_REQUESTED: Final = "plan.requested"
_SUGGESTION_EXPIRY_SECONDS: Final = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Attempts:
    """What a rule has tried on an incident already.

    Attributes:
        failed: Runs since the last that was verified.
        last_at: When the last one ended.
    """

    failed: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class NewApproval:
    """A plan that waits for a person.

    Attributes:
        people: How many different people must approve it.
        asked_by: The person who wants it, who is none of them where it takes two.
    """

    id: UUID
    incident_id: UUID
    kind: str
    rule_id: str
    plan: Plan
    reason: str
    approvers: tuple[str, ...]
    expires_at: datetime
    people: int = 1
    asked_by: str | None = None


@dataclass(slots=True)
class Decision:
    """What is to be done for one incident: its events in order, and an approval where one is asked for."""

    transitions: list[Transition] = field(default_factory=list)
    approval: NewApproval | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision looks at.

    Attributes:
        incident: The triaged incident.
        rule: The rule that won, None for none.
        draft: Its plan for this check type, or why there is none; None for rules that run nothing.
        policy: The tenant's Policy Pack.
        trust_signals: The signals that packs declare.
        recorded: Their latest records.
        attempts: What the rule tried on this incident before.
        now: The time.
        cause: The event that asks.
        plans: The policy lets the planner look at what no rule matches.
        brakes: The stop switch and the breakers that stand.
    """

    incident: Mapping[str, Any]
    rule: Rule | None
    draft: PlanDraft | PlanError | None
    policy: Mapping[str, Any]
    trust_signals: Sequence[Mapping[str, Any]]
    recorded: Sequence[Mapping[str, Any]]
    attempts: Attempts | None
    now: datetime
    cause: UUID
    plans: bool = False
    brakes: Brakes = field(default_factory=Brakes)

    @property
    def incident_id(self) -> UUID:
        """The incident's id."""
        return UUID(str(self.incident["id"]))


def decide(situation: Situation) -> Decision:
    """Return what becomes of the incident."""
    if situation.incident.get("source") == storms.SOURCE:
        return _escalate(situation, "storm", "It stands for many; a person decides what becomes of them.")
    rule = situation.rule
    if rule is None:
        return _unmatched(situation)
    settled = _without_plan(situation, rule) or _tired(situation, rule)
    if settled is not None:
        return settled
    try:
        plan = _plan(situation)
    except PlanError as error:
        return _escalate(situation, "plan_failed", error.detail)
    return weigh(situation, rule, plan)


def _without_plan(situation: Situation, rule: Rule) -> Decision | None:
    """Return what a rule that runs nothing decides."""
    if rule.action == "suppress":
        return Decision([_move(situation, "incident.suppressed", State.SUPPRESSED, _of_rule(rule))])
    if rule.action == "escalate":
        return _escalate(situation, "rule_escalates", _words(rule))
    return None


def _unmatched(situation: Situation) -> Decision:
    if situation.plans:
        return Decision([_move(situation, PLAN_REQUESTED, State.PLANNING, {"level": "L2"})])
    return _escalate(situation, "no_rule_matched", "No rule matches; a person decides.")


def _plan(situation: Situation) -> Plan:
    if situation.draft is None:
        raise PlanError("The rule has no plan.")
    if isinstance(situation.draft, PlanError):
        raise situation.draft
    return situation.draft.for_incident(situation.incident)


def explanation(rule: Rule) -> str:
    """Return in a line what a rule looks at."""
    parts = [
        f"{member.field} {member.operator}" + ("" if member.value is None else f" {member.value!r}")
        for member in rule.conditions.members
        if isinstance(member, Leaf)
    ]
    groups = len(rule.conditions.members) - len(parts)
    if groups:
        parts.append(f"{groups} nested condition{'s' if groups > 1 else ''}")
    return f"{rule.id} (priority {rule.priority}): {', '.join(parts) or 'always'}"[:1_000]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the planner says of a plan of its own, where no rule does.

    Attributes:
        told: Of the decision, for its event.
        explanation: Why, in a line.
        most: The most that the plan may do by itself.
        doubt: Why a person decides after all; empty where none needs to.
    """

    told: Mapping[str, Any]
    explanation: str
    most: str = ACT
    doubt: str = ""


def level_of(rule_id: str | None) -> str:
    """Return the level that a plan is of: a rule's, the planner's or a person's."""
    if rule_id is not None and rule_id.startswith(PLANNER_PREFIX):
        return "L2"
    return "L3" if rule_id is not None and rule_id.startswith(BY_HAND_PREFIX) else "L1"


def weigh(situation: Situation, rule: Rule, plan: Plan, proposal: Proposal | None = None) -> Decision:
    """Return what policy and trust gate make of a plan, whoever proposed it.

    Args:
        situation: What it is for.
        rule: The rule, or what stands in its place.
        plan: The plan.
        proposal: What the planner says of it, None for a rule's plan.
    """
    level = autonomy(situation.policy, situation.incident, rule, plan)
    if proposal is not None:
        level = min(level, proposal.most, key=LEVELS.index)
    needed = signals_needed(situation.trust_signals, situation.incident)
    gate = ask_gate(needed, situation.recorded, situation.policy, situation.now)
    refused = refused_tools(situation.policy, plan.tools)
    doubt = proposal.doubt if proposal is not None else ""
    brake = _brake(situation, plan)
    standing = Standing(
        refused=bool(refused),
        doubtful=bool(doubt),
        gate=gate.verdict,
        braked=brake is not None,
        most=ACT if proposal is None else proposal.most,
    )
    proposed = _move(
        situation,
        "plan.proposed",
        State.PLANNING,
        {
            "level": level_of(rule.id),
            "rule_id": rule.id,
            "action": rule.action,
            "plan": plan.content,
            "plan_hash": plan.hash,
            "explanation": explanation(rule) if proposal is None else proposal.explanation,
            "autonomy": level,
            "would": {one: effect(one, standing) for one in LEVELS},
            "gate": gate.document(),
            **({} if proposal is None else {"planner": proposal.told}),
        },
        actor=f"rule:{rule.id}" if proposal is None else PLANNER,
    )
    outcome = effect(level, standing)
    if outcome == ACTED:
        return Decision(
            [proposed, approved(situation.incident_id, plan, rule.id, "policy", cause=situation.cause)]
        )
    if outcome == ASKED:
        held = _gate_words(gate) if gate.verdict == HOLD else "The policy asks for an approval."
        return _ask(situation, rule, plan, held, proposed)
    reason, detail = {
        REFUSED: ("tool_not_allowed", f"The policy does not allow {', '.join(refused)}."),
        RECORDED: ("autonomy_observe", "The policy only observes."),
        SUGGESTED: ("planner_unsure", doubt) if doubt else ("autonomy_suggest", "The policy suggests only."),
        BLOCKED: ("gate_blocked", _gate_words(gate)),
    }.get(outcome, ("", "") if brake is None else (brake.reason, brake.detail))
    more = brake.told if brake is not None and outcome == BRAKED else None
    decision = _escalate(situation, reason, detail, before=proposed, more=more)
    if outcome == SUGGESTED:
        decision.approval = _approval(situation, rule, plan, SUGGESTION, detail)
    return decision


def _brake(situation: Situation, plan: Plan) -> Brake | None:
    host = str(situation.incident.get("host") or "").lower()
    return situation.brakes.on(playbook=plan.playbook_id, host=host, tools=plan.tools, now=situation.now)


def approved(
    incident_id: UUID,
    plan: Plan | Mapping[str, Any],
    rule_id: str | None,
    by: str,
    *,
    actor: str = "system:policy",
    more: Mapping[str, Any] | None = None,
    cause: UUID | None = None,
) -> Transition:
    """Return the event that sets a plan going.

    Args:
        incident_id: The incident.
        plan: The plan, or its stored `plan` and `plan_hash`.
        rule_id: The rule that proposed it.
        by: `policy`, or who approved it.
        actor: Who causes the event.
        more: Further data, such as the approval.
        cause: The event that led to it.
    """
    content, plan_hash = (
        (plan.content, plan.hash) if isinstance(plan, Plan) else (plan["plan"], plan["plan_hash"])
    )
    data = {
        "level": level_of(rule_id),
        "rule_id": rule_id,
        "plan": content,
        "plan_hash": plan_hash,
        "approved_by": by,
        **(more or {}),
    }
    return Transition(
        incident_id=incident_id,
        type="plan.approved",
        to=State.HEALING,
        data=data,
        actor=actor,
        causation_id=cause,
    )


def _ask(situation: Situation, rule: Rule, plan: Plan, reason: str, proposed: Transition) -> Decision:
    approval = _approval(situation, rule, plan, APPROVAL, reason)
    data = {
        "approval_id": str(approval.id),
        "plan_hash": plan.hash,
        "rule_id": rule.id,
        "reason": reason,
        "by": list(approval.approvers),
        "people": approval.people,
        "expires_at": approval.expires_at,
    }
    return Decision(
        [proposed, _move(situation, "approval.requested", State.AWAITING_APPROVAL, data)], approval
    )


def _approval(situation: Situation, rule: Rule, plan: Plan, kind: str, reason: str) -> NewApproval:
    terms = terms_of(situation.policy, facts_of(situation.incident, rule, plan))
    seconds = terms.expires_seconds if kind == APPROVAL else _SUGGESTION_EXPIRY_SECONDS
    return NewApproval(
        id=new_id(),
        incident_id=situation.incident_id,
        kind=kind,
        rule_id=rule.id,
        plan=plan,
        reason=reason,
        approvers=terms.by,
        expires_at=situation.now + timedelta(seconds=seconds),
        people=terms.people,
    )


def _tired(situation: Situation, rule: Rule) -> Decision | None:
    before = situation.attempts
    if before is None:
        return None
    if before.failed >= rule.max_attempts:
        detail = f"{rule.id} has run {before.failed} times on this incident without success."
        return _escalate(situation, "max_attempts", detail)
    since = (situation.now - before.last_at).total_seconds()
    if since < rule.cooldown_seconds:
        detail = f"{rule.id} ran {since:.0f} s ago and it is out of order again; it rests {rule.cooldown_seconds} s."
        return _escalate(situation, "cooldown", detail)
    return None


def _escalate(
    situation: Situation,
    reason: str,
    detail: str,
    *,
    before: Transition | None = None,
    more: Mapping[str, Any] | None = None,
) -> Decision:
    data: dict[str, Any] = {**(more or {}), "level": "L3", "reason": reason, "detail": detail}
    if situation.rule is not None:
        data["rule_id"] = situation.rule.id
    escalated = _move(situation, "incident.escalated", State.ESCALATED, data)
    return Decision([escalated] if before is None else [before, escalated])


def _of_rule(rule: Rule) -> dict[str, Any]:
    return {"level": "L1", "rule_id": rule.id, "reason": _words(rule), "explanation": explanation(rule)}


def _words(rule: Rule) -> str:
    return str(rule.document.get("reason") or rule.document.get("title") or f"{rule.id} says so.")


def _gate_words(gate: GateDecision) -> str:
    return "; ".join(reason.detail for reason in gate.reasons if reason.verdict == gate.verdict)


def _move(
    situation: Situation, kind: str, to: State, data: Mapping[str, Any], *, actor: str = ACTOR
) -> Transition:
    return Transition(
        incident_id=situation.incident_id,
        type=kind,
        to=to,
        data=data,
        actor=actor,
        causation_id=situation.cause,
    )
