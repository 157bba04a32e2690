"""What the benchmarks stand on: PostgreSQL and Redis of their own, durable as in production, a tenant and a key."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from fettle.central.embedded import start_postgres, start_redis
from fettle.kernel import migrations
from fettle.kernel.platform import Platform

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Environment:
    """Servers, settings for child processes, and who calls."""

    platform: Platform
    variables: dict[str, str]
    tenant_id: UUID
    api_key: str


@contextlib.asynccontextmanager
async def environment() -> AsyncIterator[Environment]:
    """Start the servers in a folder of their own and stop them afterwards."""
    from redis.asyncio import Redis

    from fettle.identity.api_keys import create_api_key
    from fettle.identity.audit import Who
    from fettle.identity.authentication import Access
    from fettle.identity.permissions import PERMISSIONS
    from fettle.identity.tenants import ensure_tenant
    from fettle.kernel.database import Database
    from fettle.kernel.ids import new_id
    from fettle.kernel.settings import load_settings
    from fettle.packs.service import ensure_shipped

    with tempfile.TemporaryDirectory(prefix="fettle-bench-") as folder:
        home = Path(folder)
        with start_postgres(home) as postgres, start_redis(home) as redis_server:
            await migrations.upgrade(postgres.owner_url)
            variables = {
                "FETTLE_HOME": folder,
                "FETTLE_DATABASE_URL": postgres.owner_url,
                "FETTLE_DATABASE_APP_URL": postgres.app_url,
                "FETTLE_DATABASE_SYSTEM_URL": postgres.system_url,
                "FETTLE_REDIS_URL": redis_server.url,
                "FETTLE_LOG_LEVEL": "error",
                "FETTLE_RATE_LIMIT_PER_MINUTE": "100000000",
            }
            os.environ.update(variables)
            settings = load_settings()
            database = await Database.connect(settings)
            platform = Platform(settings=settings, database=database, redis=Redis.from_url(redis_server.url))
            try:
                await ensure_shipped(platform)
                tenant_id = await ensure_tenant(platform, "bench", "Bench")
                access = Access(
                    user_id=new_id(),
                    api_key_id=None,
                    actor="system:bench",
                    tenant_id=tenant_id,
                    permissions=frozenset(PERMISSIONS),
                )
                async with database.tenant(tenant_id) as session:
                    made = await create_api_key(
                        session,
                        access,
                        Who("system:bench", None),
                        name="bench",
                        scopes=["exceptions:write", "incidents:read"],
                        expires_at=None,
                    )
                yield Environment(platform, variables, tenant_id, made.text)
            finally:
                await platform.close()
                for name in variables:
                    os.environ.pop(name, None)


@contextlib.contextmanager
def process(
    *arguments: str, ready: Callable[[], bool], **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python module as a process of its own until the block ends."""
    environ = {**os.environ, **variables, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    child = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=environ)
    try:
        deadline = time.monotonic() + 60
        while not ready():
            if child.poll() is not None:
                raise RuntimeError(f"{arguments[0]} ended with {child.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{arguments[0]} was not ready within 60 s")
            time.sleep(0.05)
        yield child
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_ports(count: int) -> list[int]:
    """Return so many different loopback ports that nobody listens on now."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return sorted(ports)


def answers(port: int) -> bool:
    """Say whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return {
        f"p{q}_ms": round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * q / 100))], 3)
        for q in (50, 95, 99)
    }


async def timed(action: Callable[[], Awaitable[Any]], times: int) -> list[float]:
    """Run an action so many times and return the seconds of each."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await action()
        taken.append(time.perf_counter() - began)
    return taken


def row(
    name: str,
    *,
    floor: float,
    measured: float,
    unit: str,
    goal: float,
    more_is_better: bool = True,
    **extra: Any,
) -> dict[str, Any]:
    """Return one line of a result: a figure, its floor of the same run, and the ratio that is the goal."""
    ratio = measured / floor if floor else 0.0
    met = ratio >= goal if more_is_better else ratio <= goal
    return {
        "name": name, "floor": round(floor, 4), "measured": round(measured, 4), "unit": unit,
        "ratio": round(ratio, 3), "goal": goal, "goal_is": "at least" if more_is_better else "at most",
        "met": met, **extra,
    }  # fmt: skip


def main(run: Callable[[bool], dict[str, Any]]) -> None:
    """Run a benchmark from the command line: ``--short`` for seconds, ``--json`` for a program."""
    result = run("--short" in sys.argv)
    if "--json" in sys.argv:
        print(json.dumps(result, indent=2))
        return
    print(result["benchmark"])
    for line in result["rows"]:
        print(
            f"  {line['name']:<34} floor {line['floor']:>12,.2f}  here {line['measured']:>12,.2f} {line['unit']:<14} "
            f"ratio {line['ratio']:>6.2f} ({line['goal_is']} {line['goal']}) {'ok' if line['met'] else 'MISSED'}"
        )
        extra = {k: v for k, v in line.items() if k not in _SHOWN}
        if extra:
            print(f"      {extra}")


_SHOWN = {"name", "floor", "measured", "unit", "ratio", "goal", "goal_is", "met"}
