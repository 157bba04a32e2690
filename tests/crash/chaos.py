"""Kills the parts of a running platform at random moments while senders report, and looks for what was lost."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.crash.invariants import Examination, letters
from tests.crash.sending import Ledger, Sender
from tests.crash.stack import WORKERS, Stack, stack

from fettle.central import features
from fettle.kernel.bus_groups import wait_until_idle
from fettle.kernel.platform import Platform

_WEIGHTS = {"api": 20, WORKERS[0]: 25, WORKERS[1]: 25, "backend": 20, "postmaster": 10}
_SENDERS_OF_A_TENANT = 3
_QUIET = timedelta(seconds=300)

_UNDER_WAY = """
SELECT (SELECT count(*) FROM playbook_runs WHERE state <> 'finished')
     + (SELECT count(*) FROM parked_events WHERE state <> 'dead')
     + (SELECT count(*) FROM incidents WHERE state IN ('open', 'triaged', 'planning', 'healing', 'verifying'))
"""


@dataclass
class Report:
    """What a run of kills came to.

    Attributes:
        killed: How often each part was.
        statuses: What the senders were answered, or what broke.
        accepted: Exceptions acknowledged.
        wrong: Everything that may not be.
    """

    killed: dict[str, int]
    statuses: Counter[str]
    accepted: int
    wrong: list[str] = field(default_factory=list)


async def chaos(
    home: Path,
    *,
    kills: int,
    seed: int,
    per_second: float,
    accepted: int = 0,
    told: Callable[[int], None] = lambda _: None,
) -> Report:
    """Run the platform, kill its parts so many times, let it come to rest, and examine it.

    A busy machine gets less done between two kills: there are more of them until each part was killed and as
    many exceptions were acknowledged as there are to be.

    Args:
        home: An empty folder.
        kills: How many.
        seed: Of the moments and the victims.
        per_second: Exceptions that each sender reports in a second when nothing is killed.
        accepted: So many exceptions are acknowledged at least.
        told: Called after each kill with how many there were.
    """
    chance = random.Random(seed)
    ledger = Ledger()
    async with stack(home) as here:
        stop = asyncio.Event()
        sending = [
            asyncio.create_task(
                Sender(ledger, here.port, tenant_id, key, random.Random(chance.random())).run(
                    stop, per_second
                )
            )
            for tenant_id, key in here.keys.items()
            for _ in range(_SENDERS_OF_A_TENANT)
        ]

        def is_enough() -> bool:
            return (
                sum(here.killed.values()) >= kills
                and here.killed.keys() == _WEIGHTS.keys()
                and ledger.accepted > accepted
            )

        await _kill(here, chance, is_enough, told)
        await here.all_back()
        stop.set()
        await asyncio.gather(*sending)
        report = Report(here.killed, ledger.statuses, ledger.accepted, list(ledger.wrong))
        async with here.platform() as platform:
            if not await at_rest(platform):
                report.wrong.append("it did not come to rest")
            report.wrong += await letters(platform)
            for tenant_id in here.keys:
                report.wrong += await Examination(platform, tenant_id, here.world).run(ledger)
    return report


async def _kill(
    here: Stack, chance: random.Random, is_enough: Callable[[], bool], told: Callable[[int], None]
) -> None:
    while not is_enough():
        await asyncio.sleep(chance.uniform(0.05, 1.0))
        victims = here.present(_WEIGHTS)
        if not victims:
            continue
        [victim] = chance.choices(victims, [_WEIGHTS[name] for name in victims])
        if await here.kill(victim, back_after=chance.choice((0.0, 0.0, 0.3))):
            told(sum(here.killed.values()))


async def at_rest(platform: Platform) -> bool:
    """Wait until every consumer has read everything, every run has ended, and nothing comes of it any more."""
    groups = [spec.group for spec in features.consumers()]
    deadline = asyncio.get_running_loop().time() + _QUIET.total_seconds()
    while asyncio.get_running_loop().time() < deadline:
        await wait_until_idle(platform, groups, timeout=timedelta(seconds=5))
        async with platform.database.raw_system() as connection:
            before = await connection.fetchval("SELECT max(position) FROM events")
            under_way = await connection.fetchval(_UNDER_WAY)
        if under_way == 0 and await wait_until_idle(platform, groups, timeout=timedelta(seconds=5)):
            async with platform.database.raw_system() as connection:
                if before == await connection.fetchval("SELECT max(position) FROM events"):
                    return True
        await asyncio.sleep(0.1)
    return False
