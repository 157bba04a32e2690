"""Processes that are made to be killed: the API and workers, forked from one that has imported everything."""

import asyncio
import hashlib
import multiprocessing
import os
from multiprocessing.process import BaseProcess
from pathlib import Path

import uvloop

from fettle.central import run
from fettle.central.garbage import collect_seldom
from fettle.central.opening import opened_platform
from fettle.central.worker import run_features
from fettle.kernel.logging import configure_logging
from fettle.kernel.settings import load_settings
from fettle.tools.catalogue import registry_of
from fettle.tools.registry import Tool, ToolCall

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload([__name__, "tests.crash.warm", "tests.crash.chaos"])


def start(part: str, variables: dict[str, str], log: Path, world: Path) -> BaseProcess:
    """Start the API or a worker."""
    child = _FORKING.Process(target=_main, args=(part, variables, log, world), daemon=True)
    child.start()
    return child


def _main(part: str, variables: dict[str, str], log: Path, world: Path) -> None:
    for name in [name for name in os.environ if name.startswith("FETTLE_")]:
        del os.environ[name]
    os.environ.update(variables)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    if part == "api":
        run.main("api")
        return
    collect_seldom()
    uvloop.run(_work(world))


async def _work(world: Path) -> None:
    """Work as every worker does, with tools whose effects can be counted."""
    settings = load_settings()
    configure_logging(settings)
    async with opened_platform(settings) as platform:
        outside = World(world)
        for name, call, idempotent in (
            ("crash.safe", outside.safe, True),
            ("crash.unsafe", outside.unsafe, False),
        ):
            registry_of(platform).register(
                Tool(name=name, version="1", title=name, description=name, input_schema={"type": "object"},
                     output_schema={"type": "object"}, idempotent=idempotent, call=call)
            )  # fmt: skip
        await run_features(platform)


class World:
    """What is outside: it takes idempotency keys from one tool, and counts every knock of the other."""

    def __init__(self, folder: Path) -> None:
        self._effects = folder / "effects"
        self._knocks = folder / "knocks"
        self._effects.mkdir(parents=True, exist_ok=True)

    async def safe(self, call: ToolCall) -> dict[str, object]:
        effect = self._effects / hashlib.sha256(call.idempotency_key.encode()).hexdigest()
        await asyncio.to_thread(effect.touch)  # a disk may take its time, and nobody else's step waits for it
        return {}

    async def unsafe(self, call: ToolCall) -> dict[str, object]:
        await asyncio.to_thread(self._knock, call.idempotency_key)
        return {}

    def _knock(self, key: str) -> None:
        with self._knocks.open("ab", buffering=0) as file:
            file.write(f"{key}\n".encode())
