"""Many incidents at once, over the API: commands by ids and by filter, undo, saved views."""

import asyncio
from uuid import uuid4

import pytest
from tests.incidents.desk import Desk, member

from fettle.central import features
from fettle.incidents import bulk
from fettle.incidents.bulk_planning import Done, Left, Subject, plan
from fettle.incidents.history import Standing
from fettle.incidents.states import State
from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id
from fettle.kernel.jobs import run_job


@pytest.fixture
def desk(api_at_work):
    return Desk(api_at_work)


async def several(desk, count, **fields):
    return await asyncio.gather(*(desk.opened(**fields) for _ in range(count)))


async def many(desk, action, ids=None, **given):
    chosen = {"ids": ids} if ids is not None else {}
    made = await desk.done("POST", "/incidents/bulk", {"action": action, **chosen, **given})
    return made["id"]


async def told(desk, bulk_id):
    items = (await desk.done("GET", f"/incidents/bulk/{bulk_id}/items?limit=200"))["items"]
    return await desk.done("GET", f"/incidents/bulk/{bulk_id}"), {item["incident_id"]: item for item in items}


async def test_each_incident_is_told_of_and_what_was_done_is_taken_back(desk):
    first, second, third = [one["id"] for one in await several(desk, 3)]
    await desk.done("POST", f"/incidents/{second}/close", {"reason": "Before"})
    bulk_id = await many(desk, "close", [first, second, third], reason="Tidied up")
    whole, items = await told(desk, bulk_id)
    assert (whole["state"], whole["total"], whole["done"], whole["skipped"]) == ("done", 3, 2, 1)
    assert items[second]["detail"] == "It is closed already."
    assert {(await desk.show(one))["state"] for one in (first, second, third)} == {"closed"}
    await desk.done("POST", f"/incidents/{third}/comments", {"body": "This alone changes nothing"})
    await desk.done("POST", f"/incidents/{first}/reopen", {"reason": "It matters"})
    await desk.done("POST", f"/incidents/bulk/{bulk_id}/undo")
    whole, items = await told(desk, bulk_id)
    assert (whole["state"], whole["undone"], whole["kept"], whole["can_undo"]) == ("undone", 1, 1, False)
    assert items[first]["detail"] == "It was changed since."
    states = [(await desk.show(one))["state"] for one in (first, second, third)]
    assert states == ["escalated", "closed", "escalated"]
    assert (await desk.ask("POST", f"/incidents/bulk/{bulk_id}/undo")).status_code == 409
    await desk.assert_folds(first, second, third)


async def test_every_action_and_its_way_back(desk):
    ids = [one["id"] for one in await several(desk, 2)]
    operator = await member(desk, "operator")
    for action, given, name, after in (
        ("assign", {"assignee": operator["id"]}, "assignee", operator["id"]),
        ("resolve", {"reason": "Done"}, "state", "resolved"),
    ):
        before = [(await desk.show(one))[name] for one in ids]
        bulk_id = await many(desk, action, ids, **given)
        assert [(await desk.show(one))[name] for one in ids] == [after, after], action
        await desk.done("POST", f"/incidents/bulk/{bulk_id}/undo")
        assert [(await desk.show(one))[name] for one in ids] == before, action
    await many(desk, "assign", ids, assignee=operator["id"])
    bulk_id = await many(desk, "unassign", ids)
    assert [(await desk.show(one))["assignee"] for one in ids] == [None, None]
    await desk.done("POST", f"/incidents/bulk/{bulk_id}/undo")
    assert [(await desk.show(one))["assignee"] for one in ids] == [operator["id"]] * 2
    await many(desk, "resolve", ids, reason="Done")
    bulk_id = await many(desk, "reopen", ids, reason="Again")
    assert [(await desk.show(one))["state"] for one in ids] == ["escalated"] * 2
    await desk.done("POST", f"/incidents/bulk/{bulk_id}/undo")
    assert [(await desk.show(one))["state"] for one in ids] == ["resolved"] * 2
    secret = "ghp_" + uuid4().hex + "abcd"
    bulk_id = await many(desk, "comment", ids, body=f"See {secret}")
    said = (await desk.done("GET", f"/incidents/{ids[0]}/comments"))["items"]
    assert len(said) == 1
    assert secret not in said[0]["body"]
    await desk.done("POST", f"/incidents/bulk/{bulk_id}/undo")
    assert (await desk.done("GET", f"/incidents/{ids[0]}/comments"))["items"][0]["body"] == ""
    await desk.assert_folds(*ids)


