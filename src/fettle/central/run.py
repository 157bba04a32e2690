"""The entry of each process that `fettle up` starts: ``python -m fettle.central.run <part>``."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Final

import uvloop

from fettle.central.garbage import collect_seldom, keep_what_is_loaded
from fettle.central.opening import opened_platform
from fettle.kernel.logging import configure_logging
from fettle.kernel.settings import Settings, SettingsError, load_settings
from fettle.kernel.telemetry import start_telemetry

LISTENER: Final = "FETTLE_LISTENER_FD"
"""The environment variable by which the API inherits its listening socket."""

_LAST_ANSWERS_SECONDS: Final = 5
_BAD_SETTING: Final = 8


def main(part: str) -> int:
    """Run one part until it is told to end, and return its exit status."""
    collect_seldom()
    try:
        settings = load_settings()
        configure_logging(settings)
        start_telemetry(settings)
        if part == "api":
            _run(serve(settings))
        elif part == "worker":
            from fettle.central.worker import work  # noqa: PLC0415 - each process loads its own part only

            _run(work(settings))
        else:
            from fettle.central.celery import main as celery_main  # noqa: PLC0415 - as above

            celery_main(settings, part)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the reason of the end, for the log and for people
        return _BAD_SETTING
    return 0


async def serve(settings: Settings) -> None:
    """Serve the API and the console until SIGTERM or SIGINT."""
    from fettle.central.app import create_app  # noqa: PLC0415 - as above
    from fettle.central.features import equip  # noqa: PLC0415 - as above
    from fettle.kernel.http.serving import Server, server_config  # noqa: PLC0415 - as above

    async with opened_platform(settings) as platform:
        equip(platform)
        config = server_config(
            create_app(platform), settings, timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS
        )
        keep_what_is_loaded()
        for name in (signal.SIGTERM, signal.SIGINT):
            # uvicorn ends at them and then sends them to us again, when the connections are still to close.
            signal.signal(name, lambda *_: None)
        inherited = os.environ.get(LISTENER)
        sockets = [socket.socket(fileno=int(inherited))] if inherited else None
        await Server(config).serve(sockets=sockets)


def _run(work: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
