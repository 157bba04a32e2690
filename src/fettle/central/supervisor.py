"""`fettle up`: brings every part of the platform up on this machine, keeps it up, takes it down in order."""

import asyncio
import errno
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

import asyncpg
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError

from fettle.central.children import Child, own_process
from fettle.central.embedded import PostgresServer, RedisServer, start_postgres, start_redis
from fettle.central.opening import opened_platform
from fettle.central.own_port import own_connection, own_url
from fettle.central.postgres_fixes import missing_fixes
from fettle.central.processes import FileLock, StartError
from fettle.central.reaching import check_own_database, check_own_redis
from fettle.central.run import LISTENER
from fettle.identity.owner import OWNER_EMAIL, ensure_owner
from fettle.kernel import migrations
from fettle.kernel.http import tls
from fettle.kernel.key_rotation import check_keys
from fettle.kernel.metrics import PROCESSES_FOLDER
from fettle.kernel.secrets import SecretBox
from fettle.kernel.settings import Settings
from fettle.packs.service import ensure_shipped

_LEAST_FREE_BYTES: Final = 256_000_000
_READY_SECONDS: Final = 120.0
_TICK_SECONDS: Final = 0.2
_LOG_CHECK_TICKS: Final = 300
_EMBEDDED_PAUSE_SECONDS: Final = 5.0
_OK: Final = 200
_DEAF_MILLISECONDS: Final = 60_000


class Progress(Protocol):
    """Where the supervisor tells what it does."""

    def step(self, text: str) -> None:
        """Say what is being done now."""

    def note(self, text: str) -> None:
        """Say something that stays to be read."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a user needs to know when the platform serves.

    Attributes:
        url: Its address.
        owner_email: The owner's account.
        one_time_password: The owner's first password, at the first start alone.
    """

    url: str
    owner_email: str
    one_time_password: str | None


