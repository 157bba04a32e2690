"""Steps that wait for a person: asked, decided once by the right role, and the run goes on or is undone."""

import asyncio

import pytest
from tests.tools.rig import Rig, plan

from fettle.tools.catalogue import registry_of

ASK = {"id": "ok", "approve": {"by": ["tenant_admin"], "reason": "It restarts the service."}}


@pytest.fixture
def rig(api_at_work):
    return Rig(api_at_work.platform, api_at_work.alder.id, registry=registry_of(api_at_work.platform))


async def until(rig, run_id, *states):
    """Execute what is due, beside the application's own executor, until the run is in one of the states."""
    async with asyncio.timeout(60):
        while (await rig.run(run_id))["state"] not in states:
            await rig.execute()
            await asyncio.sleep(0.02)


async def asked(api, rig, *steps):
    (run_id,) = await rig.approve(plan(*steps))
    await until(rig, run_id, "waiting")
    await api.settle()
    incident = (await rig.run(run_id))["incident_id"]
    listed = await api.client.get(
        "/api/v1/approvals", params={"incident_id": str(incident)}, headers=api.alder.headers("viewer")
    )
    (approval,) = listed.json()["items"]
    return run_id, approval


async def decide(api, approval, word, role="tenant_admin", tenant=None):
    return await api.client.post(
        f"/api/v1/approvals/{approval['id']}/{word}",
        json={"plan_hash": approval["plan_hash"], "reason": "seen"},
        headers=(tenant or api.alder).headers(role),
    )


async def test_a_step_waits_for_the_right_person_and_is_decided_once(api_at_work, rig):
    run_id, approval = await asked(api_at_work, rig, ASK, {"id": "after", "tool": "noop"})
    assert (await decide(api_at_work, approval, "approve", "operator")).status_code == 403
    assert (await decide(api_at_work, approval, "approve", tenant=api_at_work.birch)).status_code == 404
    assert (await rig.run(run_id))["state"] == "waiting"
    assert (await decide(api_at_work, approval, "approve")).status_code == 202
    assert (await decide(api_at_work, approval, "approve")).status_code == 409
    await until(rig, run_id, "finished")
    assert (await rig.run(run_id))["outcome"] == "completed"
    step = (await rig.steps(run_id))["ok"]
    assert (step["state"], step["output"]["reason"]) == ("succeeded", "seen")


async def test_a_no_undoes_what_the_run_did(api_at_work, rig):
    rig.tool("demo.do")
    rig.tool("demo.undo")
    before = {"id": "do", "tool": "demo.do", "rollback": {"tool": "demo.undo"}}
    run_id, approval = await asked(api_at_work, rig, before, ASK)
    assert (await decide(api_at_work, approval, "reject")).status_code == 202
    await until(rig, run_id, "finished")
    run = await rig.run(run_id)
    assert (run["outcome"], run["reason"]) == ("rolled_back", "step ok: a person said no: seen")
    assert [call.step_id for call in rig.calls] == ["do", "$rollback/do"]


async def test_a_decision_reaches_a_run_that_is_executed_just_then(api_at_work, rig):
    async def decide_meanwhile(call):
        await api_at_work.settle()
        incident = (await rig.run(call.run_id))["incident_id"]
        listed = await api_at_work.client.get(
            "/api/v1/approvals", params={"incident_id": str(incident)}, headers=api_at_work.alder.headers()
        )
        answer = await decide(api_at_work, listed.json()["items"][0], "approve")
        await api_at_work.settle()
        return {"status": answer.status_code}

    rig.tool("demo.meanwhile", decide_meanwhile)
    (run_id,) = await rig.approve(
        plan({"id": "both", "parallel": [ASK, {"id": "work", "tool": "demo.meanwhile"}]})
    )
    await until(rig, run_id, "finished")
    assert (await rig.steps(run_id))["work"]["output"] == {"status": 202}
    assert (await rig.run(run_id))["outcome"] == "completed"
