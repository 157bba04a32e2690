"""The worker process: every consumer of the bus, and whatever features keep running beside them."""

import asyncio
import signal

import structlog

from fettle.central import features
from fettle.central.celery import make_celery
from fettle.central.garbage import keep_what_is_loaded
from fettle.central.opening import opened_platform
from fettle.kernel.bus import run_consumers
from fettle.kernel.platform import Platform
from fettle.kernel.settings import Settings

log = structlog.get_logger("fettle.worker")


async def work(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; leases are then given back, so that others go on at once."""
    async with opened_platform(settings) as platform:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        working = asyncio.create_task(run_features(platform))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            working.result()
            return
        working.cancel()
        await asyncio.wait({working})


async def run_features(platform: Platform) -> None:
    """Run every feature's consumers and services until cancelled; one that fails ends all."""
    features.equip(platform)
    platform.parts["celery"] = make_celery(platform.settings)
    keep_what_is_loaded()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_consumers(platform, features.consumers()))
        for service in features.services():
            group.create_task(service(platform))
