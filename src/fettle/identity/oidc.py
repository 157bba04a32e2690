"""OpenID Connect, without any I/O: what a provider says of itself, what we ask of it, and what its ID token proves."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from fettle.kernel.jsonio import is_storable

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
"""Signatures by a key pair: neither ``none``, nor HMAC, for which the public key could be taken as the secret."""

LEEWAY_SECONDS: Final = 60
OLDEST_SECONDS: Final = 600

_LEAST_RSA_BITS: Final = 2048
_MOST_KEYS: Final = 50
_LONGEST_TOKEN: Final = 100_000
_LONGEST_SUBJECT: Final = 255
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_RETURN_TO: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@%?#-][A-Za-z0-9._~!$&'()*+,;=:@%?#/-]*)?")

PublicKey = RSAKey | ECKey | OKPKey


class ProviderRefused(Exception):  # noqa: N818 - a verdict about what a provider said
    """What came from a provider is not accepted; the text says why, for the log and the tests."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery 1.0).

    Attributes:
        sends_issuer: It names itself in its answers (RFC 9207), so an answer without its name is not its own.
        basic: It takes the client's secret in the header, as every provider should.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    sends_issuer: bool
    basic: bool


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to a provider.

    Attributes:
        secret: None for a public client, which PKCE protects alone.
    """

    id: str
    secret: str | None
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Journey:
    """The secrets of one sign-in that is away at a provider."""

    state: str
    browser: str
    nonce: str
    verifier: str

    @classmethod
    def begin(cls) -> "Journey":
        """Return fresh ones, of 256 random bits each."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(4)))


@dataclass(frozen=True, slots=True)
class Form:
    """A request to a provider's token endpoint."""

    headers: Mapping[str, str]
    body: bytes


def read_issuer(text: str) -> str:
    """Return an issuer that can be trusted to be itself: by HTTPS, or on this machine.

    Raises:
        ProviderRefused: It is another kind of address.
    """
    return _address(text, "the issuer", is_issuer=True)


def read_metadata(document: object, issuer: str) -> Metadata:
    """Read a discovery document.

    Raises:
        ProviderRefused: It is another issuer's to the letter, or names no address that we would go to.
    """
    if not isinstance(document, Mapping):
        raise ProviderRefused("the discovery document is no JSON object")
    if document.get("issuer") != issuer:
        raise ProviderRefused("the discovery document names another issuer")
    plain = urlsplit(issuer).scheme == "http"

    def endpoint(name: str) -> str:
        return _address(document.get(name), name, may_be_plain=plain)

    methods = document.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=issuer,
        authorization_endpoint=endpoint("authorization_endpoint"),
        token_endpoint=endpoint("token_endpoint"),
        jwks_uri=endpoint("jwks_uri"),
        userinfo_endpoint=endpoint("userinfo_endpoint") if document.get("userinfo_endpoint") else None,
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        basic=not isinstance(methods, list) or "client_secret_basic" in methods,
    )


def check_client(metadata: Metadata, client: Client) -> None:
    """Refuse a client that another provider could be mixed up with.

    All providers send browsers back to one address. A code that thereby gets into the hands of the wrong one is
    of no use there without our secret; where there is none, the right one must name itself.

    Raises:
        ProviderRefused: It has no secret, and the provider does not name itself in its answers.
    """
    if client.secret is None and not metadata.sends_issuer:
        raise ProviderRefused("without a client secret the provider must name itself in its answers")


def authorization_address(metadata: Metadata, client: Client, journey: Journey, scopes: Sequence[str]) -> str:
    """Return where the browser goes to sign in: the code flow with PKCE by S256."""
    parts = urlsplit(metadata.authorization_endpoint)
    challenge = hashlib.sha256(journey.verifier.encode()).digest()
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("response_type", "code"),
        ("client_id", client.id),
        ("redirect_uri", client.redirect_uri),
        ("scope", " ".join(dict.fromkeys(("openid", *scopes)))),
        ("state", journey.state),
        ("nonce", journey.nonce),
        ("code_challenge", base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()),
        ("code_challenge_method", "S256"),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


