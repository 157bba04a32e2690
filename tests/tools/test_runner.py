"""Runs against a real database: recorded before they act, resumed by whoever is left, and never done twice."""

import asyncio

import asyncpg
import pytest
from tests.tools.rig import Rig, plan

from fettle.kernel.bus import TenantBatch
from fettle.kernel.bus_turns import TURN_EVENTS, lent_turns
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.events import COLUMNS, from_row
from fettle.kernel.ids import new_id
from fettle.tools import playbook_reader, recording, runs
from fettle.tools.consumers import start
from fettle.tools.ledger import Decision, Finish, Outcome
from fettle.tools.progress import advance
from fettle.tools.registry import OutcomeUnknown, ToolError
from fettle.tools.runs import LeaseLost, RunChange, Write

PASSES = {"tool": "noop", "with": {"result": "pass"}}


@pytest.fixture
def rig(platform, tenant):
    platform.parts.clear()
    return Rig(platform, tenant)


async def test_a_run_records_each_start_before_the_effect_and_ends_verified(rig):
    seen = []

    async def look(call):
        line = await rig.rows(
            "SELECT state, attempt FROM run_steps WHERE run_id = $1 AND path = 'fix'", call.run_id
        )
        kinds = [kind for kind, _ in await rig.told(call.run_id)]
        seen.append((line, kinds))
        return {"done": True}

    rig.tool("demo.fix", look)
    (run_id,) = await rig.approve(
        plan({"id": "fix", "tool": "demo.fix", "with": {"h": "${{ incident.host }}"}}, verify=PASSES)
    )
    await rig.execute()
    assert seen == [([{"state": "started", "attempt": 1}], ["step.started"])]
    run = await rig.run(run_id)
    assert (run["state"], run["outcome"], run["playbook_version"]) == ("finished", "verified", 3)
    told = await rig.told(run_id)
    assert [kind for kind, _ in told] == [
        "step.started", "step.succeeded", "step.started", "step.succeeded", "playbook.completed",
    ]  # fmt: skip
    assert told[-1][1]["outcome"] == "verified"
    assert rig.calls[0].input == {"h": "web-1"}
    assert rig.calls[0].idempotency_key == f"{run_id}:fix"
    incident = (await rig.rows("SELECT state, run_id FROM incidents WHERE id = $1", run["incident_id"]))[0]
    assert incident == {"state": "verifying", "run_id": run_id}


async def test_a_plan_that_is_delivered_twice_runs_once(rig):
    rig.tool("demo.fix")
    (run_id,) = await rig.approve(plan({"id": "fix", "tool": "demo.fix"}))
    cause = (await rig.run(run_id))["causation_id"]
    async with rig.platform.database.tenant(rig.tenant) as session:
        await start(TenantBatch(rig.platform, session, rig.tenant, [await event_of(session, cause)]))
    await rig.execute()
    assert len(rig.calls) == 1
    assert await rig.scalar("SELECT count(*) FROM playbook_runs") == 1


async def event_of(session, event_id):
    connection = await driver(session)
    return from_row(await connection.fetchrow(f"SELECT {COLUMNS} FROM events WHERE id = $1", event_id))


async def test_failures_roll_back_and_say_why(rig):
    async def refuse(call):
        raise ToolError("refused", "the disk is full")

    rig.tool("demo.one")
    rig.tool("demo.undo")
    rig.tool("demo.two", refuse)
    (run_id,) = await rig.approve(
        plan(
            {"id": "one", "tool": "demo.one", "rollback": {"tool": "demo.undo"}},
            {"id": "two", "tool": "demo.two"},
        )
    )
    await rig.execute()
    run = await rig.run(run_id)
    assert (run["outcome"], run["reason"]) == ("rolled_back", "step two: the disk is full")
    assert [call.step_id for call in rig.calls] == ["one", "two", "$rollback/one"]
    failed = [data for kind, data in await rig.told(run_id) if kind == "step.failed"]
    assert failed[0]["error"] == {"code": "refused", "message": "the disk is full", "retryable": False}


