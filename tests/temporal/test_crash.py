"""A process that is killed in the middle: what rules see counts once, and what they find is reported once."""

import asyncio
from datetime import timedelta
from pathlib import Path

from tests.beside import start_beside, was_killed
from tests.temporal.rules import ABSENCE, COUNT

from fettle.healing.temporal import consumers
from fettle.kernel.bus import run_consumers
from fettle.kernel.bus_groups import wait_until_idle


async def killed(temporal, *arguments):
    program = Path(__file__).with_name("crash_turn.py")
    settings = temporal.platform.settings
    await was_killed(await start_beside(settings, program, *arguments, FETTLE_LEASE_SECONDS="1"))


async def test_exceptions_that_a_killed_process_saw_count_once(temporal):
    await temporal.write(COUNT, times=4)
    await temporal.see("a", "a")
    # What was handed to the consumer above is not read by the bus once more.
    await temporal.rows("DELETE FROM temporal_keys RETURNING 1")
    await temporal.rows("DELETE FROM temporal_figures RETURNING 1")
    temporal._specs = [spec for spec in temporal._specs if spec.group != consumers.GROUP]
    await temporal.see("a", "a")
    await killed(temporal, "bus")
    assert await temporal.rows("SELECT rule_id FROM temporal_figures") == []
    working = asyncio.create_task(run_consumers(temporal.platform, consumers.CONSUMERS))
    assert await wait_until_idle(temporal.platform, [consumers.GROUP], timeout=timedelta(seconds=60))
    working.cancel()
    await asyncio.wait([working])
    figures = await temporal.figures()
    assert (figures["counted"], figures["fired"]) == (4, 1)
    await temporal.settle()
    assert await temporal.raised() == [("h1", "escalated")]


async def test_what_a_killed_process_missed_is_told_once(temporal):
    await temporal.write(ABSENCE)
    await temporal.see("a", status="resolved", ago=100)
    await killed(temporal, "clock", str(temporal.tenant))
    assert await temporal.raised() == []
    for _ in range(2):
        await temporal.wait(0)
    assert await temporal.raised() == [("h1", "escalated")]
    assert len(await temporal.rows("SELECT id FROM temporal_firings")) == 1