async def test_of_two_closed_for_the_same_thing_one_is_reopened(desk):
    first = await desk.opened()
    await desk.done("POST", f"/incidents/{first['id']}/close", {"reason": "Over"})
    second = await desk.opened(**first["body"])
    assert second["id"] != first["id"]
    await desk.done("POST", f"/incidents/{second['id']}/close", {"reason": "Over"})
    bulk_id = await many(desk, "reopen", [first["id"], second["id"]], reason="Both")
    whole, items = await told(desk, bulk_id)
    assert (whole["done"], whole["skipped"]) == (1, 1)
    assert "open for the same" in next(i["detail"] for i in items.values() if i["result"] == "skipped")


async def test_a_filter_is_a_durable_job_on_what_it_let_through_at_that_moment(desk):
    label = uuid4().hex[:8]
    ids = {one["id"] for one in await several(desk, 3, labels={"wave": label})}
    bulk_id = await many(desk, "resolve", filter=f"label=wave={label}", reason="Wave over")
    later = await desk.opened(labels={"wave": label})
    whole, _ = await told(desk, bulk_id)
    assert (whole["state"], whole["total"], whole["pending"]) == ("queued", 3, 3)
    assert (await desk.ask("POST", f"/incidents/bulk/{bulk_id}/undo")).status_code == 409
    tenant, job_id = desk.api.alder.id, whole["job_id"]
    assert await run_job(desk.api.platform, tenant, job_id, features.jobs())
    whole, items = await told(desk, bulk_id)
    assert (whole["state"], whole["done"], set(items)) == ("done", 3, ids)
    assert (await desk.show(later["id"]))["state"] == "escalated"
    assert not await run_job(desk.api.platform, tenant, job_id, features.jobs()), "it is done once"


async def test_a_command_during_changes_leaves_every_row_the_sum_of_its_events(desk):
    incidents = await several(desk, 4)
    ids = [one["id"] for one in incidents]
    await asyncio.gather(
        many(desk, "close", ids, reason="All"),
        many(desk, "resolve", ids[::-1], reason="All"),
        *(desk.ask("POST", f"/incidents/{one}/close", {"reason": "One"}) for one in ids),
        *(desk.done("POST", "/exceptions", one["body"]) for one in incidents),
    )
    await desk.api.settle()
    await desk.assert_folds(*ids)


@pytest.mark.parametrize(
    "body",
    [
        {"action": "close", "reason": "x"},
        {"action": "close", "reason": "x", "ids": [str(uuid4())], "filter": "state=open"},
        {"action": "close", "ids": []},
        {"action": "erase", "ids": [str(uuid4())]},
        {"action": "close", "reason": "x", "filter": "colour=red"},
        {"action": "close", "reason": "x", "filter": "state"},
        {"action": "close", "reason": "x", "filter": "host=no-such-host"},
        {"action": "assign", "filter": "", "assignee": str(uuid4())},
    ],
)
async def test_a_command_that_cannot_be_meant_is_refused(desk, body):
    assert (await desk.ask("POST", "/incidents/bulk", body)).status_code == 422


