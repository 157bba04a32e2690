"""Live messages in an API process: one feed for each tenant that somebody watches, a bounded queue for each reader."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
import structlog
from redis.exceptions import RedisError

from fettle.central.stream_messages import EVENT_TYPES, messages_of
from fettle.central.stream_publisher import channel, settled_position
from fettle.kernel import events as store
from fettle.kernel.horizon import Horizon
from fettle.kernel.platform import Platform

QUEUE_MESSAGES: Final = 2_000
"""What may wait for one reader before it is dropped; it resumes from where it was."""

REPLAY_MESSAGES: Final = 10_000
"""What a resuming reader is told in one go; who missed more resumes again from the last of them."""

_PAGE: Final = 500
_LOOK_SECONDS: Final = 5.0
_WITHOUT_REDIS_SECONDS: Final = 0.5
_PART: Final = "central.live"

_READ: Final = (
    f"SELECT {store.COLUMNS} FROM events WHERE tenant_id = $1 AND position > $2 AND position <= $3 "  # noqa: S608 - constants
    "AND type = ANY($4) ORDER BY position LIMIT $5"
)

log = structlog.get_logger("fettle.live")

Message = dict[str, Any]


@dataclass(eq=False, slots=True)
class Reader:
    """One open stream.

    Attributes:
        overtaken: It did not keep up, and its stream must end.
    """

    queue: asyncio.Queue[Message] = field(default_factory=lambda: asyncio.Queue(QUEUE_MESSAGES))
    overtaken: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, messages: list[Message]) -> None:
        """Queue messages without waiting; a full queue drops the reader, not the others."""
        if self.overtaken.is_set():
            return
        try:
            for message in messages:
                self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.overtaken.set()


@dataclass(eq=False, slots=True)
class Feed:
    """What one tenant's readers in this process have been told.

    Attributes:
        position: Everything up to here was offered to them.
    """

    tenant_id: UUID
    position: int
    readers: set[Reader] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def offer(self, messages: list[Message]) -> None:
        """Offer what is new to every reader."""
        fresh = [message for message in messages if message["position"] > self.position]
        if not fresh:
            return
        self.position = fresh[-1]["position"]
        for reader in self.readers:
            reader.offer(fresh)


class LiveHub:
    """Feeds of this process, kept whole from the event store and made fast by Redis."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._feeds: dict[UUID, Feed] = {}
        self._horizon: Horizon | None = None
        self._horizon_lock = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._pubsub: Any = None
        self._subscribing = asyncio.Lock()
        self._with_redis = False

    async def close(self) -> None:
        """End the hub's own work; open streams end with their requests."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    @contextlib.asynccontextmanager
    async def reading(
        self, tenant_id: UUID, after: int | None
    ) -> AsyncIterator[tuple[Reader, list[Message]]]:
        """Open a stream.

        Args:
            tenant_id: Whose messages.
            after: The last position that the reader knows; None for from now on.

        Yields:
            The reader, and what it missed.
        """
        self._begin()
        feed = self._feeds.get(tenant_id)
        if feed is None:
            position = await self._safe_position()
            feed = self._feeds.setdefault(tenant_id, Feed(tenant_id, position))
        reader = Reader()
        # From here on the feed queues what comes after this position, so what is missed ends exactly there.
        feed.readers.add(reader)
        joined_at = feed.position
        try:
            await self._subscribe(tenant_id)
            missed = await self._missed(tenant_id, after, joined_at) if after is not None else []
            if len(missed) >= REPLAY_MESSAGES:
                # There may be more between these and the queue: it ends after them and resumes from there.
                reader.overtaken.set()
            yield reader, missed
        finally:
            feed.readers.discard(reader)
            if not feed.readers and self._feeds.get(tenant_id) is feed:
                del self._feeds[tenant_id]
                await self._unsubscribe(tenant_id)

    def _begin(self) -> None:
        if self._tasks:
            return
        # In a context of their own: they outlive the request that happened to come first, and its id.
        self._tasks = [
            asyncio.create_task(work, context=Context()) for work in (self._listen(), self._look_regularly())
        ]

    async def _missed(self, tenant_id: UUID, after: int, until: int) -> list[Message]:
        found: list[Message] = []
        while after < until and len(found) < REPLAY_MESSAGES:
            page = await self._read(tenant_id, after, until)
            found.extend(page)
            if len(page) < _PAGE:
                break
            after = page[-1]["position"]
        return found

    async def _read(self, tenant_id: UUID, after: int, until: int) -> list[Message]:
        async with self._platform.database.raw_tenant(tenant_id) as connection:
            rows = await connection.fetch(_READ, tenant_id, after, until, EVENT_TYPES, _PAGE)
            return await messages_of(connection, [store.from_row(row) for row in rows])

    async def _catch_up(self, feed: Feed, until: int) -> None:
        async with feed.lock:
            while feed.position < until:
                page = await self._read(feed.tenant_id, feed.position, until)
                feed.offer(page)
                if len(page) < _PAGE:
                    feed.position = max(feed.position, until)

    async def _safe_position(self) -> int:
        async with self._horizon_lock, self._platform.database.raw_system() as connection:
            if self._horizon is None:
                self._horizon = Horizon(await settled_position(connection))
            before = -1
            while self._horizon.position != before:
                before = self._horizon.position
                await self._horizon.advance(connection)
            return before

    async def _look_regularly(self) -> None:
        """Read from the store what Redis may not have brought."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS if self._with_redis else _WITHOUT_REDIS_SECONDS)
            if not self._feeds:
                continue
            try:
                safe = await self._safe_position()
                for feed in list(self._feeds.values()):
                    if feed.readers:
                        await self._catch_up(feed, safe)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("live.store_unreachable", error=type(error).__name__)
            except Exception:  # a feed that ends in silence is worse than any error that it could have
                log.exception("live.look_failed")

    async def _listen(self) -> None:
        while True:
            try:
                await self._relay()
            except (RedisError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("live.redis_unreachable", error=type(error).__name__)
            except Exception:  # the same: it begins anew, and the store tells what was missed
                log.exception("live.relay_failed")
            await asyncio.sleep(1.0)

    async def _relay(self) -> None:
        if self._platform.redis is None:
            return
        async with self._platform.redis.pubsub() as pubsub:
            # A subscription of its own keeps the connection open while nobody watches.
            await pubsub.subscribe("fettle:live")
            self._pubsub = pubsub
            try:
                for tenant_id in list(self._feeds):
                    await pubsub.subscribe(channel(tenant_id))
                self._with_redis = True
                while self._pubsub is pubsub:
                    received = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5.0)
                    if received is not None and received["type"] == "message":
                        await self._take(received)
            finally:
                # Before it is closed, so that nobody subscribes on what is being closed.
                self._with_redis = False
                self._pubsub = None

    async def _take(self, received: Mapping[str, Any]) -> None:
        tenant_id = UUID(received["channel"].decode().split(":")[1])
        feed = self._feeds.get(tenant_id)
        if feed is None:
            return
        published = orjson.loads(received["data"])
        messages: list[Message] = published["messages"]
        previous = published["previous"]
        if feed.lock.locked() or previous is None or previous > feed.position:
            # Something before it was not told here, or is being read right now; the store has it all.
            await self._catch_up(feed, messages[-1]["position"])
        else:
            feed.offer(messages)

    async def _subscribe(self, tenant_id: UUID) -> None:
        async with self._subscribing:
            if self._pubsub is not None:
                await self._tell(self._pubsub.subscribe, tenant_id)

    async def _unsubscribe(self, tenant_id: UUID) -> None:
        async with self._subscribing:
            # Somebody may have come back meanwhile, and subscribed.
            if self._pubsub is not None and tenant_id not in self._feeds:
                await self._tell(self._pubsub.unsubscribe, tenant_id)

    async def _tell(self, action: Callable[[str], Awaitable[None]], tenant_id: UUID) -> None:
        try:
            await action(channel(tenant_id))
        except Exception as error:  # noqa: BLE001 - a connection that is being renewed fails in any way at all
            # The relay begins anew and subscribes to every feed; until then the store is read often.
            log.warning("live.subscription_failed", error=type(error).__name__)
            self._with_redis = False
            self._pubsub = None


def live_hub(platform: Platform) -> LiveHub:
    """Return the process's hub."""
    hub = platform.parts.get(_PART)
    if not isinstance(hub, LiveHub):
        hub = platform.parts[_PART] = LiveHub(platform)
    return hub
