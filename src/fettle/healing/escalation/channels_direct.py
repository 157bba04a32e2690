"""Channels that are not HTTP of ours: mail over SMTP, and text messages by whatever an installation plugs in."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import structlog

from fettle.healing.escalation import rendering
from fettle.healing.escalation.channels import SMS_PART, Channel, DeliveryFailed, Sending, SmsProvider
from fettle.healing.escalation.channels_http import (
    PagerDuty,
    SendGrid,
    Slack,
    Teams,
    Webhook,
    addresses,
)
from fettle.kernel import mail
from fettle.kernel.mail import Mail, MailRefused
from fettle.kernel.platform import Platform
from fettle.kernel.settings import SettingsError

log = structlog.get_logger("fettle.escalation")


class Email:
    """Mail by the installation's mail server; a repeated mail has the same Message-ID."""

    async def send(self, sending: Sending) -> Mapping[str, Any]:
        """Send one mail to each address.

        Raises:
            DeliveryFailed: One was not taken; it says whether another attempt may end better.
        """
        notice = sending.notice
        sent = 0
        for number, address in enumerate(addresses(sending)):
            letter = Mail(
                to=address,
                subject=rendering.subject(notice),
                text=notice.text(),
                html=rendering.mail_html(notice),
                message_id=f"{notice.message_id}.{number}",
            )
            try:
                await mail.send(sending.platform.settings, letter)
            except MailRefused as error:
                raise DeliveryFailed(
                    "mail", error.reason, again=not error.permanent, may_have_arrived=sent > 0
                ) from None
            except SettingsError:
                raise DeliveryFailed("no_mail_server", "no mail server is set up", again=False) from None
            sent += 1
        return {"mails": sent}


class Sms:
    """Text messages by the provider that the installation plugged in."""

    async def send(self, sending: Sending) -> Mapping[str, Any]:
        """Send one text to each number.

        Raises:
            DeliveryFailed: Nobody's number is known, or there is no provider.
        """
        provider = _provider_of(sending.platform)
        person = sending.recipient
        numbers = [person.contact["phone"]] if person and "phone" in person.contact else []
        numbers = numbers or ([] if person else list(sending.settings["to"]))
        if not numbers:
            raise DeliveryFailed("no_recipient", "nobody's number is known", again=False)
        notice = sending.notice
        ids = [
            await provider.send(
                number=number, text=rendering.sms(notice), idempotency_key=f"{notice.message_id}.{index}"
            )
            for index, number in enumerate(numbers)
        ]
        return {"ids": ids}


def _provider_of(platform: Platform) -> SmsProvider:
    """Return the installation's provider, made when the first text message leaves.

    Raises:
        DeliveryFailed: There is none, or what the setting names is none.
    """
    found: SmsProvider | None = platform.parts.get(SMS_PART)
    if found is not None:
        return found
    named = platform.settings.sms_provider
    if named is None:
        raise DeliveryFailed(
            "no_provider", "FETTLE_SMS_PROVIDER names no provider of text messages", again=False
        )
    module, _, name = named.partition(":")
    try:
        found = getattr(import_module(module), name)(platform.settings)
    except Exception as error:
        # It is whatever the operator wrote; it may fail in any way, and what it says may hold a secret.
        log.exception("escalation.sms_provider_broke", provider=named)
        detail = f"FETTLE_SMS_PROVIDER, {named}, cannot be made ({type(error).__name__}); the log says why"
        raise DeliveryFailed("no_provider", detail, again=True) from None
    platform.parts[SMS_PART] = found
    return found


CHANNELS: Final[Mapping[str, Channel]] = {
    "slack": Slack(),
    "teams": Teams(),
    "pagerduty": PagerDuty(),
    "email": Email(),
    "sendgrid": SendGrid(),
    "webhook": Webhook(),
    "sms": Sms(),
}
"""Every kind by its name."""
