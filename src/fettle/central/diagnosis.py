"""What `fettle doctor` looks at: each part of an installation, what is wrong with it, and how to mend it."""

import asyncio
import os
import socket
import ssl
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Final, Literal

import asyncpg
from redis.exceptions import RedisError

from fettle.central.celery import seconds_since_schedule
from fettle.central.embedded import running_parts
from fettle.central.opening import opened_platform
from fettle.central.own_port import own_connection, own_host
from fettle.central.postgres_fixes import missing_fixes
from fettle.central.processes import StartError
from fettle.central.reaching import check_own_database, check_own_redis
from fettle.fleet.checks import run_check
from fettle.healing.auditing import service as auditing
from fettle.kernel import bus_groups, migrations
from fettle.kernel.clock import utcnow
from fettle.kernel.http import tls
from fettle.kernel.platform import Platform
from fettle.kernel.redis import ping
from fettle.kernel.settings import Settings, SettingsError

State = Literal["ok", "warning", "wrong"]

_LEAST_FREE_BYTES: Final = 1_000_000_000
_LEAST_FREE_FILES: Final = 10_000
_LEAST_FILES: Final = 1024
_OLDEST_WORKER_SECONDS: Final = 30.0
_LARGEST_LAG_SECONDS: Final = 60.0
_OLDEST_SCHEDULE_SECONDS: Final = 120.0
_OLDEST_AUDIT_SECONDS: Final = 300.0
_PATIENCE_SECONDS: Final = 15.0
_LOOPBACK: Final = ("127.", "::1", "localhost")
_LARGEST_SKEW_SECONDS: Final = 2.0
_NEWEST_SUPPORTED: Final = (3, 11)
_DATABASE_FAILURES: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: What.
        state: ``ok``; ``warning``: it works, but not for long or not for production; ``wrong``.
        seen: What was seen.
        mend: What to do about it; empty when nothing is to be done.
    """

    part: str
    state: State
    seen: str
    mend: str = ""


async def diagnose(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what is found, part by part."""
    for look in _MACHINE:
        yield look(settings)
    clock = await run_check("time_sync")
    yield Finding(
        "clock",
        "ok" if clock.result == "pass" else "warning",
        clock.message,
        "" if clock.result == "pass" else "Run a time service (chrony, systemd-timesyncd).",
    )
    try:
        await check_own_database(settings)
    except StartError as error:
        yield Finding("database", "wrong", str(error), "Mend the setting, or what it names.")
        return
    running = running_parts(settings)
    if running is None:
        yield _port(settings)
        yield Finding("database", "warning", "The embedded database does not run.", "Start it: fettle up")
        return
    yield await asyncio.to_thread(_api, settings)
    for finding in await _parts(running, settings):
        yield finding


async def _parts(settings: Settings, own: Settings) -> list[Finding]:
    found: list[Finding] = []
    try:
        # A part that hangs answers nobody, and says so by that alone.
        async with asyncio.timeout(_PATIENCE_SECONDS), opened_platform(settings) as platform:
            found.append(await _database(platform))
            found.append(await _schema(settings))
            found += [finding async for finding in _work(platform)]
            found += [await _redis(platform, own), await _schedule(platform)]
    except TimeoutError:
        found.append(
            Finding(
                "database",
                "wrong",
                f"It did not answer within {_PATIENCE_SECONDS:.0f} s.",
                "See logs/postgres.log; is the machine out of memory, or the disk stuck?",
            )
        )
    except _DATABASE_FAILURES as error:
        found.append(
            Finding(
                "database", "wrong", f"It does not answer: {type(error).__name__}.", "See logs/postgres.log."
            )
        )
    return found


def _api(settings: Settings) -> Finding:
    host = own_host(settings)
    connection = own_connection(settings, timeout_seconds=5)
    began = time.monotonic()
    try:
        connection.request("GET", "/health/live")
        served = _der_of(connection.sock)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return Finding(
            "api", "wrong", f"{host}:{settings.port} does not answer: {type(error).__name__}.",
            "See logs/api.log; start it: fettle up",
        )  # fmt: skip
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        return Finding(
            "api", "wrong", f"{host}:{settings.port} answers {status}: another program's, by its looks.",
            "Set FETTLE_PORT as for `fettle up`.",
        )  # fmt: skip
    if served is not None and served != (_der(settings) or served):
        return Finding(
            "api", "warning", f"It serves another certificate than {settings.tls_certificate} holds.",
            "See logs/api.log for why the new one cannot be used.",
        )  # fmt: skip
    return Finding("api", "ok", f"It answers in {(time.monotonic() - began) * 1000:.1f} ms.")


