"""The process's share of sending: leases messages, sends each, writes down what came of it; and lets clocks strike.

A message that was under way when its process ended is sent again: rather told twice than not at all. Where the
other side knows a key of ours, the second one changes nothing there.
"""

import asyncio
import contextlib
from typing import Final
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError

from fettle.healing.escalation import deliveries
from fettle.healing.escalation.channels import Channel, DeliveryFailed, Sending
from fettle.healing.escalation.channels_direct import CHANNELS
from fettle.healing.escalation.content import FIRING, TEST
from fettle.healing.escalation.deliveries import Delivery, Result
from fettle.healing.escalation.gathering import gather, recipient_of
from fettle.healing.escalation.stepping import strike
from fettle.kernel.clock import utcnow
from fettle.kernel.context import tenant_id as tenant_context
from fettle.kernel.database import driver
from fettle.kernel.errors import NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

CAPACITY: Final = 64
_POLL_SECONDS: Final = 0.25
_TROUBLE: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError)

log = structlog.get_logger("fettle.escalation")


class Skipped(Exception):  # noqa: N818 - what happened, not a fault
    """The message is not sent, and that is right."""


class Sender:
    """Sends what is due.

    Args:
        platform: The process's parts.
        capacity: Messages under way at once.
    """

    def __init__(self, platform: Platform, *, capacity: int = CAPACITY) -> None:
        self._platform = platform
        self._database = platform.database
        self._capacity = capacity
        self._owner = new_id()
        self._lease_seconds = platform.settings.lease_seconds
        self._active: dict[UUID, tuple[Delivery, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Send until cancelled; what is under way then is given one lease to end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_leases(), name="escalation-leases")
            try:
                while True:
                    await self._turn()
                    await asyncio.sleep(_POLL_SECONDS)
            finally:
                await self._stop()

    async def run_once(self) -> int:
        """Let clocks strike, send what is due to its end; returns how many messages that were."""
        await strike(self._platform)
        leased = await deliveries.lease(self._database, self._owner, self._capacity, self._lease_seconds)
        keeper = asyncio.create_task(self._keep_leases())
        for delivery in leased:
            self._begin(delivery)
        while self._active:
            await asyncio.wait([task for _, task in self._active.values()])
        keeper.cancel()
        return len(leased)

    async def _turn(self) -> None:
        try:
            await strike(self._platform)
            while room := self._capacity - len(self._active):
                leased = await deliveries.lease(self._database, self._owner, room, self._lease_seconds)
                for delivery in leased:
                    self._begin(delivery)
                if len(leased) < room:
                    break
        except _TROUBLE as error:
            log.warning("escalation.interrupted", error=type(error).__name__)

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(delivery), name=f"message-{delivery.id}")
        self._active[delivery.id] = (delivery, task)
        task.add_done_callback(lambda _: self._end(delivery))

    def _end(self, delivery: Delivery) -> None:
        if delivery.id in self._active and self._active[delivery.id][0] is delivery:
            del self._active[delivery.id]

    async def _deliver(self, delivery: Delivery) -> None:
        tenant_context.set(str(delivery.tenant_id))
        try:
            result = await self._attempt(delivery)
            if not await deliveries.finish(self._database, delivery, result):
                log.warning("escalation.lease_lost", delivery_id=str(delivery.id))
        except _TROUBLE as error:
            # The lease lapses, and whoever takes it next sends it again.
            log.warning("escalation.unrecorded", delivery_id=str(delivery.id), error=type(error).__name__)

    async def _attempt(self, delivery: Delivery) -> Result:
        try:
            channel, sending = await self._prepare(delivery)
            sent = await channel.send(sending)
        except Skipped as skipped:
            return Result("skipped", utcnow(), "not_needed", str(skipped))
        except DeliveryFailed as failed:
            return deliveries.result_of(delivery, failed, utcnow())
        except _TROUBLE:
            raise
        except Exception as error:
            log.exception("escalation.message_broke", delivery_id=str(delivery.id))
            broke = DeliveryFailed("broke", f"the sender broke: {type(error).__name__}", again=True)
            return deliveries.result_of(delivery, broke, utcnow())
        return Result("delivered", utcnow(), sent=dict(sent))

    async def _prepare(self, delivery: Delivery) -> tuple[Channel, Sending]:
        """Read everything that a message needs, and whether it is still to be sent."""
        async with self._database.tenant(delivery.tenant_id) as session:
            connection = await driver(session)
            stored = await connection.fetchrow(
                "SELECT kind, document, enabled FROM escalation_channels WHERE tenant_id = $1 AND id = $2",
                delivery.tenant_id, delivery.channel_id,
            )  # fmt: skip
            if stored is None or not (stored["enabled"] or delivery.kind == TEST):
                raise DeliveryFailed("no_channel", "the channel is gone or switched off", again=False)
            escalation = await self._escalation(connection, delivery)
            try:
                notice = await gather(self._platform, session, delivery, escalation)
            except NotFound:
                raise DeliveryFailed("no_incident", "the incident is gone", again=False) from None
            recipient = await recipient_of(session, delivery.tenant_id, delivery.recipient)
            if delivery.recipient is not None and recipient is None:
                raise DeliveryFailed("no_recipient", "whoever was meant has left", again=False)
        channel = CHANNELS[stored["kind"]]
        return channel, Sending(self._platform, delivery.tenant_id, notice, stored["document"], recipient)

    async def _escalation(self, connection: asyncpg.Connection, delivery: Delivery) -> asyncpg.Record | None:
        if delivery.escalation_id is None:
            return None
        row = await connection.fetchrow(
            "SELECT id, state, members, acknowledged_by FROM escalations WHERE tenant_id = $1 AND id = $2",
            delivery.tenant_id, delivery.escalation_id,
        )  # fmt: skip
        if row is None:
            raise Skipped("the escalation is gone")
        told = await deliveries.was_told(connection, delivery)
        if delivery.kind == FIRING and row["state"] == "resolved":
            raise Skipped("it was over before the message could go")
        if delivery.kind != FIRING and not told:
            raise Skipped("nobody there was told that it fires")
        return row

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            held = [delivery for delivery, _ in self._active.values()]
            if held:
                with contextlib.suppress(*_TROUBLE):
                    await deliveries.renew(self._database, self._owner, held, self._lease_seconds)

    async def _stop(self) -> None:
        tasks = [task for _, task in self._active.values()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._lease_seconds)
        held = [delivery for delivery, task in self._active.values() if task in late]
        for task in late:
            task.cancel()
        with contextlib.suppress(*_TROUBLE):
            await deliveries.release(self._database, self._owner, held)


async def send_messages(platform: Platform) -> None:
    """Let clocks strike and send messages until cancelled."""
    await Sender(platform).run()
