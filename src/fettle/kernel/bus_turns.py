"""Whose turn it is in a process: a tenant that floods the store has only so much of the process while others have work.

Its events are read apart from the others' (`bus_cursors`), so they wait for nothing of it. What they would still
share is the processor and the database: therefore one consumer at a time goes on with such a tenant, or the executor
of runs, a little at a time, and best where the others pause. What heals one exception is a chain of short handlers,
each of which wakes the next; whoever waits a moment lets it come to its end.

Where others have work now and then, what is begun for such a tenant is kept so small that whoever comes need not wait
long for its end. Where nobody else has work there are no turns.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final
from uuid import UUID

from fettle.kernel.platform import Platform
from fettle.kernel.recent_tenants import RecentTenants

_SHORT_REST: Final = 3.0
"""How long the others have the process at least, in lengths of the turn before."""

_LONG_REST_SECONDS: Final = 0.3
"""The same where they do not pause: several times what it takes to heal one exception of theirs."""

_LONGEST_REST_SECONDS: Final = 2.0
"""Where the database is slow, a flood still goes on so often."""

_PAUSE_SECONDS: Final = (0.04, 0.08)
"""How long the others must have had nothing to do to be at a pause: longer than from one handler to the next.

All processes see the same pause, and are not to go on with a flood in the same moment.
"""

_LONGEST_SECONDS: Final = 5.0
"""A turn that takes longer, of a handler that hangs, keeps nobody else from theirs."""

_LASTING_SECONDS: Final = 0.25
"""Work that goes on for longer waits for somebody else, and takes nothing of the processor meanwhile."""

TURN_EVENTS: Final = 8
"""Most events or runs of one turn: what comes meanwhile waits for no more than these."""

_NOW_AND_THEN_SECONDS: Final = 60.0
"""Who had work within that may well come back."""

_EVENTS_MEANWHILE: Final = 48
"""Most events or runs of one turn while nobody else has work, but may come back."""

_PART: Final = "kernel.turns"


class Turns:
    """The turns of one process's consumers with tenants that are read apart."""

    def __init__(self) -> None:
        self._apart: Counter[UUID] = Counter()
        self._waiting: dict[asyncio.Event, None] = {}
        self._recent = RecentTenants()
        self._others_at = float("-inf")
        self._began_at: float | None = None
        self._ended_at = float("-inf")
        self._pause_seconds = max(_PAUSE_SECONDS)
        self._took_seconds = 0.0
        self._wakes_at = float("inf")
        self._waking: asyncio.Handle | None = None

    @property
    def flooding(self) -> Collection[UUID]:
        """The tenants that any consumer reads apart."""
        return self._apart

    @property
    def are_needed(self) -> bool:
        """Whether others had work lately than those that are read apart."""
        return self.others_than(())

    @property
    def may_be_needed(self) -> bool:
        """Whether others had work now and then, and so may have some at any moment."""
        return self._recent.others_than(self._apart, within_seconds=_NOW_AND_THEN_SECONDS)

    def most_events(self, size: int) -> int:
        """Return how many events or runs one turn takes of such a tenant, where a batch without turns has so many."""
        if self.are_needed:
            return min(size, TURN_EVENTS)
        return min(size, _EVENTS_MEANWHILE) if self.may_be_needed else size

    def begun(self, tenants: Iterable[UUID]) -> None:
        """Note tenants that a consumer reads apart from now on."""
        self._apart += Counter(list(tenants))

    def ended(self, tenants: Iterable[UUID]) -> None:
        """Note tenants that a consumer reads among the others again."""
        self._apart -= Counter(list(tenants))

    def note(self, tenants: Iterable[UUID]) -> None:
        """Note whose events are handled among the others', at the beginning of that and at its end."""
        self._recent.note(tenants)
        self._others_at = asyncio.get_running_loop().time()

    def hear(self, tenants: Iterable[UUID]) -> None:
        """Note whose events came into the store, whoever handles them: they wait for the same database."""
        if others := [tenant_id for tenant_id in tenants if tenant_id not in self._apart]:
            self.note(others)

    def others_than(self, tenants: Collection[UUID]) -> bool:
        """Say whether somebody else than these, and than those that are read apart, had work lately."""
        return self._recent.others_than(tenants, self._apart)

    def take(self, wake: asyncio.Event) -> bool:
        """Begin a turn, or have `wake` set as soon as it is worth while to ask again."""
        if not self.may_be_needed:
            return True
        now = asyncio.get_running_loop().time()
        if now < (begins_at := self._next_at()):
            self._waiting.setdefault(wake)
            self._wake_at(begins_at)
            return False
        self._waiting.pop(wake, None)
        self._began_at = now
        return True

    def give_back(self) -> None:
        """End a turn; does nothing where there was none."""
        if self._began_at is None:
            return
        self._ended_at = asyncio.get_running_loop().time()
        self._took_seconds = min(self._ended_at - self._began_at, _LONGEST_SECONDS)
        self._began_at = None
        self._pause_seconds = random.uniform(*_PAUSE_SECONDS)  # noqa: S311 - nothing is kept secret by it
        self._wake_at(self._next_at())

    def _next_at(self) -> float:
        if self._began_at is not None:
            return self._began_at + _LONGEST_SECONDS
        if not self.are_needed:
            return self._ended_at
        rested_at = self._ended_at + min(_SHORT_REST * self._took_seconds, _LONGEST_REST_SECONDS)
        at_a_pause = max(rested_at, self._others_at + self._pause_seconds)
        return min(at_a_pause, max(rested_at, self._ended_at + _LONG_REST_SECONDS))

    def _wake_at(self, moment: float) -> None:
        if self._wakes_at <= moment:
            return
        if self._waking is not None:
            self._waking.cancel()
        self._wakes_at = moment
        self._waking = asyncio.get_running_loop().call_at(moment, self._wake_all)

    def _wake_all(self) -> None:
        self._wakes_at, self._waking = float("inf"), None
        # Who has waited longest is the first to run, and so to ask; who still wants a turn and gets none waits again.
        waiting, self._waiting = self._waiting, {}
        for wake in waiting:
            wake.set()


class LastingTurn:
    """A turn that lasts until each piece of some work is done, or until it has taken too long to be work at all.

    Args:
        turns: Where it was taken.
        pieces: What names them.
    """

    def __init__(self, turns: Turns, pieces: Iterable[UUID]) -> None:
        self._turns = turns
        self._pieces = set(pieces)
        self._is_over = False
        self._limit = asyncio.get_running_loop().call_later(_LASTING_SECONDS, self._end)

    def done(self, piece: UUID) -> None:
        """Note that a piece is done; does nothing for one of another turn."""
        self._pieces.discard(piece)
        if not self._pieces:
            self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._limit.cancel()
            self._turns.give_back()


@contextlib.contextmanager
def lent_turns(platform: Platform) -> Iterator[Turns]:
    """Make the turns of a process, which whoever works beside its consumers shares as long as they run."""
    turns = platform.parts[_PART] = Turns()
    try:
        yield turns
    finally:
        if platform.parts.get(_PART) is turns:
            del platform.parts[_PART]


def turns_of(platform: Platform) -> Turns | None:
    """Return the turns of a process; None where it runs no consumers, and so knows of no flood."""
    found = platform.parts.get(_PART)
    return found if isinstance(found, Turns) else None
