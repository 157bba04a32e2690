"""Publishes live messages to Redis, in the order of the store: one leader among the workers, told by a lock.

Each publication of a tenant names the position of the one before it. A process that missed one sees that, and
reads what it missed from the event store; so Redis makes the stream fast, and the store makes it whole.
"""

import asyncio
import contextlib
from collections import OrderedDict, defaultdict
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog
from redis.exceptions import RedisError

from fettle.central.stream_messages import EVENT_TYPES, messages_of
from fettle.kernel import events as store
from fettle.kernel.database import DriverConnection
from fettle.kernel.events import Event
from fettle.kernel.horizon import Horizon
from fettle.kernel.jsonio import dumps
from fettle.kernel.platform import Platform
from fettle.kernel.redis import tenant_key

_LEADER_LOCK: Final = 0x66_74_6C_6C  # any number that no other advisory lock of ours has
_STANDBY_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.25
_BATCH: Final = 500
_TENANTS_KEPT: Final = 10_000

_READ: Final = (
    f"SELECT {store.COLUMNS} FROM events WHERE position > $1 AND position <= $2 AND type = ANY($3) "  # noqa: S608 - constants
    "ORDER BY position LIMIT $4"
)

log = structlog.get_logger("fettle.live")


def channel(tenant_id: UUID | str) -> str:
    """Return the Redis channel of a tenant's live messages."""
    return tenant_key(tenant_id, "live")


async def settled_position(connection: DriverConnection) -> int:
    """Return a position up to which every event is settled: the furthest that any consumer has read."""
    position = await connection.fetchval("SELECT coalesce(max(position), 0) FROM consumer_lanes")
    return int(position)


async def publish_live(platform: Platform) -> None:
    """Publish until cancelled, while this process is the leader; wait to become it otherwise."""
    while True:
        try:
            await _lead(platform)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RedisError) as error:
            log.warning("live.interrupted", error=type(error).__name__)
        except Exception:  # a publisher that ends in silence is worse than any error that it could have
            log.exception("live.publishing_failed")
        await asyncio.sleep(_STANDBY_SECONDS)


async def _lead(platform: Platform) -> None:
    wake = asyncio.Event()
    # The lock lives as long as the connection, so a leader that dies is followed at once.
    connection = await platform.database.listen(wake)
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LEADER_LOCK):
            return
        publisher = _Publisher(platform)
        horizon = Horizon(await settled_position(connection))
        read_to = horizon.position
        while not connection.is_closed():
            wake.clear()
            safe = await horizon.advance(connection)
            while read_to < safe:
                rows = await connection.fetch(_READ, read_to, safe, EVENT_TYPES, _BATCH)
                if rows:
                    await publisher.publish(connection, [store.from_row(row) for row in rows])
                read_to = rows[-1]["position"] if len(rows) == _BATCH else safe
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await wake.wait()
    finally:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=1.0)


class _Publisher:
    """Remembers what each tenant was told last."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._told: OrderedDict[UUID, int] = OrderedDict()

    async def publish(self, connection: DriverConnection, events: list[Event]) -> None:
        by_tenant: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        for event, message in zip(events, await messages_of(connection, events), strict=True):
            by_tenant[event.tenant_id].append(message)
        assert self._platform.redis is not None
        async with self._platform.redis.pipeline(transaction=False) as pipeline:
            for tenant_id, messages in by_tenant.items():
                body = dumps({"previous": self._told.get(tenant_id), "messages": messages})
                pipeline.publish(channel(tenant_id), body)
            await pipeline.execute()
        for tenant_id, messages in by_tenant.items():
            self._told[tenant_id] = messages[-1]["position"]
            self._told.move_to_end(tenant_id)
        while len(self._told) > _TENANTS_KEPT:
            self._told.popitem(last=False)
