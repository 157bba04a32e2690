"""Whoever decides, expires or ends something locks in the one order, so that two never wait for each other."""

import asyncio

import asyncpg
import pytest
from tests.conftest import insert_tenant
from tests.crosswise import somebody_waits
from tests.flywheel.rows import insert_promotion

from fettle.healing import approval_decisions, approvals
from fettle.healing.approval_decisions import Verdict, expire_due
from fettle.healing.consumers import take_outcomes
from fettle.healing.flywheel import promotions
from fettle.healing.flywheel.evaluating import Criteria
from fettle.healing.flywheel.promotions import By
from fettle.identity.permissions import permissions_of
from fettle.incidents import merging
from fettle.incidents import service as incidents
from fettle.incidents.commands import By as Person
from fettle.kernel import events
from fettle.kernel.bus import TenantBatch
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id


async def decide(pipeline, row, how):
    verdict = Verdict(row["plan_hash"], "Looked at it.", "user:ann", permissions_of("operator"))
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        return await how(session, pipeline.tenant, row["id"], verdict)


async def overtaken(pipeline, other):
    """Let something else wait while the incident is locked, then withdraw what waits for it, as who settles it does."""
    incident = await pipeline.incident()
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        await incidents.lock(session, pipeline.tenant, [incident["id"]])
        waiting = asyncio.create_task(other)
        await somebody_waits(await driver(session), waiting)
        await approvals.withdraw(session, pipeline.tenant, [incident["id"]])
    return await waiting


@pytest.mark.parametrize("how", [approval_decisions.approve, approval_decisions.reject])
async def test_who_decides_while_the_incident_is_settled_hears_that_it_was_withdrawn(pipeline, how):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    with pytest.raises(Conflict, match="withdrawn"):
        await overtaken(pipeline, decide(pipeline, await pipeline.approval(), how))
    assert [row["state"] for row in await pipeline.rows("SELECT state FROM approvals")] == ["withdrawn"]


async def test_what_expires_while_the_incident_is_settled_is_withdrawn(pipeline):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    await pipeline.rows("UPDATE approvals SET expires_at = now() - interval '1 minute'")
    await overtaken(pipeline, expire_due(pipeline.platform))
    assert [row["state"] for row in await pipeline.rows("SELECT state FROM approvals")] == ["withdrawn"]
    assert await pipeline.told("plan.rejected") == []


async def test_what_breaks_over_one_tenants_approvals_keeps_no_other_from_expiring(pipeline, other_tenant):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    database = pipeline.platform.database
    broken = [await insert_tenant(database, "broken"), other_tenant]
    async with database.raw_system() as connection:
        for tenant in broken:
            await connection.execute(
                "INSERT INTO approvals (id, tenant_id, incident_id, kind, plan, plan_hash, reason, approvers, "
                "expires_at) VALUES ($1, $2, $1, 'approval', '{}', 'x', 'of no incident', '{}', now())",
                new_id(), tenant,
            )  # fmt: skip
        await connection.execute("UPDATE approvals SET expires_at = now() - interval '1 minute'")
    await expire_due(pipeline.platform)
    assert [row["state"] for row in await pipeline.rows("SELECT state FROM approvals")] == ["expired"]
    assert (await pipeline.incident())["state"] == "escalated"


async def test_the_end_of_a_run_waits_for_the_incident_before_it_touches_what_waits_for_it(pipeline):
    await pipeline.policy(autonomy="approve")
    await pipeline.report({})
    await pipeline.rows("UPDATE approvals SET kind = 'step'")
    incident = await pipeline.incident()
    ended = NewEvent(
        stream_type="run",
        stream_id=new_id(),
        type="playbook.completed",
        data={"outcome": "failed", "playbook_id": "PB-X"},
        actor="system:test",
        correlation_id=incident["id"],
    )
    database = pipeline.platform.database
    async with database.tenant(pipeline.tenant) as session:
        await events.append(session, pipeline.tenant, [ended])
        found = await events.read_stream(session, pipeline.tenant, "run", ended.stream_id, limit=1)

    async def take():
        async with database.tenant(pipeline.tenant) as session:
            await take_outcomes(TenantBatch(pipeline.platform, session, pipeline.tenant, found))

    await overtaken(pipeline, take())


