"""A run that a person stops: before its next step, undone as its playbook says, and told to a person."""

import asyncio

import pytest
from tests.tools.rig import Rig, plan

from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.ids import new_id
from fettle.tools.catalogue import registry_of
from fettle.tools.stopping import stop_run

PASSES = {"tool": "noop", "with": {"result": "pass"}}
DONE = {"id": "one", "tool": "demo.one", "rollback": {"tool": "demo.undo"}}


@pytest.fixture
def rig(platform, tenant):
    platform.parts.clear()
    made = Rig(platform, tenant)
    for name in ("demo.one", "demo.undo"):
        made.tool(name)
    return made


async def stop(rig, run_id, reason="the wrong host"):
    async with rig.platform.database.tenant(rig.tenant) as session:
        await stop_run(session, rig.tenant, run_id, reason, actor="user:u", request_id=None)


def called(rig):
    return [call.step_id for call in rig.calls]


async def test_the_step_under_way_ends_and_no_other_begins(rig):
    async def slow(call):
        await stop(rig, call.run_id)
        return {"took": "effect"}

    rig.tool("demo.slow", slow, idempotent=False)
    steps = [DONE, {"id": "slow", "tool": "demo.slow"}, {"id": "after", "tool": "demo.one"}]
    (run_id,) = await rig.approve(plan(*steps, verify=PASSES))
    await rig.execute()
    assert called(rig) == ["one", "slow", "$rollback/one"]
    run = await rig.run(run_id)
    assert (run["state"], run["outcome"]) == ("finished", "cancelled")
    assert run["reason"] == "stopped before after by user:u: the wrong host"
    assert (await rig.steps(run_id))["slow"]["output"] == {"took": "effect"}
    told = [kind for kind, _ in await rig.told(run_id)]
    assert told.count("run.stop_requested") == 1
    assert told[-1] == "playbook.completed"


async def test_a_run_that_nobody_began_does_nothing(rig):
    (run_id,) = await rig.approve(plan(DONE))
    await stop(rig, run_id)
    await rig.execute()
    assert called(rig) == []
    assert (await rig.run(run_id))["outcome"] == "cancelled"


@pytest.mark.parametrize(
    "waiting",
    [
        {"id": "hold", "tool": "wait", "with": {"seconds": 3600}},
        {"id": "hold", "approve": {"by": ["tenant_admin"], "reason": "r"}},
        {"id": "hold", "parallel": [{"id": "a", "tool": "wait", "with": {"seconds": 3600}}, DONE]},
    ],
)
async def test_a_wait_ends_at_once_and_what_was_done_is_undone(rig, waiting):
    first = {**DONE, "id": "first"}
    (run_id,) = await rig.approve(plan(first, waiting, {"id": "after", "tool": "demo.one"}))
    await rig.execute()
    assert (await rig.run(run_id))["state"] == "waiting"
    await stop(rig, run_id)
    await rig.execute()
    assert (await rig.run(run_id))["outcome"] == "cancelled"
    assert "after" not in called(rig)
    assert called(rig)[-1] == "$rollback/first"


async def test_a_failure_that_was_to_be_tried_again_is_not(rig):
    async def fails(call):
        await stop(rig, call.run_id)
        raise TimeoutError

    rig.tool("demo.fails", fails)
    (run_id,) = await rig.approve(
        plan({"id": "s", "tool": "demo.fails", "retry": {"attempts": 5, "backoff_seconds": 0}})
    )
    await rig.execute()
    assert len(rig.calls) == 1
    assert (await rig.run(run_id))["outcome"] == "cancelled"


async def test_what_cannot_be_undone_is_said(rig):
    async def fails(call):
        raise ZeroDivisionError

    async def last(call):
        await stop(rig, call.run_id)
        return {}

    rig.tool("demo.no_way_back", fails, idempotent=False)
    rig.tool("demo.stops", last)
    step = {"id": "one", "tool": "demo.one", "rollback": {"tool": "demo.missing"}}
    (run_id,) = await rig.approve(plan(step, {"id": "two", "tool": "demo.stops"}, DONE | {"id": "three"}))
    await rig.execute()
    run = await rig.run(run_id)
    assert run["outcome"] == "failed"
    assert "could not be undone: one" in run["reason"]


async def test_a_run_that_has_nothing_left_to_begin_completes(rig):
    async def last(call):
        await stop(rig, call.run_id)
        return {"result": "pass"}

    rig.tool("demo.check", last)
    (run_id,) = await rig.approve(plan(DONE, verify={"tool": "demo.check"}))
    await rig.execute()
    assert (await rig.run(run_id))["outcome"] == "verified"
    with pytest.raises(Conflict, match="has ended as verified"):
        await stop(rig, run_id)


