"""Whose turn it is in a process: a tenant that floods the store has only so much of the process while others have work.

Its events are read apart from the others' (`bus_cursors`), so they wait for nothing of it. What they would still
share is the processor and the database: therefore one consumer at a time goes on with such a tenant, a little at a
time, and after that three times as long belongs to the others alone. Where nobody else has work there are no turns.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

_OTHERS_SECONDS: Final = 2.0
_RESTS: Final = 3.0
"""How long the others have the process, in lengths of the turn before."""

_LONGEST_SECONDS: Final = 5.0
"""A turn that takes longer, of a handler that hangs, keeps nobody else from theirs."""

_REMEMBERED: Final = 256

TURN_EVENTS: Final = 64
"""Most events of one turn: what comes meanwhile waits for no more than these."""


class Turns:
    """The turns of one process's consumers with tenants that are read apart."""

    def __init__(self) -> None:
        self._apart: Counter[UUID] = Counter()
        self._waiting: dict[asyncio.Event, None] = {}
        self._seen: OrderedDict[UUID, float] = OrderedDict()
        self._began_at: float | None = None
        self._rests_until = float("-inf")

    @property
    def flooding(self) -> Collection[UUID]:
        """The tenants that any consumer reads apart."""
        return self._apart

    @property
    def are_needed(self) -> bool:
        """Whether others had work lately than those that are read apart."""
        return self.others_than(())

    def begun(self, tenants: Iterable[UUID]) -> None:
        """Note tenants that a consumer reads apart from now on."""
        self._apart += Counter(list(tenants))

    def ended(self, tenants: Iterable[UUID]) -> None:
        """Note tenants that a consumer reads among the others again."""
        self._apart -= Counter(list(tenants))

    def note(self, tenants: Iterable[UUID]) -> None:
        """Note whose events were handled among the others'."""
        now = asyncio.get_running_loop().time()
        for tenant_id in tenants:
            self._seen[tenant_id] = now
            self._seen.move_to_end(tenant_id)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def others_than(self, tenants: Collection[UUID]) -> bool:
        """Say whether somebody else than these, and than those that are read apart, had work lately."""
        since = asyncio.get_running_loop().time() - _OTHERS_SECONDS
        for tenant_id in reversed(self._seen):
            if self._seen[tenant_id] < since:
                return False
            if tenant_id not in tenants and tenant_id not in self._apart:
                return True
        return False

    def take(self, wake: asyncio.Event) -> bool:
        """Begin a turn, or have `wake` set as soon as it is worth while to ask again."""
        if not self.are_needed:
            return True
        now = asyncio.get_running_loop().time()
        is_another_s = self._began_at is not None and now - self._began_at < _LONGEST_SECONDS
        if is_another_s or now < self._rests_until:
            self._waiting.setdefault(wake)
            return False
        self._waiting.pop(wake, None)
        self._began_at = now
        return True

    def give_back(self) -> None:
        """End a turn; does nothing where there was none."""
        if self._began_at is None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._rests_until = now + _RESTS * min(now - self._began_at, _LONGEST_SECONDS)
        self._began_at = None
        loop.call_at(self._rests_until, self._wake_all)

    def _wake_all(self) -> None:
        # Who has waited longest is the first to run, and so to ask.
        for wake in self._waiting:
            wake.set()
