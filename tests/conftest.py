"""The real parts that tests share: PostgreSQL and Redis as processes, a migrated database, two tenants."""

import importlib.util
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
import structlog
from hypothesis import settings as hypothesis_settings
from redis.asyncio import Redis
from tests.examples import register_profiles
from xdist.scheduler import LoadScopeScheduling

from fettle.central import garbage
from fettle.central.embedded import PostgresServer, RedisServer, start_postgres, start_redis
from fettle.identity import passwords
from fettle.kernel import migrations
from fettle.kernel.database import Database
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.settings import Settings, load_settings

garbage.collect_seldom()

register_profiles()
hypothesis_settings.load_profile("test")

# Whoever configures nothing gets tracebacks with all variables, drawn at the cost of seconds.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

for name in [name for name in os.environ if name.startswith("FETTLE_")]:
    del os.environ[name]

pytest_plugins = [name for name in ("tests.fixtures_api",) if importlib.util.find_spec(name)]

LONGEST_FIRST = (
    "tests/console/",
    "tests/cli/test_up.py",
    "tests/crash/test_chaos.py",
    "tests/api/",
    "tests/isolation/",
    "tests/crash/",
    "tests/planner/",
    "tests/central/test_embedded.py",
    "tests/flywheel/test_wheel.py",
    "tests/tools/test_crash.py",
    "tests/kernel/",
    "tests/evidence/",
    "tests/escalation/",
)
"""What takes longest begins first, so that no process is left alone with it at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first."""

    def place(item: pytest.Item) -> int:
        longest = (n for n, path in enumerate(LONGEST_FIRST) if item.nodeid.startswith(path))
        return next(longest, len(LONGEST_FIRST))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Look for garbage, as the platform's processes do, only in what comes now."""
    garbage.keep_what_is_loaded()


class BySubject(LoadScopeScheduling):
    """Gives each file to one process, and the console, for which a platform and a browser start, to one alone."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "tests/console" if path.startswith("tests/console/") else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySubject:
    """Share the work by subject where processes share it, in the order above."""
    config.option.loadscopereorder = False
    return BySubject(config, log)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A home folder for the session's servers."""
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(home: Path) -> Iterator[PostgresServer]:
    """An embedded PostgreSQL of this test process, its database not yet migrated."""
    options = {
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "300",
    }
    with start_postgres(home / "postgres", options=options) as server:
        yield server


@pytest_asyncio.fixture(scope="session")
async def template(postgres: PostgresServer) -> str:
    """The name of a migrated database that others are cloned from."""
    await migrations.upgrade(postgres.owner_url)
    return "fettle"


@pytest.fixture(scope="session")
def redis_server(home: Path) -> Iterator[RedisServer]:
    """An embedded Redis of this test process."""
    with start_redis(home / "redis") as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    """The address of the session's Redis."""
    return redis_server.url


@pytest_asyncio.fixture(scope="module")
async def settings(
    postgres: PostgresServer, template: str, redis_url: str, home: Path
) -> AsyncIterator[Settings]:
    """Settings over a database of the module's own, cloned from the migrated one."""
    name = f"t_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres.superuser_url)
    await admin.execute(f'CREATE DATABASE {name} TEMPLATE "{template}" OWNER fettle_owner')
    module_home = home / name
    module_home.mkdir()
    yield load_settings(
        home=module_home,
        database_url=postgres.dsn("fettle_owner", name),
        database_app_url=postgres.dsn("fettle_app", name),
        database_system_url=postgres.dsn("fettle_system", name),
        redis_url=redis_url,
    )
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest_asyncio.fixture(scope="module")
async def database(settings: Settings) -> AsyncIterator[Database]:
    """The module's database, through the roles that the platform uses."""
    opened = await Database.connect(settings)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module")
async def platform(settings: Settings, database: Database, redis_url: str) -> AsyncIterator[Platform]:
    """A platform over the module's database and the session's Redis, cleared of what others left."""
    redis = Redis.from_url(redis_url)
    await redis.flushall()
    made = Platform(settings=settings, database=database, redis=redis)
    # Slow on purpose is for whoever guesses; `tests/identity/test_passwords.py` has the real ones.
    made.parts[passwords.PART] = passwords.Passwords(time_cost=1, memory_kib=8)
    yield made
    await redis.aclose()


async def insert_tenant(database: Database, name: str) -> UUID:
    """Insert a tenant and return its id."""
    tenant_id = new_id()
    async with database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO tenants (id, name, slug) VALUES ($1, $2, $3)",
            tenant_id,
            name,
            f"{name}-{tenant_id.hex[-8:]}",
        )
    return tenant_id


@pytest_asyncio.fixture
async def tenant(database: Database) -> UUID:
    """A fresh tenant."""
    return await insert_tenant(database, "alder-clinic")


@pytest_asyncio.fixture
async def other_tenant(database: Database) -> UUID:
    """Another fresh tenant, which must never be seen from the first."""
    return await insert_tenant(database, "birch-dental")
