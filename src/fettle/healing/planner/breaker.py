"""A circuit breaker for each provider: shared through Redis, in this process alone while Redis is away."""

import contextlib
import time
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, WatchError

from fettle.kernel.jsonio import dumps
from fettle.kernel.platform import Platform

FAILURES: Final = 5
"""So many in a row open it."""

REST_SECONDS: Final = 30.0
LONGEST_REST_SECONDS: Final = 600.0

_PART: Final = "healing.planner.breakers"
_PREFIX: Final = "fettle:planner:breaker"
_FORGET_SECONDS: Final = 3_600
_RACES: Final = 5
_MOST_DOUBLINGS: Final = 10

log = structlog.get_logger("fettle.planner")


@dataclass(frozen=True, slots=True)
class Circuit:
    """Where a breaker stands.

    Attributes:
        failures: In a row.
        opened: How often it opened since it last held.
        closed_until: Nobody asks before; then one does, to see.
    """

    failures: int = 0
    opened: int = 0
    closed_until: float = 0.0

    def state(self, now: float) -> str:
        """Return `closed`, `open` or `half_open`."""
        if not self.opened:
            return "closed"
        return "open" if now < self.closed_until else "half_open"

    def asked(self, now: float) -> "Circuit | None":
        """Return where it stands once somebody asks, None where nobody may."""
        state = self.state(now)
        if state == "open":
            return None
        # While one looks whether it is well again, the others wait as long as they did.
        return self if state == "closed" else replace(self, closed_until=now + _rest(self.opened))

    def answered(self) -> "Circuit":
        """Return where it stands after an answer."""
        return Circuit()

    def failed(self, now: float) -> "Circuit":
        """Return where it stands after a failure."""
        failures = self.failures + 1
        if self.opened or failures >= FAILURES:
            opened = self.opened + 1
            return Circuit(failures, opened, now + _rest(opened))
        return replace(self, failures=failures)


def _rest(opened: int) -> float:
    return float(min(LONGEST_REST_SECONDS, REST_SECONDS * 2 ** min(opened - 1, _MOST_DOUBLINGS)))


class Breakers:
    """The breakers of all providers.

    Args:
        redis: Where they are shared; None keeps them in this process.
    """

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._own: dict[str, Circuit] = {}

    async def may_ask(self, provider: str) -> bool:
        """Say whether a provider may be asked now; of several that could look whether it is well, one may."""
        return await self._change(provider, "asked")

    async def note(self, provider: str, *, answered: bool) -> None:
        """Note what came of asking."""
        await self._change(provider, "answered" if answered else "failed")

    async def state(self, provider: str) -> str:
        """Return `closed`, `open` or `half_open`."""
        circuit = self._own.get(provider, Circuit())
        if self._redis is not None:
            with contextlib.suppress(RedisError, OSError):
                circuit = _read(await self._redis.get(_name(provider)))
        return circuit.state(time.time())

    async def _change(self, provider: str, happened: str) -> bool:
        if self._redis is not None:
            try:
                for _ in range(_RACES):
                    allowed = await self._shared(self._redis, provider, happened)
                    if allowed is not None:
                        return allowed
            except (RedisError, OSError) as error:
                log.warning("planner.breaker_alone", error=type(error).__name__)
        following = _after(self._own.get(provider, Circuit()), happened)
        if following is not None:
            self._own[provider] = following
        return following is not None

    async def _shared(self, redis: Redis, provider: str, happened: str) -> bool | None:
        """Change the shared circuit; None where somebody else changed it meanwhile."""
        name = _name(provider)
        async with redis.pipeline(transaction=True) as pipe:
            await pipe.watch(name)
            found = _read(await pipe.get(name))
            following = _after(found, happened)
            if following is None:
                return False
            self._own[provider] = following
            if following == found:
                return True
            pipe.multi()  # type: ignore[no-untyped-call]  # redis-py types it not
            if following == Circuit():
                pipe.delete(name)
            else:
                pipe.set(name, _written(following), ex=_FORGET_SECONDS)
            try:
                await pipe.execute()
            except WatchError:
                return None
        return True


def breakers_of(platform: Platform) -> Breakers:
    """Return the process's breakers."""
    found = platform.parts.get(_PART)
    if not isinstance(found, Breakers):
        found = platform.parts[_PART] = Breakers(platform.redis)
    return found


def _after(circuit: Circuit, happened: str) -> Circuit | None:
    now = time.time()
    if happened == "asked":
        return circuit.asked(now)
    return circuit.answered() if happened == "answered" else circuit.failed(now)


def _name(provider: str) -> str:
    return f"{_PREFIX}:{provider}"


def _written(circuit: Circuit) -> bytes:
    return dumps([circuit.failures, circuit.opened, circuit.closed_until])


def _read(stored: Any) -> Circuit:
    if stored is None:
        return Circuit()
    failures, opened, closed_until = (float(part) for part in bytes(stored).strip(b"[]").split(b","))
    return Circuit(int(failures), int(opened), closed_until)
