"""From an incident that no rule matches to a plan of the planner's, and to everything that may come between."""

import asyncio
import contextlib

import asyncpg
import pytest
from tests.crosswise import somebody_waits
from tests.planner.conftest import CLAMAV, CLOSE_FILE, UNKNOWN
from tests.planner.model_server import RESET, Raw, Slow, Status, choose
from tests.planner.test_hostile import data_of

from fettle.healing import approval_decisions
from fettle.healing.approval_decisions import Verdict
from fettle.healing.planner import requests
from fettle.healing.planner.breaker import FAILURES, breakers_of
from fettle.healing.planner.chain import Planner
from fettle.healing.planner.concluding import conclude
from fettle.healing.planner.words import Candidate, L2Decision
from fettle.healing.planner.worker import MOST_LEASES
from fettle.identity.permissions import permissions_of
from fettle.incidents.service import Transition, lock, transition
from fettle.incidents.states import State
from fettle.kernel.database import driver
from fettle.kernel.ids import new_id


async def escalated(planning):
    events = await planning.told("incident.escalated")
    return events[-1]["data"]


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
async def test_a_plan_of_a_model_runs_under_the_same_policy_as_a_rules(planning, wire):
    planning.use(getattr(planning.model, wire), planner_prices=["qwen3=1/4", "claude-small=1/4"])
    planning.model.will(choose(CLAMAV))
    await planning.allow()
    incident = await planning.heal()
    assert (incident["state"], incident["level"]) == ("healing", "L2")
    assert incident["rule_id"] == f"planner:{CLAMAV}"
    [proposed] = await planning.told("plan.proposed")
    told = proposed["data"]["planner"]
    assert told["runbook_id"] == "RB-LNX-CLAMAV-001"
    assert told["tokens"] == {"input": 900, "output": 50}
    assert told["cost"] == {"amount": "0.0011", "currency": "USD"}
    assert (told["confidence"], told["requires_human_review"]) == (0.93, False)
    assert told["pattern_signature"]
    [approved] = await planning.told("plan.approved")
    assert (approved["data"]["level"], approved["data"]["approved_by"]) == ("L2", "policy")
    assert await planning.rows("SELECT 1 FROM plan_requests") == []


async def test_without_leave_of_the_policy_nothing_is_asked(planning):
    await planning.policy()
    incident = await planning.heal()
    assert incident["state"] == "escalated"
    assert (await escalated(planning))["reason"] == "no_rule_matched"
    assert planning.model.requests == []


async def test_a_plan_waits_for_an_approval_where_the_policy_asks_for_one(planning):
    planning.model.will(choose(CLAMAV))
    await planning.allow(autonomy="approve")
    assert (await planning.heal())["state"] == "awaiting_approval"
    waiting = await planning.approval()
    verdict = Verdict(waiting["plan_hash"], "Looked at it.", "user:ann", permissions_of("tenant_admin"))
    async with planning.platform.database.tenant(planning.tenant) as session:
        await approval_decisions.approve(session, planning.tenant, waiting["id"], verdict)
    incident = await planning.newest()
    assert (incident["state"], incident["level"]) == ("healing", "L2")


async def test_the_policy_can_hold_the_planner_shorter_than_the_rules(planning):
    planning.model.will(choose(CLAMAV))
    await planning.policy(autonomy="act", planner={"enabled": True, "autonomy": "approve"})
    assert (await planning.heal())["state"] == "awaiting_approval"


async def test_below_seven_tenths_a_person_decides_and_may_press_one_button(planning):
    planning.model.will(choose(CLAMAV, confidence=0.69, reasoning="Perhaps."))
    await planning.allow()
    incident = await planning.heal()
    assert (incident["state"], incident["level"]) == ("escalated", "L3")
    assert (await escalated(planning))["reason"] == "planner_unsure"
    waiting = await planning.approval()
    assert waiting["kind"] == "suggestion"
    assert incident["decision"]["planner"]["reasoning"] == "Perhaps."


async def test_when_all_fail_a_person_is_told_what_was_tried(planning):
    planning.use(planning.model.openai, planning.model.anthropic, "retrieval")
    planning.model.will(Status(500))
    await planning.allow()
    incident = await planning.heal()
    assert (incident["state"], incident["level"]) == ("escalated", "L3")
    tried = (await escalated(planning))["planner"]["tried"]
    assert [(one["provider"].split(":")[0], one["outcome"]) for one in tried] == [
        ("openai", "server"),
        ("anthropic", "server"),
        ("retrieval", "abstained"),
    ]


