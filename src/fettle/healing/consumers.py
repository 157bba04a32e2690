"""Healing's part of the pipeline: decides triaged incidents, and takes the outcome of runs."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from fettle.healing import approvals
from fettle.healing.attempts import note_attempts, read_attempts
from fettle.healing.brakes.consumers import note_ended
from fettle.healing.brakes.flap_filter import leave_flapping
from fettle.healing.brakes.standing import brakes_of
from fettle.healing.deciding import ACTOR, PLAN_REQUESTED, Decision, Situation, decide
from fettle.healing.gating import signals_needed
from fettle.healing.muting import keeping
from fettle.healing.planner import requests
from fettle.healing.planner.candidates import may_plan
from fettle.healing.planner.memory import learn
from fettle.healing.planner.second_try import second_tries
from fettle.healing.planner.worker import run_planner
from fettle.healing.plans import PlanDraft, PlanError
from fettle.healing.rule_sets import CompiledRules, rule_sets
from fettle.healing.rules import Rule
from fettle.incidents import service as incidents
from fettle.incidents.history import Standing
from fettle.incidents.service import Transition
from fettle.incidents.states import State
from fettle.kernel import metrics
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.events import Event
from fettle.packs.active import ActivePacks
from fettle.packs.service import active_packs
from fettle.trust.signals import latest_signals

_RUNNING_ACTIONS = frozenset({"execute_runbook", "run_playbook", "notify"})
_SETTLING = frozenset({"incident.resolved", "incident.closed"})
_IN_HAND = frozenset({State.HEALING, State.VERIFYING, State.AWAITING_APPROVAL})


async def decide_incidents(batch: TenantBatch) -> None:
    """Decide a tenant's triaged incidents: one rule set, and a handful of statements for all of them."""
    # What a person or the sender did to an incident since then overtakes its triage, and a decision that
    # was made already is not made again: only what still waits is decided, under its lock.
    ids = [event.stream_id for event in batch.events]
    standings = await incidents.lock(batch.session, batch.tenant_id, ids)
    triaged = [event for event in _latest(batch.events) if _waits(standings.get(event.stream_id))]
    triaged = await keeping.keep_still(batch, triaged)
    triaged = await leave_flapping(batch, triaged)
    if not triaged:
        return
    rules, packs = await rule_sets(batch.platform).current(batch.platform, batch.session, batch.tenant_id)
    decisions = await _decisions(batch, rules, packs, triaged)
    decided = [(event.data["incident"], one) for event, one in zip(triaged, decisions, strict=True)]
    await keeping.hold_back(batch.platform, batch.session, batch.tenant_id, decided, packs.runbooks)
    moves = [move for decision in decisions for move in decision.transitions]
    await incidents.transition(batch.session, batch.tenant_id, moves)
    wanted = [decision.approval for decision in decisions if decision.approval is not None]
    await approvals.request(batch.session, batch.tenant_id, wanted)
    await _ask_planner(batch, triaged, moves)
    metrics.after_commit(batch.session, lambda: _count_decisions(decisions))


async def take_outcomes(batch: TenantBatch) -> None:
    """Resolve what was verified, hand the rest to a person; keep approvals in step with runs and incidents."""
    asked = [event for event in batch.events if event.type == "approval.requested" and event.data.get("path")]
    if asked:
        packs = await active_packs(batch.platform, batch.tenant_id)
        await approvals.request_steps(batch.session, batch.tenant_id, asked, packs.policy)
    settled = [event.stream_id for event in batch.events if event.type in _SETTLING]
    if settled:
        await keeping.nudge(batch)
    completed = [event for event in batch.events if event.type == "playbook.completed"]
    ended = {event.correlation_id: event for event in completed if event.correlation_id is not None}
    # Every run counts, not the last of each incident alone: others may wait for what comes of it.
    await note_ended(batch, completed)
    # Incidents before the approvals that wait for them: in that order everybody locks them.
    standings = await incidents.lock(batch.session, batch.tenant_id, list(ended)) if ended else {}
    if settled:
        await approvals.withdraw(batch.session, batch.tenant_id, settled)
    if not ended:
        return
    await approvals.withdraw(batch.session, batch.tenant_id, list(ended), (approvals.STEP,))
    taken = [
        (incident_id, event)
        for incident_id, event in ended.items()
        if incident_id in standings and standings[incident_id].state in _IN_HAND
    ]
    if not taken:
        return
    again = await second_tries(batch, taken)
    moves = [
        again[incident_id].move() if incident_id in again else _outcome(incident_id, event)
        for incident_id, event in taken
    ]
    await incidents.transition(batch.session, batch.tenant_id, moves)
    asked_again = [(one.incident_id, one.cause, one.incident, one.after) for one in again.values()]
    await requests.ask(batch.session, batch.tenant_id, asked_again)
    results = [(incident_id, event.data.get("outcome") == "verified") for incident_id, event in taken]
    await note_attempts(batch.session, batch.tenant_id, results)
    healed = [standings[incident_id].opened_at for incident_id, verified in results if verified]
    metrics.after_commit(batch.session, lambda: _count_healed(healed))