class Supervisor:
    """Runs the platform on this machine until it is told to end.

    Args:
        settings: What the operator chose; embedded parts are started for what is not set.
        progress: Where it tells what it does.
    """

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._stack = ExitStack()
        self._postgres: PostgresServer | None = None
        self._redis: RedisServer | None = None
        self._parts: dict[str, list[Child]] = {}
        self._stopping = False
        self._embedded_due = 0.0

    @contextmanager
    def running(self) -> Iterator[Ready]:
        """Bring the platform up for a block, and down after it, whatever ends the block.

        Raises:
            StartError: With one line that says why it cannot start.
            SettingsError: With one line that names the setting.
        """
        previous = {name: signal.signal(name, self._ask_to_stop) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            with _plain_errors(self._settings.home):
                ready = self._start()
            yield ready
        finally:
            self._stop()
            for name, handler in previous.items():
                signal.signal(name, handler)

    def watch(self) -> None:
        """Keep every part alive until SIGINT or SIGTERM."""
        ticks = 0
        while not self._stopping:
            for child in self._children():
                child.watch(self._progress.note)
            self._watch_embedded()
            ticks += 1
            if ticks % _LOG_CHECK_TICKS == 0:
                for child in self._children():
                    child.trim_log()
            time.sleep(_TICK_SECONDS)

    def _start(self) -> Ready:
        home = self._settings.home
        self._check_certificate()
        _check_home(home)
        self._stack.enter_context(
            FileLock(
                home / "fettle.lock",
                taken=f"Fettle runs already on {home} (process {{pid}}); stop it, or set FETTLE_HOME.",
            )
        )
        listener = self._stack.enter_context(_listen(self._settings.host, self._settings.port))
        asyncio.run(check_own_database(self._settings))
        asyncio.run(check_own_redis(self._settings))
        settings = self._with_redis(self._with_database(self._settings))
        self._progress.step("Bringing the schema up to date")
        asyncio.run(_migrate(settings))
        self._progress.step("Installing the shipped packs")
        one_time_password = asyncio.run(_seed(settings))
        self._progress.step("Starting the API, the workers and the schedule")
        self._start_children(settings, listener)
        self._wait_until_ready()
        return Ready(self._url(), OWNER_EMAIL, one_time_password)

    def _check_certificate(self) -> None:
        certificate = tls.read_certificate(self._settings)
        for warning in tls.warnings(certificate, self._settings) if certificate is not None else ():
            self._progress.note(warning)

    def _with_database(self, settings: Settings) -> Settings:
        if settings.database_url is not None:
            return settings
        self._progress.step("Starting the embedded PostgreSQL")
        self._postgres = start_postgres(settings.home)
        for folder in self._postgres.opened:
            self._progress.note(f"PostgreSQL does not run as root: others may now pass through {folder}.")
        missing = missing_fixes(asyncio.run(_version_num(self._postgres.owner_url)))
        if missing is not None:
            self._progress.note(
                f"The embedded {missing} It listens on a private socket alone; in production set "
                "FETTLE_DATABASE_URL to a server that has them."
            )
        return settings.model_copy(
            update={
                "database_url": SecretStr(self._postgres.owner_url),
                "database_app_url": SecretStr(self._postgres.app_url),
                "database_system_url": SecretStr(self._postgres.system_url),
            }
        )

    def _with_redis(self, settings: Settings) -> Settings:
        if settings.redis_url is not None:
            return settings
        self._progress.step("Starting the embedded Redis")
        self._redis = start_redis(settings.home)
        return settings.model_copy(update={"redis_url": SecretStr(self._redis.url)})

    def _start_children(self, settings: Settings, listener: socket.socket) -> None:
        env = {**os.environ, **_handed_down(settings), PROCESSES_FOLDER: str(_fresh_figures(settings.home))}
        logs = settings.home / "logs"
        counts = {"worker": settings.worker_processes, "api": settings.api_processes, "celery": 1, "beat": 1}
        for part, count in counts.items():
            fds = (listener.fileno(),) if part == "api" else ()
            own = {**env, LISTENER: str(listener.fileno())} if part == "api" else env
            names = [part, *(f"{part}-{number}" for number in range(2, count + 1))]
            self._parts[part] = [
                Child(name, own_process(part), logs / f"{name}.log", own, fds) for name in names
            ]
            for child in self._parts[part]:
                child.start()

    def _children(self) -> Iterator[Child]:
        return chain.from_iterable(self._parts.values())

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            for child in self._children():
                child.watch(self._progress.note)
                if child.restarts > 1:
                    raise StartError(f"the {child.name} does not start; its log says why: {child.log}")
            if self._stopping:
                raise StartError("stopped before it was ready.")
            if time.monotonic() > deadline:
                raise StartError(f"the API does not answer; its log says why: {self._settings.home / 'logs'}")
            time.sleep(_TICK_SECONDS)

    def _answers(self) -> bool:
        connection = own_connection(self._settings, timeout_seconds=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == _OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _watch_embedded(self) -> None:
        if time.monotonic() < self._embedded_due:
            return
        try:
            if self._postgres is not None and self._postgres.process.poll() is not None:
                self._progress.note("PostgreSQL ended; it is started again and recovers.")
                self._postgres.lock.release()
                self._postgres = start_postgres(self._settings.home)
            if self._redis is not None and self._redis.process.poll() is not None:
                self._progress.note("Redis ended; it is started again.")
                self._redis.lock.release()
                self._redis = start_redis(self._settings.home)
        except StartError as error:
            # A full disk is made room on, a port becomes free: what runs goes on, and waits for it.
            self._embedded_due = time.monotonic() + _EMBEDDED_PAUSE_SECONDS
            self._progress.note(
                f"It does not start: {error} It is tried again in {_EMBEDDED_PAUSE_SECONDS:g} s."
            )

    def _url(self) -> str:
        return self._settings.public_url or own_url(self._settings)

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        if self._stopping:
            for child in self._children():
                if child.process is not None:
                    child.process.kill()
        self._stopping = True

    def _stop(self) -> None:
        """End the children before what they stand on: no work is begun that has no database."""
        self._stopping = True
        for part in ("beat", "api", "celery", "worker"):
            for child in self._parts.pop(part, ()):
                self._progress.step(f"Stopping the {child.name}")
                child.stop()
        for server in (self._redis, self._postgres):
            if server is not None:
                server.stop()
        self._redis = self._postgres = None
        self._stack.close()


async def _version_num(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SHOW server_version_num"))
    finally:
        await connection.close()


async def _migrate(settings: Settings) -> None:
    if settings.database_url is None:
        raise StartError("no database is configured.")
    try:
        await migrations.upgrade(settings.database_url.get_secret_value())
    except DBAPIError as error:
        said = str(error.orig).partition(":")[2].strip() or str(error.orig)
        raise StartError(f"the schema cannot be brought up to date: {said.splitlines()[0]}.") from error


async def _seed(settings: Settings) -> str | None:
    """Install the shipped packs and make the owner's account; both do nothing when they are there."""
    async with opened_platform(settings) as platform:
        missing = await check_keys(platform.database, SecretBox(settings))
        if missing is not None:
            raise StartError(missing)
        await ensure_shipped(platform)
        return await ensure_owner(platform)


def _handed_down(settings: Settings) -> dict[str, str]:
    """Return the environment by which children find the parts that we started."""
    urls = {
        "FETTLE_DATABASE_APP_URL": settings.database_app_url,
        "FETTLE_DATABASE_SYSTEM_URL": settings.database_system_url,
        "FETTLE_REDIS_URL": settings.redis_url,
    }
    given = {name: url.get_secret_value() for name, url in urls.items() if url is not None}
    log_format = "json" if settings.log_format == "auto" else settings.log_format
    return {**given, "FETTLE_HOME": str(settings.home.resolve()), "FETTLE_LOG_FORMAT": log_format}


def _fresh_figures(home: Path) -> Path:
    """Return the empty folder in which the children count together, so that the API can show all figures."""
    folder = home.resolve() / "figures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _check_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "logs").mkdir(exist_ok=True, mode=0o700)
        probe = home / ".probe"
        probe.write_bytes(b"\0" * 65_536)
        probe.unlink()
        free = shutil.disk_usage(home).free
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StartError(
                f"the disk of {home} is full; make room, or set FETTLE_HOME to another disk."
            ) from error
        raise StartError(
            f"{home} cannot be used as FETTLE_HOME: {error.strerror}; make it yours, or set FETTLE_HOME."
        ) from error
    if free < _LEAST_FREE_BYTES:
        raise StartError(
            f"the disk of {home} is full: {free // 1_000_000} MB are free, 256 MB are needed; make room, "
            "or set FETTLE_HOME to another disk."
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Connections inherit it: one that takes nothing any more does not keep what is due to it for ever.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAF_MILLISECONDS)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"port {port} on {host} is in use; stop what uses it, or set FETTLE_PORT."
            ) from error
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}; set FETTLE_HOST.") from error
    return listener


@contextmanager
def _plain_errors(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StartError(
                f"the disk of {home} is full; make room, or set FETTLE_HOME to another disk."
            ) from error
        raise StartError(f"{error.filename or home}: {error.strerror}") from error
    except subprocess.SubprocessError as error:
        raise StartError(str(error)) from error
