"""Budgets, how far a playbook reaches, and the canary: what is over a limit waits, and no two exceed one together."""

import asyncio
from datetime import timedelta

import pytest

from fettle.healing.brakes import admissions
from fettle.kernel.clock import utcnow
from fettle.tools.registry import ToolError


def hosts(count, begin=0):
    return [{"host": f"h{number}"} for number in range(begin, begin + count)]


async def held(scene):
    async with scene.session() as session:
        return await admissions.listed(session, scene.tenant, before=None, limit=200)


async def pass_time(scene, **span):
    """Let what acted have acted so long ago, and what is held be looked at now."""
    await scene.rows(
        "UPDATE action_admissions SET admitted_at = admitted_at - $1::interval", timedelta(**span)
    )
    await scene.rows("UPDATE playbook_runs SET due_at = now() WHERE state = 'waiting'")
    await scene.settle()


async def test_over_the_budget_is_held_until_there_is_room_and_then_acts(scene):
    await scene.begin(budgets={"actions_per_hour": 2})
    await scene.report(*hosts(5))
    assert sorted(await scene.states()) == ["healing"] * 3 + ["resolved"] * 2
    rows = await held(scene)
    assert len(rows) == 3
    assert {row["reason"] for row in rows} == {"budget"}
    assert all(timedelta(minutes=59) < row["until"] - utcnow() < timedelta(hours=1) for row in rows)
    told = await scene.told("run.held")
    assert len(told) == 3
    assert told[0]["data"]["detail"].startswith("The policy says that 2 playbooks may start in an hour")
    await pass_time(scene, minutes=61)
    assert sorted(await scene.states()) == ["healing"] + ["resolved"] * 4
    await pass_time(scene, minutes=61)
    assert await scene.states() == ["resolved"] * 5
    assert await held(scene) == []
    assert len(await scene.told("run.held")) == len(await scene.told("run.released")) == 3


async def test_one_host_has_a_budget_of_its_own(scene):
    await scene.begin(budgets={"actions_per_host_per_hour": 1}, flapping={"enabled": False})
    await scene.report({"host": "a"}, {"host": "b"})
    await scene.report({"host": "A"})
    assert sorted(await scene.states()) == ["healing", "resolved"]
    assert [row["host"] for row in await held(scene)] == ["a"]


async def test_a_budget_of_nothing_leaves_it_to_people(scene):
    await scene.begin(budgets={"actions_per_hour": 0})
    await scene.report({"host": "a"})
    assert await scene.states() == ["escalated"]
    [run] = await scene.rows("SELECT outcome, reason FROM playbook_runs")
    assert run["outcome"] == "cancelled"
    assert "0 playbooks may start in an hour" in run["reason"]


async def test_a_playbook_reaches_so_many_hosts_in_an_hour(scene):
    await scene.begin(blast_radius={"hosts_per_hour": 2})
    await scene.report(*hosts(4))
    assert sorted(await scene.states()) == ["healing"] * 2 + ["resolved"] * 2
    assert {row["reason"] for row in await held(scene)} == {"blast_radius"}


async def test_or_a_share_of_the_fleet(scene, platform):
    class Fleet:
        async def count(self, _tenant):
            return 20

    platform.parts["hosts"] = Fleet()
    await scene.begin(blast_radius={"share_of_fleet_per_hour": 0.1})
    await scene.report(*hosts(5))
    assert sorted(await scene.states()) == ["healing"] * 3 + ["resolved"] * 2


async def test_a_canary_goes_first_and_the_others_once_it_is_verified(scene):
    await scene.begin(blast_radius={"canary": True})
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_):
        began.set()
        await go_on.wait()
        return {}

    scene.answers["demo.first"] = slow
    await scene.report(*hosts(6), run=False)
    running = asyncio.create_task(scene.executor().run_once())
    await began.wait()
    async with asyncio.timeout(10):
        while len(await held(scene)) < 5:
            await asyncio.sleep(0.01)
    assert len(scene.calls) == 1
    assert {row["reason"] for row in await held(scene)} == {"canary"}
    go_on.set()
    await running
    # What waits is woken by the canary's end, and not by the time that it was given.
    await scene.settle()
    assert await scene.states() == ["resolved"] * 6


async def test_a_canary_that_fails_lets_one_other_try_and_no_more(scene):
    await scene.begin(blast_radius={"canary": True})

    async def fails(_):
        raise ToolError("refused", "the host says no", retryable=False)

    scene.answers["demo.first"] = fails
    await scene.report({"host": "a"})
    scene.answers.clear()
    await scene.report(*hosts(3))
    assert await scene.states() == ["escalated"] + ["resolved"] * 3
    rows = await scene.rows("SELECT canary FROM action_admissions ORDER BY admitted_at")
    assert [row["canary"] for row in rows] == [True, True, False, False]


@pytest.mark.parametrize("most", [1, 7])
async def test_two_processes_at_once_exceed_no_limit_together(scene, most):
    await scene.begin(budgets={"actions_per_hour": most})
    await scene.report(*hosts(30), run=False)
    executors = [scene.executor() for _ in range(4)]
    while any(await asyncio.gather(*(one.run_once() for one in executors))):
        pass
    await scene.settle(run=False)
    assert (await scene.states()).count("resolved") == most
    assert len(await held(scene)) == 30 - most
    assert len(await scene.rows("SELECT * FROM action_admissions")) == most


async def test_what_is_held_is_held_over_a_restart_and_counted_once(scene):
    """A process dies after it was let act and before it did; the next is let act by the same admission."""
    await scene.begin(budgets={"actions_per_hour": 1})

    async def killed(_):
        raise asyncio.CancelledError

    scene.answers["demo.first"] = killed
    await scene.report(*hosts(2), run=False)
    await scene.executor().run_once()
    assert len(await scene.rows("SELECT * FROM action_admissions")) == 1
    scene.answers.clear()
    await scene.rows("UPDATE playbook_runs SET due_at = now()")
    await scene.settle()
    assert sorted(await scene.states()) == ["healing", "resolved"]
    assert len(await held(scene)) == 1


async def test_a_tenants_limits_are_its_own(scene, other_scene):
    await scene.begin(budgets={"actions_per_hour": 1})
    await other_scene.begin()
    await scene.report(*hosts(3))
    await other_scene.report(*hosts(3))
    assert await other_scene.states() == ["resolved"] * 3
    assert await held(other_scene) == []
    assert len(await held(scene)) == 2