async def test_an_outcome_that_breaks_again_and_again_goes_to_a_person_with_what_was_tried(planning):
    planning.model.will(choose(CLAMAV))
    await planning.allow(autonomy="approve")
    async with refusing_approvals(planning.platform.settings):
        await planning.report(UNKNOWN)
        for _ in range(MOST_LEASES):
            assert (await planning.newest())["state"] == "planning"
            await planning.plan()
            await lapse(planning)
    incident = await planning.newest()
    assert (incident["state"], incident["level"]) == ("escalated", "L3")
    told = await escalated(planning)
    assert told["reason"] == "planner_broke"
    outcomes = [(one["provider"].split(":")[0], one["outcome"]) for one in told["planner"]["tried"]]
    assert outcomes == [("openai", "cached"), ("planner", "broke")]
    [spent] = await planning.rows("SELECT calls, input_tokens, output_tokens FROM planner_costs")
    assert tuple(spent.values()) == (1, 900, 50)
    assert await planning.rows("SELECT 1 FROM plan_requests") == []
    assert await planning.rows("SELECT 1 FROM approvals") == []
    assert await planning.told("plan.proposed") == []


@contextlib.asynccontextmanager
async def refusing_approvals(settings):
    """Let every approval violate a constraint of its table."""
    owner = await asyncpg.connect(settings.database_url.get_secret_value())
    await owner.execute("ALTER TABLE approvals ADD CONSTRAINT ck_none CHECK (false) NOT VALID")
    try:
        yield
    finally:
        await owner.execute("ALTER TABLE approvals DROP CONSTRAINT ck_none")
        await owner.close()


async def lapse(planning):
    """Let the lease of whatever is leased run out."""
    async with planning.platform.database.raw_system() as connection:
        await connection.execute("UPDATE plan_requests SET due_at = now()")


@pytest.mark.parametrize(
    "trouble",
    [
        Status(429, Retry_After="0"),
        Status(503),
        Status(529),
        RESET,
        Raw(b"<html>busy</html>"),
        Raw(b'{"choices": []}'),
        Raw(b'{"choices": [{"message": {"content": "no JSON"}}]}'),
        choose("runbook:RB-NOT-OFFERED"),
        choose(CLOSE_FILE, {"path": "/etc/made-up"}),
        {"choice": CLAMAV},
    ],
    ids=[
        "429",
        "503",
        "529",
        "reset",
        "html",
        "empty",
        "no-json",
        "not-offered",
        "made-up",
        "without-reasons",
    ],
)
async def test_what_can_be_retried_is_retried(planning, trouble):
    planning.model.will(trouble, choose(CLAMAV))
    await planning.allow()
    assert (await planning.heal())["state"] == "healing"
    assert len(planning.model.requests) == 2


async def test_a_wait_that_is_too_long_is_not_waited_for(planning):
    planning.use(planning.model.openai, planning.model.anthropic)
    planning.model.will(Status(429, Retry_After="3600"), choose(CLAMAV))
    await planning.allow()
    assert (await planning.heal())["state"] == "healing"
    tried = (await planning.newest())["decision"]["planner"]["tried"]
    assert [one["outcome"] for one in tried] == ["rate_limited", "chosen"]


async def test_what_is_too_slow_is_left_for_the_next(planning):
    planning.use(planning.model.openai, planning.model.anthropic, planner_timeout_seconds=1.5)
    planning.model.will(Slow(60), Slow(60), Slow(60), choose(CLAMAV))
    await planning.allow()
    assert (await planning.heal())["state"] == "healing"
    tried = (await planning.newest())["decision"]["planner"]["tried"]
    assert [one["outcome"] for one in tried] == ["timeout", "chosen"]


class Silent:
    """A provider that takes a question and never answers."""

    name, model, is_charged = "silent", "m", False

    def most_cost(self, prompt):
        raise AssertionError(prompt)

    async def ask(self, question):
        await asyncio.Event().wait()


async def test_who_has_not_answered_when_the_time_for_all_is_over_is_among_what_was_tried(planning):
    platform = planning.platform
    planner = Planner(
        platform.database, [Silent()], breakers_of(platform), timeout_seconds=600, whole_seconds=5
    )
    candidate = Candidate("runbook", "RB-X", "X", "", {"type": "object"})
    decision = await planner.plan(planning.tenant, {"check_type": "x", "id": str(new_id())}, [candidate], {})
    assert decision.answer is None
    tried = [(one.provider, one.outcome, one.calls) for one in decision.attempts]
    assert tried == [("silent", "timeout", 1), ("planner", "timeout", 0)]