async def test_a_command_without_what_it_needs_or_on_what_is_not_there_does_nothing(desk):
    incident = await desk.opened()
    missing = {"action": "close", "ids": [incident["id"]]}
    assert (await desk.ask("POST", "/incidents/bulk", missing)).status_code == 422
    unknown = {"action": "close", "ids": [incident["id"], str(uuid4())], "reason": "x"}
    assert (await desk.ask("POST", "/incidents/bulk", unknown)).status_code == 404
    birch = desk.api.birch.headers()
    theirs = {"action": "close", "ids": [incident["id"]], "reason": "x"}
    assert (await desk.ask("POST", "/incidents/bulk", theirs, headers=birch)).status_code == 404
    assert (await desk.show(incident["id"]))["version"] == incident["version"]


async def test_views_are_ones_own_or_shared_and_one_is_the_default(desk):
    name = f"Mine {uuid4().hex[:6]}"
    view = {"name": name, "query": "severity=high&state=open&state=escalated&sort=seen"}
    made = await desk.done("POST", "/incidents/views", view, role="viewer")
    assert made["query"] == "state=open&state=escalated&severity=high&sort=seen"
    assert made["mine"] is True
    again = await desk.ask("POST", "/incidents/views", {**view, "name": name.upper()}, role="viewer")
    assert again.status_code == 409
    shared = {**view, "shared": True}
    assert (await desk.ask("POST", "/incidents/views", shared, role="viewer")).status_code == 403
    theirs = await desk.done("POST", "/incidents/views", shared, role="operator")
    seen = {v["id"]: v for v in (await desk.done("GET", "/incidents/views", role="viewer"))["items"]}
    assert (seen[theirs["id"]]["mine"], seen[made["id"]]["mine"]) == (False, True)
    others = {v["id"] for v in (await desk.done("GET", "/incidents/views", role="operator"))["items"]}
    assert made["id"] not in others
    path = f"/incidents/views/{theirs['id']}"
    change = {"name": "Taken over", "version": 1}
    assert (await desk.ask("PATCH", path, change, role="viewer")).status_code == 403
    assert (
        await desk.ask("PATCH", f"/incidents/views/{made['id']}", change, role="operator")
    ).status_code == 404
    await desk.done("PUT", "/incidents/views/default", {"view_id": theirs["id"]}, role="viewer")
    seen = {v["id"]: v for v in (await desk.done("GET", "/incidents/views", role="viewer"))["items"]}
    assert seen[theirs["id"]]["is_default"] is True
    renamed = await desk.done(
        "PATCH", path, {"name": f"{name} B", "shared": False, "version": 1}, role="operator"
    )
    assert (renamed["name"], renamed["version"]) == (f"{name} B", 2)
    assert (await desk.ask("PATCH", path, change, role="operator")).status_code == 409
    seen = {v["id"]: v for v in (await desk.done("GET", "/incidents/views", role="viewer"))["items"]}
    assert theirs["id"] not in seen
    none = await desk.ask("PUT", "/incidents/views/default", {"view_id": theirs["id"]}, role="viewer")
    assert none.status_code == 404
    await desk.done("PUT", "/incidents/views/default", {"view_id": None}, role="viewer")
    await desk.done("PATCH", path, {"shared": True, "version": 2}, role="operator")
    await desk.done("DELETE", path)
    assert (await desk.ask("DELETE", path)).status_code == 404


@pytest.mark.parametrize("query", ["state=gone", "limit=5", "a" * 2_001, "q=%00%ff&zz=1", "=&="])
async def test_a_view_is_a_filter_and_nothing_else(desk, query):
    view = {"name": uuid4().hex, "query": query}
    assert (await desk.ask("POST", "/incidents/views", view)).status_code == 422


def test_a_plan_says_why_it_leaves_an_incident():
    now = utcnow()
    healing = Subject(Standing(State.HEALING, "low", 1, now, now, 3), None)
    left = plan("close", {"reason": "x"}, healing, str(new_id()))
    assert left == Left("It is healing and cannot become closed.")
    assert isinstance(plan("resolve", {"reason": "x"}, healing, str(new_id())), Done)
    assert bulk.MOST_FILTERED == 10_000
