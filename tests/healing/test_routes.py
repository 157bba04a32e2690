"""Rules and approvals over HTTP: what is shown, what is refused, and that nobody else sees it."""

import asyncio

import pytest
from tests.healing.conftest import OWN, Pipeline


async def every_rule(call, **options):
    items, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = await call("GET", "rules", params={"limit": 40, **more}, **options)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return items


async def test_a_rules_life(call, api):
    shown = await every_rule(call)
    assert len(shown) >= 92
    assert [(one["priority"], one["id"]) for one in shown] == sorted(
        (one["priority"], one["id"]) for one in shown
    )
    assert {one["source"] for one in shown} == {"builtin"}

    created = await call("POST", "rules", json=OWN)
    assert (created.status_code, created.json()["version"]) == (202, 1)
    again = await call("POST", "rules", json=OWN)
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    read = (await call("GET", "rules/OWN-1")).json()
    assert (read["source"], read["version"], read["conditions"]) == ("tenant", 1, OWN["conditions"])
    assert await every_rule(call, tenant=api.birch) == shown

    changed = await call("PUT", "rules/OWN-1", json={**OWN, "enabled": False, "version": 1})
    assert (changed.status_code, changed.json()["version"]) == (202, 2)
    stale = await call("PUT", "rules/OWN-1", json={**OWN, "version": 1})
    assert (stale.status_code, "version 2 by now" in stale.json()["detail"]) == (409, True)
    other = await call("PUT", "rules/OWN-1", json={**OWN, "id": "OWN-2", "version": 2})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "/id")

    assert (await call("DELETE", "rules/OWN-1", params={"version": 1})).status_code == 409
    assert (await call("DELETE", "rules/OWN-1", params={"version": 2})).status_code == 202
    assert (await call("GET", "rules/OWN-1")).status_code == 404
    assert (await call("DELETE", "rules/OWN-1", params={"version": 2})).status_code == 404


async def test_a_packs_rule_is_replaced_by_one_of_the_same_id_and_comes_back(call):
    pack = (await call("GET", "rules/L1-DEMO-PROCESS-001")).json()
    own = {**OWN, "id": "L1-DEMO-PROCESS-001"}
    assert (await call("POST", "rules", json=own)).status_code == 202
    replaced = (await call("GET", "rules/L1-DEMO-PROCESS-001")).json()
    assert (replaced["source"], replaced["action"]) == ("tenant", "suppress")
    assert (await call("DELETE", "rules/L1-DEMO-PROCESS-001", params={"version": 1})).status_code == 202
    assert (await call("GET", "rules/L1-DEMO-PROCESS-001")).json() == pack


@pytest.mark.parametrize(
    ("broken", "pointer"),
    [
        ({"conditions": [{"field": "a", "operator": "equals", "value": 1}]}, "/conditions/0/operator"),
        (
            {"conditions": [{"any": [{"field": "a", "operator": "regex", "value": "("}]}]},
            "/conditions/0/any/0/value",
        ),
        ({"conditions": []}, "/conditions"),
        ({"conditions": "all"}, "/conditions"),
        ({"priority": "1"}, "/priority"),
        ({"priority": True}, "/priority"),
        ({"action": "execute_runbook"}, "/runbook_id"),
        ({"action": "run_playbook"}, "/playbook_id"),
        ({"action": "reboot"}, "/action"),
        ({"id": "../x"}, "/id"),
        ({"source": "builtin"}, "/source"),
        ({"max_attempts": 10**12}, "/max_attempts"),
    ],
)
async def test_a_wrong_rule_is_refused_with_its_pointer(call, broken, pointer):
    answer = await call("POST", "rules", json={**OWN, **broken})
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_who_may_do_what(call):
    assert (await call("POST", "rules", role="operator", json=OWN)).status_code == 403
    assert (await call("GET", "rules", role="agent")).status_code == 403
    path = "approvals/01939f6e-7a00-7000-8000-000000000001"
    verdict = {"reason": "yes", "plan_hash": "0" * 64}
    assert (await call("POST", f"{path}/approve", role="analyst", json=verdict)).status_code == 403
    assert (await call("POST", f"{path}/approve", json=verdict)).status_code == 404
    assert (await call("GET", path)).status_code == 404
    assert (await call("POST", f"{path}/reject", json={**verdict, "plan_hash": "abc"})).status_code == 422


async def test_explain_says_who_wins_and_who_came_close(call):
    body = {"incident": {"check_type": "sandbox_process", "platform": "linux"}}
    answer = (await call("POST", "rules/explain", json=body)).json()
    assert answer["winner"] == answer["items"][0]["rule_id"] == "L1-DEMO-PROCESS-001"
    assert answer["items"][0]["matched"] is True
    assert answer["items"][1]["reason"]
    assert answer["considered"] >= 92
    assert (await call("POST", "rules/explain", json={"incident": []})).status_code == 422
    nobody = await call("POST", "rules/explain", json={"incident": {"check_type": ["sandbox_process"]}})
    assert nobody.json()["winner"] is None


async def test_a_rule_is_tried_on_what_happened(call, api):
    pipeline = Pipeline(api.platform, api.birch.id)
    await pipeline.report({"host": "one"}, {"host": "two"}, {"check_type": "sandbox_managed_file"})
    rule = {**OWN, "conditions": [*OWN["conditions"], {"field": "site", "operator": "not_exists"}]}
    answer = await call("POST", "rules/dry-run", tenant=api.birch, json={"rule": rule})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["considered"], found["matched"], found["won"]) == (3, 2, 2)
    assert found["instead_of"] == {"L1-DEMO-PROCESS-001": 2}
    assert {example["decided_by"] for example in found["examples"]} == {"L1-DEMO-PROCESS-001"}
    late = await call("POST", "rules/dry-run", tenant=api.birch, json={"rule": {**rule, "priority": 99_999}})
    assert (late.json()["matched"], late.json()["won"]) == (2, 0)
    present = await call("POST", "rules/L1-DEMO-MANAGED-FILE-001/dry-run", tenant=api.birch)
    assert (present.json()["matched"], present.json()["instead_of"]) == (1, {"none": 1})
    assert (await call("POST", "rules/dry-run", json={"rule": rule})).json()["considered"] == 0


async def test_approvals_are_shown_and_decided_once(call, api):
    pipeline = Pipeline(api.platform, api.alder.id)
    await pipeline.report({"host": "approve-me"})
    listed = (await call("GET", "approvals", params={"state": "pending"}, role="viewer")).json()["items"]
    [waiting] = [one for one in listed if one["host"] == "approve-me"]
    assert (waiting["kind"], waiting["may_decide"], waiting["approvers"]) == (
        "approval",
        False,
        ["tenant_admin", "operator"],
    )
    assert waiting["plan"]["incident"]["host"] == "approve-me"
    path = f"approvals/{waiting['id']}"
    assert (await call("GET", path, role="operator")).json()["may_decide"] is True
    assert (await call("GET", path, tenant=api.birch)).status_code == 404
    verdict = {"reason": "Looked at it.", "plan_hash": waiting["plan_hash"]}
    assert (await call("POST", f"{path}/approve", tenant=api.birch, json=verdict)).status_code == 404
    answers = await asyncio.gather(
        *(call("POST", f"{path}/{what}", role="operator", json=verdict) for what in ["approve", "reject"] * 4)
    )
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    decided = (await call("GET", path)).json()
    assert decided["state"] in ("approved", "rejected")
    assert decided["decided_by"].startswith("key:")
    assert decided["decision_reason"] == "Looked at it."
