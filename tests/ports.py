"""Ports for the servers that tests start: nobody takes one between its choice and the server's start."""

import os
import random
import socket

_LOWEST = 20_000
_OF_A_WORKER = 500


def free_port() -> int:
    """Return a port on which nothing listens.

    It is below those that the system gives to connections by itself, and of this test process alone: else
    another would have it by the time that a server has started.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    lowest = _LOWEST + worker * _OF_A_WORKER
    for port in random.SystemRandom().sample(range(lowest, lowest + _OF_A_WORKER), _OF_A_WORKER):
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"Something listens on each port from {lowest} to {lowest + _OF_A_WORKER - 1}.")


_given: set[int] = set()


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