async def test_a_run_is_stopped_once_and_only_its_own_tenants(rig, other_tenant):
    (run_id,) = await rig.approve(plan({"id": "w", "tool": "wait", "with": {"seconds": 3600}}))
    await rig.execute()
    await stop(rig, run_id)
    with pytest.raises(Conflict, match="stopped already"):
        await stop(rig, run_id)
    for tenant, wanted in ((other_tenant, run_id), (rig.tenant, new_id())):
        async with rig.platform.database.tenant(tenant) as session:
            with pytest.raises(NotFound):
                await stop_run(session, tenant, wanted, "r", actor="user:u", request_id=None)


async def test_a_process_that_takes_over_knows_of_it(rig):
    first = rig.executor()
    began = asyncio.Event()

    async def hangs(call):
        began.set()
        await asyncio.Event().wait()

    rig.tool("demo.hangs", hangs)
    (run_id,) = await rig.approve(plan(DONE, {"id": "h", "tool": "demo.hangs"}))
    working = asyncio.create_task(first.run_once())
    await began.wait()
    await stop(rig, run_id)
    for _, task in first._active.values():
        task.cancel()
    await working
    async with rig.platform.database.raw_system() as connection:
        await connection.execute("UPDATE playbook_runs SET due_at = now() WHERE id = $1", run_id)
    await rig.execute()
    assert called(rig) == ["one", "h", "$rollback/one"]
    assert (await rig.run(run_id))["outcome"] == "cancelled"


async def test_stopping_and_completing_at_once_ends_the_run_one_way(rig):
    """However the two meet, the run ends once: as stopped, with all undone, or as if nobody had asked."""
    ids = await rig.approve(*(plan(DONE, {"id": "two", "tool": "noop"}, verify=PASSES) for _ in range(40)))

    async def stop_late(place, run_id):
        await asyncio.sleep(place * 0.001)
        try:
            await stop(rig, run_id)
        except Conflict:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        group.create_task(rig.execute())
        asked = [group.create_task(stop_late(place, run_id)) for place, run_id in enumerate(ids)]
    await rig.execute()
    seen = set()
    for task, run_id in zip(asked, ids, strict=True):
        run, told = await rig.run(run_id), [kind for kind, _ in await rig.told(run_id)]
        assert run["state"] == "finished"
        assert told.count("playbook.completed") == 1
        assert run["outcome"] == "verified" or task.result()
        undone = "$rollback/one" in await rig.steps(run_id)
        did = "one" in await rig.steps(run_id)
        assert undone == (did and run["outcome"] == "cancelled")
        seen.add(run["outcome"])
    assert seen <= {"verified", "cancelled"}


async def test_the_incident_goes_to_a_person_and_the_timeline_says_why(api_at_work):
    api = api_at_work
    rig = Rig(api.platform, api.alder.id, registry=registry_of(api.platform))
    (run_id,) = await rig.approve(plan({"id": "w", "tool": "wait", "with": {"seconds": 3600}}))
    incident = (await rig.run(run_id))["incident_id"]
    path = f"/api/v1/runs/{run_id}"
    await api.eventually(path, api.alder.headers(), lambda run: run["state"] == "waiting")
    body = {"reason": "maintenance began"}
    viewer = await api.client.post(f"{path}/cancel", json=body, headers=api.alder.headers("viewer"))
    assert viewer.status_code == 403
    answer = await api.client.post(f"{path}/cancel", json=body, headers=api.alder.headers("operator"))
    assert answer.status_code == 202, answer.text
    ended = await api.eventually(path, api.alder.headers(), lambda run: run["state"] == "finished")
    assert ended["outcome"] == "cancelled"
    assert ended["steps"][-1]["path"] in {"w", "$cancel"}
    await api.eventually(
        f"/api/v1/incidents/{incident}", api.alder.headers(), lambda found: found["state"] == "escalated"
    )
    timeline = await api.client.get(f"/api/v1/incidents/{incident}/timeline", headers=api.alder.headers())
    events = {event["type"]: event["data"] for event in timeline.json()["items"]}
    assert events["run.stop_requested"]["reason"] == "maintenance began"
    assert events["incident.escalated"]["reason"] == "run_cancelled"
    again = await api.client.post(f"{path}/cancel", json=body, headers=api.alder.headers("operator"))
    assert again.status_code == 409
