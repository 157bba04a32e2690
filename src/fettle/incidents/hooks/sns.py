"""Messages of Amazon SNS: whose they are, by Amazon's certificate, and the wish of a topic to send here.

A message names where its certificate lies. That address has to be Amazon's, as a whole and before anything is
asked of it: https, a host of SNS, the path of its certificates, no port, no user, no query. It is fetched by the
one way out that tools have, which follows no redirect to another host here.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from fettle.incidents.hooks.signatures import TOLERANCE, Unproven
from fettle.kernel import jsonio
from fettle.kernel.egress import EgressFailed, EgressRefused, Outgoing, egress_of
from fettle.kernel.errors import Problem, Unavailable
from fettle.kernel.platform import Platform
from fettle.packs.moments import moment_of

OLDEST: Final = timedelta(hours=6)
"""Amazon tries again for an hour at most by HTTP; what was signed long before that was kept by somebody."""

NOTIFICATION: Final = "Notification"
ASKS: Final = "SubscriptionConfirmation"

_HOST: Final = re.compile(r"sns\.[a-z0-9-]{4,30}\.amazonaws\.com(\.cn)?")
_PATH: Final = re.compile(r"/SimpleNotificationService-[0-9a-f]{32}\.pem")
_SIGNER: Final = re.compile(r"sns(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?")
_SIGNED: Final = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    ASKS: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
_PART: Final = "hooks.sns_certificates"
_MOST_CERTIFICATES: Final = 32
_MOST_BYTES: Final = 20_000
_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message that Amazon signed.

    Attributes:
        type: ``Notification``, ``SubscriptionConfirmation`` or ``UnsubscribeConfirmation``.
        key: What tells it from every other.
        document: All of it.
    """

    type: str
    key: str
    document: dict[str, Any]


async def prove(platform: Platform, tenant_id: UUID, topic: str, body: bytes, now: datetime) -> Message:
    """Check a message's signature.

    Args:
        platform: The process's parts.
        tenant_id: For whom the certificate is fetched.
        topic: The source's topic; anybody can have Amazon sign messages of a topic of their own.
        body: As it came.
        now: The time.

    Raises:
        Unproven: With the reason.
        Unavailable: The certificate could not be fetched; Amazon will try again.
    """
    document = _document(body)
    kind = document["Type"]
    if document.get("TopicArn") != topic:
        raise Unproven("It is of another topic than the source's.")
    if document.get("SignatureVersion") != "2":
        raise Unproven("It is signed with SHA-1. Set the topic's SignatureVersion to 2.")
    said = moment_of(document.get("Timestamp"))
    if said is None or not now - OLDEST <= said <= now + TOLERANCE:
        raise Unproven("Its timestamp is not of the last hours.")
    signature = _signature(document.get("Signature"))
    signed = _string_to_sign(document, kind)
    certificate = await _certificate(platform, tenant_id, str(document.get("SigningCertURL", "")), now)
    try:
        certificate.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise Unproven("Its signature does not fit Amazon's certificate.") from None
    return Message(kind, f"sns:{document.get('MessageId')}", document)