def token_request(metadata: Metadata, client: Client, code: str, verifier: str) -> Form:
    """Return the request that exchanges a code for tokens."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": verifier,
    }
    if client.secret is not None and metadata.basic:
        # RFC 6749, section 2.3.1: each is encoded as a form field before they are joined.
        pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        fields["client_id"] = client.id
        if client.secret is not None:
            fields["client_secret"] = client.secret
    return Form(headers, urlencode(fields).encode())


def check_answer_issuer(metadata: Metadata, named: str | None) -> None:
    """Refuse an answer that another provider gave (RFC 9207).

    Raises:
        ProviderRefused: It names another issuer, or none although this provider always does.
    """
    if named is None and metadata.sends_issuer:
        raise ProviderRefused("the answer does not name its issuer")
    if named is not None and named != metadata.issuer:
        raise ProviderRefused("the answer came from another issuer")


def read_keys(document: object) -> list[PublicKey]:
    """Return the public keys that a provider signs with; what is no such key is left out.

    Raises:
        ProviderRefused: It is no JSON Web Key Set.
    """
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise ProviderRefused("the keys are no JSON Web Key Set")
    found: list[PublicKey] = []
    for entry in entries[:_MOST_KEYS]:
        if not isinstance(entry, Mapping) or entry.get("kty") not in {"RSA", "EC", "OKP"}:
            continue
        if entry.get("use", "sig") != "sig":
            continue
        try:
            key = JWKRegistry.import_key(dict(entry))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, RSAKey) and key.public_key.key_size < _LEAST_RSA_BITS:
            continue
        if isinstance(key, RSAKey | ECKey | OKPKey):
            found.append(key)
    return found


def key_id_of(token: str) -> str | None:
    """Return the key that an ID token names, unchecked, None where it names none.

    Raises:
        ProviderRefused: It is no signed token, or signed in a way that we do not take.
    """
    header = _header(token)
    kid = header.get("kid")
    return kid if isinstance(kid, str) else None


def read_id_token(
    token: str, keys: Sequence[PublicKey], *, issuer: str, client_id: str, nonce: str, now: datetime
) -> dict[str, Any]:
    """Check an ID token in everything that OpenID Connect Core, section 3.1.3.7, asks for.

    Args:
        token: The compact form.
        keys: The provider's.
        issuer: Whose it must be, to the letter.
        client_id: For whom it must be.
        nonce: What this sign-in asked it to hold.
        now: The present moment.

    Returns:
        Its claims.

    Raises:
        ProviderRefused: For any reason at all.
    """
    header = _header(token)
    key = _chosen(keys, header)
    try:
        claims = jwt.decode(token, key, algorithms=[header["alg"]]).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise ProviderRefused("the ID token is not signed by the provider") from None
    if not isinstance(claims, dict) or claims.get("iss") != issuer:
        raise ProviderRefused("the ID token is another issuer's")
    _check_audience(claims, client_id)
    _check_times(claims, int(now.timestamp()))
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(
        given.encode("utf-8", "replace"), nonce.encode()
    ):
        raise ProviderRefused("the ID token belongs to another sign-in")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= _LONGEST_SUBJECT or not is_storable(subject):
        raise ProviderRefused("the ID token names no subject")
    return claims


def verified_email(claims: Mapping[str, Any]) -> str | None:
    """Return the address that the provider has verified, in its normal form, None where there is none."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        return None
    email = email.strip().lower()
    is_address = is_storable(email) and re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,189}", email)
    return email if is_address else None


def claim_at(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return the texts at a dotted path, such as Keycloak's ``realm_access.roles``; a text alone is a list of one.

    A claim whose very name has dots in it, such as a URL, wins over the path.
    """
    value: object = claims.get(path)
    if value is None:
        value = claims
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def safe_return(text: str | None) -> str:
    """Return the page to go back to: a path of our own, and ``/`` for whatever could lead elsewhere."""
    if text is None or len(text) > 2_000 or _RETURN_TO.fullmatch(text) is None:  # noqa: PLR2004 - a long address
        return "/"
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc and not text.startswith("/api") else "/"


def _address(value: object, name: str, *, may_be_plain: bool = True, is_issuer: bool = False) -> str:
    if not isinstance(value, str) or re.fullmatch(r"https?://[\x21-\x5b\x5d-\x7e]{1,2000}", value) is None:
        raise ProviderRefused(f"{name} is no address")
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        raise ProviderRefused(f"{name} is no address") from None
    if host is None or "@" in parts.netloc or parts.fragment or (is_issuer and parts.query):
        raise ProviderRefused(f"{name} holds what an address of a provider does not")
    if parts.scheme == "http" and not (may_be_plain and host in _LOOPBACK):
        raise ProviderRefused(f"{name} is not by HTTPS")
    return value


def _header(token: str) -> dict[str, Any]:
    if len(token) > _LONGEST_TOKEN or not token.isascii():
        raise ProviderRefused("the ID token is too long, or not ASCII")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise ProviderRefused("the ID token is no signed token") from None
    if header.get("alg") not in ALGORITHMS or "crit" in header:
        raise ProviderRefused("the ID token is signed in a way that is not accepted")
    return dict(header)


def _chosen(keys: Sequence[PublicKey], header: Mapping[str, Any]) -> PublicKey:
    kinds = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
    fitting = [
        key
        for key in keys
        if key.key_type == kinds[header["alg"][:2]] and key.get("alg") in {None, header["alg"]}
    ]
    if "kid" in header:
        fitting = [key for key in fitting if key.get("kid") == header["kid"]]
    if len(fitting) != 1:
        raise ProviderRefused("the ID token is signed by no key of the provider, or it is unclear by which")
    return fitting[0]


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or client_id not in named:
        raise ProviderRefused("the ID token is for another client")
    party = claims.get("azp")
    if party != client_id and (party is not None or len(named) > 1):
        raise ProviderRefused("the ID token was given to another client")


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    times = {name: claims.get(name) for name in ("exp", "iat", "nbf")}
    for value in times.values():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ProviderRefused("the ID token has a time that is none")
    expires, issued, begins = times["exp"], times["iat"], times["nbf"]
    if expires is None or expires <= now - LEEWAY_SECONDS:
        raise ProviderRefused("the ID token has expired")
    if issued is None or not now - OLDEST_SECONDS <= issued <= now + LEEWAY_SECONDS:
        raise ProviderRefused("the ID token was not given just now")
    if begins is not None and begins > now + LEEWAY_SECONDS:
        raise ProviderRefused("the ID token is not good yet")
