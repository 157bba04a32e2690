"""Which tenants had work lately: only while others have, does it matter how much one of them takes."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

_LATELY_SECONDS: Final = 2.0
_REMEMBERED: Final = 256


class RecentTenants:
    """The tenants that one process last did something for."""

    def __init__(self) -> None:
        self._seen: OrderedDict[UUID, float] = OrderedDict()

    def note(self, tenants: Iterable[UUID]) -> None:
        """Note whose work is done just now."""
        now = asyncio.get_running_loop().time()
        for tenant_id in tenants:
            self._seen[tenant_id] = now
            self._seen.move_to_end(tenant_id)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def others_than(self, *tenants: Collection[UUID], within_seconds: float = _LATELY_SECONDS) -> bool:
        """Say whether somebody had work lately who is in none of these."""
        since = asyncio.get_running_loop().time() - within_seconds
        for tenant_id in reversed(self._seen):
            if self._seen[tenant_id] < since:
                return False
            if not any(tenant_id in those for those in tenants):
                return True
        return False
