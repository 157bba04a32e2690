"""A process that executes runs until it is killed; its tools write down every effect as an outside world would.

`crash_runner.py FOLDER KILL_AFTER`: it kills itself right after that many effects, before any is recorded.
"""

import asyncio
import hashlib
import os
import signal
import sys
from pathlib import Path

from fettle.kernel.database import Database
from fettle.kernel.platform import Platform
from fettle.kernel.settings import load_settings
from fettle.tools.catalogue import make_registry
from fettle.tools.registry import Tool, ToolCall
from fettle.tools.runner import RunExecutor


class World:
    """What is outside: it takes an idempotency key where a tool gives one, and counts every knock."""

    def __init__(self, folder: Path, kill_after: int) -> None:
        self._folder = folder
        self._left = kill_after

    async def safe(self, call: ToolCall) -> dict[str, object]:
        await asyncio.sleep(0)
        self._note("knocks-safe", call)
        name = hashlib.sha256(call.idempotency_key.encode()).hexdigest()
        (self._folder / "effects" / name).open("xb").close() if not self._has(name) else None
        self._maybe_die()
        return {}

    async def unsafe(self, call: ToolCall) -> dict[str, object]:
        await asyncio.sleep(0)
        self._note("knocks-unsafe", call)
        self._maybe_die()
        return {}

    def _has(self, name: str) -> bool:
        return (self._folder / "effects" / name).exists()

    def _note(self, file: str, call: ToolCall) -> None:
        with (self._folder / file).open("a") as stream:
            stream.write(f"{call.idempotency_key}\n")

    def _maybe_die(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, kill_after: int) -> None:
    world = World(folder, kill_after)
    registry = make_registry()
    anything = {"type": "object"}
    for name, call, idempotent in (("w.safe", world.safe, True), ("w.unsafe", world.unsafe, False)):
        registry.register(
            Tool(name=name, version="1", title=name, description=name, input_schema=anything,
                 output_schema=anything, idempotent=idempotent, call=call)
        )  # fmt: skip
    settings = load_settings()
    platform = Platform(settings=settings, database=await Database.connect(settings))
    working = asyncio.create_task(RunExecutor(platform, registry, capacity=16).run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    await asyncio.wait({working})


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