def is_amazons(url: str, path: re.Pattern[str] | None = None) -> bool:
    """Say whether an address is one of Amazon SNS, and of nothing that only looks like it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        url.isascii()
        and url.isprintable()
        and not any(character in url for character in "\\ \t#@")
        and parts.scheme == "https"
        and port is None
        and parts.username is None
        and _HOST.fullmatch(parts.netloc) is not None
        and (path is None or (path.fullmatch(parts.path) is not None and not parts.query))
    )


def confirmation_address(document: dict[str, Any]) -> str:
    """Return where a wish to send is confirmed, as Amazon signed it.

    Raises:
        Unproven: It is no such address of Amazon's.
    """
    url = str(document.get("SubscribeURL", ""))
    parts = urlsplit(url) if is_amazons(url) else None
    asked = parse_qs(parts.query) if parts is not None else {}
    if asked.get("Action") != ["ConfirmSubscription"] or asked.get("TopicArn") != [document.get("TopicArn")]:
        raise Unproven("Its address of confirmation is not one of Amazon SNS for this topic.")
    return url


async def confirm(platform: Platform, tenant_id: UUID, url: str) -> str | None:
    """Tell Amazon that a topic may send here.

    Returns:
        What went wrong, None where nothing did.
    """
    if not is_amazons(url):
        return "The address is not one of Amazon SNS."
    try:
        reply = await egress_of(platform).send(
            Outgoing(url=url, most_bytes=_MOST_BYTES, timeout_seconds=_SECONDS), tenant_id=tenant_id
        )
    except (EgressRefused, EgressFailed) as error:
        return f"Amazon could not be told: {error}"
    if not is_amazons(f"{reply.place.scheme}://{reply.place.authority}/"):
        return "Amazon's answer led elsewhere."
    return None if reply.status == 200 else f"Amazon answered {reply.status}."  # noqa: PLR2004 - OK


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = jsonio.parse(body, max_depth=10)
    except Problem:
        raise Unproven("It is no message of Amazon SNS. Is raw message delivery on?") from None
    if not isinstance(document, dict) or document.get("Type") not in _SIGNED:
        raise Unproven("It is no message of Amazon SNS. Is raw message delivery on?")
    return document


def _string_to_sign(document: dict[str, Any], kind: str) -> bytes:
    """Return what was signed; of two messages that differ, it is never the same.

    Raises:
        Unproven: A field that is signed is none, or would end another one.
    """
    lines = []
    for name in _SIGNED[kind]:
        value = document.get(name)
        if name == "Subject" and value in (None, ""):
            continue
        # Fields are told apart by lines. One that is left out, or holds a line's end, could stand for its
        # neighbours, and the same signature would prove a message of another id.
        if not isinstance(value, str) or ("\n" in value and name != "Message"):
            raise Unproven(f"Its field {name} is missing, or is not one line of text.")
        lines.append(f"{name}\n{value}\n")
    return "".join(lines).encode("utf-8", "replace")


def _signature(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        raise Unproven("Its signature is not Base64.") from None


async def _certificate(platform: Platform, tenant_id: UUID, url: str, now: datetime) -> RSAPublicKey:
    if not is_amazons(url, _PATH):
        raise Unproven("Its certificate does not lie at an address of Amazon SNS.")
    kept: dict[str, x509.Certificate] = platform.parts.setdefault(_PART, {})
    certificate = kept.get(url)
    if certificate is None:
        certificate = _loaded(await _fetched(platform, tenant_id, url))
        while len(kept) >= _MOST_CERTIFICATES:
            kept.pop(next(iter(kept)))
        kept[url] = certificate
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Unproven("Amazon's certificate does not hold now.")
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise Unproven("Amazon's certificate has a key of another kind.")
    return key


async def _fetched(platform: Platform, tenant_id: UUID, url: str) -> bytes:
    try:
        reply = await egress_of(platform).send(
            Outgoing(url=url, most_bytes=_MOST_BYTES, timeout_seconds=_SECONDS), tenant_id=tenant_id
        )
    except EgressRefused as error:
        raise Unproven(f"Amazon's certificate may not be fetched: {error}") from None
    except EgressFailed as error:
        raise Unavailable(
            f"Amazon's certificate cannot be fetched: {error}", retry_after_seconds=30
        ) from None
    if reply.status != 200 or not is_amazons(f"{reply.place.scheme}://{reply.place.authority}/"):  # noqa: PLR2004 - OK
        raise Unavailable("Amazon's certificate cannot be fetched now.", retry_after_seconds=30)
    return reply.body


def _loaded(pem: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise Unproven("What lies at the address of Amazon's certificate is none.") from None
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not any(_SIGNER.fullmatch(str(name.value)) for name in names):
        raise Unproven("The certificate is not one of Amazon SNS.")
    return certificate
