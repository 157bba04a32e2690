"""A process that executes runs under the brakes and kills itself in a call: `crash_runner.py FOLDER KILL_AFTER`."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from fettle.healing.brakes import guard
from fettle.kernel.database import Database
from fettle.kernel.platform import Platform
from fettle.kernel.settings import load_settings
from fettle.tools.catalogue import registry_of
from fettle.tools.registry import Tool, ToolCall
from fettle.tools.runner import RunExecutor


async def main(folder: Path, kill_after: int) -> None:
    settings = load_settings()
    platform = Platform(settings=settings, database=await Database.connect(settings))
    guard.register(platform)
    left = kill_after

    async def call(given: ToolCall) -> dict[str, object]:
        nonlocal left
        with (folder / "calls").open("a") as stream:
            stream.write(f"{given.idempotency_key}\n")
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"result": "pass"}

    anything = {"type": "object"}
    for name in ("demo.first", "demo.second", "demo.undo", "demo.check"):
        registry_of(platform).register(
            Tool(name=name, version="1", title=name, description=name, input_schema=anything,
                 output_schema=anything, idempotent=True, call=call)
        )  # fmt: skip
    await RunExecutor(platform, registry_of(platform), capacity=4).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
