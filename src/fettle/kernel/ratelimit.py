"""Limits how often something may happen, over all processes together, without a Redis call for each time.

A token bucket stands in Redis. Each process takes a chunk of tokens out of it at once, as many as it lately
spent, spends them by itself and gives back what is left. Tokens are taken from the bucket before they are
spent, so no race can spend one twice.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from fettle.kernel.errors import RateLimited
from fettle.kernel.platform import Platform

BURST_SECONDS: Final = 5.0
"""What may come at once: so many seconds' worth of the limit."""

CHUNK_SECONDS: Final = 0.25
"""How much a process takes at once at most, and for how long it may spend it.

In any T seconds at most ``limit * T + burst + processes * chunk`` pass.
"""

PART: Final = "rate_limiter"
"""Name in `Platform.parts` of the one limiter of a process."""

_REDIS_PATIENCE_SECONDS: Final = 0.5
_REDIS_PAUSE_SECONDS: Final = 1.0
_MOST_KEYS: Final = 20_000

_TAKE: Final = """
local rate, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local want, returned = tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(state[1]) or capacity
local at = tonumber(state[2]) or now
tokens = math.min(capacity, tokens + math.max(0, now - at) * rate + returned)
local granted = math.min(want, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / rate * 1000) + 1000)
local wait = 0
if granted == 0 then wait = math.ceil((1 - tokens) / rate * 1000) end
return {granted, wait}
"""

log = structlog.get_logger("fettle.ratelimit")


@dataclass(slots=True)
class _Lease:
    """What one process may still spend of one key."""

    tokens: int = 0
    taken: int = 0
    until: float = 0.0
    refused_until: float = 0.0
    local_tokens: float = 0.0
    local_at: float = 0.0
    refill: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimiter:
    """A limit per key, shared by all processes on one Redis.

    While Redis does not answer, each process keeps the limit by itself: work goes on, and the total is at
    most the limit for each process.

    Args:
        redis: None where there is none: the limit is kept in this process alone.
        per_minute: How often a key may pass, unless `take` is told otherwise.
        prefix: What the keys in Redis begin with.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        redis: Redis | None,
        *,
        per_minute: int,
        prefix: str = "fettle:limit",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._script = None if redis is None else redis.register_script(_TAKE)
        self._per_minute = per_minute
        self._prefix = prefix
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._redis_down_until = 0.0

    async def take(self, key: str, *, per_minute: int | None = None) -> None:
        """Let one pass, or refuse it.

        Args:
            key: Whose limit it is: ``tenant:<id>``, ``address:<ip>``. The same key always has the same limit.
            per_minute: The limit of this key.

        Raises:
            RateLimited: The limit is reached; it says when to try again.
        """
        lease = self._leases.get(key)
        if lease is None:
            lease = self._new_lease(key)
        now = self._clock()
        if lease.tokens > 0 and now < lease.until:
            lease.tokens -= 1
            return
        await self._take_slowly(key, lease, (per_minute or self._per_minute) / 60)

    async def _take_slowly(self, key: str, lease: _Lease, per_second: float) -> None:
        async with lease.refill:
            now = self._clock()
            if lease.tokens > 0 and now < lease.until:
                lease.tokens -= 1
                return
            if now < lease.refused_until:
                raise _refused(lease.refused_until - now)
            granted = await self._take_from_redis(key, lease, per_second)
            if granted is None:
                self._take_locally(lease, per_second)

    async def _take_from_redis(self, key: str, lease: _Lease, per_second: float) -> bool | None:
        """Take a chunk; None where Redis does not answer."""
        if self._script is None or self._clock() < self._redis_down_until:
            return None
        begun = self._clock()
        burst = _burst(per_second)
        unspent, lease.tokens = lease.tokens, 0
        lately_spent = lease.taken - unspent
        want = max(1, min(2 * lately_spent, int(burst), int(per_second * CHUNK_SECONDS)))
        try:
            async with asyncio.timeout(_REDIS_PATIENCE_SECONDS):
                granted, wait_ms = await self._script(
                    keys=[f"{self._prefix}:{key}"], args=[per_second, burst, want, unspent]
                )
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("rate limits are kept by each process alone", error=type(error).__name__)
            self._redis_down_until = self._clock() + _REDIS_PAUSE_SECONDS
            return None
        lease.taken = int(granted)
        if granted < 1:
            lease.refused_until = begun + wait_ms / 1000
            raise _refused(wait_ms / 1000)
        lease.tokens, lease.until = lease.taken - 1, begun + CHUNK_SECONDS
        return True

    def _take_locally(self, lease: _Lease, per_second: float) -> None:
        now = self._clock()
        burst = _burst(per_second)
        if lease.local_at == 0.0:
            lease.local_tokens, lease.local_at = burst, now
        lease.local_tokens = min(burst, lease.local_tokens + (now - lease.local_at) * per_second)
        lease.local_at = now
        if lease.local_tokens < 1:
            raise _refused((1 - lease.local_tokens) / per_second)
        lease.local_tokens -= 1

    def _new_lease(self, key: str) -> _Lease:
        if len(self._leases) >= _MOST_KEYS:
            # The oldest keys lose what they had taken and not spent: they may do less, never more.
            for old in list(self._leases)[: _MOST_KEYS // 10]:
                del self._leases[old]
        lease = self._leases[key] = _Lease()
        return lease


def limiter_of(platform: Platform) -> RateLimiter:
    """Return the process's one limiter, made when first asked for."""
    found = platform.parts.get(PART)
    if not isinstance(found, RateLimiter):
        per_minute = platform.settings.rate_limit_per_minute
        found = platform.parts[PART] = RateLimiter(platform.redis, per_minute=per_minute)
    return found


async def limit_tenant(platform: Platform, tenant_id: UUID) -> None:
    """Let one request of a tenant pass; called once its caller is known.

    Raises:
        RateLimited: The tenant has had its requests for now.
    """
    await limiter_of(platform).take(_key_of(tenant_id))


@lru_cache(maxsize=_MOST_KEYS)
def _key_of(tenant_id: UUID) -> str:
    """Return a tenant's key; to write a `UUID` down takes longer than all else that a request costs here."""
    return f"tenant:{tenant_id}"


def _burst(per_second: float) -> float:
    return max(1.0, math.floor(per_second * BURST_SECONDS))


def _refused(seconds: float) -> RateLimited:
    whole = max(1, math.ceil(seconds))
    return RateLimited(
        f"Too many requests. Try again in {whole} s, and send several items in one request.",
        retry_after_seconds=whole,
    )