@pytest.fixture
async def generations(pipeline):
    """Two rules of one pattern: one that holds, and the next one in canary."""
    await pipeline.policy()
    holds = await insert_promotion(pipeline.platform.database, pipeline.tenant, "full", "first")
    follows = await insert_promotion(pipeline.platform.database, pipeline.tenant, "canary", "second")
    await pipeline.rows(
        "UPDATE promotions SET pattern = 'v1:shared:linux:-:0', stage_well = 100, recent = '1111111111'"
    )
    return holds, follows


async def test_a_rule_goes_on_in_the_order_in_which_runs_are_counted(pipeline, generations):
    holds, follows = generations
    database = pipeline.platform.database

    async def go_on():
        async with database.tenant(pipeline.tenant) as session:
            return await promotions.go_on(
                session, pipeline.tenant, follows, Criteria.of({}), By("user:ann"), version=1
            )

    async with database.tenant(pipeline.tenant) as session:
        connection = await driver(session)
        await connection.execute("SELECT FROM promotions WHERE id = $1 FOR UPDATE", holds)
        waiting = asyncio.create_task(go_on())
        await somebody_waits(connection, waiting)
        await connection.execute("SELECT FROM promotions WHERE id = $1 FOR UPDATE", follows)
    assert (await waiting)["state"] == "full"
    rows = await pipeline.rows("SELECT state FROM promotions ORDER BY id")
    assert [row["state"] for row in rows] == ["retired", "full"]


async def test_a_turn_waits_for_no_rule_that_somebody_else_moves(pipeline, generations):
    holds, _ = generations
    database = pipeline.platform.database
    async with database.tenant(pipeline.tenant) as session, database.tenant(pipeline.tenant) as turn:
        await (await driver(session)).execute("SELECT FROM promotions WHERE id = $1 FOR UPDATE", holds)
        await (await driver(turn)).execute("SET LOCAL lock_timeout = '20s'")
        assert await promotions.watch_over(turn, pipeline.tenant, Criteria.of({})) == 0
    rows = await pipeline.rows("SELECT state FROM promotions ORDER BY id")
    assert [row["state"] for row in rows] == ["full", "canary"]


async def test_what_comes_for_a_merged_incident_gives_way_to_who_locks_in_the_one_order(pipeline):
    """The incident that it was merged into may be older than one that is locked already."""
    by = Person("user:ann")
    for host in ("target", "source", "newer"):
        await pipeline.report({"check_type": "nobody_knows_this", "host": host})
    rows = await pipeline.rows("SELECT id, host FROM incidents")
    ids = {row["host"]: row["id"] for row in rows}
    assert ids["target"] < ids["newer"]
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        await merging.merge(session, pipeline.tenant, by, ids["source"], ids["target"], reason="The same")
    async with pipeline.platform.database.tenant(pipeline.tenant) as session:
        await incidents.lock(session, pipeline.tenant, [ids["target"]])
        more = [{"check_type": "nobody_knows_this", "host": host} for host in ("newer", "source")]
        taken = asyncio.create_task(pipeline.report(*more))
        await somebody_waits(await driver(session), taken)
        await incidents.lock(session, pipeline.tenant, [ids["newer"]])
    with pytest.raises(asyncpg.LockNotAvailableError):
        await taken
    await pipeline.settle()  # as the bus does with what stood in another's way
    told = await pipeline.rows("SELECT host, occurrences FROM incidents WHERE state <> 'closed'")
    assert {row["host"]: row["occurrences"] for row in told} == {"target": 3, "newer": 2}