def _known(incident: Mapping[str, Any]) -> dict[str, Any]:
    """Return an incident without the fields that nobody filled in: for rules they are missing, not null."""
    return {name: value for name, value in incident.items() if value is not None}


def _count_decisions(decisions: Iterable[Decision]) -> None:
    for decision in decisions:
        level = next((move.data["level"] for move in decision.transitions if "level" in move.data), "none")
        metrics.DECISIONS.labels(level, decision.transitions[-1].type).inc()


def _count_healed(opened: Iterable[datetime]) -> None:
    now = utcnow()
    for moment in opened:
        metrics.HEALING_SECONDS.observe(max(0.0, (now - moment).total_seconds()))


async def _ask_planner(batch: TenantBatch, triaged: Iterable[Event], moves: Iterable[Transition]) -> None:
    """Ask for plans where no rule matched; a model takes seconds, so a worker asks it outside of any batch."""
    asked = {move.incident_id for move in moves if move.type == PLAN_REQUESTED}
    wanted = [
        (event.stream_id, event.id, event.data["incident"], None)
        for event in triaged
        if event.stream_id in asked
    ]
    await requests.ask(batch.session, batch.tenant_id, wanted)


def _waits(standing: Standing | None) -> bool:
    return standing is not None and standing.state is State.TRIAGED


async def _decisions(
    batch: TenantBatch, rules: CompiledRules, packs: ActivePacks, triaged: list[Event]
) -> list[Decision]:
    now = utcnow()
    # A first triage is an incident's second event: nothing can have been tried on it.
    seen_before = [event.stream_id for event in triaged if event.version > 2]  # noqa: PLR2004 - as said
    attempts = await read_attempts(batch.session, batch.tenant_id, seen_before)
    by_event = [(event, _known(event.data["incident"])) for event in triaged]
    by_check = {str(incident.get("check_type")): incident for _, incident in by_event}
    names = {
        str(signal["id"])
        for incident in by_check.values()
        for signal in signals_needed(packs.trust_signals, incident)
    }
    recorded = await latest_signals(batch.session, batch.tenant_id, names)
    plans = may_plan(packs.policy)
    brakes = await brakes_of(batch.platform).of(batch.tenant_id)
    decisions = []
    for event, incident in by_event:
        rule = rules.rules.match(incident)
        situation = Situation(
            incident=incident,
            rule=rule,
            draft=_draft(rules, rule, incident),
            policy=packs.policy,
            trust_signals=packs.trust_signals,
            recorded=recorded,
            attempts=attempts.get((event.stream_id, rule.id)) if rule is not None else None,
            now=now,
            cause=event.id,
            plans=plans,
            brakes=brakes,
        )
        decisions.append(decide(situation))
    return decisions


def _draft(rules: CompiledRules, rule: Rule | None, incident: dict[str, Any]) -> PlanDraft | PlanError | None:
    if rule is None or rule.action not in _RUNNING_ACTIONS:
        return None
    return rules.draft(rule, str(incident.get("check_type")))


def _latest(events: Iterable[Event]) -> list[Event]:
    """Return the last event of each stream, in their order."""
    by_stream: dict[UUID, Event] = {}
    for event in events:
        by_stream.pop(event.stream_id, None)
        by_stream[event.stream_id] = event
    return list(by_stream.values())


def _outcome(incident_id: UUID, event: Event) -> Transition:
    outcome = str(event.data.get("outcome"))
    told = {"run_id": str(event.stream_id), "outcome": outcome}
    if outcome == "verified":
        return Transition(
            incident_id=incident_id,
            type="incident.resolved",
            to=State.RESOLVED,
            data={**told, "resolution": "Healed, and the check passes again."},
            actor=ACTOR,
            causation_id=event.id,
        )
    detail = event.data.get("detail") or event.data.get("reason") or f"The run ended as {outcome}."
    return Transition(
        incident_id=incident_id,
        type="incident.escalated",
        to=State.ESCALATED,
        data={**told, "level": "L3", "reason": f"run_{outcome}", "detail": str(detail)},
        actor=ACTOR,
        causation_id=event.id,
    )


CONSUMERS = [
    ConsumerSpec("healing.decide", frozenset({"incident.triaged"}), decide_incidents),
    ConsumerSpec(
        "healing.outcome",
        frozenset({"playbook.completed", "approval.requested", *_SETTLING}),
        take_outcomes,
    ),
    ConsumerSpec("healing.learn", frozenset({"playbook.completed"}), learn),
]

SERVICES = [run_planner]
