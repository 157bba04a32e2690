"""Live messages in an API process: a feed for each tenant that is watched, a bounded queue for each reader.

Redis makes the stream fast, the store makes it whole: a publication tells one stretch of the store. Where it
does not follow on what a feed has told, the hub reads the rest from the store, and it looks there by itself
now and then. Without Redis it looks often.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from fettle.central.stream_messages import EVENT_TYPES, LiveMessage, Publication, messages_of, platform_status
from fettle.central.stream_publisher import WATCHED, channel
from fettle.kernel import events as store
from fettle.kernel.database import DATABASE_TROUBLE, DriverConnection
from fettle.kernel.errors import RateLimited, Unavailable
from fettle.kernel.horizon import Horizon, settled_position
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

QUEUE_MESSAGES: Final = 5_000
QUEUE_BYTES: Final = 5_000_000
"""What may wait for one reader before it is let go; it resumes from where it was."""

READERS_OF_ONE: Final = 50
"""Open streams of one person or key in one process."""

READERS: Final = 2_000
"""Open streams in one process."""

GREETING: Final = 200
"""Connections of one process that have not said yet who they are."""

_PAGE: Final = 500
_LOOK_SECONDS: Final = 2.0
_WITHOUT_REDIS_SECONDS: Final = 0.2
_REDIS_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 1.0
_SUBSCRIBED_SECONDS: Final = 2.0
_PART: Final = "central.live"

_READ: Final = (
    f"SELECT {store.COLUMNS} FROM events WHERE tenant_id = $1 AND position > $2 AND position <= $3 "  # noqa: S608 - constants
    "AND type = ANY($4) ORDER BY position LIMIT $5"
)
_WITH_NEWS: Final = """
SELECT t.id FROM unnest($1::uuid[], $2::bigint[]) AS t(id, told) WHERE EXISTS (
  SELECT FROM events e WHERE e.tenant_id = t.id AND e.position > t.told AND e.position <= $3 AND e.type = ANY($4))