async def test_a_tool_that_breaks_or_hangs_is_repeated_only_where_that_is_safe(rig):
    async def hang(call):
        await asyncio.Event().wait()

    async def break_(call):
        raise ZeroDivisionError

    async def wonder(call):
        raise OutcomeUnknown("the connection broke after the request was sent")

    rig.tool("safe.hangs", hang)
    rig.tool("safe.breaks", break_)
    rig.tool("unsafe.hangs", hang, idempotent=False)
    rig.tool("unsafe.breaks", break_, idempotent=False)
    rig.tool("unsafe.wonders", wonder, idempotent=False)
    names = ["safe.hangs", "safe.breaks", "unsafe.hangs", "unsafe.breaks", "unsafe.wonders"]
    ids = await rig.approve(
        *(
            plan({"id": "s", "tool": name, "timeout_seconds": 0.05, "retry": {"attempts": 2}})
            for name in names
        )
    )
    await rig.execute()
    outcomes = {name: (await rig.run(run_id))["outcome"] for name, run_id in zip(names, ids, strict=True)}
    assert outcomes == {
        "safe.hangs": "failed", "safe.breaks": "failed",
        "unsafe.hangs": "unknown", "unsafe.breaks": "unknown", "unsafe.wonders": "unknown",
    }  # fmt: skip
    counts = {
        name: sum(call.run_id == run_id for call in rig.calls)
        for name, run_id in zip(names, ids, strict=True)
    }
    assert counts == dict.fromkeys(names[:2], 2) | dict.fromkeys(names[2:], 1)


async def test_after_a_crash_an_idempotent_call_is_repeated_and_another_is_not_guessed(rig):
    """The process dies after the effect and before its record: the ledger says `started`, and no more."""
    rig.tool("demo.safe")
    rig.tool("demo.unsafe", idempotent=False)
    safe, unsafe = await rig.approve(
        plan(
            {"id": "s", "tool": "demo.safe", "with": {"n": "${{ 1 + 1 }}"}}, {"id": "after", "tool": "noop"}
        ),
        plan({"id": "s", "tool": "demo.unsafe"}, {"id": "after", "tool": "noop"}),
    )
    await die_during_first_step(rig, {safe, unsafe})
    await rig.execute()
    assert [(call.run_id, call.idempotency_key, call.input) for call in rig.calls] == [
        (safe, f"{safe}:s", {"n": 2})
    ]
    assert (await rig.run(safe))["outcome"] == "completed"
    run = await rig.run(unsafe)
    assert run["outcome"] == "unknown"
    assert "reconcile" in run["reason"]
    steps = await rig.steps(unsafe)
    assert steps["s"]["state"] == "unknown"
    assert "after" not in steps


async def die_during_first_step(rig, run_ids):
    """Record the starts as a runner does, then let the lease lapse without another word."""
    leased = await runs.lease(rig.platform.database, rig.executor()._owner, 50, 5)
    assert {run.id for run in leased} == run_ids
    writes = []
    for run in leased:
        document = await runs.definition(rig.platform.database, run.tenant_id, run.definition_hash)
        decision = advance(playbook_reader.load(document), {}, run.incident, {}, utcnow())
        writes.append(recording.record(run, [], decision, utcnow(), release_at=None))
    assert await runs.write(rig.platform.database, writes) == [None] * len(leased)
    await lapse(rig)


async def lapse(rig):
    async with rig.platform.database.raw_system() as connection:
        await connection.execute("UPDATE playbook_runs SET due_at = now() WHERE state = 'running'")


async def test_a_run_that_the_database_interrupted_goes_on_as_soon_as_it_is_back_and_not_after_its_lease(
    rig, monkeypatch
):
    rig.tool("t.safe")
    [run_id] = await rig.approve(plan({"id": "s", "tool": "t.safe"}))
    executor, write = rig.executor(), runs.write

    async def away(*_):
        raise ConnectionRefusedError

    monkeypatch.setattr(runs, "write", away)
    assert await executor.run_once() == 1
    assert (await rig.run(run_id))["state"] == "running", "it is still leased"
    monkeypatch.setattr(runs, "write", write)
    assert await executor.run_once() == 1
    assert (await rig.run(run_id))["outcome"] == "completed"
    assert len(rig.calls) == 1


