"""Work that lies in the database and is held under leases: taken while there is room, kept, done, given back.

A process that dies gives nothing back; its leases lapse, and another takes what it held.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

import structlog

from fettle.kernel.context import tenant_id as tenant_context
from fettle.kernel.database import DATABASE_TROUBLE, EVENTS_CHANNEL, Database
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

_SOONEST_SECONDS: Final = 0.1
_LATEST_SECONDS: Final = 1.0
"""Between attempts to listen: a server that recovers is back soon, one that refuses is not asked all the time."""

_CANCEL_SECONDS: Final = 1.0


class Leased(Protocol):
    """A piece of work under a lease."""

    @property
    def id(self) -> UUID:
        """What names it."""
        ...

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""
        ...


Work = TypeVar("Work", bound=Leased)


class LeasedWork(ABC, Generic[Work]):
    """One process's share of all work of a kind; how it is leased and what it is, a subclass says.

    Args:
        platform: The process's parts.
        name: Of the kind, for logs.
        capacity: Most pieces under way at once.
        batch: Most pieces that one lease takes.
        least_room: Free places below which none is asked for.
        poll_seconds: How long to wait where nothing was due and nothing wakes.
        grace_seconds: What is under way at the end may take before it is cancelled.
    """

    def __init__(
        self,
        platform: Platform,
        name: str,
        *,
        capacity: int,
        batch: int | None = None,
        least_room: int = 1,
        poll_seconds: float,
        grace_seconds: float,
    ) -> None:
        self._platform = platform
        self._database: Database = platform.database
        self._name = name
        self._log = structlog.get_logger(f"fettle.{name}")
        self._capacity = capacity
        self._batch = capacity if batch is None else min(batch, capacity)
        self._least_room = least_room
        self._poll_seconds = poll_seconds
        self._grace_seconds = grace_seconds
        self._owner = new_id()
        self._lease_seconds = platform.settings.lease_seconds
        self._active: dict[UUID, tuple[Work, asyncio.Task[None]]] = {}
        self._wake = asyncio.Event()
        self._room = asyncio.Event()

    @abstractmethod
    async def _lease(self, limit: int) -> list[Work]:
        """Take what is due, no more than a limit."""

    @abstractmethod
    async def _renew(self, held: list[Work]) -> None:
        """Keep what is held for another lease."""

    @abstractmethod
    async def _release(self, held: list[Work]) -> None:
        """Give back what was not done to its end, so that another process takes it at once."""

    @abstractmethod
    async def _do(self, one: Work) -> None:
        """Do a piece of work to its end, or to where it is given back; whatever goes wrong is settled in here."""

    @abstractmethod
    async def _watch(self) -> None:
        """Set `_wake` whenever something may be due, until cancelled."""

    async def run(self) -> None:
        """Work until cancelled; what is under way is then given its grace to end, and the rest is given back."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name=f"{self._name}-wakeup")
            group.create_task(self._keep_leases(), name=f"{self._name}-leases")
            try:
                await self._take_on()
            finally:
                await self._stop()

    async def run_once(self) -> int:
        """Do what is due now, to its end or its next wait; returns how many pieces that were."""
        leased = await self._lease(self._capacity)
        keeper = asyncio.create_task(self._keep_leases())
        for one in leased:
            self._begin(one)
        while self._active:
            await asyncio.wait([task for _, task in self._active.values()])
        keeper.cancel()
        return len(leased)

    async def _take_on(self) -> None:
        while True:
            room = self._capacity - len(self._active)
            if room < self._least_room:
                self._room.clear()
                await self._room.wait()
                continue
            self._wake.clear()
            try:
                leased = await self._lease(min(room, self._batch))
            except DATABASE_TROUBLE as error:
                self._log.warning(f"{self._name}.interrupted", error=type(error).__name__)
                leased = []
            for one in leased:
                self._begin(one)
            if not leased:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await self._wake.wait()

    def _begin(self, one: Work) -> None:
        task = asyncio.create_task(self._of_tenant(one), name=f"{self._name}-{one.id}")
        self._active[one.id] = (one, task)
        task.add_done_callback(lambda _: self._end(one))

    async def _of_tenant(self, one: Work) -> None:
        tenant_context.set(str(one.tenant_id))
        await self._do(one)

    def _end(self, one: Work) -> None:
        # It may have been leased anew while an earlier turn of ours was still at it.
        if one.id in self._active and self._active[one.id][0] is one:
            del self._active[one.id]
        self._room.set()

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            held = [one for one, _ in self._active.values()]
            if not held:
                continue
            try:
                await self._renew(held)
            except DATABASE_TROUBLE as error:
                self._log.warning(f"{self._name}.renewal_failed", error=type(error).__name__)

    async def _stop(self) -> None:
        tasks = [task for _, task in self._active.values()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._grace_seconds)
        held = [one for one, task in self._active.values() if task in late]
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_CANCEL_SECONDS)
        with contextlib.suppress(*DATABASE_TROUBLE):
            await self._release(held)


async def keep_listening(database: Database, wake: asyncio.Event, channel: str = EVENTS_CHANNEL) -> None:
    """Set `wake` at each notification until cancelled; while the connection is away, readers poll."""
    pause = _SOONEST_SECONDS
    while True:
        try:
            connection = await database.listen(wake, channel)
        except DATABASE_TROUBLE:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LATEST_SECONDS)
            continue
        pause = _SOONEST_SECONDS
        wake.set()  # what was told while nobody listened
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _, ended=ended: ended.set())
        try:
            await ended.wait()
        finally:
            with contextlib.suppress(*DATABASE_TROUBLE):
                await connection.close(timeout=1.0)
