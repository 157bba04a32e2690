"""Channels over HTTP: Slack, Teams, PagerDuty, SendGrid and the generic signed webhook, through the one way out."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from fettle.healing.escalation import rendering
from fettle.healing.escalation.channels import DeliveryFailed, Sending
from fettle.healing.escalation.content import ACKNOWLEDGED
from fettle.healing.escalation.signing import standard_webhook_signature
from fettle.kernel import jsonio
from fettle.kernel.clock import utcnow
from fettle.kernel.egress import EgressFailed, EgressRefused, Outgoing, Reply, egress_of
from fettle.kernel.mail import is_address

SECONDS: Final = 15.0
LONGEST_RETRY_AFTER: Final = 3_600.0

_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNCERTAIN: Final = frozenset({408, 500, 502, 504})
_SECONDS_FORM: Final = re.compile(r"[0-9]{1,9}")


class Slack:
    """A Slack incoming webhook."""

    async def send(self, sending: Sending) -> Mapping[str, Any]:
        """Post the message; Slack knows no key by which it would tell a second one."""
        mention = sending.recipient.contact.get("slack") if sending.recipient else None
        await post(sending, await sending.secret("url_secret"), rendering.slack(sending.notice, mention))
        return {}


class Teams:
    """A Teams Workflows webhook."""

    async def send(self, sending: Sending) -> Mapping[str, Any]:
        """Post an Adaptive Card."""
        await post(sending, await sending.secret("url_secret"), rendering.teams(sending.notice))
        return {}


class PagerDuty:
    """PagerDuty's Events API v2; the same `dedup_key` again is the same incident there."""

    async def send(self, sending: Sending) -> Mapping[str, Any]:
        """Trigger, acknowledge or resolve."""
        key = await sending.secret("routing_key_secret")
        await post(sending, str(sending.settings["url"]), rendering.pagerduty(sending.notice, key))
        return {"dedup_key": sending.notice.key}


class Webhook:
    """Any receiver of Standard Webhooks; the same `webhook-id` again is the same message."""

    async def send(self, sending: Sending) -> Mapping[str, Any]:
        """Post the signed message."""
        body = jsonio.dumps(rendering.webhook(sending.notice))
        message_id = f"msg_{sending.notice.message_id.hex}"
        seconds = int(utcnow().timestamp())
        try:
            secret = await sending.secret("signing_secret")
            signature = standard_webhook_signature(secret, message_id, seconds, body)
        except ValueError as error:
            raise DeliveryFailed(
                "bad_secret", f"the signing secret cannot be used: {error}", again=False
            ) from None
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signature,
        }
        await post_bytes(sending, str(sending.settings["url"]), body, headers)
        return {"webhook_id": message_id}


class SendGrid:
    """Mail by SendGrid's v3 API."""

    async def send(self, sending: Sending) -> Mapping[str, Any]:
        """Hand over one mail for everybody who is meant."""
        if sending.notice.kind == ACKNOWLEDGED and not sending.notice.by:
            return {}
        notice = sending.notice
        body = {
            "personalizations": [{"to": [{"email": address}]} for address in addresses(sending)],
            "from": {"email": sending.settings["sender"]},
            "subject": rendering.subject(notice),
            "content": [
                {"type": "text/plain", "value": notice.text()},
                {"type": "text/html", "value": rendering.mail_html(notice)},
            ],
            "custom_args": {"fettle_message": str(notice.message_id)},
        }
        headers = {"Authorization": f"Bearer {await sending.secret('api_key_secret')}"}
        reply = await post(sending, str(sending.settings["url"]), body, headers)
        return {"message_id": reply.headers.get("x-message-id", "")[:200]}


def addresses(sending: Sending) -> list[str]:
    """Return whom a mail is for: the person who is meant, else the channel's own addresses.

    Raises:
        DeliveryFailed: There is nobody.
    """
    found = [sending.recipient.email] if sending.recipient else list(sending.settings["to"])
    usable = [address for address in found if is_address(address)]
    if not usable:
        raise DeliveryFailed("no_recipient", "nobody's address is known", again=False)
    return usable


async def post(
    sending: Sending, url: str, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Reply:
    """Post JSON.

    Raises:
        DeliveryFailed: It was not taken.
    """
    return await post_bytes(sending, url, jsonio.dumps(document), headers or {})


async def post_bytes(sending: Sending, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    """Post a body that is JSON already.

    Raises:
        DeliveryFailed: It was not taken.
    """
    outgoing = Outgoing(
        url=url,
        method="POST",
        headers={"Content-Type": "application/json", "User-Agent": "Fettle", **headers},
        body=body,
        most_bytes=64_000,
        timeout_seconds=SECONDS,
    )
    try:
        reply = await egress_of(sending.platform).send(outgoing, tenant_id=sending.tenant_id)
    except EgressRefused as error:
        raise DeliveryFailed("refused", f"it may not be sent there: {error}", again=False) from None
    except EgressFailed as error:
        again = error.code not in {"redirect", "too_large"}
        raise DeliveryFailed(
            error.code, error.message, again=again, may_have_arrived=error.may_have_arrived
        ) from None
    if 200 <= reply.status < 300:  # noqa: PLR2004 - success
        return reply
    raise DeliveryFailed(
        f"http_{reply.status}",
        f"{reply.place.host} answered {reply.status}",
        again=reply.status in _AGAIN,
        may_have_arrived=reply.status in _UNCERTAIN,
        retry_after_seconds=retry_after(reply.headers.get("retry-after"), utcnow()),
    )


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return how long a `Retry-After` asks to wait, in seconds or as a date; None where it says nothing usable."""
    if value is None:
        return None
    if _SECONDS_FORM.fullmatch(value.strip()):
        return min(float(value), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_RETRY_AFTER)
