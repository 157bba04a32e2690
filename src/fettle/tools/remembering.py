"""A cache whose callers share one load: a thousand runs that begin together ask the database once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Values by key, each loaded once and kept for a while.

    Args:
        load: Fetches a value; what it raises goes to all who asked, and is not kept.
        fresh_seconds: How long a value holds.
        most: Keys kept; beyond it all are forgotten.
    """

    def __init__(
        self, load: Callable[[Key], Awaitable[Value]], *, fresh_seconds: float, most: int = 1_000
    ) -> None:
        self._load = load
        self._fresh_seconds = fresh_seconds
        self._most = most
        self._known: dict[Key, tuple[float, asyncio.Task[Value]]] = {}

    async def get(self, key: Key) -> Value:
        """Return a key's value."""
        now = asyncio.get_running_loop().time()
        found = self._known.get(key)
        if found is None or found[0] <= now or _failed(found[1]):
            if len(self._known) >= self._most:
                self._known.clear()
            found = (now + self._fresh_seconds, asyncio.ensure_future(self._fetch(key)))
            self._known[key] = found
        if found[1].done():
            return found[1].result()
        # One who is cancelled must not cancel what the others wait for.
        return await asyncio.shield(found[1])

    async def _fetch(self, key: Key) -> Value:
        return await self._load(key)


def _failed(task: asyncio.Task[Value]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
