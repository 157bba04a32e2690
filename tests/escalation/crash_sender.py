"""A process that sends messages and kills itself after so many, each sent and none of the last recorded.

`crash_sender.py KILL_AFTER`: 0 is never.
"""

import asyncio
import os
import signal
import sys

from fettle.healing.escalation import deliveries
from fettle.healing.escalation.sending import Sender
from fettle.kernel.database import Database
from fettle.kernel.platform import Platform
from fettle.kernel.settings import load_settings

record = deliveries.finish


async def main(left: int) -> None:
    async def record_or_die(*arguments):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await record(*arguments)

    deliveries.finish = record_or_die
    settings = load_settings()
    platform = Platform(settings=settings, database=await Database.connect(settings))
    await Sender(platform, capacity=8).run()


asyncio.run(main(int(sys.argv[1])))
