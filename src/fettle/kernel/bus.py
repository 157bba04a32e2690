"""The event bus on PostgreSQL: consumer groups over leased lanes, each event handled once in each group.

The position of a lane moves in the transaction of the effects, so that a crash leaves either both or
neither. An event whose handler fails is parked and retried with backoff, later events of its stream wait
behind it, and everything else goes on. Position and parked events together are the group's inbox.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events as store
from fettle.kernel import metrics
from fettle.kernel.bus_cursors import Cursor, Detour, Detours, LaneCursor, crowding
from fettle.kernel.bus_leases import LaneLeases, LeaseLostError, keep_leases
from fettle.kernel.bus_parking import Parking
from fettle.kernel.bus_tail import Tail
from fettle.kernel.bus_turns import Turns, lent_turns
from fettle.kernel.clock import utcnow
from fettle.kernel.context import tenant_id as tenant_context
from fettle.kernel.database import DATABASE_TROUBLE, bind_tenant, is_contended, is_unreachable
from fettle.kernel.errors import Conflict, Problem
from fettle.kernel.events import Event, NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

_POLL_SECONDS = 0.25

_HANDLER_SECONDS = 60.0
_MOST_CONTENTIONS = 3

log = structlog.get_logger("fettle.bus")


class HandlerTooSlowError(Exception):
    """A handler did not end; it is treated like one that failed, so that its lanes are not held for ever."""


@dataclass(slots=True)
class TenantBatch:
    """Events of one tenant for one handler call, each stream in order.

    Attributes:
        session: In the transaction that also moves the group's position; the tenant is bound.
    """

    platform: Platform
    session: AsyncSession
    tenant_id: UUID
    events: list[Event]

    async def append(self, events: Sequence[NewEvent]) -> None:
        """Append events of this tenant in the batch's transaction."""
        await store.append(self.session, self.tenant_id, events)


