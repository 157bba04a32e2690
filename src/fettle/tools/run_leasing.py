"""Which runs a process takes, and when: those of a tenant that floods are few at a time while others have work."""

import asyncio
from collections.abc import Collection
from typing import Final
from uuid import UUID

from fettle.kernel.bus_turns import LastingTurn, Turns, turns_of
from fettle.kernel.leasing import keep_listening
from fettle.kernel.platform import Platform
from fettle.tools import runs
from fettle.tools.runs import Run

POLL_SECONDS: Final = 0.25
_LOOK_SECONDS: Final = 1.0
"""How often it is looked, untold, whether a run of a tenant that floods is due."""


class RunLeasing:
    """Takes runs for one executor.

    Args:
        platform: The process's parts.
        owner: The executor, as the table names it.
        wake: Set whenever it is worth while to ask again.
    """

    def __init__(self, platform: Platform, owner: UUID, wake: asyncio.Event) -> None:
        self._platform = platform
        self._owner = owner
        self._wake = wake
        self._lease_seconds = platform.settings.lease_seconds
        self._turn: LastingTurn | None = None
        self._told = self._may_be_apart = True
        self._taken_at = self._looked_at = float("-inf")

    async def listen(self) -> None:
        """Wake whenever a run may be due, until cancelled."""
        told = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_listening(self._platform.database, told, runs.CHANNEL))
            while True:
                await told.wait()
                told.clear()
                self._told = True
                self._wake.set()

    async def take(self, limit: int) -> list[Run]:
        """Take what is due, up to a limit; where tenants flood and others have work, few of theirs, in a turn."""
        turns = turns_of(self._platform)
        apart = turns.flooding if turns is not None and turns.may_be_needed else ()
        if turns is None or not apart:
            return await self._take(limit)
        now = asyncio.get_running_loop().time()
        self._may_be_apart = self._may_be_apart or self._told or now - self._looked_at >= _LOOK_SECONDS
        if self._may_be_apart and turns.take(self._wake):
            return await self._take_in_turn(turns, frozenset(apart), limit)
        if self._told or now - self._taken_at >= POLL_SECONDS:
            return await self._take(limit, apart)
        return []  # it was woken for a turn that somebody else took

    def done(self, run: Run) -> None:
        """Note that a run is driven no further; a turn lasts until all of its runs are."""
        if self._turn is not None:
            self._turn.done(run.id)

    async def _take_in_turn(self, turns: Turns, apart: Collection[UUID], limit: int) -> list[Run]:
        found: list[UUID] = []
        try:
            taken = await self._take(limit, apart, turns.most_events(limit))
            found = [run.id for run in taken if run.tenant_id in apart]
        finally:
            if not found:
                turns.give_back()
        self._may_be_apart, self._looked_at = bool(found), asyncio.get_running_loop().time()
        if found:
            self._turn = LastingTurn(turns, found)
        return taken

    async def _take(self, limit: int, apart: Collection[UUID] = (), most_apart: int = 0) -> list[Run]:
        self._told = False
        taken = await runs.lease(
            self._platform.database,
            self._owner,
            limit,
            self._lease_seconds,
            apart=apart,
            most_apart=most_apart,
        )
        self._taken_at = asyncio.get_running_loop().time()
        self._told = self._told or bool(taken)  # there may be more
        for run in taken:
            run.held_until = self._taken_at + self._lease_seconds
        return taken
