"""A process that plans until it is killed."""

import asyncio

from fettle.healing.planner.worker import run_planner
from fettle.kernel.database import Database
from fettle.kernel.platform import Platform
from fettle.kernel.settings import load_settings


async def main() -> None:
    settings = load_settings()
    await run_planner(Platform(settings=settings, database=await Database.connect(settings)))


if __name__ == "__main__":
    asyncio.run(main())
