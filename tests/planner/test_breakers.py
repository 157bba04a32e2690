"""Breakers as processes share them, and as one process keeps them while Redis is away."""

import asyncio

from redis.asyncio import Redis

from fettle.healing.planner.breaker import FAILURES, Breakers


async def test_processes_share_a_breaker(platform):
    one, other = Breakers(platform.redis), Breakers(platform.redis)
    for breakers in (one, other, one, other, one):
        assert await breakers.may_ask("shared")
        await breakers.note("shared", answered=False)
    assert not await one.may_ask("shared")
    assert not await other.may_ask("shared")
    assert await other.may_ask("another")
    await other.note("shared", answered=True)
    assert await one.may_ask("shared")


async def test_failures_at_once_are_all_counted_or_kept_by_the_process(platform):
    breakers = Breakers(platform.redis)
    await asyncio.gather(*(breakers.note("busy", answered=False) for _ in range(FAILURES * 4)))
    assert await breakers.state("busy") == "open"


async def test_without_redis_a_process_keeps_its_own(platform):
    away = Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
    breakers = Breakers(away)
    for _ in range(FAILURES):
        assert await breakers.may_ask("alone")
        await breakers.note("alone", answered=False)
    assert not await breakers.may_ask("alone")
    assert await breakers.state("alone") == "open"
    await away.aclose()