async def test_a_provider_that_keeps_failing_is_left_alone(planning):
    planning.model.will(Status(500))
    await planning.allow()
    for number in range(3):
        await planning.heal(host=f"h{number}", details={"fault": f"kind {'abc'[number]}"})
    assert len(planning.model.requests) == FAILURES
    name = f"openai:qwen3@127.0.0.1:{planning.model.port}"
    assert await breakers_of(planning.platform).state(name) == "open"
    assert (await escalated(planning))["planner"]["tried"][0]["outcome"] == "resting"


async def test_what_an_incident_brings_about_keeps_no_other_tenant_from_a_provider(planning, others):
    await planning.allow()
    await others.allow()
    planning.model.will(Raw(b"tampered"))
    for number in range(4):
        await planning.heal(host=f"h{number}", details={"fault": f"kind {'abcd'[number]}"})
    planning.model.will(choose(CLAMAV))
    assert (await others.heal())["state"] == "healing"


async def test_an_endpoint_that_is_not_listed_is_never_reached(planning):
    planning.use(planning.model.openai, planner_allow=[], egress_allow=[f"127.0.0.0/8:{planning.model.port}"])
    await planning.allow()
    await planning.heal()
    assert planning.model.requests == []
    assert (await escalated(planning))["planner"]["tried"][0]["outcome"] == "not_allowed"


async def test_the_same_pattern_is_asked_about_once_and_takes_each_incidents_own_values(planning):
    planning.model.will(lambda body: choose(CLOSE_FILE, {"path": "/etc/" + _path(body)}))
    await planning.allow()
    await planning.heal(host="a", details={"path": "/etc/one"})
    incident = await planning.heal(host="b", details={"path": "/etc/two"})
    assert len(planning.model.requests) == 1
    assert incident["decision"]["planner"]["cached"] is True
    assert incident["decision"]["plan"]["parameters"]["parameters"] == {"path": "/etc/two"}
    assert incident["decision"]["plan"]["incident"]["host"] == "b"


def _path(body):
    return "one" if "/etc/one" in body["messages"][1]["content"] else "two"


async def test_an_answer_that_failed_is_not_given_again(planning):
    planning.model.will(choose(CLAMAV))
    await planning.allow()
    first = await planning.heal(host="a")
    await planning.complete(first["id"], "failed", plan_hash=first["decision"]["plan_hash"])
    await planning.heal(host="b")
    assert len(planning.model.requests) == 2


@pytest.mark.parametrize(
    ("limits", "most"),
    [({"calls_per_day": 2}, 2), ({"tokens_per_day": 0}, 0), ({"usd_per_day": 0}, 0), ({}, 6)],
)
async def test_no_day_takes_more_than_its_budget_however_many_ask_at_once(planning, limits, most):
    planning.use(planning.model.openai, planner_prices=["qwen3=1/4"])
    planning.model.will(choose(CLAMAV))
    await planning.allow(**limits)
    kinds = ["disk full", "clock wrong", "cable cut", "fan dead", "lamp off", "door open"]
    await planning.report(*({**UNKNOWN, "host": kind[:3], "details": {"error": kind}} for kind in kinds))
    await asyncio.gather(planning.plan(), planning.plan())
    assert len(planning.model.requests) == most
    rows = await planning.rows("SELECT calls, input_tokens, output_tokens, cost_micros FROM planner_usage")
    if most:
        assert [tuple(row.values()) for row in rows] == [(most, most * 900, most * 50, most * 1100)]
    states = {row["state"] for row in await planning.rows("SELECT state FROM incidents")}
    assert states == ({"healing"} if most == 6 else {"escalated"} if not most else {"healing", "escalated"})


async def test_past_incidents_alone_heal_the_next_like_them(planning):
    planning.use("retrieval")
    await planning.allow()
    await learn(planning, 8, CLOSE_FILE, {"path": "/etc/one"})
    incident = await planning.heal(host="new", details={"path": "/etc/other"})
    assert (incident["state"], incident["level"]) == ("healing", "L2")
    assert incident["decision"]["plan"]["parameters"]["parameters"] == {"path": "/etc/other"}
    assert incident["decision"]["planner"]["cost"]["amount"] == "0"


