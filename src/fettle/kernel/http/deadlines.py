"""Deadlines of many requests under one timer: each request's own timer would cost more than much of its work."""

import asyncio
from typing import Final

_COARSEST_SECONDS: Final = 0.5
_PARTS: Final = 20


class Deadlines:
    """Ends what takes longer than it may, a little late rather than early.

    Args:
        seconds: How long each may take, and how long it may take again once it is renewed.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._step = min(_COARSEST_SECONDS, seconds / _PARTS)
        self._due: dict[asyncio.Timeout, float] = {}
        self._is_waiting = False

    def watch(self, timeout: asyncio.Timeout) -> None:
        """Let a timeout that was entered without a time of its own expire in time; also to begin its time anew."""
        loop = asyncio.get_running_loop()
        self._due[timeout] = loop.time() + self._seconds
        if not self._is_waiting:
            self._is_waiting = True
            loop.call_later(self._step, self._look, loop)

    def forget(self, timeout: asyncio.Timeout) -> None:
        """Let it take as long as it likes, or be over."""
        self._due.pop(timeout, None)

    def is_watched(self, timeout: asyncio.Timeout) -> bool:
        """Say whether it has an end."""
        return timeout in self._due

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for timeout in [timeout for timeout, due in self._due.items() if due <= now]:
            del self._due[timeout]
            timeout.reschedule(now)
        self._is_waiting = bool(self._due)
        if self._is_waiting:
            loop.call_later(self._step, self._look, loop)
