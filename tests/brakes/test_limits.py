"""Budgets, how far a playbook reaches, and the canary: what is over a limit waits, and no two exceed one together."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from fettle.healing.brakes import admissions
from fettle.healing.brakes.admissions import Wanted
from fettle.healing.brakes.limiting import Action, admit
from fettle.healing.brakes.limits import ActionLimits
from fettle.healing.consumers import take_outcomes
from fettle.kernel import events
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.bus import TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
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
    waits = sorted(row["until"] - utcnow() for row in rows)
    assert all(timedelta(minutes=59) < wait < timedelta(hours=1) for wait in waits[:2])
    assert timedelta(minutes=119) < waits[2] < timedelta(hours=2), "no more ask again than there is room for"
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
    began, go_on = scene.hold("demo.first")
    await scene.report(*hosts(6), run=False)
    running = asyncio.create_task(scene.executor().run_once())
    await began.wait()
    async with asyncio.timeout(60):
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


def run_of(scene, **more):
    """Return a run that would begin to act."""
    return Wanted(
        **{
            "tenant_id": scene.tenant, "run_id": new_id(), "incident_id": None, "playbook": "PB", "definition": "d",
            "host": "", "disruptive": False, "began": False, "breakers": [], "limits": ActionLimits(per_hour=5),
            **more,
        }
    )  # fmt: skip


async def test_a_run_that_goes_on_a_day_after_it_began_is_still_let_act(scene):
    """Such as one whose next step waited for an approval over a weekend."""
    run = run_of(scene)
    assert await admissions.ask(scene.platform, run) is None
    await scene.rows("UPDATE action_admissions SET admitted_at = admitted_at - interval '30 hours'")
    again = run_of(scene, run_id=run.run_id, began=True)
    assert await admissions.ask(scene.platform, again) is None
    assert len(await scene.rows("SELECT * FROM action_admissions")) == 1


async def test_every_run_that_ends_frees_what_waits_for_it_also_two_of_one_incident(scene):
    await scene.policy(blast_radius={"canary": True})
    incident = new_id()
    runs = [run_of(scene, incident_id=incident, playbook=f"PB-{number}") for number in range(2)]
    runs.append(run_of(scene, playbook="PB-of-none"))
    canary = ActionLimits(canary=True)
    for run in runs:
        assert await admissions.ask(scene.platform, replace(run, limits=canary)) is None
    ended = [
        NewEvent(
            stream_type="run",
            stream_id=run.run_id,
            type="playbook.completed",
            data={"outcome": "cancelled", "playbook_id": run.playbook},
            actor="system:test",
            correlation_id=run.incident_id,
        )
        for run in runs
    ]
    async with scene.session() as session:
        await events.append(session, scene.tenant, ended)
        connection = await driver(session)
        rows = await connection.fetch(f"SELECT {events.COLUMNS} FROM events ORDER BY position")
        batch = TenantBatch(scene.platform, session, scene.tenant, [events.from_row(row) for row in rows])
        await take_outcomes(batch)
    found = await scene.rows("SELECT outcome FROM action_admissions")
    assert [row["outcome"] for row in found] == ["cancelled"] * 3


async def test_a_tenant_whose_runs_wait_in_line_leaves_its_neighbours_the_database(scene, other_scene):
    async with scene.session() as session:
        connection = await driver(session)
        await hold_lock(connection, "brakes", scene.tenant)  # as another process that admits
        line = [asyncio.create_task(admissions.ask(scene.platform, run_of(scene))) for _ in range(60)]
        async with asyncio.timeout(60):
            while not await other_scene.rows(
                "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            ):
                await asyncio.sleep(0.01)
            assert await admissions.ask(other_scene.platform, run_of(other_scene)) is None
            waiting = await other_scene.rows(
                "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            )
        assert len(waiting) == 1
    answers = await asyncio.gather(*line)
    assert sum(held is None for held in answers) == 5


async def test_what_bears_on_a_run_is_a_few_and_answers_as_all_of_it_would(scene):
    chance, now, kept = Random(7), utcnow(), []
    for _ in range(400):
        at = now - timedelta(minutes=chance.choice([chance.uniform(0, 70), chance.uniform(0, 1_500)]))
        kept.append(
            Action(
                new_id(), chance.choice(["PB", "PB-2"]), chance.choice("de"), chance.choice(["", "a", "b", "c"]),
                disruptive=chance.random() < 0.1, at=at, outcome=chance.choice([None, "verified", "failed"]),
                canary=chance.random() < 0.02,
            )
        )  # fmt: skip
    await scene.rows(
        "INSERT INTO action_admissions (tenant_id, run_id, playbook_id, definition_hash, host, disruptive, canary, "
        "outcome, admitted_at) SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bool[], "
        "$7::bool[], $8::text[], $9::timestamptz[])",
        scene.tenant,
        *(
            [getattr(one, name) for one in kept]
            for name in ("run", "playbook", "definition", "host", "disruptive", "canary", "outcome", "at")
        ),
    )
    answers = set()
    for _ in range(60):
        limits = ActionLimits(
            per_hour=chance.choice([None, 0, 5, 180, 500]), per_host_per_hour=chance.choice([None, 1, 60]),
            disruptive_per_day=chance.choice([None, 1, 30, 100]), hosts_per_hour=chance.choice([None, 1, 3, 9]),
            canary=chance.random() < 0.3,
        )  # fmt: skip
        run = run_of(
            scene, limits=limits, host=chance.choice(["", "a", "z"]), definition=chance.choice("def"),
            disruptive=chance.random() < 0.5,
        )  # fmt: skip
        action = Action(run.run_id, "PB", run.definition, run.host, disruptive=run.disruptive, at=now)
        async with scene.session() as session:
            bearing = await admissions.bearing(await driver(session), run, now)
        said = admit(action, bearing, limits, fleet=0, now=now)
        assert said == admit(action, sorted(kept, key=lambda one: one.at), limits, fleet=0, now=now)
        answers.add(getattr(said, "reason", "admitted"))
        if limits.per_hour is None and not run.disruptive and not limits.canary:
            assert len(bearing) <= 3 + (limits.per_host_per_hour or 0)
    assert answers == {"admitted", "budget", "blast_radius", "canary"}
