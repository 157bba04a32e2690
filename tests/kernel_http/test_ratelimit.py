"""A limit holds over all processes together, and work goes on when Redis is gone."""

import asyncio
import dataclasses
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from tests.examples import examples

from fettle.central.embedded import start_redis
from fettle.kernel import ratelimit
from fettle.kernel.errors import RateLimited
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.ratelimit import BURST_SECONDS, CHUNK_SECONDS, RateLimiter, limit_tenant


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy is no Redis that is gone."""
    monkeypatch.setattr(ratelimit, "_REDIS_PATIENCE_SECONDS", 60)


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


async def redis_seconds(redis: Redis) -> float:
    seconds, microseconds = await redis.time()
    return int(seconds) + int(microseconds) / 1e6


async def passes(limiter: RateLimiter, key: str, attempts: int, **limit: int) -> int:
    passed = 0
    for _ in range(attempts):
        try:
            await limiter.take(key, **limit)
        except RateLimited:
            await asyncio.sleep(0)
        else:
            passed += 1
    return passed


def most(per_minute: int, seconds: float, processes: int) -> float:
    per_second = per_minute / 60
    burst = max(1.0, per_second * BURST_SECONDS)
    return per_second * seconds + burst + processes * max(1.0, per_second * CHUNK_SECONDS)


@pytest.mark.parametrize("per_minute", [60, 600, 6_000])
async def test_many_at_once_in_several_processes_never_exceed_the_limit(redis: Redis, per_minute: int):
    limiters = [RateLimiter(redis, per_minute=per_minute) for _ in range(4)]
    begun = await redis_seconds(redis)
    passed = await asyncio.gather(
        *(passes(limiter, "tenant:a", 200) for limiter in limiters for _ in range(8))
    )
    lasted = await redis_seconds(redis) - begun
    assert sum(passed) <= most(per_minute, lasted, 0)  # taken before they are spent: no slack within a burst
    assert (
        sum(passed) >= min(6_400, int(per_minute / 60 * BURST_SECONDS)) - 4 * per_minute / 60 * CHUNK_SECONDS
    )


_PROCESS = """
import asyncio, sys
from redis.asyncio import Redis
from fettle.kernel import ratelimit
from fettle.kernel.errors import RateLimited
from fettle.kernel.ratelimit import RateLimiter
ratelimit._REDIS_PATIENCE_SECONDS = 60
async def main():
    redis = Redis.from_url(sys.argv[1])
    limiter = RateLimiter(redis, per_minute=1200)
    passed = 0
    async def one():
        nonlocal passed
        for _ in range(300):
            try:
                await limiter.take("tenant:shared")
            except RateLimited:
                await asyncio.sleep(0.001)
            else:
                passed += 1
    await asyncio.gather(*(one() for _ in range(10)))
    await redis.aclose()
    print(passed)
asyncio.run(main())
"""


async def test_real_processes_never_exceed_the_limit(redis: Redis, redis_url: str):
    begun = await redis_seconds(redis)
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROCESS, redis_url, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    passed = [int((await child.communicate())[0]) for child in children]
    lasted = await redis_seconds(redis) - begun
    assert 0 < sum(passed) <= most(1200, lasted, 3)


async def test_a_tenant_has_one_limit_for_all_its_callers(platform: Platform):
    few = platform.settings.model_copy(update={"rate_limit_per_minute": 1})
    here = dataclasses.replace(platform, settings=few, parts={})
    ours, theirs = new_id(), new_id()
    await limit_tenant(here, ours)
    with pytest.raises(RateLimited):
        await limit_tenant(here, ours)
    await limit_tenant(here, theirs)


async def test_a_refusal_says_when_to_come_back(redis: Redis):
    limiter = RateLimiter(redis, per_minute=1)
    await limiter.take("tenant:a")
    with pytest.raises(RateLimited) as refused:
        await limiter.take("tenant:a")
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60


async def test_one_key_costs_another_nothing(redis: Redis):
    limiter = RateLimiter(redis, per_minute=12)
    await passes(limiter, "tenant:noisy", 50)
    await limiter.take("tenant:quiet")


async def test_a_busy_key_asks_redis_far_less_than_once_each(redis: Redis):
    limiter = RateLimiter(redis, per_minute=600_000, clock=lambda: 1.0)
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]
    assert await passes(limiter, "tenant:a", 5_000) == 5_000
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before <= 60


async def test_what_a_process_did_not_spend_is_given_back(redis: Redis):
    clock = [0.0]
    limiter = RateLimiter(redis, per_minute=60_000, clock=lambda: clock[0])
    await passes(limiter, "tenant:a", 300)
    clock[0] += CHUNK_SECONDS * 2
    await limiter.take("tenant:a")
    clock[0] += CHUNK_SECONDS * 2
    await limiter.take("tenant:a")
    left = float(await redis.hget("fettle:limit:tenant:a", "tokens"))
    assert left >= 1000 * BURST_SECONDS - 302 - 2


async def test_each_process_keeps_the_limit_alone_while_redis_is_gone(home: Path):
    with start_redis(home / "limits") as server:
        redis = Redis.from_url(server.url)
        limiter = RateLimiter(redis, per_minute=600, clock=lambda: 1.0)
        await limiter.take("tenant:a")
        server.kill()
        assert 0 < await passes(limiter, "tenant:b", 500) <= most(600, 0, 1)
        with pytest.raises(RateLimited):
            await limiter.take("tenant:b")
        await redis.aclose()


@examples(60)
@given(
    per_minute=st.integers(1, 20_000),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 120)), min_size=1, max_size=12),
)
def test_without_redis_the_limit_holds_in_every_history(per_minute: int, steps: list[tuple[float, int]]):
    async def history() -> None:
        clock = [1.0]
        limiter = RateLimiter(None, per_minute=per_minute, clock=lambda: clock[0])
        passed = 0
        for pause, attempts in steps:
            clock[0] += pause
            passed += await passes(limiter, "tenant:a", attempts)
        assert passed <= most(per_minute, clock[0] - 1.0, 0) + 1e-6

    asyncio.run(history())