async def test_without_a_likeness_the_retrieval_planner_abstains(planning):
    planning.use("retrieval")
    await planning.allow()
    await planning.heal()
    assert (await escalated(planning))["reason"] == "planner_abstained"


async def test_what_one_tenant_learned_says_nothing_to_another(planning, others):
    await planning.allow()
    await others.allow()
    await learn(planning, 8, CLAMAV, {})
    planning.use("retrieval")
    others.use("retrieval")
    assert (await planning.heal(host="new"))["state"] == "healing"
    assert (await others.heal(host="new"))["state"] == "escalated"
    for table in ("plan_memories", "plan_cache", "planner_usage", "plan_requests"):
        assert await others.rows(f"SELECT 1 FROM {table}") == []


async def learn(planning, count, choice, parameters):
    """Let a model choose, and the checks pass."""
    chain = planning.platform.settings.planner_chain
    planning.use(planning.model.openai)
    planning.model.will(choose(choice, parameters))
    for number in range(count):
        details = {"details": parameters} if parameters else {}
        incident = await planning.heal(host=f"old-{number}", **details)
        await planning.complete(incident["id"], "verified", plan_hash=incident["decision"]["plan_hash"])
    planning.use(*chain)


async def test_what_a_person_does_meanwhile_overtakes_the_plan(planning):
    planning.model.will(choose(CLAMAV))
    await planning.allow()
    await planning.report(UNKNOWN)
    incident = await planning.newest()
    assert incident["state"] == "planning"
    taken = Transition(
        incident_id=incident["id"], type="incident.escalated", to=State.ESCALATED, actor="user:ann"
    )
    async with planning.platform.database.tenant(planning.tenant) as session:
        await transition(session, planning.tenant, [taken])
    await planning.plan()
    assert await planning.told("plan.proposed") == []
    assert await planning.rows("SELECT 1 FROM plan_requests") == []


async def test_a_policy_that_changed_while_the_model_thought_counts(planning):
    await planning.allow()

    async def change():
        await planning.model.asked.wait()
        await planning.policy(autonomy="act", denied_tools=["runbook.*"], planner={"enabled": True})

    planning.model.will(Slow(1.6))
    planning.model.will(lambda _body: choose(CLAMAV))
    changing = asyncio.create_task(change())
    original = planning.model._answer

    async def late(*arguments):
        planning.model.asked.set()
        await changing
        await asyncio.sleep(1.1)  # the packs' cache is a second old at most
        await original(*arguments)

    planning.model._answer = late
    incident = await planning.heal()
    assert incident["state"] == "escalated"
    assert (await escalated(planning))["reason"] == "planner_not_allowed"


async def test_who_lost_the_lease_writes_nothing(planning):
    await planning.allow()
    await planning.report(UNKNOWN)
    database = planning.platform.database
    [mine] = await requests.lease(database, new_id(), 1, 0.0)
    [theirs] = await requests.lease(database, new_id(), 1, 5.0)
    decision = L2Decision(None, "v1:x")
    assert await conclude(planning.platform, mine, decision) is False
    assert (await planning.newest())["state"] == "planning"
    assert await conclude(planning.platform, theirs, decision) is True
    assert await conclude(planning.platform, theirs, decision) is False
    assert len(await planning.told("incident.escalated")) == 1


async def test_who_concludes_waits_for_the_incident_before_it_takes_the_request_off(planning):
    """Whoever asks for a plan anew has locked the incident: so neither waits for the other."""
    await planning.allow()
    await planning.report(UNKNOWN)
    incident = await planning.newest()
    [mine] = await requests.lease(planning.platform.database, new_id(), 1, 5.0)
    async with planning.platform.database.tenant(planning.tenant) as session:
        await lock(session, planning.tenant, [incident["id"]])
        waiting = asyncio.create_task(conclude(planning.platform, mine, L2Decision(None, "v1:x")))
        await somebody_waits(await driver(session), waiting)
        await requests.ask(session, planning.tenant, [(incident["id"], new_id(), mine.incident, None)])
    assert await waiting is False
    assert (await planning.newest())["state"] == "planning"


FIREWALL = {
    "check_type": "firewall_status",
    "host": "ws-9",
    "platform": "linux",
    "details": {"enabled": False},
}