def _der_of(connection: object) -> bytes | None:
    return connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None


def _der(settings: Settings) -> bytes | None:
    try:
        certificate = tls.read_certificate(settings)
    except SettingsError:
        return None
    return None if certificate is None else certificate.der


def _tls(settings: Settings) -> Finding:
    try:
        certificate = tls.read_certificate(settings)
    except SettingsError as error:
        return Finding("tls", "wrong", str(error), "Mend the setting, or the file that it names.")
    if certificate is None:
        return _without_tls(settings)
    said = tls.warnings(certificate, settings)
    if said:
        ended = certificate.ends_at <= utcnow()
        return Finding("tls", "wrong" if ended else "warning", " ".join(said), "Mend what it names.")
    return Finding(
        "tls", "ok", f"https as {', '.join(certificate.names)}, until {certificate.ends_at:%Y-%m-%d}."
    )


def _without_tls(settings: Settings) -> Finding:
    if settings.is_https:
        return Finding("tls", "ok", f"A proxy ends it, as {settings.public_url} says.")
    if settings.host.startswith(_LOOPBACK):
        return Finding("tls", "ok", f"None: the port is reached from this machine alone ({settings.host}).")
    return Finding(
        "tls", "warning", f"None, and {settings.host} is reached from elsewhere: passwords go in the clear.",
        f"Set {tls.CERTIFICATE} and {tls.KEY}, or put a proxy in front and set FETTLE_PUBLIC_URL to its https.",
    )  # fmt: skip


def _python(_settings: Settings) -> Finding:
    shown = f"Python {sys.version.split()[0]}"
    if sys.version_info[:2] < _NEWEST_SUPPORTED:
        return Finding("python", "wrong", shown, "Install Python 3.11 or later and run: make setup")
    return Finding("python", "ok", shown)


def _home(settings: Settings) -> Finding:
    home = settings.home
    try:
        entry = home.stat()
    except FileNotFoundError:
        return _coming_home(home)
    except OSError as error:
        return Finding("home", "wrong", f"{home}: {error.strerror}.", "Mend it, or set FETTLE_HOME.")
    mode = stat.S_IMODE(entry.st_mode)
    if not stat.S_ISDIR(entry.st_mode):
        return Finding("home", "wrong", f"{home} is no folder.", "Set FETTLE_HOME to a folder.")
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            "home", "wrong", f"{home} is not ours to use.", f"chown it to {os.geteuid()}, or set FETTLE_HOME."
        )
    if mode & 0o066:
        return Finding("home", "warning", f"{home} can be read by others ({mode:04o}).", f"chmod 0700 {home}")
    return Finding("home", "ok", f"{home} ({mode:04o})")


def _coming_home(home: Path) -> Finding:
    above = _nearest_folder(home)
    if os.access(above, os.W_OK | os.X_OK):
        return Finding("home", "ok", f"{home} is made at the first start.")
    return Finding(
        "home", "wrong", f"{home} cannot be made: {above} is not ours to write.", "Set FETTLE_HOME."
    )


def _secret_files(settings: Settings) -> Finding:
    """Look at keys and the saved profile: nobody else may read them."""
    names = [path for path in _files(settings.home) if path.name == "profile.json" or "key" in path.name]
    open_ones = [str(path) for path in names if path.stat().st_mode & 0o077]
    if open_ones:
        return Finding("secrets", "wrong", f"Others may read {', '.join(open_ones)}.", "chmod 0600 them")
    return Finding("secrets", "ok", f"{len(names)} files of keys, none readable by others.")


def _disk(settings: Settings) -> Finding:
    disk = os.statvfs(_nearest_folder(settings.home))
    free = disk.f_bavail * disk.f_frsize
    shown = f"{free / 1e9:.1f} GB are free on the disk of {settings.home}."
    if free < _LEAST_FREE_BYTES:
        return Finding("disk", "wrong", shown, "Make room, or set FETTLE_HOME to another disk.")
    if disk.f_files and disk.f_favail < _LEAST_FREE_FILES:
        shown = f"{disk.f_favail} files more fit on the disk of {settings.home}."
        return Finding("disk", "wrong", shown, "Remove files, or set FETTLE_HOME to another disk.")
    return Finding("disk", "ok", shown)


