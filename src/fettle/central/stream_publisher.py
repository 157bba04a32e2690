"""Publishes live messages to Redis, in the order of the store: one leader among the APIs, told by a lock.

Each publication of a tenant names the stretch of the store that it tells. A process that missed the one before
sees that, and reads what it missed from the store; so Redis makes the stream fast, and the store makes it whole.
"""

import asyncio
import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import Final
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from fettle.central.stream_messages import EVENT_TYPES, Publication, messages_of
from fettle.kernel import events as store
from fettle.kernel.database import DATABASE_TROUBLE, DriverConnection
from fettle.kernel.events import Event
from fettle.kernel.horizon import Horizon, settled_position
from fettle.kernel.platform import Platform
from fettle.kernel.redis import tenant_key

_LEADER_LOCK: Final = 0x66_74_6C_6C  # any number that no other advisory lock of ours has
_STANDBY_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.25
_UNWATCHED_SECONDS: Final = 0.05
_BATCH: Final = 500
_TENANTS_KEPT: Final = 10_000

_DUE: Final = """
SELECT tenant_id, max(position) AS last, count(*) AS events FROM (
  SELECT tenant_id, position FROM events WHERE position > $1 AND position <= $2 AND type = ANY($3)
  ORDER BY position LIMIT $4) AS due
GROUP BY tenant_id
"""

_READ: Final = (
    f"SELECT {store.COLUMNS} FROM events WHERE position > $1 AND position <= $2 AND type = ANY($3) "  # noqa: S608 - constants
    "AND tenant_id = ANY($4) ORDER BY position"
)

log = structlog.get_logger("fettle.live")


WATCHED: Final = "fettle:live:watched"
"""The Redis channel that whoever watches any tenant subscribes to, before the tenant's own; nothing is sent there."""


def channel(tenant_id: UUID | str) -> str:
    """Return the Redis channel of a tenant's live messages."""
    return tenant_key(tenant_id, "live")


async def publish_live(platform: Platform) -> None:
    """Publish until cancelled, while this process is the leader; wait to become it otherwise."""
    while platform.redis is not None:
        try:
            await _lead(platform, platform.redis)
        except (*DATABASE_TROUBLE, RedisError) as error:
            log.warning("live.interrupted", error=type(error).__name__)
        except Exception:  # a publisher that ends in silence is worse than any error that it could have
            log.exception("live.publishing_failed")
        await asyncio.sleep(_STANDBY_SECONDS)


async def _lead(platform: Platform, redis: Redis) -> None:
    wake = asyncio.Event()
    # The lock lives as long as the connection, so a leader that dies is followed at once.
    connection = await platform.database.listen(wake)
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LEADER_LOCK):
            return
        publisher = Publisher(redis, await settled_position(connection))
        while not connection.is_closed():
            wake.clear()
            if await publisher.publish_due(connection):
                continue
            if not publisher.is_watched:
                await asyncio.sleep(_UNWATCHED_SECONDS)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await wake.wait()
    finally:
        with contextlib.suppress(*DATABASE_TROUBLE):
            await connection.close(timeout=1.0)


class Publisher:
    """Reads on in the store, and tells each tenant that somebody watches.

    Args:
        redis: Where publications go.
        position: Every event up to here is settled; what follows is told.

    Attributes:
        is_watched: Whether anybody watched anything when there was last something to tell.
    """

    def __init__(self, redis: Redis, position: int) -> None:
        self.is_watched = True
        self._redis = redis
        self._horizon = Horizon(position)
        self._began = self._reached = position
        self._told: OrderedDict[UUID, int] = OrderedDict()

    async def publish_due(self, connection: DriverConnection) -> bool:
        """Tell what is settled and not told yet, a batch at most; returns whether there was something."""
        safe = await self._horizon.advance(connection)
        if safe <= self._reached:
            return False
        # Asked after the look: who comes later than this begins with all that the look has seen.
        self.is_watched = await self._redis.pubsub_numsub(WATCHED) != [(WATCHED.encode(), 0)]
        if not self.is_watched:
            self._told.clear()
            self._began = self._reached = safe
            return False
        rows = await connection.fetch(_DUE, self._reached, safe, EVENT_TYPES, _BATCH)
        is_full = sum(row["events"] for row in rows) == _BATCH
        reached = max(row["last"] for row in rows) if is_full else safe
        tenants = [row["tenant_id"] for row in rows]
        watched = await self._watched(tenants)
        by_tenant = await self._read(connection, watched, reached) if watched else {}
        for tenant_id, told in by_tenant.items():
            messages = await messages_of(connection, told)
            publication = Publication(self._told.get(tenant_id, self._began), reached, messages)
            await self._redis.publish(channel(tenant_id), publication.pack())
        self._note(tenants, reached)
        return True

    async def _read(
        self, connection: DriverConnection, tenants: list[UUID], reached: int
    ) -> dict[UUID, list[Event]]:
        by_tenant: dict[UUID, list[Event]] = defaultdict(list)
        for row in await connection.fetch(_READ, self._reached, reached, EVENT_TYPES, tenants):
            by_tenant[row["tenant_id"]].append(store.from_row(row))
        return by_tenant

    async def _watched(self, tenants: list[UUID]) -> list[UUID]:
        """Return those that somebody watches, so that nothing is made for nobody."""
        if not tenants:
            return []
        counts = await self._redis.pubsub_numsub(*map(channel, tenants))
        return [tenant_id for tenant_id, (_, watching) in zip(tenants, counts, strict=True) if watching]

    def _note(self, tenants: Iterable[UUID], reached: int) -> None:
        """Note how far tenants were told. Who was not watched just then may be by now, and then sees the gap."""
        for tenant_id in tenants:
            self._told[tenant_id] = reached
            self._told.move_to_end(tenant_id)
        while len(self._told) > _TENANTS_KEPT:
            _, self._began = self._told.popitem(last=False)
        self._reached = reached