async def test_a_run_whose_record_the_database_refuses_is_not_tried_again_before_its_lease_is_over(
    rig, monkeypatch
):
    rig.tool("t.safe")
    [run_id] = await rig.approve(plan({"id": "s", "tool": "t.safe"}))

    async def refused(*_):
        raise asyncpg.CheckViolationError

    executor, write = rig.executor(), runs.write
    monkeypatch.setattr(runs, "write", refused)
    assert [await executor.run_once() for _ in range(3)] == [1, 0, 0]
    assert (await rig.run(run_id))["state"] == "running"
    monkeypatch.setattr(runs, "write", write)
    await lapse(rig)
    assert await executor.run_once() == 1
    assert (await rig.run(run_id))["outcome"] == "completed"


async def test_who_lost_the_lease_writes_nothing(rig):
    rig.tool("demo.fix")
    (run_id,) = await rig.approve(plan({"id": "fix", "tool": "demo.fix"}))
    database = rig.platform.database
    (stale,) = await runs.lease(database, rig.executor()._owner, 10, 5)
    await lapse(rig)
    (fresh,) = await runs.lease(database, rig.executor()._owner, 10, 5)
    assert (stale.fence, fresh.fence) == (1, 2)
    (answer,) = await runs.write(database, [Write(stale, change=RunChange("finished", outcome="failed"))])
    assert isinstance(answer, LeaseLost)
    assert (await rig.run(run_id))["state"] == "running"
    assert await runs.renew(database, rig.executor()._owner, [(run_id, 1)], 5) == set()


async def test_of_two_executors_each_run_has_one(rig):
    rig.tool("demo.fix")
    ids = await rig.approve(*(plan({"id": "fix", "tool": "demo.fix"}) for _ in range(60)))
    await asyncio.gather(*(rig.executor(capacity=20).run_once() for _ in range(4)))
    await rig.execute()
    assert sorted(call.run_id for call in rig.calls) == sorted(ids)


async def test_a_stale_and_a_fresh_turn_of_one_process_cannot_both_end_a_run(rig):
    rig.tool("demo.act")
    (run_id,) = await rig.approve(plan({"id": "fix", "tool": "demo.act"}))
    database = rig.platform.database
    owner = rig.executor()._owner
    [stale] = [r for r in await runs.lease(database, owner, 10, 5) if r.id == run_id]
    await lapse(rig)
    [fresh] = [r for r in await runs.lease(database, owner, 10, 5) if r.id == run_id]
    end = Decision(finish=Finish(Outcome.FAILED, "over"))
    writes = [recording.record(run, [], end, utcnow(), release_at=None) for run in (stale, fresh)]
    first, second = await runs.write(database, writes)
    assert isinstance(first, LeaseLost)
    assert second is None
    assert [kind for kind, _ in await rig.told(run_id)] == ["playbook.completed"]


async def test_a_long_call_keeps_its_lease(rig):
    calls = asyncio.Event()
    until = "SELECT due_at > $2 FROM playbook_runs WHERE id = $1"

    async def wait(call):
        lapses = await rig.scalar("SELECT due_at FROM playbook_runs WHERE id = $1", call.run_id)
        while await rig.scalar("SELECT now() <= $1", lapses) or not await rig.scalar(
            until, call.run_id, lapses
        ):
            await asyncio.sleep(0.02)
        calls.set()
        return {}

    rig.platform.settings = rig.platform.settings.model_copy(update={"lease_seconds": 2})
    rig.tool("demo.slow", wait)
    (run_id,) = await rig.approve(plan({"id": "s", "tool": "demo.slow"}))
    first = asyncio.create_task(rig.executor().run_once())
    while not calls.is_set():
        await rig.executor().run_once()
        await asyncio.sleep(0.02)
    await first
    assert len(rig.calls) == 1
    assert (await rig.run(run_id))["fence"] == 1


