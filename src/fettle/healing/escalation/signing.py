"""Signatures of messages: Slack's and PagerDuty's that come in, and Standard Webhooks that go out; no I/O."""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Final

TOLERANCE_SECONDS: Final = 300
"""How far the clock of whoever signed may be from ours."""

_PREFIX: Final = "whsec_"


def slack_signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what Slack sends as ``X-Slack-Signature``."""
    signed = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def is_from_slack(secret: str, timestamp: str, signature: str, body: bytes, now: datetime) -> bool:
    """Say whether Slack sent a body, and just now; an empty secret signs nothing."""
    if not secret or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:  # noqa: PLR2004 - digits
        return False
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    return _same(slack_signature(secret, timestamp, body), signature)


def pagerduty_signature(secret: str, body: bytes) -> str:
    """Return one of the signatures that PagerDuty sends as ``X-PagerDuty-Signature``."""
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_from_pagerduty(secret: str, signatures: str, body: bytes) -> bool:
    """Say whether PagerDuty sent a body: one of its signatures is ours, as while a secret is rotated."""
    if not secret:
        return False
    wanted = pagerduty_signature(secret, body)
    return any(_same(wanted, one.strip()) for one in signatures.split(",")[:10])


def standard_webhook_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header ``webhook-signature`` of Standard Webhooks.

    Raises:
        ValueError: The secret is not ``whsec_`` and Base64 of 24 to 64 bytes.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(webhook_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def webhook_key(secret: str) -> bytes:
    """Return the bytes of a Standard Webhooks secret.

    Raises:
        ValueError: It is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("the secret is not whsec_ and Base64") from None
    if not 24 <= len(key) <= 64:  # noqa: PLR2004 - of the specification
        raise ValueError("the secret must be of 24 to 64 bytes")
    return key


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode(errors="replace"))
