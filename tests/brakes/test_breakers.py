"""Circuit breakers: opened by failures, tried by one run, closed by its end, or moved by hand."""

import asyncio

import pytest
from tests.brakes.conftest import ANN

from fettle.healing.brakes import breakers
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict
from fettle.tools.registry import ToolError

TENANT, PLAYBOOK = ("tenant", ""), ("playbook", "PB-DEMO")


async def fails(_):
    raise ToolError("refused", "the host says no", retryable=False)


async def standing(scene):
    async with scene.session() as session:
        rows = await breakers.listed(session, scene.tenant, state=None, kind=None, after=None, limit=50)
    return {(row["kind"], row["key"]): row["state"] for row in rows}


async def fail_on(scene, *hosts):
    scene.answers["demo.first"] = fails
    for host in hosts:
        await scene.report({"host": host})
    scene.answers.clear()
    scene.forget()


async def let_try(scene):
    """The time for which they are open has passed."""
    await scene.rows("UPDATE circuit_breakers SET open_until = now() WHERE state = 'open'")
    scene.forget()


async def test_enough_failures_of_a_playbook_open_it_and_further_plans_go_to_a_person(scene):
    await scene.begin(breakers={"playbook": {"failures": 3}})
    await fail_on(scene, "a", "b", "c")
    assert (await standing(scene))[PLAYBOOK] == "open"
    ran = len(scene.calls)
    await scene.report({"host": "d"})
    assert len(scene.calls) == ran
    said = (await scene.told("incident.escalated"))[-1]["data"]
    assert (said["reason"], said["breaker"]) == ("breaker_open", {"kind": "playbook", "key": "PB-DEMO"})
    assert "circuit breaker of the playbook PB-DEMO is open until" in said["detail"]
    [opened] = await scene.told("breaker.opened")
    assert opened["data"]["reason"] == "3 runs failed within 3600 s."


async def test_one_run_tries_and_its_end_decides(scene):
    await scene.begin(breakers={"playbook": {"failures": 2}})
    await fail_on(scene, "a", "b")
    await let_try(scene)
    scene.answers["demo.first"] = fails
    await scene.report({"host": "c"})
    assert (await standing(scene))[PLAYBOOK] == "open"
    scene.answers.clear()
    await let_try(scene)
    await scene.report({"host": "d"})
    assert (await standing(scene))[PLAYBOOK] == "closed"
    assert await scene.states() == ["escalated", "escalated", "escalated", "resolved"]
    told = await scene.told("breaker.opened", "breaker.half_opened", "breaker.closed")
    assert [one["type"].partition(".")[2] for one in told] == [
        "opened", "half_opened", "opened", "half_opened", "closed",
    ]  # fmt: skip


async def test_while_one_tries_the_others_wait_and_go_on_after_it(scene):
    await scene.begin(breakers={"playbook": {"failures": 2}})
    await fail_on(scene, "a", "b")
    await let_try(scene)
    began, go_on = scene.hold("demo.first")
    await scene.report(*({"host": f"h{number}"} for number in range(5)), run=False)
    running = asyncio.create_task(scene.executor().run_once())
    await began.wait()
    async with asyncio.timeout(60):
        while len(await scene.rows("SELECT * FROM held_runs")) < 4:
            await asyncio.sleep(0.01)
    assert len(scene.calls) == 3  # two that failed, and the one that tries
    go_on.set()
    await running
    await scene.settle(run=False)
    scene.forget()
    await scene.rows("UPDATE playbook_runs SET due_at = now() WHERE state = 'waiting'")
    await scene.settle()
    assert (await scene.states())[2:] == ["resolved"] * 5
    assert len(await scene.told("run.held")) == 4
    assert len(await scene.told("run.released")) == 4
    assert await scene.rows("SELECT * FROM held_runs") == []


async def test_failures_that_are_a_small_share_open_nothing(scene):
    await scene.begin(
        breakers={"playbook": {"failures": 2, "share": 0.5}, "tenant": {"failures": 2, "share": 0.1}}
    )
    await scene.report(*({"host": f"h{number}"} for number in range(8)))
    await fail_on(scene, "a", "b")
    found = await standing(scene)
    assert (found[PLAYBOOK], found[TENANT]) == ("closed", "open")


async def test_a_host_and_a_tool_have_breakers_of_their_own(scene):
    await scene.begin(
        breakers={"host": {"failures": 2}, "tool": {"failures": 3}}, flapping={"enabled": False}
    )
    await fail_on(scene, "a", "A", "b")
    # The second report of one host is of the same incident, which is with a person by now.
    assert (await standing(scene)).get(("host", "a")) == "closed"
    await fail_on(scene, "c")
    assert (await standing(scene))["tool", "demo.first"] == "open"
    await scene.report({"host": "d"})
    assert (await scene.states())[-1] == "escalated"


async def test_mid_playbook_an_open_breaker_stops_a_run_which_is_undone(scene):
    await scene.begin()

    async def meanwhile(_):
        await by_hand(scene, ("tool", "demo.second"))
        return {}

    scene.answers["demo.first"] = meanwhile
    await scene.report({"host": "a"})
    assert scene.called() == ["first", "$rollback/first"]
    [run] = await scene.rows("SELECT * FROM playbook_runs")
    assert run["outcome"] == "cancelled"
    assert "The circuit breaker of the tool demo.second is open until somebody resets it." in run["reason"]
    # It was stopped, which says nothing of the host or the playbook.
    assert (await standing(scene)).keys() == {("tool", "demo.second")}


async def by_hand(scene, name, seconds=None):
    async with scene.session() as session:
        await breakers.open_by_hand(
            scene.platform,
            session,
            scene.tenant,
            name,
            now=utcnow(),
            seconds=seconds,
            reason="maintenance",
            who=ANN,
        )
    scene.forget()


async def reset(scene, name):
    async with scene.session() as session:
        await breakers.reset(scene.platform, session, scene.tenant, name, reason="well again", who=ANN)
    scene.forget()


async def test_by_hand_one_is_opened_until_it_is_reset(scene, other_scene):
    await scene.begin()
    await other_scene.begin()
    await by_hand(scene, TENANT)
    with pytest.raises(Conflict):
        await by_hand(scene, TENANT)
    with pytest.raises(Conflict):
        await reset(other_scene, TENANT)
    await scene.report({"host": "a"})
    await other_scene.report({"host": "a"})
    assert (await scene.states(), await other_scene.states()) == (["escalated"], ["resolved"])
    await reset(scene, TENANT)
    with pytest.raises(Conflict):
        await reset(scene, TENANT)
    await scene.report({"host": "b"})
    assert await scene.states() == ["escalated", "resolved"]
    told = await scene.told("breaker.opened", "breaker.closed")
    assert [(one["data"]["by"], one["data"]["reason"]) for one in told] == [
        ("user:ann", "maintenance"),
        ("user:ann", "well again"),
    ]
    assert await standing(other_scene) == {}


async def test_nobody_opens_more_by_hand_than_every_process_can_read(scene, other_scene):
    await scene.rows(
        "INSERT INTO circuit_breakers (tenant_id, kind, key, state) "
        "SELECT $1, 'host', 'h' || n, 'open' FROM generate_series(1, $2::int) n",
        scene.tenant,
        breakers.MOST_STANDING,
    )
    with pytest.raises(Conflict, match="open already"):
        await by_hand(scene, ("host", "another"))
    await by_hand(other_scene, ("host", "another"))
