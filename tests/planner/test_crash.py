"""A planner's process is killed while a model thinks; another finishes the work, once."""

import asyncio
from pathlib import Path

from tests.beside import start_beside
from tests.planner.conftest import CLAMAV
from tests.planner.conftest import UNKNOWN as INCIDENT
from tests.planner.model_server import KEY, Slow, choose

from fettle.healing.planner.worker import PlannerWorker, make_planner


async def start(planning):
    model = planning.model
    return await start_beside(
        planning.platform.settings,
        Path(__file__).with_name("crash_worker.py"),
        FETTLE_LEASE_SECONDS="1",
        FETTLE_PLANNER_CHAIN=model.openai,
        FETTLE_PLANNER_ALLOW=f"127.0.0.0/8:{model.port}",
        FETTLE_PLANNER_KEYS=f"127.0.0.1:{model.port}={KEY}",
    )


async def test_a_killed_worker_leaves_its_work_to_another_which_does_it_once(planning):
    await planning.allow()
    await planning.report(INCIDENT)
    planning.model.will(Slow(600), choose(CLAMAV))
    process = await start(planning)
    async with asyncio.timeout(60):
        await planning.model.asked.wait()
    process.kill()
    assert await process.wait() == -9
    assert (await planning.newest())["state"] == "planning"
    worker = asyncio.create_task(PlannerWorker(planning.platform, make_planner(planning.platform)).run())
    async with asyncio.timeout(60):
        while (await planning.newest())["state"] == "planning":
            await asyncio.sleep(0.05)
    worker.cancel()
    await asyncio.wait({worker})
    await planning.settle()
    assert (await planning.newest())["state"] == "healing"
    assert len(await planning.told("plan.proposed")) == 1
    assert len(await planning.told("plan.approved")) == 1
    assert await planning.rows("SELECT 1 FROM plan_requests") == []
    [usage] = await planning.rows("SELECT calls FROM planner_usage")
    assert usage["calls"] == 2