async def test_a_wait_costs_no_executor_and_comes_back(rig):
    rig.tool("demo.after")
    (run_id,) = await rig.approve(
        plan(
            {"id": "pause", "tool": "wait", "with": {"seconds": 3600}}, {"id": "after", "tool": "demo.after"}
        )
    )
    await rig.execute()
    run = await rig.run(run_id)
    assert (run["state"], run["lease_owner"], rig.calls) == ("waiting", None, [])
    await rig.rows(
        "UPDATE run_steps SET wake_at = now() - interval '1 s' WHERE run_id = $1 RETURNING 1", run_id
    )
    await rig.rows("UPDATE playbook_runs SET due_at = now() WHERE id = $1 RETURNING 1", run_id)
    await rig.execute()
    assert (await rig.run(run_id))["outcome"] == "completed"
    assert len(rig.calls) == 1


async def test_an_approval_step_asks_and_waits(rig):
    (run_id,) = await rig.approve(
        plan({"id": "ok", "approve": {"by": ["tenant_admin"]}}, {"id": "after", "tool": "noop"})
    )
    await rig.execute()
    run = await rig.run(run_id)
    assert run["state"] == "waiting"
    asked = await rig.rows(
        "SELECT data FROM events WHERE type = 'approval.requested' AND stream_id = $1", run["incident_id"]
    )
    assert (asked[0]["data"]["by"], asked[0]["data"]["path"]) == (["tenant_admin"], "ok")
    assert (
        await rig.scalar("SELECT state FROM incidents WHERE id = $1", run["incident_id"])
        == "awaiting_approval"
    )


async def test_a_plan_that_cannot_be_run_completes_as_failed(rig):
    broken = plan({"id": "s", "tool": "noop", "when": "nonsense("})
    wanting = plan({"id": "s", "tool": "noop"}, playbook={"parameters": {"size": {"type": "integer"}}})
    ids = await rig.approve(broken, wanting)
    await rig.execute()
    for run_id, words in zip(ids, ["/steps/0/when", "/params"], strict=True):
        run = await rig.run(run_id)
        assert (run["state"], run["outcome"]) == ("finished", "failed")
        assert words in run["reason"]
        assert [kind for kind, _ in await rig.told(run_id)] == ["playbook.completed"]


async def test_an_unknown_or_disabled_tool_fails_the_run(rig):
    async with rig.platform.database.raw_tenant(rig.tenant) as connection:
        await connection.execute(
            "INSERT INTO tool_settings (tenant_id, tool, enabled, updated_by) VALUES ($1, 'noop', false, 't')",
            rig.tenant,
        )
    ids = await rig.approve(plan({"id": "s", "tool": "no.such"}), plan({"id": "s", "tool": "noop"}))
    await rig.execute()
    reasons = [(await rig.run(run_id))["reason"] for run_id in ids]
    assert "there is no tool no.such" in reasons[0]
    assert "switched off" in reasons[1]


async def test_of_a_tenant_that_floods_few_runs_are_begun_at_a_time_while_others_have_work(rig):
    rig.tool("t.safe")
    ids = await rig.approve(*(plan({"id": "s", "tool": "t.safe"}) for _ in range(3 * TURN_EVENTS)))
    with lent_turns(rig.platform) as turns:
        turns.begun([rig.tenant])
        executor, begun = rig.executor(), []
        async with asyncio.timeout(60):
            while sum(begun) < len(ids):
                turns.note([new_id()])
                begun.append(await executor.run_once())
                await asyncio.sleep(0.01)
    assert max(begun) == TURN_EVENTS
    assert 0 in begun
    assert len(rig.calls) == len(ids)


async def test_many_runs_share_commits(rig):
    ids = await rig.approve(*(plan({"id": "fix", "tool": "noop"}, verify=PASSES) for _ in range(200)))
    await rig.execute()
    assert await rig.scalar("SELECT count(*) FROM playbook_runs WHERE outcome = 'verified'") == len(ids)
    # Each event carries the transaction that wrote it; alone, every run would need three.
    spent = await rig.scalar("SELECT count(DISTINCT xmin::text) FROM events WHERE stream_type = 'run'")
    assert spent < len(ids)
