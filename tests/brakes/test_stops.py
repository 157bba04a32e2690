"""The stop switch: nothing begins any more, wherever it stands, and whoever had it running."""

import asyncio

import pytest
from tests.brakes.conftest import ANN, Scene

from fettle.healing.brakes import stops
from fettle.healing.brakes.standing import FRESH_SECONDS
from fettle.kernel.errors import Conflict

AT = {"host": "web-1"}


async def press(scene, reason="the wrong change"):
    async with scene.session() as session:
        await stops.press(scene.platform, session, scene.tenant, reason, who=ANN)


async def lift(scene, reason="it is mended"):
    async with scene.session() as session:
        await stops.lift(scene.platform, session, scene.tenant, reason, who=ANN)
    scene.forget()


@pytest.fixture
async def nowhere(scene):
    """After the test the installation is not stopped."""
    yield
    async with scene.platform.database.raw_system() as connection:
        await connection.execute("DELETE FROM platform_stops")


async def run_of(scene):
    [run] = await scene.rows("SELECT * FROM playbook_runs")
    return run


async def test_what_is_reported_while_it_is_pressed_goes_to_a_person(scene):
    await scene.begin()
    await press(scene)
    scene.forget()
    await scene.report(AT)
    assert await scene.states() == ["escalated"]
    [said] = await scene.told("incident.escalated")
    assert said["data"]["reason"] == "stop_switch"
    assert said["data"]["detail"] == "The stop switch of the tenant was pressed by user:ann: the wrong change"
    assert scene.calls == []
    await lift(scene)
    await scene.report({"host": "web-2"})
    assert await scene.states() == ["escalated", "resolved"]


async def test_mid_playbook_the_step_under_way_ends_and_nothing_else_begins(scene):
    """Not even what would undo it: nothing acts. Within a second, and in a process that did not press it."""
    await scene.begin()

    async def meanwhile(_):
        await press(scene)
        await asyncio.sleep(FRESH_SECONDS)  # what this process knows grows old, as another's would
        return {}

    scene.answers["demo.first"] = meanwhile
    await scene.report(AT)
    assert scene.called() == ["first"]
    run = await run_of(scene)
    assert (run["state"], run["outcome"]) == ("finished", "cancelled")
    assert run["reason"].startswith(
        "stopped before second by user:ann: The stop switch of the tenant was pressed"
    )
    assert run["reason"].endswith("nothing that it did was undone")
    assert await scene.states() == ["escalated"]
    [braked] = await scene.told("run.braked")
    assert (braked["data"]["brake"], braked["data"]["by"]) == ("stop_switch", "user:ann")
    [said] = await scene.told("incident.escalated")
    assert said["data"]["reason"] == "run_cancelled"
    assert "the wrong change" in said["data"]["detail"]


async def test_pressed_while_a_run_undoes_what_it_did_it_stops_undoing(scene):
    await scene.begin()

    async def fails(_):
        await press(scene)
        scene.forget()
        raise RuntimeError("broke")

    scene.answers["demo.second"] = fails
    await scene.report(AT)
    assert scene.called() == ["first", "second"]
    run = await run_of(scene)
    assert run["outcome"] == "cancelled"
    assert "undoing it was stopped before first by user:ann" in run["reason"]


async def test_a_run_that_another_process_had_when_it_died_does_not_go_on(scene):
    """The process was killed in its first step; whoever takes the run over finds the switch pressed."""
    await scene.begin()

    async def killed(_):
        await press(scene)
        raise asyncio.CancelledError

    scene.answers["demo.first"] = killed
    await scene.report(AT, run=False)
    await scene.settle(run=False)
    executor = scene.executor()
    await executor.run_once()
    await scene.rows("UPDATE playbook_runs SET due_at = now()")
    scene.answers.clear()
    scene.forget()
    await scene.settle()
    assert scene.called() == ["first"]
    run = await run_of(scene)
    # It is not known whether the first step took effect, and it may not be made again to find out.
    assert (run["state"], run["outcome"]) == ("finished", "unknown")
    assert await scene.states() == ["escalated"]


async def test_the_installations_switch_stops_every_tenant(scene, other_scene, nowhere):
    await scene.begin()
    await other_scene.begin()
    await stops.press_everywhere(scene.platform, "a bad release", who=ANN)
    with pytest.raises(Conflict):
        await stops.press_everywhere(scene.platform, "again", who=ANN)
    for one in (scene, other_scene):
        await one.report(AT)
        assert await one.states() == ["escalated"]
        assert one.calls == []
        [said] = await one.told("incident.escalated")
        assert "of the installation" in said["data"]["detail"]
    await stops.lift_everywhere(scene.platform, "rolled back", who=ANN)
    with pytest.raises(Conflict):
        await stops.lift_everywhere(scene.platform, "again", who=ANN)
    await scene.report({"host": "web-2"})
    assert await scene.states() == ["escalated", "resolved"]


async def test_a_tenants_switch_stops_nobody_else(scene, other_scene):
    await scene.begin()
    await other_scene.begin()
    await press(scene)
    scene.forget()
    await other_scene.report(AT)
    assert await other_scene.states() == ["resolved"]
    async with other_scene.session() as session:
        assert await stops.pressed(session, other_scene.tenant) == {"platform": None, "tenant": None}


async def test_it_is_pressed_once_lifted_once_listed_and_audited(scene):
    await scene.begin()
    await press(scene)
    with pytest.raises(Conflict):
        await press(scene)
    await lift(scene)
    with pytest.raises(Conflict):
        await lift(scene)
    async with scene.session() as session:
        [row] = await stops.listed(session, scene.tenant, before=None, limit=10)
    assert (row["reason"], row["lift_reason"], row["stopped_by"]) == (
        "the wrong change",
        "it is mended",
        "user:ann",
    )
    assert [one["type"] for one in await scene.told("stop.pressed", "stop.lifted")] == [
        "stop.pressed",
        "stop.lifted",
    ]
    records = await scene.rows("SELECT action FROM audit_records ORDER BY id")
    assert [one["action"] for one in records][-2:] == ["stop.pressed", "stop.lifted"]


async def test_it_holds_over_a_restart(scene, platform, equipped):
    await scene.begin()
    await press(scene)
    again = Scene(platform, scene.tenant)
    equipped[scene.tenant] = again
    platform.parts.pop("healing.brakes")
    await again.report(AT)
    assert await again.states() == ["escalated"]
