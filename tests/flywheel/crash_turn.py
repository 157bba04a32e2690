"""A pass that evaluates and proposes, and is killed before it promotes."""

import asyncio
import os
import signal
import sys
from uuid import UUID

from fettle.healing.flywheel import proposing
from fettle.kernel.database import Database
from fettle.kernel.platform import Platform
from fettle.kernel.settings import load_settings


async def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    settings = load_settings()
    proposing.promote_due = die
    platform = Platform(settings=settings, database=await Database.connect(settings))
    await proposing.turn_for(platform, UUID(sys.argv[1]))


if __name__ == "__main__":
    asyncio.run(main())