def _nearest_folder(home: Path) -> Path:
    """Return the home, or what is there of the folders above it as far as we may look."""
    return next(path for path in (home.absolute(), *home.absolute().parents) if os.path.isdir(path))  # noqa: PTH112 - Path.is_dir raises where we may not look


def _open_files(_settings: Settings) -> Finding:
    import resource  # noqa: PLC0415 - Unix only, as this look is

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < _LEAST_FILES:
        return Finding("open files", "warning", f"{limit} may be open at once.", "ulimit -n 65536")
    return Finding("open files", "ok", f"{limit} may be open at once.")


def _console(_settings: Settings) -> Finding:
    page = Path(__file__).resolve().parents[3] / "console" / "dist" / "index.html"
    if not page.exists():
        return Finding("console", "warning", "It is not built.", "make setup")
    return Finding("console", "ok", f"built in {page.parent}")


def _port(settings: Settings) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return Finding(
                "port", "wrong", f"{settings.host}:{settings.port}: {error.strerror}.",
                "Stop what uses it, or set FETTLE_PORT.",
            )  # fmt: skip
    return Finding("port", "ok", f"{settings.host}:{settings.port} is free.")


async def _database(platform: Platform) -> Finding:
    began = time.time()
    async with platform.database.raw_system() as connection:
        row = await connection.fetchrow(
            "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name,"
            " extract(epoch FROM clock_timestamp())::float8 AS now, NOT EXISTS (SELECT FROM pg_roles WHERE rolname "
            "IN ('fettle_app', 'fettle_system') AND (rolsuper OR rolbypassrls)) AS bound"
        )
    if row is None:
        return Finding("database", "wrong", "It answers nothing.", "See logs/postgres.log.")
    answered_ms = (time.time() - began) * 1000
    shown = f"PostgreSQL {row['name']}, {answered_ms:.1f} ms"
    if not row["bound"]:
        return Finding("database", "wrong", f"{shown}; our roles bypass row-level security.",
                       "ALTER ROLE fettle_app NOSUPERUSER NOBYPASSRLS; the same for fettle_system.")  # fmt: skip
    if abs(row["now"] - time.time()) > _LARGEST_SKEW_SECONDS:
        return Finding(
            "database", "warning", f"{shown}; its clock differs from ours.", "Synchronise both clocks."
        )
    missing = missing_fixes(row["number"])
    if missing is not None:
        return Finding("database", "warning", f"{missing} It answers in {answered_ms:.1f} ms.",
                       "In production set FETTLE_DATABASE_URL to a server that has them.")  # fmt: skip
    return Finding("database", "ok", shown)


async def _schema(settings: Settings) -> Finding:
    if settings.database_url is None:
        return Finding(
            "schema", "warning", "FETTLE_DATABASE_URL is not set.", "Set it, to see the schema's state."
        )
    found = await migrations.status(settings.database_url.get_secret_value())
    if found.current != found.newest:
        return Finding(
            "schema", "wrong", f"It is at {found.current}, the newest is {found.newest}.", "fettle db upgrade"
        )
    return Finding("schema", "ok", str(found.current))


