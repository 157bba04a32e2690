"""The platform as processes over a home of its own, each of which can be killed and is started again."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

import asyncpg
from bench.environment import answers
from bench.healable import let_heal
from redis.asyncio import Redis
from tests.crash import parts
from tests.ports import free_port

from fettle.central.embedded import PostgresServer, RedisServer, start_postgres, start_redis
from fettle.identity.api_keys import create_api_key
from fettle.identity.audit import Who
from fettle.identity.authentication import Access
from fettle.identity.permissions import PERMISSIONS
from fettle.identity.tenants import ensure_tenant
from fettle.kernel import migrations
from fettle.kernel.database import Database
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.settings import Settings, load_settings

LEASE_SECONDS = 1.0
_START_SECONDS = 120
HEALED_BY = {"crash_safe": "crash.safe", "crash_unsafe": "crash.unsafe"}
WORKERS = ("worker-1", "worker-2")
_MEMORY = Path("/dev/shm")
"""A process that is killed leaves what it wrote there, and no step waits for a disk because of a tool that counts."""

_DURABLE_ENOUGH = {
    "fsync": "off",
    "max_connections": "200",
}  # what is killed here are processes, not the machine


@dataclass
class Stack:
    """Everything that runs.

    Attributes:
        world: Where tools leave their effects.
        keys: An API key for each tenant.
        killed: How often each part was.
    """

    home: Path
    port: int
    postgres: PostgresServer
    redis: RedisServer
    world: Path
    keys: dict[UUID, str] = field(default_factory=dict)
    children: dict[str, BaseProcess] = field(default_factory=dict)
    killed: dict[str, int] = field(default_factory=dict)
    _restarting: set[asyncio.Task[None]] = field(default_factory=set)
    _stayed_away: list[BaseException] = field(default_factory=list)
    _away: set[str] = field(default_factory=set)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "FETTLE_HOME": str(self.home),
            "FETTLE_PORT": str(self.port),
            "FETTLE_DATABASE_URL": self.postgres.owner_url,
            "FETTLE_DATABASE_APP_URL": self.postgres.app_url,
            "FETTLE_DATABASE_SYSTEM_URL": self.postgres.system_url,
            "FETTLE_REDIS_URL": self.redis.url,
            "FETTLE_LEASE_SECONDS": str(LEASE_SECONDS),
            "FETTLE_RATE_LIMIT_PER_MINUTE": "100000000",
        }

    def settings(self) -> Settings:
        own = {name.removeprefix("FETTLE_").lower(): value for name, value in self.variables.items()}
        return load_settings(**own)

    @contextlib.asynccontextmanager
    async def platform(self) -> AsyncIterator[Platform]:
        settings = self.settings()
        platform = Platform(
            settings=settings, database=await Database.connect(settings), redis=Redis.from_url(self.redis.url)
        )
        try:
            yield platform
        finally:
            await platform.close()

    def start(self, name: str) -> None:
        part = "api" if name == "api" else "worker"
        self.children[name] = parts.start(
            part, self.variables, self.home / "logs" / f"{name}.log", self.world
        )

    async def kill(self, name: str, *, back_after: float = 0.0) -> bool:
        """End a part as a crash would, and let it be started again a moment later; returns whether it was there."""
        if self._stayed_away:
            raise self._stayed_away[0]  # without it, all that follows would prove nothing
        if name == "backend":
            if not await self._kill_backend():
                return False
        elif name == "postmaster":
            self.postgres.kill()
            self._later(name, back_after)
        else:
            self._away.add(name)  # or it would be started twice: when it is missed, and when it is to be back
            child = self.children[name]
            child.kill()
            await asyncio.to_thread(child.join)
            self._later(name, back_after)
        self.killed[name] = self.killed.get(name, 0) + 1
        return True

    def present(self, names: Iterable[str]) -> list[str]:
        """Return those that run, as far as is known."""
        return [
            name
            for name in names
            if name not in self._away
            and not (name == "backend" and "postmaster" in self._away)
            and not (name == "api" and not answers(self.port))
        ]

    async def end(self) -> None:
        """Let nothing that was killed stay away any longer: the test is over."""
        self._over.set()
        await self.all_back()

    async def all_back(self) -> None:
        """Wait until whatever was killed has been started again."""
        while self._restarting:
            await asyncio.gather(*self._restarting)
        if self._stayed_away:
            raise self._stayed_away[0]

    def _later(self, name: str, seconds: float) -> None:
        self._away.add(name)
        task = asyncio.create_task(self._bring_back(name, seconds))
        self._restarting.add(task)
        task.add_done_callback(self._brought_back)

    def _brought_back(self, task: asyncio.Task[None]) -> None:
        self._restarting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stayed_away.append(error)

    async def _bring_back(self, name: str, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)
        if name == "postmaster":
            self.postgres = await asyncio.to_thread(start_postgres, self.home, options=_DURABLE_ENOUGH)
        else:
            self.start(name)
        self._away.discard(name)

    async def _kill_backend(self) -> bool:
        """Kill one of the server's own processes, which ends every connection and makes it recover."""
        try:
            connection = await asyncpg.connect(self.postgres.superuser_url, timeout=2)
            try:
                found = await connection.fetch(
                    "SELECT pid FROM pg_stat_activity WHERE datname = 'fettle' OR backend_type = 'walwriter'"
                )
            finally:
                await connection.close()
            os.kill(random.choice(found)["pid"], signal.SIGKILL)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return False  # it recovers from the last kill
        return True

    async def supervise(self) -> None:
        """Start again what ended by itself, such as a part that found no database, as the supervisor does."""
        while True:
            for name, child in list(self.children.items()):
                if name not in self._away and not child.is_alive():
                    self.start(name)
            await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def stack(home: Path, *, tenants: int = 2) -> AsyncIterator[Stack]:
    """Start everything, with tenants whose exceptions heal by tools that count."""
    postgres = start_postgres(home, options=_DURABLE_ENOUGH)
    redis = start_redis(home)
    world = _made_in_memory(home)
    here = Stack(home, free_port(), postgres, redis, world)
    supervising: asyncio.Task[None] | None = None
    try:
        await migrations.upgrade(postgres.owner_url)
        async with here.platform() as platform:
            for number in range(tenants):
                await _add_tenant(here, platform, f"crash-{number}")
        for name in ("api", *WORKERS):
            here.start(name)
        async with asyncio.timeout(_START_SECONDS):
            while not answers(here.port):
                assert here.children["api"].is_alive(), (home / "logs" / "api.log").read_text()[-2000:]
                await asyncio.sleep(0.05)
        supervising = asyncio.create_task(here.supervise())
        yield here
    finally:
        await here.end()
        if supervising is not None:
            supervising.cancel()
        for child in here.children.values():
            child.kill()
            child.join()
        here.redis.stop()
        here.postgres.stop()
        shutil.rmtree(world)


def _made_in_memory(otherwise: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="fettle-world-", dir=_MEMORY if _MEMORY.is_dir() else otherwise))


async def _add_tenant(here: Stack, platform: Platform, name: str) -> None:
    tenant_id = await ensure_tenant(platform, name, name)
    await let_heal(platform, tenant_id, HEALED_BY, pack_id="crash")
    access = Access(
        user_id=new_id(), api_key_id=None, actor="system:test", tenant_id=tenant_id, permissions=frozenset(PERMISSIONS)
    )  # fmt: skip
    async with platform.database.tenant(tenant_id) as session:
        made = await create_api_key(
            session, access, Who("system:test", None), name="crash", scopes=["exceptions:write"], expires_at=None
        )  # fmt: skip
    here.keys[tenant_id] = made.text