"""

log = structlog.get_logger("fettle.live")


class Reader:
    """One open stream; what is due to it waits here, up to a bound.

    Attributes:
        overtaken: More was due than the bound allows.
        ended: The hub has let it go, and its stream must end.
    """

    def __init__(self) -> None:
        self.overtaken = False
        self.ended = asyncio.Event()
        self._due: deque[LiveMessage] = deque()
        self._bytes = 0
        self._news = asyncio.Event()

    def offer(self, messages: list[LiveMessage]) -> None:
        """Queue messages without waiting; beyond the bound the reader is let go, not the others."""
        if self.ended.is_set():
            return
        self._due.extend(messages)
        self._bytes += sum(len(message.body) for message in messages)
        if len(self._due) > QUEUE_MESSAGES or self._bytes > QUEUE_BYTES:
            self.overtaken = True
            self.end()
        self._news.set()

    async def take(self, seconds: float) -> list[LiveMessage]:
        """Return all that is due as soon as something is; nothing when the time is over."""
        with contextlib.suppress(TimeoutError):
            # Not wait_for, which in Python 3.11 may swallow a cancellation that comes with the news.
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
        taken = list(self._due)
        self._due.clear()
        self._bytes = 0
        return taken

    def end(self) -> None:
        """Let the reader go."""
        self._due.clear()
        self.ended.set()


@dataclass(eq=False, slots=True)
class Feed:
    """What one tenant's readers in this process have been told.

    Attributes:
        position: Everything up to here was offered to them; None until the feed has begun.
        waiting: How many are about to join.
        subscribed: Redis sends this tenant's publications to this process.
    """

    tenant_id: UUID
    position: int | None = None
    readers: set[Reader] = field(default_factory=set)
    waiting: int = 0
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, messages: list[LiveMessage], upto: int) -> None:
        """Offer what is new to every reader.

        Args:
            messages: All there are from some position at or before the feed's own, up to `upto`.
            upto: Where the feed stands afterwards.
        """
        assert self.position is not None
        fresh = [message for message in messages if message.position > self.position]
        self.position = max(self.position, upto)
        if fresh:
            for reader in list(self.readers):
                reader.offer(fresh)


class LiveHub:
    """Feeds of this process, kept whole from the event store and made fast by Redis."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._feeds: dict[UUID, Feed] = {}
        self._open: Counter[str] = Counter()
        self._readers: set[Reader] = set()
        self._greeting = 0
        self._horizon: Horizon | None = None
        self._horizon_lock = asyncio.Lock()
        self._own_channel = f"fettle:live:hub:{new_id()}"
        self._task: asyncio.Task[None] | None = None
        self._with_redis = False

    @property
    def status(self) -> str:
        """Say whether news come at once (``live``) or by looking into the store (``delayed``)."""
        return "live" if self._with_redis else "delayed"

    def start(self) -> None:
        """Begin to follow the store; does nothing where that was begun."""
        if self._task is None or self._task.done():
            # In a context of its own: it outlives the request that happened to come first, and its id.
            self._task = asyncio.create_task(self._run(), name="live-hub", context=Context())

    @contextlib.contextmanager
    def admitted(self, actor: str) -> Iterator[Reader]:
        """Count an open stream while it lasts.

        Yields:
            Its reader, to whom nothing is offered before it joins a feed.

        Raises:
            RateLimited: This caller has too many.
            Unavailable: The process has too many.
        """
        if self._open[actor] >= READERS_OF_ONE:
            raise RateLimited(
                f"This caller has {READERS_OF_ONE} streams open. Close one first.", retry_after_seconds=10
            )
        if len(self._readers) >= READERS:
            raise Unavailable("As many streams are open as can be served. Try again in a moment.")
        reader = Reader()
        self._readers.add(reader)
        self._open[actor] += 1
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            self._open[actor] -= 1
            if not self._open[actor]:
                del self._open[actor]

    @contextlib.contextmanager
    def greeting(self) -> Iterator[None]:
        """Count a connection while it has not said who it is.

        Raises:
            Unavailable: The process has too many of these.
        """
        if self._greeting >= GREETING:
            raise Unavailable("Too many connections have not said who they are. Try again in a moment.")
        self._greeting += 1
        try:
            yield
        finally:
            self._greeting -= 1

    @contextlib.asynccontextmanager
    async def reading(self, tenant_id: UUID, reader: Reader) -> AsyncIterator[int]:
        """Queue a tenant's news for a reader.

        Yields:
            The position after which the queue begins.
        """
        self.start()
        feed = self._feeds.setdefault(tenant_id, Feed(tenant_id))
        feed.waiting += 1
        try:
            if not feed.readers:
                await self._subscribe(feed)
                begin = await self.settled()
                if not feed.readers:
                    feed.position = max(begin, feed.position or 0)
            feed.readers.add(reader)
        finally:
            feed.waiting -= 1
        assert feed.position is not None
        try:
            yield feed.position
        finally:
            reader.end()
            feed.readers.discard(reader)

    async def missed(self, tenant_id: UUID, after: int, until: int) -> AsyncIterator[list[LiveMessage]]:
        """Read what a reader missed from the store, a page at a time.

        Args:
            tenant_id: Whose messages.
            after: The last position that the reader knows.
            until: The last one wanted; it is settled.
        """
        while after < until:
            page = await self._read(tenant_id, after, until)
            yield page
            if len(page) < _PAGE:
                return
            after = page[-1].position

    async def settled(self) -> int:
        """Return how far the store can be read now; all that was committed before the call is within it.

        It ends where the store ended when it was asked, or at a hole: under a flood there is always more.
        """
        async with self._horizon_lock, self._platform.database.raw_system() as connection:
            if self._horizon is None:
                self._horizon = Horizon(await settled_position(connection))
            last, before = await _last_position(connection), -1
            while before < self._horizon.position < last:
                before = self._horizon.position
                await self._horizon.advance(connection)
            return self._horizon.position

    async def is_ahead(self, position: int) -> bool:
        """Say whether no event has this position yet: it came from another store than this one."""
        async with self._platform.database.raw_system() as connection:
            return position > await _last_position(connection)

    async def close(self) -> None:
        """Let every reader go, and stop."""
        for reader in self._readers:
            reader.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _subscribe(self, feed: Feed) -> None:
        """Have the hub's own task subscribe: the connection to Redis bears no two writers."""
        if not self._with_redis or self._platform.redis is None:
            return
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await self._platform.redis.publish(self._own_channel, b"look at the feeds")
            async with asyncio.timeout(_SUBSCRIBED_SECONDS):
                await feed.subscribed.wait()

    async def _run(self) -> None:
        while True:
            try:
                await self._follow_redis()
            except (RedisError, *DATABASE_TROUBLE) as error:
                log.warning("live.interrupted", error=type(error).__name__)
            except Exception:  # a stream that falls silent is worse than any error that it could have
                log.exception("live.relay_failed")
            self._change_status(with_redis=False)
            for feed in self._feeds.values():
                feed.subscribed.clear()
            retry_at = asyncio.get_running_loop().time() + _RETRY_SECONDS
            while asyncio.get_running_loop().time() < retry_at:
                self._forget_unwatched()
                await self._look()
                await asyncio.sleep(_WITHOUT_REDIS_SECONDS)

    async def _follow_redis(self) -> None:
        if self._platform.redis is None:
            return
        loop = asyncio.get_running_loop()
        async with self._platform.redis.pubsub() as connection:
            await connection.subscribe(self._own_channel)
            subscribed: set[UUID] = set()
            look_at = loop.time()
            while True:
                # A bound of our own: the client may wait for ever for an answer that a broken connection lost.
                async with asyncio.timeout(_LOOK_SECONDS + _REDIS_SECONDS):
                    received = await connection.get_message(timeout=max(0.01, look_at - loop.time()))
                    if received is not None and received["channel"] == self._own_channel.encode():
                        await self._adjust(connection, subscribed)
                if received is not None:
                    await self._take(received)
                if loop.time() >= look_at:
                    async with asyncio.timeout(_REDIS_SECONDS):
                        await self._adjust(connection, subscribed)
                        await connection.ping()
                    await self._look()
                    look_at = loop.time() + _LOOK_SECONDS

    async def _adjust(self, connection: Any, subscribed: set[UUID]) -> None:
        """Subscribe to what is watched now, and forget what nobody watches any more.

        Who is forgotten is unsubscribed before anything else: should somebody watch it again meanwhile, that is
        a new feed, which learns that it is subscribed from an answer to a subscription of its own.
        """
        was_watching = bool(subscribed)
        for tenant_id in self._forget_unwatched():
            await connection.unsubscribe(channel(tenant_id))
            subscribed.discard(tenant_id)
        if self._feeds and not was_watching:
            await connection.subscribe(WATCHED)
        for tenant_id in self._feeds.keys() - subscribed:
            await connection.subscribe(channel(tenant_id))
            subscribed.add(tenant_id)
        if was_watching and not subscribed:
            await connection.unsubscribe(WATCHED)

    def _forget_unwatched(self) -> list[UUID]:
        unwatched = [key for key, feed in self._feeds.items() if not feed.readers and not feed.waiting]
        for tenant_id in unwatched:
            del self._feeds[tenant_id]
        return unwatched

    async def _take(self, received: dict[str, Any]) -> None:
        if received["type"] not in {"subscribe", "message"}:
            return
        name = received["channel"].decode()
        if name == self._own_channel:
            self._change_status(with_redis=True)
            return
        if name == WATCHED:
            return
        feed = self._feeds.get(UUID(name.split(":")[1]))
        if feed is None:
            return
        if received["type"] == "subscribe":
            feed.subscribed.set()
        elif feed.position is not None:
            await self._deliver(feed, Publication.unpack(received["data"]))

    async def _deliver(self, feed: Feed, publication: Publication) -> None:
        assert feed.position is not None
        if publication.after > feed.position:
            await self._catch_up(feed, publication.after)
        feed.offer(publication.messages, publication.upto)

    async def _catch_up(self, feed: Feed, until: int) -> None:
        while feed.position is not None and feed.position < until:
            page = await self._read(feed.tenant_id, feed.position, until)
            feed.offer(page, page[-1].position if len(page) == _PAGE else until)

    async def _look(self) -> None:
        """Look into the store for what no publication has told."""
        try:
            feeds = [feed for feed in self._feeds.values() if feed.position is not None and feed.readers]
            if not feeds:
                return
            until = await self.settled()
            news = await self._with_news(feeds, until)
            for feed in feeds:
                if feed.tenant_id in news:
                    await self._catch_up(feed, until)
                else:
                    feed.offer([], until)
        except DATABASE_TROUBLE as error:
            log.warning("live.store_unreachable", error=type(error).__name__)

    async def _with_news(self, feeds: list[Feed], until: int) -> set[UUID]:
        tenants, told = [feed.tenant_id for feed in feeds], [feed.position for feed in feeds]
        async with self._platform.database.raw_system() as connection:
            rows = await connection.fetch(_WITH_NEWS, tenants, told, until, EVENT_TYPES)
        return {row["id"] for row in rows}

    async def _read(self, tenant_id: UUID, after: int, until: int) -> list[LiveMessage]:
        async with self._platform.database.raw_tenant(tenant_id) as connection:
            rows = await connection.fetch(_READ, tenant_id, after, until, EVENT_TYPES, _PAGE)
            return await messages_of(connection, [store.from_row(row) for row in rows])

    def _change_status(self, *, with_redis: bool) -> None:
        if with_redis == self._with_redis:
            return
        self._with_redis = with_redis
        for feed in self._feeds.values():
            if feed.position is not None:
                news = [platform_status(feed.tenant_id, feed.position, self.status)]
                for reader in list(feed.readers):
                    reader.offer(news)


async def _last_position(connection: DriverConnection) -> int:
    return int(await connection.fetchval("SELECT coalesce(max(position), 0) FROM events"))


def live_hub(platform: Platform) -> LiveHub:
    """Return the process's hub."""
    hub = platform.parts.get(_PART)
    if not isinstance(hub, LiveHub):
        hub = platform.parts[_PART] = LiveHub(platform)
    return hub
