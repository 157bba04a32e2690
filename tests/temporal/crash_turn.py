"""A process that is killed when it has written what rules found and not committed it: by the bus, or by the clock."""

import asyncio
import dataclasses
import os
import signal
import sys
from uuid import UUID

from fettle.healing.temporal import consumers, striking
from fettle.kernel.bus import run_consumers
from fettle.kernel.clock import utcnow
from fettle.kernel.database import Database
from fettle.kernel.platform import Platform
from fettle.kernel.settings import load_settings


async def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


async def see_and_die(batch):
    await consumers.see(batch)
    await die()


async def main() -> None:
    settings = load_settings()
    platform = Platform(settings=settings, database=await Database.connect(settings))
    if sys.argv[1] == "bus":
        spec = dataclasses.replace(consumers.CONSUMERS[0], handle=see_and_die)
        await run_consumers(platform, [spec])
    raised = striking.raise_all

    async def raise_and_die(*arguments):
        await raised(*arguments)
        await die()

    striking.raise_all = raise_and_die
    await striking.look_at_tenant(platform, UUID(sys.argv[2]), utcnow())


if __name__ == "__main__":
    asyncio.run(main())
