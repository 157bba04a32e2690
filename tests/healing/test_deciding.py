"""What becomes of a triaged incident, by rule, policy, gate and attempts; without a database."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.healing.reference import VALUES

from fettle.healing.approval_decisions import may_decide
from fettle.healing.autonomy import autonomy, refused_tools
from fettle.healing.deciding import Attempts, Situation, decide
from fettle.healing.plans import PlanError, draft, plan_hash
from fettle.healing.rules import Rule
from fettle.identity.permissions import permissions_of
from fettle.incidents.states import State
from fettle.tools.playbook_reader import load

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CHECK = {
    "tool": "check.run",
    "with": {"host": "${{ incident.host }}", "check_type": "${{ incident.check_type }}"},
}
PLAYBOOK = {
    "id": "PB-1",
    "version": 3,
    "title": "Mend it",
    "pack_version": "1.0.0",
    "pack_id": "demo",
    "parameters": {"path": {"type": "string"}},
    "steps": [
        {
            "id": "mend",
            "tool": "http.request",
            "with": {"url": "https://example.org/${{ params.path }}"},
            "rollback": {"tool": "http.undo", "with": {}},
        },
        {"id": "rest", "playbook": "PB-2"},
    ],
}
LIBRARY = {
    "PB-1": PLAYBOOK,
    "PB-2": {
        "id": "PB-2",
        "version": 1,
        "title": "Wait",
        "steps": [{"id": "nap", "tool": "wait", "with": {}}],
    },
}
RUNBOOKS = {"RB-1": {"id": "RB-1"}, "RB-2": {"id": "RB-2", "rollback": [{"action": "restore"}]}}
PACKS = SimpleNamespace(
    playbooks=LIBRARY, runbooks=RUNBOOKS, exception_type=lambda name: SimpleNamespace(verify=CHECK)
)
INCIDENT = {
    "id": str(uuid4()),
    "number": 7,
    "title": "Config has the wrong mode",
    "check_type": "config_mode",
    "host": "front-desk-3",
    "site": "north",
    "platform": "linux",
    "severity": "high",
    "pack_id": "demo",
    "details": {"path": "etc/app.conf", "mode": 0o666},
}


def rule(**more):
    return Rule.parse(
        {
            "id": "R-1",
            "priority": 10,
            "conditions": [{"field": "check_type", "operator": "eq", "value": "config_mode"}],
            "action": "execute_runbook",
            "runbook_id": "RB-1",
            "parameters": {"path": "${{ incident.details.path }}"},
            **more,
        }
    )


def decided(
    rule=None, policy=None, *, attempts=None, signals=(), recorded=(), incident=INCIDENT, packs=PACKS
):
    prepared = None
    if rule is not None and rule.action in ("execute_runbook", "run_playbook", "notify"):
        try:
            prepared = draft(rule, "config_mode", packs)
        except PlanError as error:
            prepared = error
    return decide(
        Situation(
            incident=incident,
            rule=rule,
            draft=prepared,
            policy={"autonomy": "act"} if policy is None else policy,
            trust_signals=signals,
            recorded=recorded,
            attempts=attempts,
            now=NOW,
            cause=uuid4(),
        )
    )


def told(decision):
    return [(move.type, move.to) for move in decision.transitions]


def reason(decision):
    return decision.transitions[-1].data["reason"]


ESCALATED = ("incident.escalated", State.ESCALATED)
PROPOSED = ("plan.proposed", State.PLANNING)


def test_without_a_rule_a_person_decides():
    decision = decided()
    assert told(decision) == [ESCALATED]
    assert decision.transitions[0].data["reason"] == "no_rule_matched"
    assert decision.transitions[0].data["level"] == "L3"


def test_act_proposes_and_approves_one_and_the_same_plan():
    decision = decided(rule())
    assert told(decision) == [PROPOSED, ("plan.approved", State.HEALING)]
    proposed, approved = (move.data for move in decision.transitions)
    assert proposed["plan_hash"] == approved["plan_hash"] == plan_hash(approved["plan"])
    assert proposed["plan"] == approved["plan"]
    assert approved["approved_by"] == "policy"
    assert (proposed["level"], proposed["rule_id"]) == ("L1", "R-1")
    assert decision.approval is None


def test_the_plan_is_whole_and_can_be_run():
    plan = decided(rule()).transitions[1].data["plan"]
    assert plan["parameters"] == {"parameters": {"path": "etc/app.conf"}}
    assert plan["playbook"]["steps"][0]["with"]["runbook_id"] == "RB-1"
    assert plan["verify"] == plan["playbook"]["verify"] == CHECK
    assert plan["incident"] == INCIDENT
    bundle = load({"playbook": plan["playbook"], "library": plan["library"]})
    assert bundle.main.accept(plan["parameters"]) == plan["parameters"]
    assert bundle.main.verify is not None


def test_a_runbook_that_can_be_undone_is_undone_when_its_check_fails():
    assert "rollback" not in decided(rule()).transitions[1].data["plan"]["playbook"]["steps"][0]
    plan = decided(rule(runbook_id="RB-2")).transitions[1].data["plan"]
    undo = load({"playbook": plan["playbook"], "library": {}}).main.steps[0].rollback
    assert undo.tool == "runbook.rollback"


def test_a_playbook_brings_those_that_it_calls():
    mending = rule(action="run_playbook", playbook_id="PB-1", runbook_id=None)
    plan = decided(mending).transitions[1].data["plan"]
    assert plan["parameters"] == {"path": "etc/app.conf"}
    assert set(plan["library"]) == {"PB-2"}
    assert load({"playbook": plan["playbook"], "library": plan["library"]}).main.version == 3


@pytest.mark.parametrize(
    "broken",
    [
        rule(action="run_playbook", playbook_id="PB-NONE"),
        rule(runbook_id=None),
        rule(runbook_id="RB-NONE"),
        rule(parameters={"path": "${{ incident.details.path + }}"}),
        rule(parameters={"path": "x ${{ incident.details.nothing }}"}),
    ],
)
def test_a_plan_that_cannot_be_made_goes_to_a_person(broken):
    decision = decided(broken)
    assert told(decision) == [ESCALATED]
    assert reason(decision) == "plan_failed"


def test_submitted_data_is_not_evaluated_a_second_time():
    incident = {**INCIDENT, "details": {"path": "${{ incident.host }}"}}
    plan = decided(rule(), incident=incident).transitions[1].data["plan"]
    assert plan["parameters"] == {"parameters": {"path": "${{ incident.host }}"}}


def test_other_actions():
    assert told(decided(rule(action="suppress", reason="known"))) == [
        ("incident.suppressed", State.SUPPRESSED)
    ]
    escalated = decided(rule(action="escalate", reason="needs eyes"))
    assert (told(escalated), escalated.transitions[0].data["detail"]) == ([ESCALATED], "needs eyes")
    notifying = decided(rule(action="notify", reason="look", parameters=None))
    assert notifying.transitions[1].data["plan"]["playbook"]["steps"][0]["tool"] == "notify"
    assert notifying.transitions[1].data["plan"]["verify"] is None


def test_approve_asks_a_person_for_this_plan():
    decision = decided(
        rule(), {"autonomy": "approve", "approvals": {"by": ["tenant_admin"], "expires_seconds": 600}}
    )
    assert told(decision) == [PROPOSED, ("approval.requested", State.AWAITING_APPROVAL)]
    asked = decision.transitions[1].data
    assert asked["plan_hash"] == decision.approval.plan.hash
    assert UUID(asked["approval_id"]) == decision.approval.id
    assert decision.approval.expires_at == NOW + timedelta(seconds=600)
    assert decision.approval.approvers == ("tenant_admin",)


def test_observe_records_and_suggest_offers_but_neither_acts():
    observed = decided(rule(), {"autonomy": "observe"})
    assert (told(observed), reason(observed), observed.approval) == (
        [PROPOSED, ESCALATED],
        "autonomy_observe",
        None,
    )
    suggested = decided(rule(), {"autonomy": "suggest"})
    assert (told(suggested), reason(suggested)) == ([PROPOSED, ESCALATED], "autonomy_suggest")
    assert suggested.approval.kind == "suggestion"


@pytest.mark.parametrize("policy", [{}, {"autonomy": None}, {"autonomy": "everything"}])
def test_a_policy_that_says_nothing_known_never_acts(policy):
    assert "plan.approved" not in dict(told(decided(rule(), policy)))


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        ({}, True),
        ({"allowed_tools": ["runbook.*", "check.run"]}, True),
        ({"allowed_tools": ["runbook.*"]}, False),
        ({"allowed_tools": []}, False),
        ({"denied_tools": ["runbook.run"]}, False),
        ({"allowed_tools": ["*"], "denied_tools": ["check.*"]}, False),
        ({"allowed_tools": ["*"], "denied_tools": ["http.*"]}, True),
    ],
)
def test_a_plan_calls_only_tools_that_the_policy_allows(policy, allowed):
    decision = decided(rule(), {"autonomy": "act", **policy})
    assert ("plan.approved" in dict(told(decision))) is allowed
    if not allowed:
        assert reason(decision) == "tool_not_allowed"


def test_tools_of_rollbacks_and_called_playbooks_count():
    mending = rule(action="run_playbook", playbook_id="PB-1", runbook_id=None)
    for tool in ("http.undo", "wait", "check.run"):
        assert reason(decided(mending, {"autonomy": "act", "denied_tools": [tool]})) == "tool_not_allowed"
    assert refused_tools({"allowed_tools": ["h?tp", "[w]ait"]}, ["http", "wait"]) == ["http", "wait"]


def test_attempts_and_rest():
    tired = decided(rule(max_attempts=2), attempts=Attempts(2, NOW - timedelta(days=1)))
    assert (told(tired), reason(tired)) == ([ESCALATED], "max_attempts")
    resting = decided(rule(cooldown_seconds=300), attempts=Attempts(0, NOW - timedelta(seconds=299)))
    assert reason(resting) == "cooldown"
    rested = decided(rule(cooldown_seconds=300), attempts=Attempts(1, NOW - timedelta(seconds=300)))
    assert "plan.approved" in dict(told(rested))


SIGNAL = {"id": "heartbeat", "pack_id": "demo", "stale_after_seconds": 60}


def recorded(health, seconds_ago=1):
    return [{"name": "heartbeat", "health": health, "observed_at": NOW - timedelta(seconds=seconds_ago)}]


@pytest.mark.parametrize(
    ("signals", "trust_gate", "expected"),
    [
        (recorded("healthy"), {}, "plan.approved"),
        (recorded("degraded"), {}, "approval.requested"),
        (recorded("degraded"), {"on_degraded": "pass"}, "plan.approved"),
        (recorded("critical"), {}, "incident.escalated"),
        (recorded("critical"), {"on_critical": "hold"}, "approval.requested"),
        (recorded("healthy", 61), {}, "approval.requested"),
        (recorded("healthy", 61), {"on_unknown": "block"}, "incident.escalated"),
        (recorded("healthy", 61), {"on_unknown": "pass"}, "plan.approved"),
        ([], {}, "approval.requested"),
        ([], {"on_unknown": "pass"}, "plan.approved"),
        ([], None, "plan.approved"),
        (recorded("critical"), None, "incident.escalated"),
        (recorded("critical", 999), {"on_unknown": "pass"}, "incident.escalated"),
    ],
)
def test_the_trust_gate_stands_before_every_action(signals, trust_gate, expected):
    policy = {"autonomy": "act", **({} if trust_gate is None else {"trust_gate": trust_gate})}
    decision = decided(rule(), policy, signals=[SIGNAL], recorded=signals)
    assert decision.transitions[-1].type == expected


def test_signals_of_other_checks_do_not_count():
    other = {**SIGNAL, "applies_to": ["another_check"]}
    assert "plan.approved" in dict(told(decided(rule(), signals=[other], recorded=recorded("critical"))))


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"hosts": ["front-*"]}, True),
        ({"hosts": ["FRONT-DESK-3"]}, True),
        ({"hosts": ["back-*"]}, False),
        ({"hosts": ["front-*"], "severities": ["low"]}, False),
        ({"check_types": ["config_mode"], "sites": ["north", "south"], "platforms": ["linux"]}, True),
        ({"rules": ["R-1"]}, True),
        ({"runbooks": ["RB-1"]}, True),
        ({"playbooks": ["runbook:RB-1"]}, True),
        ({}, False),
    ],
)
def test_overrides_of_autonomy(match, fits):
    policy = {"autonomy": "act", "overrides": [{"match": match, "autonomy": "observe"}]}
    plan = draft(rule(), "config_mode", PACKS).for_incident(INCIDENT)
    assert autonomy(policy, INCIDENT, rule(), plan) == ("observe" if fits else "act")


def test_who_may_decide():
    assert may_decide([], permissions_of("operator"))
    assert may_decide(["operator"], permissions_of("operator"))
    assert may_decide(["tenant_admin", "operator"], permissions_of("operator"))
    assert not may_decide(["tenant_admin"], permissions_of("operator"))
    assert may_decide(["operator"], permissions_of("tenant_admin"))
    assert not may_decide(["nobody_known"], permissions_of("platform_admin"))


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.text(max_size=5), VALUES)
def test_a_plans_hash_survives_its_way_and_tells_plans_apart(content, name, value):
    content = orjson.loads(orjson.dumps(orjson.loads(orjson.dumps(_storable(content)))))
    assert plan_hash(content) == plan_hash(orjson.loads(orjson.dumps(content)))
    changed = {**content, _storable(name): _storable(value)}
    if orjson.dumps(_plain(changed), option=orjson.OPT_SORT_KEYS) != orjson.dumps(
        _plain(content), option=orjson.OPT_SORT_KEYS
    ):
        assert plan_hash(changed) != plan_hash(content)


def _storable(value):
    if isinstance(value, dict):
        return {_storable(key): _storable(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_storable(member) for member in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return 7 if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**60 else value


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
