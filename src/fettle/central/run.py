"""The entry of each process that `fettle up` starts: ``python -m fettle.central.run <part>``."""

import asyncio
import os
import socket
import sys

from fettle.kernel.settings import Settings, SettingsError, load_settings

LISTENER = "FETTLE_LISTENER_FD"
"""The environment variable by which the API inherits its listening socket."""


def main(part: str) -> int:
    """Run one part until it is told to end, and return its exit status."""
    try:
        settings = load_settings()
        if part == "api":
            _serve(settings)
        elif part == "worker":
            from fettle.central.worker import work  # noqa: PLC0415 - each process loads its own part only

            asyncio.run(work(settings))
        else:
            from fettle.central.celery import main as celery_main  # noqa: PLC0415 - as above

            celery_main(part)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - it is shown before there is a log
        return 78
    return 0


def _serve(settings: Settings) -> None:
    import uvicorn  # noqa: PLC0415 - as above

    config = uvicorn.Config(
        "fettle.central.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=64_000,
    )
    inherited = os.environ.get(LISTENER)
    sockets = [socket.socket(fileno=int(inherited))] if inherited else None
    uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
