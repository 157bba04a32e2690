"""Proofs that a sender is who it says: signatures over the raw body, and tokens; pure.

A source has one way of proof, chosen when it was set up. Nothing in a request changes which algorithm is used,
what is signed or whose secret counts. A secret that is empty proves nothing.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

TOLERANCE: Final = timedelta(minutes=5)
"""How far the clock of whoever signed may be from ours."""

LEAST_SECRET: Final = 16
"""Fewest characters of a secret that a sender made."""

TOKEN_PREFIX: Final = "ftl_src_"  # noqa: S105 - what tokens begin with, so that logs withhold them

WITH_TOKEN: Final = frozenset({"token", "path_token"})

GRAFANA_TIMESTAMP: Final = "x-grafana-alerting-signature-timestamp"

_PREFIX: Final = "whsec_"
_MOST_SIGNATURES: Final = 10
_STANDARD_KEY_BYTES: Final = range(24, 65)

Headers = Mapping[str, Sequence[str]]
"""Every value of each header, by its name in lower case."""


class Unproven(Exception):  # noqa: N818 - a verdict about a request
    """Nothing shows that the sender is the source's.

    Args:
        reason: For the people of the tenant; it holds nothing of the request.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Proof:
    """What a request proved.

    Attributes:
        key: What tells this delivery from every other, out of what was signed; None where nothing does.
    """

    key: str | None = None


def prove(way: str, secrets: Sequence[bytes], headers: Headers, body: bytes, now: datetime) -> Proof:
    """Check a signature.

    Args:
        way: How the source's senders prove themselves; not one of those with a token.
        secrets: Those that hold now; while one is replaced, two.
        headers: Of the request.
        body: As it came, to the byte.
        now: The time.

    Raises:
        Unproven: With the reason.
    """
    usable = [secret for secret in secrets if secret]
    if not usable:
        raise Unproven("The source has no secret yet, so nothing can be proved.")
    return _WAYS[way](usable, headers, body, now)


def token_of(headers: Headers) -> str:
    """Return the token that a request shows: as Bearer, as the password of Basic, or as X-Fettle-Token.

    Raises:
        Unproven: There is none, or more than one.
    """
    given = [*headers.get("authorization", ()), *headers.get("x-fettle-token", ())]
    if len(given) != 1:
        raise Unproven("It showed no token." if not given else "It showed more than one token.")
    scheme, _, rest = given[0].strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            raise Unproven("Its Basic credentials are not Base64.") from None
    return given[0].strip()


def token_hash(token: str) -> bytes:
    """Return what is kept of a token; it has 256 bits by chance, so its digest cannot be guessed back."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def check_token(token: str, hashes: Sequence[bytes]) -> None:
    """Compare a token with those that hold, all of them whichever fits.

    Raises:
        Unproven: It is none of them.
    """
    given = token_hash(token)
    fits = [hmac.compare_digest(given, kept) for kept in hashes]
    if not token or not any(fits):
        raise Unproven("Its token is not one of the source's." if hashes else "The source has no token.")


def standard_key(secret: str) -> bytes:
    """Return the bytes of a Standard Webhooks secret.

    Raises:
        ValueError: It is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("it is not whsec_ and Base64") from None
    if not secret.startswith(_PREFIX) or len(key) not in _STANDARD_KEY_BYTES:
        raise ValueError("it is not whsec_ and Base64 of 24 to 64 bytes")
    return key


def hex_digest(secret: bytes, signed: bytes) -> str:
    """Return HMAC-SHA-256 in hexadecimal."""
    return hmac.new(secret, signed, hashlib.sha256).hexdigest()


def standard_signature(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Return one signature of the header ``webhook-signature``."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return (
        "v1,"
        + base64.b64encode(hmac.new(standard_key(secret.decode()), signed, hashlib.sha256).digest()).decode()
    )


def _github(secrets: list[bytes], headers: Headers, body: bytes, _now: datetime) -> Proof:
    given = _only(headers, "x-hub-signature-256")
    _compare([given], ["sha256=" + hex_digest(secret, body) for secret in secrets])
    # The delivery's id is not signed, so whoever sends a delivery again could give it another; the body is.
    return Proof(f"body:{hashlib.sha256(body).hexdigest()}")


def _pagerduty(secrets: list[bytes], headers: Headers, body: bytes, _now: datetime) -> Proof:
    given = [one.strip() for one in _only(headers, "x-pagerduty-signature").split(",")[:_MOST_SIGNATURES]]
    _compare(given, ["v1=" + hex_digest(secret, body) for secret in secrets])
    return Proof(f"body:{hashlib.sha256(body).hexdigest()}")


def _sentry(secrets: list[bytes], headers: Headers, body: bytes, _now: datetime) -> Proof:
    given = _only(headers, "sentry-hook-signature")
    _compare([given], [hex_digest(secret, body) for secret in secrets])
    return Proof(f"body:{hashlib.sha256(body).hexdigest()}")


def _grafana(secrets: list[bytes], headers: Headers, body: bytes, now: datetime) -> Proof:
    given, timestamp = _only(headers, "x-grafana-alerting-signature"), _only(headers, GRAFANA_TIMESTAMP)
    _check_time(timestamp, now)
    _compare([given], [hex_digest(secret, timestamp.encode() + b":" + body) for secret in secrets])
    return Proof(f"signed:{hashlib.sha256(timestamp.encode() + b':' + body).hexdigest()}")


def _standard(secrets: list[bytes], headers: Headers, body: bytes, now: datetime) -> Proof:
    message_id, timestamp = _only(headers, "webhook-id"), _only(headers, "webhook-timestamp")
    _check_time(timestamp, now)
    given = _only(headers, "webhook-signature").split(" ")[:_MOST_SIGNATURES]
    _compare(given, [standard_signature(secret, message_id, timestamp, body) for secret in secrets])
    return Proof(f"id:{message_id}")


_WAYS: Final[Mapping[str, Callable[[list[bytes], Headers, bytes, datetime], Proof]]] = {
    "github": _github,
    "pagerduty": _pagerduty,
    "sentry": _sentry,
    "grafana": _grafana,
    "standard_webhooks": _standard,
}


def _only(headers: Headers, name: str) -> str:
    values = headers.get(name, ())
    if len(values) != 1 or not values[0]:
        raise Unproven(f"It has no header {name}." if not values else f"It has more than one header {name}.")
    return values[0]


def _check_time(timestamp: str, now: datetime) -> None:
    if not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 12:  # noqa: PLR2004 - digits
        raise Unproven("Its timestamp is no number of seconds.")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        raise Unproven("Its timestamp is more than five minutes from now. Is the sender's clock right?")


def _compare(given: Sequence[str], wanted: Sequence[str]) -> None:
    """Look for one of the wanted signatures, comparing every pair whatever fits."""
    fits = [
        hmac.compare_digest(one.encode("utf-8", "replace"), two.encode()) for one in given for two in wanted
    ]
    if not any(fits):
        raise Unproven("Its signature does not fit the body and the source's secret.")