async def _work(platform: Platform) -> AsyncIterator[Finding]:
    async with platform.database.raw_system() as connection:
        groups = await bus_groups.lag(connection)
        seen = await connection.fetchval(
            "SELECT extract(epoch FROM now() - max(seen_at))::float8 FROM consumer_members"
        )
        late = await connection.fetchval(
            "SELECT count(*) FROM jobs WHERE state = 'queued' AND created_at < now() - interval '5 minutes'"
        )
        packs = await connection.fetchval("SELECT count(*) FROM pack_versions")
        audited = await auditing.figures(connection)
    yield (
        Finding("packs", "ok", f"{packs} versions of packs are installed.")
        if packs
        else Finding(
            "packs",
            "wrong",
            "No pack is installed, so nothing can be decided.",
            "fettle packs install packs/*",
        )
    )
    if seen is None or seen > _OLDEST_WORKER_SECONDS:
        since = "never" if seen is None else f"{seen:.0f} s ago"
        yield Finding(
            "worker", "wrong", f"A worker was last seen {since}.", "See logs/worker.log; start it: fettle up"
        )
    else:
        yield Finding("worker", "ok", f"A worker was seen {seen:.0f} s ago.")
    slowest = max(groups, key=lambda group: group.seconds if group.events else 0.0, default=None)
    if slowest is not None and slowest.events and slowest.seconds > _LARGEST_LAG_SECONDS:
        yield Finding(
            "bus", "warning", f"{slowest.group} is {slowest.seconds:.0f} s behind.", "See logs/worker.log."
        )
    else:
        yield Finding("bus", "ok", f"{len(groups)} consumer groups keep up.")
    dead = {group.group: group.dead for group in groups if group.dead}
    if dead:
        listed = ", ".join(f"{name} ({count})" for name, count in dead.items())
        yield Finding("dead letters", "warning", f"Given up by {listed}.",
                      "fettle events dead-letters; mend the cause, then fettle events replay --all")  # fmt: skip
    else:
        yield Finding("dead letters", "ok", "none")
    if late:
        yield Finding("jobs", "warning", f"{late} jobs wait for over 5 minutes.", "See logs/celery.log.")
    else:
        yield Finding("jobs", "ok", "none waits long")
    yield _auditor(audited)


def _auditor(audited: auditing.Figures) -> Finding:
    if audited.last_round_at is None:
        return Finding(
            "auditor", "warning", "It has not gone a round yet.", "It runs on the schedule: fettle up"
        )
    since = (utcnow() - audited.last_round_at).total_seconds()
    if since > _OLDEST_AUDIT_SECONDS:
        return Finding(
            "auditor", "wrong", f"Its last round was {since:.0f} s ago, so what hangs is not found.",
            "See logs/beat.log and logs/celery.log; start them: fettle up",
        )  # fmt: skip
    if audited.hanging:
        return Finding(
            "auditor", "wrong", f"{audited.hanging} things hang that programs should have moved.",
            "GET /api/v1/overdue?hanging=true lists them by tenant; their incidents say what must come next.",
        )  # fmt: skip
    waiting = f"; {audited.waiting} wait long for people" if audited.waiting else ""
    return Finding(
        "auditor",
        "ok",
        f"Nothing hangs of what it looked at {since:.0f} s ago ({audited.looked_at} open){waiting}.",
    )


async def _schedule(platform: Platform) -> Finding:
    if platform.redis is None:
        return Finding(
            "schedule", "warning", "Without Redis nothing runs on a schedule.", "Start it: fettle up"
        )
    try:
        seconds = await seconds_since_schedule(platform.redis)
    except (RedisError, OSError, TimeoutError):
        return Finding("schedule", "warning", "Redis does not say when it last ran.", "Mend Redis first.")
    if seconds is None or seconds > _OLDEST_SCHEDULE_SECONDS:
        seen = "has not run for an hour" if seconds is None else f"last ran {seconds:.0f} s ago"
        return Finding(
            "schedule", "wrong", f"Scheduled work {seen}.",
            "See logs/beat.log and logs/celery.log; start them: fettle up",
        )  # fmt: skip
    return Finding("schedule", "ok", f"It ran {seconds:.0f} s ago.")


async def _redis(platform: Platform, own: Settings) -> Finding:
    try:
        await check_own_redis(own)
    except (StartError, SettingsError) as error:
        return Finding("redis", "wrong", str(error), "Mend the setting, or what it names.")
    if platform.redis is None:
        return Finding("redis", "wrong", "It does not run.", "Start it: fettle up, or set FETTLE_REDIS_URL.")
    try:
        return Finding("redis", "ok", f"{await asyncio.wait_for(ping(platform.redis), 5):.1f} ms")
    except (RedisError, OSError, TimeoutError) as error:
        return Finding(
            "redis", "wrong", f"It does not answer: {type(error).__name__}.", "See logs/redis.log."
        )


def _files(home: Path) -> Iterator[Path]:
    if not os.access(home, os.R_OK | os.X_OK):
        return iter(())
    return (path for pattern in ("*", "keys/*") for path in home.glob(pattern) if path.is_file())


_MACHINE: Final[tuple[Callable[[Settings], Finding], ...]] = (
    _python,
    _home,
    _secret_files,
    _tls,
    _disk,
    _open_files,
    _console,
)