Handler = Callable[[TenantBatch], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """One consumer group.

    Attributes:
        group: Its name, ``<module>.<what it does>``.
        types: The event types that it takes.
        handle: Called with the events of one tenant at a time; raises to have them retried.
        batch_size: Most events in one transaction.
    """

    group: str
    types: frozenset[str]
    handle: Handler
    batch_size: int = 300


async def run_consumers(platform: Platform, specs: Iterable[ConsumerSpec]) -> None:
    """Run consumer groups until cancelled; on cancellation the lanes are given back at once."""
    with lent_turns(platform) as turns:
        tail = Tail(platform.database, turns)
        consumers = [Consumer(platform, spec, tail, turns) for spec in specs]
        async with asyncio.TaskGroup() as group:
            group.create_task(tail.run(), name="bus-tail")
            group.create_task(
                keep_leases(platform.database, [c.leases for c in consumers]), name="bus-leases"
            )
            for consumer in consumers:
                group.create_task(consumer.run(), name=f"bus-{consumer.group}")


class Consumer:
    """One process's share of one consumer group.

    Attributes:
        group: The group's name.
        leases: The lanes that the process holds.
    """

    def __init__(
        self,
        platform: Platform,
        spec: ConsumerSpec,
        tail: Tail,
        turns: Turns,
    ) -> None:
        self._platform = platform
        self._spec = spec
        self.group = spec.group
        self._wake = tail.subscribe(spec.types)
        self._owner = new_id()
        self.leases = LaneLeases(platform.database, spec.group, self._owner, platform.settings.lease_seconds)
        self._lanes = LaneCursor(self.leases)
        self._detours = Detours(self.leases)
        self._parking = Parking(spec.group)
        self._tail = tail
        self._turns = turns
        self._contentions: Counter[Cursor] = Counter()
        self._moving = asyncio.Lock()
        self._beside: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Consume until cancelled; a broken connection is waited out."""
        try:
            while True:
                try:
                    busy = await self.step()
                except (*DATABASE_TROUBLE, LeaseLostError) as error:
                    log.warning("bus.interrupted", group=self._spec.group, error=type(error).__name__)
                    await self._drop_beside()
                    self.leases.forget()
                    await asyncio.sleep(0.2)
                    continue
                if not busy:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_POLL_SECONDS):
                            await self._wake.wait()
                self._wake.clear()
        finally:
            await self._drop_beside()
            with contextlib.suppress(*DATABASE_TROUBLE):
                await asyncio.shield(self.leases.release())

    async def step(self) -> bool:
        """Handle what is due once; returns whether there may be more at once."""
        if self.leases.are_due:
            await self._join_beside()
            if await self.leases.keep():
                await self._take_stock()
        if not self.leases.positions:
            return False
        retried = await self._retry_parked()
        apart = list(self._detours.open)  # what begins now waits until the lanes have gone on without it
        more = await self._step_lanes()
        return await self._go_on_apart(apart) or more or retried

    async def _take_stock(self) -> None:
        """Read what others left in the lanes that are held now."""
        async with self._platform.database.raw_system() as connection:
            await self._parking.load(connection, self.leases.lanes)
            self._turns.ended(self._detours.open)
            await self._detours.load(connection)
            self._turns.begun(self._detours.open)
        if incomplete := self._detours.incomplete():
            await self._begin_detours(incomplete)

    async def _step_lanes(self) -> bool:
        positions = self.leases.positions
        low, safe = min(positions.values()), self._tail.position
        batch = await self._read(low, safe) if safe > low else []
        is_full = len(batch) == self._spec.batch_size
        reached = batch[-1].position if is_full else safe
        mine = [e for e in batch if e.position > positions.get(e.lane, reached)]
        tenants = {event.tenant_id for event in mine}
        others, flooding = self._turns.others_than(tenants), self._turns.flooding
        if crowds := crowding(mine, self._spec.batch_size, others=others, flooding=flooding):
            await self._begin_detours(crowds)
            mine = [e for e in mine if e.tenant_id not in crowds]
            tenants -= set(crowds)
        if mine:
            self._turns.note(tenants)
            await self._handle(mine, reached, self._lanes)
            self._turns.note(tenants)
            return True
        self.leases.skip_to(reached)
        return is_full

    async def _begin_detours(self, tenants: list[UUID]) -> None:
        async with self._transaction(self._lanes, dict(self.leases.positions)) as session:
            await self._detours.begin(session, tenants)
        self._turns.begun(tenant_id for tenant_id in tenants if tenant_id not in self._detours.open)
        self._detours.begun(tenants)

    async def _go_on_apart(self, tenants: Sequence[UUID]) -> bool:
        """Go on with a tenant's detour beside the lanes, which do not wait for it; end those that are over.

        Returns:
            Whether a detour has ended, so that there may be more in the lanes.
        """
        if self._beside is not None and self._beside.done():
            await self._join_beside()
        has_ended = False
        for tenant_id in tenants:
            if self._beside is not None or not self._turns.take(self._wake):
                break
            detour = self._detours.open[tenant_id]
            self._detours.put_last(tenant_id)
            if detour.is_short and (detour.is_calm or not self._turns.are_needed):
                try:
                    has_ended = await self._end_detour(detour) or has_ended
                finally:
                    self._turns.give_back()
            else:
                self._beside = asyncio.create_task(self._turn(detour), name=f"bus-{self.group}-beside")
        return has_ended

    async def _turn(self, detour: Detour) -> None:
        try:
            has_more = await self._step_detour(detour)
        finally:
            self._turns.give_back()
        if has_more:
            self._wake.set()

    async def _step_detour(self, detour: Detour) -> bool:
        size = self._turns.most_events(self._spec.batch_size)
        batch, reached = await detour.read(self._platform.database, self._tail, self._spec.types, size)
        if batch:
            await self._handle(batch, reached, detour)
        else:
            detour.moved({lane: max(reached, at) for lane, at in detour.positions.items()})
        return bool(batch)

    async def _end_detour(self, detour: Detour) -> bool:
        """Catch up with the lanes while these stand still, then give them the tenant back; returns whether it did."""
        await self._step_detour(detour)
        if not detour.has_caught_up:
            return False
        async with self._transaction(self._lanes, dict(self.leases.positions)) as session:
            await detour.forget(session)
        self._detours.end(detour.tenant_id)
        self._turns.ended([detour.tenant_id])
        return True

    async def _join_beside(self) -> None:
        """Wait for the detour that goes on beside the lanes; raises what stopped it."""
        beside, self._beside = self._beside, None
        if beside is not None:
            await beside

    async def _drop_beside(self) -> None:
        """Undo what goes on beside the lanes: whoever holds them next does it."""
        beside, self._beside = self._beside, None
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)

    async def _read(self, low: int, safe: int) -> list[Event]:
        size, apart = self._spec.batch_size, self._detours.open
        recent = self._tail.read(self._spec.types, self.leases.positions, low, size, without=apart)
        if recent is not None:
            return recent
        async with self._platform.database.raw_system() as connection:
            rows = await connection.fetch(
                f"SELECT {store.COLUMNS} FROM events WHERE position > $1 AND position <= $2 "  # noqa: S608 - a constant
                "AND type = ANY($3) AND lane = ANY($4) AND tenant_id <> ALL($6) ORDER BY position LIMIT $5",
                low, safe, list(self._spec.types), list(self.leases.positions), size, list(apart),
            )  # fmt: skip
        return [store.from_row(row) for row in rows]

    async def _handle(self, batch: list[Event], reached: int, cursor: Cursor) -> bool:
        """Handle events in one transaction; where that fails, in halves, down to the one that cannot be handled.

        Args:
            batch: In order.
            reached: Up to where the cursor is read in every lane once they are handled.
            cursor: Where they were read.

        Returns:
            Whether they are; if not, they are still to be read.
        """
        free = [e for e in batch if e.stream_id not in self._parking.blocked]
        behind = [e for e in batch if e.stream_id in self._parking.blocked]
        targets = {lane: max(reached, at) for lane, at in cursor.positions.items()}
        try:
            async with self._transaction(cursor, targets) as session:
                await self._dispatch(session, free)
                await self._parking.park_behind(session, behind)
        except Exception as error:
            if isinstance(error, LeaseLostError) or is_unreachable(error):
                raise
            if _stood_in_the_way(error) and self._contentions[cursor] < _MOST_CONTENTIONS:
                self._contentions[cursor] += 1
                return False
            if not batch:
                raise
            if len(batch) == 1:
                await self._park(batch[0], error, cursor, targets)
                return True
            log.info("bus.batch_split", group=self._spec.group, size=len(batch), error=_brief(error))
            middle = len(batch) // 2
            first = await self._handle(batch[:middle], batch[middle - 1].position, cursor)
            return first and await self._handle(batch[middle:], reached, cursor)
        self._contentions.pop(cursor, None)
        self._count(free, "handled")
        return True

    @contextlib.asynccontextmanager
    async def _transaction(self, cursor: Cursor, targets: dict[int, int]) -> AsyncIterator[AsyncSession]:
        """Run one transaction at whose end a cursor moves.

        What moves the lanes and what moves a detour beside them lock the same rows, so one waits for the other here
        instead of across each other in the database.
        """
        async with contextlib.AsyncExitStack() as until_committed:
            async with self._platform.database.unbound() as session:
                yield session
                await until_committed.enter_async_context(self._moving)
                await cursor.save(session, targets)
            cursor.moved(targets)

    async def _park(self, event: Event, error: Exception, cursor: Cursor, targets: dict[int, int]) -> None:
        """Set an event aside whose handler failed, with those of its stream that follow."""
        log.warning(
            "bus.parked",
            group=self._spec.group,
            type=event.type,
            event_id=str(event.id),
            error=_brief(error),
        )
        async with self._transaction(cursor, targets) as session:
            await self._parking.park_failed(session, event, _brief(error))
        self._count([event], "parked")

    async def _dispatch(self, session: AsyncSession, batch: list[Event]) -> None:
        by_tenant: dict[UUID, list[Event]] = defaultdict(list)
        for event in batch:
            by_tenant[event.tenant_id].append(event)
        for tenant_id in sorted(by_tenant):  # two processes that lock rows of both never wait crosswise
            await bind_tenant(session, tenant_id)
            token = tenant_context.set(str(tenant_id))
            given = TenantBatch(self._platform, session, tenant_id, by_tenant[tenant_id])
            try:
                async with asyncio.timeout(_HANDLER_SECONDS) as limit:
                    await self._spec.handle(given)
            except TimeoutError:
                if limit.expired():
                    raise HandlerTooSlowError(f"it did not end within {_HANDLER_SECONDS:.0f} s") from None
                raise
            finally:
                tenant_context.reset(token)

    async def _retry_parked(self) -> bool:
        if not self._parking.due(utcnow()):
            return False
        await self._join_beside()  # it may be about to set something aside behind what is tried here
        async with self._platform.database.raw_system() as connection:
            due = await self._parking.read_due(connection, self.leases.lanes)
        for _, stream in groupby(due, key=lambda parked: parked.event.stream_id):
            for parked in stream:
                if not await self._retry(parked.id, parked.event, parked.attempts):
                    break
        async with self._platform.database.raw_system() as connection:
            await self._parking.load(connection, self.leases.lanes)
        return bool(due)

    async def _retry(self, parked_id: UUID, event: Event, attempts: int) -> bool:
        fence = {event.lane: self.leases.positions[event.lane]}
        try:
            async with self._transaction(self._lanes, fence) as session:
                await self._dispatch(session, [event])
                await bind_tenant(session, event.tenant_id)
                await self._parking.release(session, parked_id)
            self._count([event], "handled")
        except Exception as error:
            if isinstance(error, LeaseLostError) or is_unreachable(error):
                raise
            async with self._transaction(self._lanes, fence) as session:
                dead = await self._parking.fail_again(session, event, parked_id, attempts + 1, _brief(error))
            if dead:
                self._count([event], "dead")
                log.warning(
                    "bus.dead_letter", group=self._spec.group, type=event.type, event_id=str(event.id)
                )
            return dead
        return True

    def _count(self, events: Sequence[Event], outcome: str) -> None:
        """Count what was committed."""
        if events:
            metrics.quietly(lambda: _count(self._spec.group, events, outcome))


def _count(group: str, events: Sequence[Event], outcome: str) -> None:
    metrics.EVENTS_HANDLED.labels(group, outcome).inc(len(events))
    if outcome == "handled":
        now, seconds = utcnow(), metrics.EVENT_SECONDS.labels(group)
        for event in events:
            seconds.observe(max(0.0, (now - event.occurred_at).total_seconds()))


def _stood_in_the_way(error: Exception) -> bool:
    """Say whether somebody else was at the same rows, so that the batch is to be read and handled anew."""
    return is_contended(error) or isinstance(error, Conflict)


def _brief(error: BaseException) -> str:
    """Name an error without what the data was: only a problem's text is meant to be read by people."""
    if isinstance(error, Problem):
        return f"{type(error).__name__}: {error.detail}"[:500]
    return type(error).__name__
