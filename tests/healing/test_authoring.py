"""Rules as authors have them: schema, history, switches, matches; playbooks by hand; what a policy would change."""

import asyncio

import pytest
import pytest_asyncio
from tests.conftest import insert_tenant
from tests.healing.conftest import OWN, POLICY, Pipeline

from fettle.healing.service import create_rule
from fettle.packs.service import active_packs
from fettle.tools import own_playbooks

PACKED = "L1-DEMO-PROCESS-001"
PLAYBOOK = """\
id: PB-OURS
title: Nothing, then look
parameters:
  note: {type: string, default: none}
steps:
  - id: nothing
    tool: noop
    with: {note: "${{ params.note }}"}
"""


@pytest_asyncio.fixture
async def pipeline(api):
    """The pipeline of the tenant alder, where a person approves."""
    return Pipeline(api.platform, api.alder.id)


async def escalated(pipeline, host):
    """Return the id of an incident that is with a person."""
    await pipeline.report({"host": host, "check_type": "nobody_knows"})
    [row] = await pipeline.rows("SELECT id, state FROM incidents WHERE host = $1", host)
    assert row["state"] == "escalated"
    return str(row["id"])


async def test_the_schema_says_what_a_rule_can_look_at_here(call):
    found = (await call("GET", "rules/schema", role="viewer")).json()
    assert found["rule_schema"]["properties"]["conditions"]["items"] == {"$ref": "#/$defs/condition"}
    assert "condition" in found["rule_schema"]["$defs"]
    fields = {one["name"]: one for one in found["fields"]}
    assert "sandbox_process" in fields["check_type"]["values"]
    assert fields["check_type"]["used_by"] >= 92
    assert {"eq", "regex", "cidr"} <= {one["name"] for one in found["operators"]}
    assert found["runbooks"]
    assert found["playbooks"]
    refused = await call("POST", "rules", json={**OWN, "id": "schema"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/id")


async def test_a_rules_history_says_who_changed_what_and_goes_back(call, api):
    assert (await call("POST", "rules", json=OWN)).status_code == 202
    assert (await call("PUT", "rules/OWN-1", json={**OWN, "priority": 7, "version": 1})).status_code == 202
    back = await call("POST", "rules/OWN-1/restore", json={"to": 1, "version": 2})
    assert back.json()["version"] == 3
    assert (await call("POST", "rules/OWN-1/restore", json={"to": 1, "version": 2})).status_code == 409
    assert (await call("POST", "rules/OWN-1/restore", json={"to": 9, "version": 3})).status_code == 404
    assert (await call("DELETE", "rules/OWN-1", params={"version": 3})).status_code == 202
    assert (await call("POST", "rules/OWN-1/restore", json={"to": 2})).json()["version"] == 5
    past = (await call("GET", "rules/OWN-1/history", role="viewer")).json()["items"]
    assert [one["version"] for one in past] == [5, 4, 3, 2, 1]
    assert past[1]["rule"] is None
    assert past[3]["changes"] == [{"pointer": "/priority", "kind": "changed", "before": 1, "after": 7}]
    assert past[0]["changed_by"].startswith("key:")
    other = await call("GET", "rules/OWN-1/history", tenant=api.birch)
    assert other.status_code == 404
    theft = await call("POST", "rules/OWN-1/restore", json={"to": 1}, tenant=api.birch)
    assert theft.status_code == 404
    huge = (await call("GET", "rules/OWN-1/history", params={"limit": 1})).json()["next_cursor"]
    assert (await call("GET", "rules/OWN-1/history", params={"cursor": huge})).json()["items"]
    assert (await call("DELETE", "rules/OWN-1", params={"version": 5})).status_code == 202


async def test_a_packs_rule_is_switched_off_and_on_without_a_trace_in_what_holds(call):
    pack = (await call("GET", f"rules/{PACKED}")).json()
    assert (
        await call("PATCH", f"rules/{PACKED}", json={"enabled": False}, role="operator")
    ).status_code == 403
    off = await call("PATCH", f"rules/{PACKED}", json={"enabled": False})
    assert (off.status_code, off.json()["version"]) == (202, 1)
    assert (await call("PATCH", f"rules/{PACKED}", json={"enabled": True})).status_code == 409
    shown = (await call("GET", f"rules/{PACKED}")).json()
    assert (shown["enabled"], shown["source"], shown["conditions"]) == (False, "tenant", pack["conditions"])
    on = await call("PATCH", f"rules/{PACKED}", json={"enabled": True, "version": 1})
    assert (on.status_code, on.json()["version"]) == (202, None)
    assert (await call("GET", f"rules/{PACKED}")).json() == pack
    assert (await call("PATCH", "rules/NO-SUCH", json={"enabled": True})).status_code == 404


async def test_of_switches_at_once_one_wins(call):
    answers = await asyncio.gather(
        *(call("PATCH", f"rules/{PACKED}", json={"enabled": False}) for _ in range(6))
    )
    assert sorted(one.status_code for one in answers) == [202] + [409] * 5
    assert (await call("PATCH", f"rules/{PACKED}", json={"enabled": True, "version": 3})).status_code in {
        202,
        409,
    }


async def test_matches_come_in_pages_and_explain_takes_an_incident_and_a_draft(call, pipeline, api):
    await pipeline.report(*({"host": f"page-{n}", "site": "pages"} for n in range(5)))
    rule = {**OWN, "conditions": [*OWN["conditions"], {"field": "site", "operator": "eq", "value": "pages"}]}
    seen, cursor = [], None
    for _ in range(10):
        body = {"rule": rule, "limit": 2, **({"cursor": cursor} if cursor else {})}
        answer = await call("POST", "rules/dry-run/incidents", json=body, role="viewer")
        assert answer.status_code == 200, answer.text
        seen += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    assert sorted(one["host"] for one in seen) == [f"page-{n}" for n in range(5)]
    assert {(one["wins"], one["decided_by"]) for one in seen} == {(True, PACKED)}
    tried = (await call("POST", "rules/dry-run", json={"rule": rule})).json()
    assert [(day["matched"], day["won"]) for day in tried["by_day"]] == [(5, 5)]
    bad = await call("POST", "rules/dry-run/incidents", json={"rule": rule, "cursor": "x"})
    assert bad.status_code == 422
    theirs = await call("POST", "rules/dry-run/incidents", json={"rule": rule}, tenant=api.birch)
    assert theirs.json()["items"] == []

    explained = (
        await call("POST", "rules/explain", json={"incident_id": seen[0]["id"], "rule": rule})
    ).json()
    assert explained["winner"] == explained["items"][0]["rule_id"] == "OWN-1"
    other = await call("POST", "rules/explain", json={"incident_id": seen[0]["id"]}, tenant=api.birch)
    assert other.status_code == 404
    assert (await call("POST", "rules/explain", json={})).status_code == 422


async def test_a_rule_runs_a_playbook_of_the_tenants_own(api):
    tenant = await insert_tenant(api.platform.database, "own-playbook")
    pipeline = Pipeline(api.platform, tenant)
    await pipeline.policy(autonomy="act", trust_gate={"on_unknown": "pass"})
    rule = {**OWN, "action": "run_playbook", "playbook_id": "PB-OURS", "parameters": {"note": "from a rule"}}
    async with api.platform.database.tenant(tenant) as session:
        await own_playbooks.create(api.platform, session, tenant, PLAYBOOK, actor="system:test")
        await create_rule(session, tenant, rule, actor="system:test")
    await pipeline.report({"host": "first"})
    async with api.platform.database.tenant(tenant) as session:
        second = PLAYBOOK.replace("Nothing, then look", "Second")
        await own_playbooks.change(
            api.platform, session, tenant, "PB-OURS", second, version=1, actor="system:test"
        )
    await pipeline.report({"host": "second"})
    plans = [row["data"]["plan"] for row in await pipeline.told("plan.approved")]
    assert [(p["playbook"]["title"], p["playbook"]["version"]) for p in plans] == [
        ("Nothing, then look", 1),
        ("Second", 2),
    ]
    assert plans[0]["parameters"] == {"note": "from a rule"}


async def test_a_playbook_by_hand_waits_for_the_approval_that_the_policy_wants(call, pipeline, api):
    assert (await call("POST", "playbooks", json={"yaml": PLAYBOOK})).status_code == 202
    incident = await escalated(pipeline, "by-hand-1")
    body = {"incident_id": incident, "reason": "As agreed", "parameters": {"note": "${{ incident.id }}"}}
    path = "playbooks/PB-OURS/run"
    assert (await call("POST", path, json=body, role="analyst")).status_code == 403
    assert (await call("POST", path, json=body, tenant=api.birch, role="operator")).status_code == 404
    wrong = await call("POST", path, json={**body, "parameters": {"note": 1}})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/parameters/note")
    answers = await asyncio.gather(
        *(
            call("POST", path, json=body, role="operator", headers={"Idempotency-Key": "the-same"})
            for _ in range(3)
        )
    )
    assert {one.status_code for one in answers} <= {202, 409}
    answer = next(one.json() for one in answers if one.status_code == 202)
    assert (answer["decision"], answer["detail"]) == (
        "approval_requested",
        "The policy asks for an approval.",
    )
    assert (await call("POST", path, json=body, role="operator")).status_code == 409
    [waiting] = await pipeline.rows(
        "SELECT plan FROM approvals WHERE incident_id = $1 AND state = 'pending'", incident
    )
    assert waiting["plan"]["parameters"] == {"note": "${{ incident.id }}"}, "what is typed is data"


async def test_a_playbook_by_hand_starts_at_once_where_the_policy_acts_and_never_where_it_only_observes(
    call, pipeline, api
):
    await call("POST", "playbooks", json={"yaml": PLAYBOOK})
    path = "playbooks/PB-OURS/run"
    policy = {**POLICY, "trust_gate": {"on_unknown": "pass"}}

    async def settle(words, **choices):
        assert (await call("PUT", "policy", json={"policy": {**policy, **choices}})).status_code == 202
        async with asyncio.timeout(60):  # a policy holds within a second
            while not choices.items() <= (await active_packs(api.platform, api.alder.id)).policy.items():
                await asyncio.sleep(0.05)
        incident = await escalated(pipeline, f"by-hand-{words}")
        answer = await call("POST", path, json={"incident_id": incident, "reason": "Now"})
        assert words in answer.json()["detail"], answer.text
        return answer.json()

    assert (await settle("only observes", autonomy="observe"))["status"] == 409
    assert (await settle("noop", autonomy="act", denied_tools=["noop"]))["status"] == 409
    started = await settle("lets it run", autonomy="act", denied_tools=[])
    await pipeline.settle()
    assert started["decision"] == "started"
    [told] = [
        row["data"]
        for row in await pipeline.told("plan.approved")
        if row["data"].get("run_id") == started["id"]
    ]
    assert (told["level"], told["rule_id"]) == ("L3", "by-hand:PB-OURS")


async def test_a_policys_effect_is_seen_before_it_holds(call, api):
    pipeline = Pipeline(api.platform, api.birch.id)
    await pipeline.report({"host": "preview-1"}, {"host": "preview-2", "severity": "low"})
    other = {
        **POLICY,
        "autonomy": "observe",
        "overrides": [{"match": {"hosts": ["preview-2"]}, "autonomy": "act"}],
    }
    answer = await call("POST", "policy/preview", json={"policy": other}, tenant=api.birch, role="viewer")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["considered"], found["changed"]) == (2, 2)
    assert found["after"] == {"observe": 1, "act": 1}
    assert {one["host"]: one["after"] for one in found["examples"]} == {
        "preview-1": "observe",
        "preview-2": "act",
    }
    denied = {**POLICY, "denied_tools": ["*"]}
    refused = await call("POST", "policy/preview", json={"policy": denied}, tenant=api.birch)
    assert refused.json()["after"] == {"refused": 2}
    wrong = await call("POST", "policy/preview", json={"policy": {"autonomy": "wild"}}, tenant=api.birch)
    assert "/policy/autonomy" in [one["pointer"] for one in wrong.json()["errors"]]


async def test_a_policys_history_goes_back_to_the_default(call, api):
    async def put(**choices):
        body = {"policy": {**POLICY, **choices}}
        assert (await call("PUT", "policy", json=body, tenant=api.birch)).status_code == 202

    await put(autonomy="suggest")
    await put(autonomy="approve")
    past = (await call("GET", "policy/history", tenant=api.birch, role="viewer")).json()["items"]
    assert past[0]["changes"] == [
        {"pointer": "/autonomy", "kind": "changed", "before": "suggest", "after": "approve"}
    ]
    page = (await call("GET", "policy/history", tenant=api.birch, params={"limit": 1})).json()
    assert page["items"] == past[:1]
    rest = await call("GET", "policy/history", tenant=api.birch, params={"cursor": page["next_cursor"]})
    assert rest.json()["items"] == past[1:]
    now = past[0]["version"]
    body = {"to": 0, "expected_version": now}
    assert (
        await call("POST", "policy/restore", json=body, tenant=api.birch, role="operator")
    ).status_code == 403
    answers = await asyncio.gather(
        *(call("POST", "policy/restore", json=body, tenant=api.birch) for _ in range(4))
    )
    assert sorted(one.status_code for one in answers) == [202, 409, 409, 409]
    shown = (await call("GET", "policy", tenant=api.birch)).json()
    assert (shown["version"], shown["policy"]["id"] == POLICY["id"]) == (now + 1, False)
    assert (await call("GET", "policy/schema", role="viewer")).json()["title"] == "Fettle Policy Pack"


@pytest.mark.parametrize(
    ("source", "line", "pointer"),
    [
        ("id: ours\nversion: 1.0.0\nschema_version: 1\ntitle: x\nautonomy: wild\n", 5, "/autonomy"),
        ("a: &a [1]\nb: *a\n", 1, "/a"),
        ("id: [\n", 2, ""),
    ],
)
async def test_a_wrong_policy_is_told_with_its_line(call, source, line, pointer):
    found = (await call("POST", "policy/check", json={"yaml": source}, role="viewer")).json()
    assert found["valid"] is False
    assert (line, pointer) in [(one["line"], one["pointer"]) for one in found["problems"]]
