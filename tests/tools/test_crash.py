"""Promise P2: a process is killed between an effect and its record; nothing is done twice, and nothing is guessed."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from tests.beside import PATIENCE_SECONDS, start_beside, was_killed
from tests.tools.rig import Rig, plan

_RUNS = 30


@pytest.fixture
def rig(platform, tenant):
    platform.parts.clear()
    rig = Rig(platform, tenant)
    rig.tool("w.safe")
    rig.tool("w.unsafe", idempotent=False)
    return rig


async def start_runner(rig, folder, kill_after):
    program = Path(__file__).with_name("crash_runner.py")
    return await start_beside(rig.platform.settings, program, folder, kill_after, FETTLE_LEASE_SECONDS="2")


async def until(rig, count):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await rig.scalar("SELECT count(*) FROM playbook_runs WHERE state = 'finished'") < count:
            await asyncio.sleep(0.02)


async def finished_by_another(rig, folder, count):
    second = await start_runner(rig, folder, 0)
    try:
        await until(rig, count)
    finally:
        second.terminate()
        await second.wait()


def counted(folder, name):
    file = folder / name
    return Counter(file.read_text().split()) if file.exists() else Counter()


@pytest.mark.parametrize("kill_after", [1, 7, 40])
async def test_a_killed_runner_leaves_no_effect_twice_and_no_run_behind(rig, tmp_path, kill_after):
    (tmp_path / "effects").mkdir()
    ids = await rig.approve(
        *(plan({"id": "s", "tool": "w.safe"}) for _ in range(_RUNS)),
        *(plan({"id": "s", "tool": "w.unsafe"}) for _ in range(_RUNS)),
    )
    first = await start_runner(rig, tmp_path, kill_after)
    await was_killed(first)
    await finished_by_another(rig, tmp_path, len(ids))
    safe, unsafe = set(ids[:_RUNS]), set(ids[_RUNS:])
    outcomes = {row["id"]: row["outcome"] for row in await rig.rows("SELECT id, outcome FROM playbook_runs")}
    assert {outcomes[run_id] for run_id in safe} == {"completed"}
    assert len(list((tmp_path / "effects").iterdir())) == _RUNS
    assert set(counted(tmp_path, "knocks-safe")) == {f"{run_id}:s" for run_id in safe}
    knocks = counted(tmp_path, "knocks-unsafe")
    assert set(knocks.values()) <= {1}
    for run_id in unsafe:
        # Completed means that it happened; unknown that it may have. Nothing else may be said.
        assert outcomes[run_id] in ("completed", "unknown")
        assert knocks[f"{run_id}:s"] == 1 or outcomes[run_id] == "unknown"


async def test_a_runner_that_is_asked_to_stop_gives_its_runs_back(rig, tmp_path):
    (tmp_path / "effects").mkdir()
    ids = await rig.approve(*(plan({"id": "s", "tool": "w.unsafe"}) for _ in range(_RUNS)))
    first = await start_runner(rig, tmp_path, 0)
    await until(rig, 1)
    first.terminate()
    await first.wait()
    await finished_by_another(rig, tmp_path, len(ids))
    assert counted(tmp_path, "knocks-unsafe") == Counter(f"{run_id}:s" for run_id in ids)
    assert {row["outcome"] for row in await rig.rows("SELECT outcome FROM playbook_runs")} == {"completed"}
