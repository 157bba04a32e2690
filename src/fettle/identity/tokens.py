"""The three credentials, without any I/O: access tokens, refresh tokens and API keys."""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from fettle.kernel.ids import new_id

ALGORITHM: Final = "Ed25519"
"""The only signature accepted: EdDSA on Ed25519 by its fully specified name (RFC 9864)."""

ISSUER: Final = "fettle"
AUDIENCE: Final = "fettle-api"
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - the media type of RFC 9068, not a secret
ACCESS_LIFETIME: Final = timedelta(minutes=15)
REFRESH_LIFETIME: Final = timedelta(days=14)

_MAX_TOKEN_CHARS: Final = 2_048
_ALPHANUMERIC: Final = string.ascii_letters + string.digits
_PREFIX_ALPHABET: Final = string.ascii_lowercase + string.digits
_SECRET_CHARS: Final = 43
_API_KEY: Final = re.compile(r"ftl_([a-z0-9]{12})_([A-Za-z0-9]{43})", re.ASCII)
_REFRESH_TOKEN: Final = re.compile(r"ftr_[A-Za-z0-9]{43}", re.ASCII)


class TokenRefused(Exception):  # noqa: N818 - a verdict, not a failure of ours
    """A credential that is not accepted; the text says why, for the log and the tests, not for the caller."""


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a good access token says.

    Attributes:
        user_id: Who signed in.
        session_id: The sign-in that the token descends from; ending it ends the token.
        token_id: This token (``jti``).
        expires_at: When it stops being accepted.
    """

    user_id: UUID
    session_id: UUID
    token_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKeyParts:
    """An API key taken apart.

    Attributes:
        prefix: Public part by which the key is found.
        secret_hash: SHA-256 of the secret part.
    """

    prefix: str
    secret_hash: bytes


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """An API key at the one moment when its text is known.

    Attributes:
        text: What the caller gets, once.
        prefix: Public part, stored and shown.
        secret_hash: What is stored of the rest.
    """

    text: str
    prefix: str
    secret_hash: bytes


def issue_access_token(key: OKPKey, *, user_id: UUID, session_id: UUID, now: datetime) -> str:
    """Return a signed access token (RFC 9068) that names a user and a session, and no permission.

    Permissions are looked up at each use, so that taking one away takes effect at once.

    Args:
        key: A private Ed25519 key with a ``kid``.
        user_id: Who signed in.
        session_id: The session that it belongs to.
        now: The present moment.
    """
    issued = int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": str(session_id),
        "jti": str(new_id()),
        "iat": issued,
        "exp": issued + int(ACCESS_LIFETIME.total_seconds()),
    }
    header = {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": key.kid}
    return jwt.encode(header, claims, key, algorithms=[ALGORITHM])


def read_access_token(token: str, keys: Mapping[str, OKPKey], *, now: datetime) -> AccessClaims:
    """Check an access token and return what it says.

    The algorithm, the type and the key are ours to choose, never the token's: a header that names another
    algorithm, embeds or points to a key, or marks an extension as critical is refused.

    Args:
        token: The compact form, as it arrived.
        keys: Public keys by ``kid``.
        now: The present moment.

    Raises:
        TokenRefused: For any reason at all.
    """
    key = keys.get(key_id_of(token))
    if key is None:
        raise TokenRefused("signed by no key of ours")
    try:
        decoded = jwt.decode(token, key, algorithms=[ALGORITHM])
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            sid={"essential": True},
            jti={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
        )
        registry.validate(decoded.claims)
        claims = decoded.claims
        return AccessClaims(
            user_id=UUID(claims["sub"]),
            session_id=UUID(claims["sid"]),
            token_id=str(claims["jti"]),
            expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
        )
    except JoseError as error:
        raise TokenRefused(str(error)) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise TokenRefused("malformed") from None


def key_id_of(token: str) -> str:
    """Return the ``kid`` that a token claims, unchecked, by which its key is looked for.

    Args:
        token: The compact form.

    Raises:
        TokenRefused: Its header is not exactly such as we write.
    """
    if len(token) > _MAX_TOKEN_CHARS or not token.isascii():
        raise TokenRefused("too long or not ASCII")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise TokenRefused("not a signed token") from None
    if header.keys() != {"alg", "typ", "kid"}:
        raise TokenRefused("header with other members than ours")
    kid = header["kid"]
    if header["alg"] != ALGORITHM or header["typ"] != TOKEN_TYPE or not isinstance(kid, str):
        raise TokenRefused("another algorithm or type than ours")
    return kid


def new_refresh_token() -> tuple[str, bytes]:
    """Return a refresh token and the hash that is stored of it."""
    token = f"ftr_{_random(_ALPHANUMERIC, _SECRET_CHARS)}"
    return token, hash_secret(token)


def read_refresh_token(token: str) -> bytes:
    """Return the hash by which a refresh token is found.

    Raises:
        TokenRefused: It does not have the form of one.
    """
    if _REFRESH_TOKEN.fullmatch(token) is None:
        raise TokenRefused("not a refresh token")
    return hash_secret(token)


def new_api_key() -> NewApiKey:
    """Return a new API key, ``ftl_<prefix>_<secret>``, whose secret holds 256 random bits."""
    prefix = _random(_PREFIX_ALPHABET, 12)
    secret = _random(_ALPHANUMERIC, _SECRET_CHARS)
    return NewApiKey(text=f"ftl_{prefix}_{secret}", prefix=prefix, secret_hash=hash_secret(secret))


def is_api_key(token: str) -> bool:
    """Tell whether a bearer token claims to be an API key rather than an access token."""
    return token.startswith("ftl_")


def read_api_key(text: str) -> ApiKeyParts:
    """Take an API key apart.

    Raises:
        TokenRefused: It does not have the form of one.
    """
    match = _API_KEY.fullmatch(text)
    if match is None:
        raise TokenRefused("not an API key")
    return ApiKeyParts(prefix=match[1], secret_hash=hash_secret(match[2]))


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 of a secret of 256 random bits, which needs neither salt nor stretching."""
    return hashlib.sha256(secret.encode()).digest()


def random_secret() -> str:
    """Return 256 random bits as letters and digits."""
    return _random(_ALPHANUMERIC, _SECRET_CHARS)


def same_secret(stored_hash: bytes, presented_hash: bytes) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(stored_hash, presented_hash)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
