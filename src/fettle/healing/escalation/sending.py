"""The process's share of sending: leases messages, sends each, writes down what came of it; and lets clocks strike.

A message that was under way when its process ended is sent again: rather told twice than not at all. Where the
other side knows a key of ours, the second one changes nothing there.
"""

import asyncio
from typing import Final

import asyncpg
import structlog

from fettle.healing.escalation import contacts, deliveries
from fettle.healing.escalation.channels import Channel, DeliveryFailed, Sending
from fettle.healing.escalation.channels_direct import CHANNELS
from fettle.healing.escalation.content import FIRING, TEST
from fettle.healing.escalation.deliveries import Delivery, Result
from fettle.healing.escalation.gathering import gather, recipient_of
from fettle.healing.escalation.stepping import quiet, strike
from fettle.healing.muting.mutes import Mute
from fettle.kernel.clock import utcnow
from fettle.kernel.database import DATABASE_TROUBLE, driver
from fettle.kernel.errors import NotFound
from fettle.kernel.leasing import LeasedWork
from fettle.kernel.platform import Platform

CAPACITY: Final = 64
_POLL_SECONDS: Final = 0.25

log = structlog.get_logger("fettle.escalation")


class Skipped(Exception):  # noqa: N818 - what happened, not a fault
    """The message is not sent, and that is right."""


class Held(Exception):  # noqa: N818 - what happened, not a fault
    """What the message tells of is muted; it is sent when that ends, if it still fires."""

    def __init__(self, mute: Mute) -> None:
        super().__init__(f"{mute.reason}: {mute.title}")
        self.mute = mute


class Sender(LeasedWork[Delivery]):
    """Sends what is due.

    Args:
        platform: The process's parts.
        capacity: Messages under way at once.
    """

    def __init__(self, platform: Platform, *, capacity: int = CAPACITY) -> None:
        super().__init__(
            platform,
            "escalation",
            capacity=capacity,
            poll_seconds=_POLL_SECONDS,
            grace_seconds=platform.settings.lease_seconds,
        )

    async def run_once(self) -> int:
        """Let clocks strike, send what is due to its end; returns how many messages that were."""
        await strike(self._platform)
        return await super().run_once()

    async def _lease(self, limit: int) -> list[Delivery]:
        return await deliveries.lease(self._database, self._owner, limit, self._lease_seconds)

    async def _renew(self, held: list[Delivery]) -> None:
        await deliveries.renew(self._database, self._owner, held, self._lease_seconds)

    async def _release(self, held: list[Delivery]) -> None:
        await deliveries.release(self._database, self._owner, held)

    async def _watch(self) -> None:
        """Let clocks strike, however many messages are under way; each stroke may leave some to send."""
        while True:
            try:
                await strike(self._platform)
            except DATABASE_TROUBLE as error:
                log.warning("escalation.interrupted", error=type(error).__name__)
            self._wake.set()
            await asyncio.sleep(_POLL_SECONDS)

    async def _do(self, delivery: Delivery) -> None:
        try:
            result = await self._attempt(delivery)
            if not await deliveries.finish(self._database, delivery, result):
                log.warning("escalation.lease_lost", delivery_id=str(delivery.id))
        except DATABASE_TROUBLE as error:
            # The lease lapses, and whoever takes it next sends it again.
            log.warning("escalation.unrecorded", delivery_id=str(delivery.id), error=type(error).__name__)

    async def _attempt(self, delivery: Delivery) -> Result:
        said = None
        try:
            channel, sending = await self._prepare(delivery)
            said = sending.notice.text()
            sent = await channel.send(sending)
        except Skipped as skipped:
            return Result("skipped", utcnow(), "not_needed", str(skipped))
        except Held as held:
            return deliveries.held(held.mute.until, str(held), utcnow())
        except DeliveryFailed as failed:
            return deliveries.result_of(delivery, failed, utcnow(), said)
        except DATABASE_TROUBLE:
            raise
        except Exception as error:
            log.exception("escalation.message_broke", delivery_id=str(delivery.id))
            broke = DeliveryFailed("broke", f"the sender broke: {type(error).__name__}", again=True)
            return deliveries.result_of(delivery, broke, utcnow(), said)
        return Result("delivered", utcnow(), sent=dict(sent), said=said)

    async def _prepare(self, delivery: Delivery) -> tuple[Channel, Sending]:
        """Read everything that a message needs, and whether it is still to be sent."""
        async with self._database.tenant(delivery.tenant_id) as session:
            connection = await driver(session)
            stored = await connection.fetchrow(
                "SELECT kind, document, enabled FROM escalation_channels WHERE tenant_id = $1 AND id = $2",
                delivery.tenant_id, delivery.channel_id,
            )  # fmt: skip
            escalation = await self._escalation(connection, delivery)
            named = contacts.channels_of(None if escalation is None else escalation["policy"])
            place = named.get(str(delivery.channel_id)) or stored
            is_off = stored is not None and not (stored["enabled"] or delivery.kind == TEST)
            if place is None or is_off:
                raise DeliveryFailed("no_channel", "the channel is gone or switched off", again=False)
            if escalation is not None and delivery.kind == FIRING:
                still = await quiet(self._platform, session, delivery.tenant_id, [escalation])
                if still:
                    raise Held(still[escalation["id"]])
            try:
                notice = await gather(self._platform, session, delivery, escalation)
            except NotFound:
                raise DeliveryFailed("no_incident", "the incident is gone", again=False) from None
            recipient = await recipient_of(session, delivery.tenant_id, delivery.recipient)
            if delivery.recipient is not None and recipient is None:
                raise DeliveryFailed("no_recipient", "whoever was meant has left", again=False)
        return CHANNELS[place["kind"]], Sending(
            self._platform, delivery.tenant_id, notice, place["document"], recipient
        )

    async def _escalation(self, connection: asyncpg.Connection, delivery: Delivery) -> asyncpg.Record | None:
        if delivery.escalation_id is None:
            return None
        row = await connection.fetchrow(
            "SELECT id, incident_id, storm_id, state, policy, members, acknowledged_by FROM escalations "
            "WHERE tenant_id = $1 AND id = $2",
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


async def send_messages(platform: Platform) -> None:
    """Let clocks strike and send messages until cancelled."""
    await Sender(platform).run()
