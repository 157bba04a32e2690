"""The pace of large batches: while others send too, a tenant that floods the intake does not get all of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from fettle.kernel.errors import RateLimited
from fettle.kernel.recent_tenants import RecentTenants

_RESTS: Final = 16.0
"""How long a tenant rests after a batch, in lengths of it."""

_LONGEST_SECONDS: Final = 1.0
_MOST_WAITING: Final = 64


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    rests_until: float = 0.0


class Pacing:
    """Lets each tenant's large batches in one after the other with rests between, while others send too."""

    def __init__(self) -> None:
        self._recent = RecentTenants()
        self._turns: dict[UUID, _Turn] = {}

    def note(self, tenant_id: UUID) -> None:
        """Note that a tenant sends something."""
        self._recent.note([tenant_id])

    @contextlib.asynccontextmanager
    async def turn(self, tenant_id: UUID) -> AsyncIterator[None]:
        """Wait for a tenant's turn where others send too.

        Raises:
            RateLimited: As many batches of the tenant wait already as may.
        """
        if not self._recent.others_than([tenant_id]):
            yield
            return
        turn = self._turns.setdefault(tenant_id, _Turn())
        if turn.waiting >= _MOST_WAITING:
            raise RateLimited(
                f"{_MOST_WAITING} large batches of this tenant wait already. Send one after the other.",
                retry_after_seconds=1,
            )
        turn.waiting += 1
        try:
            async with turn.lock:
                loop = asyncio.get_running_loop()
                await asyncio.sleep(turn.rests_until - loop.time())
                began_at = loop.time()
                yield
                turn.rests_until = loop.time() + min(_RESTS * (loop.time() - began_at), _LONGEST_SECONDS)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                asyncio.get_running_loop().call_later(_LONGEST_SECONDS, self._forget, tenant_id, turn)

    def _forget(self, tenant_id: UUID, turn: _Turn) -> None:
        if not turn.waiting and self._turns.get(tenant_id) is turn:
            del self._turns[tenant_id]