async def rules_run(planning, outcome="failed"):
    """A rule's run that ends."""
    await planning.report({"details": {"program": "bin/heartbeat"}})
    incident = await planning.newest()
    assert incident["level"] == "L1"
    await planning.complete(
        incident["id"], outcome, plan_hash=incident["decision"]["plan_hash"], detail="It did not help."
    )
    return incident


async def test_what_a_rule_did_not_heal_is_planned_without_the_rules_playbook(planning):
    planning.model.will(choose(CLAMAV))
    await planning.allow()
    before = await rules_run(planning)
    tried = before["decision"]["plan"]["playbook"]["id"]
    assert (await planning.newest())["state"] == "planning"
    [request] = await planning.rows("SELECT after FROM plan_requests")
    assert request["after"]["choice"] == tried
    await planning.plan()
    offered = {one["choice"] for one in data_of(planning.model.requests[0])["candidates"]}
    assert CLAMAV in offered
    assert tried not in offered
    incident = await planning.newest()
    assert (incident["state"], incident["level"]) == ("healing", "L2")


async def test_what_neither_heals_goes_to_a_person_with_what_was_tried(planning):
    planning.model.will(choose(CLAMAV))
    await planning.allow()
    await rules_run(planning, "rolled_back")
    await planning.plan()
    second = await planning.newest()
    await planning.complete(second["id"], "failed", plan_hash=second["decision"]["plan_hash"])
    assert (await planning.newest())["state"] == "escalated"
    assert await planning.rows("SELECT 1 FROM plan_requests") == []
    [decision] = await planning.rows("SELECT choice, result FROM planner_decisions")
    assert (decision["choice"], decision["result"]) == (CLAMAV, "not_healed")


async def test_when_no_planner_answers_after_a_rule_a_person_is_told_both(planning):
    planning.model.will(Status(500))
    await planning.allow()
    before = await rules_run(planning)
    await planning.plan()
    told = await escalated(planning)
    assert told["reason"] == "planner_failed"
    assert before["rule_id"] in told["detail"]
    assert "It did not help." in told["detail"]
    assert told["after"]["choice"] == before["decision"]["plan"]["playbook"]["id"]


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [({}, "unknown"), ({}, "cancelled"), ({"after_rules": False}, "failed"), (None, "failed")],
)
async def test_what_may_not_be_tried_again_goes_to_a_person(planning, policy, outcome):
    if policy is None:
        await planning.policy(autonomy="act")
    else:
        await planning.allow(**policy)
    await rules_run(planning, outcome)
    assert (await planning.newest())["state"] == "escalated"
    assert planning.model.requests == []


async def test_each_decision_is_noted_with_its_cost_and_its_result(planning, others):
    planning.use(planning.model.openai, planner_prices=["qwen3=1/4"])
    planning.model.will(Status(500), choose(CLAMAV))
    await planning.allow()
    incident = await planning.heal()
    await planning.complete(incident["id"], "verified", plan_hash=incident["decision"]["plan_hash"])
    [row] = await planning.rows("SELECT * FROM planner_decisions")
    assert (row["outcome"], row["choice"], row["result"], row["calls"]) == ("chosen", CLAMAV, "healed", 2)
    assert (row["input_tokens"], row["output_tokens"], row["cost_micros"]) == (900, 50, 1100)
    [cost] = await planning.rows("SELECT * FROM planner_costs")
    assert (cost["asked"], cost["answered"], cost["calls"], cost["cost_micros"]) == (1, 1, 2, 1100)
    for table in ("planner_decisions", "planner_costs"):
        assert await others.rows(f"SELECT 1 FROM {table}") == []


async def test_a_provider_that_was_wrong_before_is_believed_less(planning):
    planning.model.will(choose(CLAMAV, confidence=0.95))
    await planning.allow()
    async with planning.platform.database.raw_tenant(planning.tenant) as connection:
        await connection.execute(
            "INSERT INTO planner_decisions (tenant_id, id, incident_id, pattern, outcome, provider, claimed, "
            "requires_human_review, result) SELECT $1, gen_random_uuid(), gen_random_uuid(), 'v1:x', 'chosen', $2, "
            "0.95, false, CASE WHEN n % 2 = 0 THEN 'healed' ELSE 'not_healed' END FROM generate_series(1, 60) n",
            planning.tenant,
            f"openai:qwen3@127.0.0.1:{planning.model.port}",
        )
    incident = await planning.heal()
    assert incident["state"] == "escalated"
    told = incident["decision"]["planner"]
    assert told["claimed_confidence"] == 0.95
    assert told["confidence"] < 0.6
