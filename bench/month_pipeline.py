"""The month in small over the real pipeline: intake, decisions, the planner's conclusions, counting, turns, stages.

The fault is reported, decided and healed as in the product; only the run itself and the model are answered for, by
seed: the planner chooses rightly in 9 of 10 cases, a right choice heals in 97 of 100. Halfway the cause changes.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

from bench.environment import environment

ROUNDS = 20
FLYWHEEL = {"promotion": "by_itself", "lower_bound": 0.6, "shadow_successes": 2, "canary_share": 1}
_RIGHT, _LATER = "RB-LNX-CLOSE-FILE-001", "RB-LNX-CLAMAV-001"


async def live(seed: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return the share of each level before the flywheel knows anything, before the cause changes, and at the end."""
    from tests.flywheel.conftest import Wheel

    async with environment() as here:
        wheel = Wheel(here.platform, here.tenant_id)
        await wheel.allow(**FLYWHEEL)
        random, levels = Random(seed), []
        for number in range(3 * rounds):
            cause = _RIGHT if number < 2 * rounds else _LATER
            levels.append(await _round(wheel, random, number, cause))
            await wheel.turn()
        events = await wheel.rows(
            "SELECT type, count(*) AS n FROM events WHERE type LIKE 'rule.%' GROUP BY type ORDER BY type"
        )
        counted = await wheel.rows(
            "SELECT sum(total) AS n FROM pattern_stats WHERE check_type = 'nobody_knows_this'"
        )
    thirds = [levels[start : start + rounds] for start in (0, rounds, 2 * rounds)]
    return {
        "shares": [{name: third.count(name) / rounds for name in ("L1", "L2", "L3")} for third in thirds],
        "events": {row["type"]: row["n"] for row in events},
        "counted": counted[0]["n"],
        "reported": 3 * rounds,
    }


async def _round(wheel: Any, random: Random, number: int, cause: str) -> str:
    """Report one fault, heal it or not, and return the level that decided it."""
    row = await wheel.fault(f"ws-{number:03}")
    if row["level"] != "L1":
        choice = cause if random.random() < 0.9 else ({_RIGHT, _LATER} - {cause}).pop()
        await wheel.plan(choice)
        [row] = await wheel.rows("SELECT * FROM incidents WHERE id = $1", row["id"])
    level, ran = str(row["level"]), _runbook(row["decision"])
    if row["state"] == "healing":
        healed = ran == cause and random.random() < 0.97
        await wheel.finish(row["id"], "verified" if healed else "failed")
    return level


def _runbook(decision: Mapping[str, Any] | None) -> str:
    return str((decision or {}).get("plan", {}).get("playbook", {}).get("id", "")).removeprefix("runbook:")
