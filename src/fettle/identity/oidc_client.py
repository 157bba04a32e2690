"""Speaks with OpenID providers, through the one guarded way out; what they say of themselves is kept for minutes."""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fettle.identity import oidc
from fettle.identity.models_sign_in import IdentityProvider
from fettle.identity.oidc import Client, Journey, Metadata, ProviderRefused, PublicKey
from fettle.kernel import jsonio
from fettle.kernel.clock import utcnow
from fettle.kernel.egress import EgressFailed, EgressRefused, Outgoing, Reply, egress_of
from fettle.kernel.errors import Problem
from fettle.kernel.platform import Platform

KEPT_SECONDS: Final = 600.0
_LEAST_SECONDS_BETWEEN_KEYS: Final = 10.0
_MOST_KEPT: Final = 1_000
_MOST_BYTES: Final = 500_000
_SECONDS: Final = 10.0
_DISCOVERY: Final = "/.well-known/openid-configuration"
_OK: Final = 200


@dataclass(slots=True)
class _Known:
    metadata: Metadata
    keys: list[PublicKey]
    at: float
    keys_at: float


class ProviderClient:
    """This process's acquaintance with providers."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._known: OrderedDict[tuple[UUID, str], _Known] = OrderedDict()

    async def metadata(self, provider: IdentityProvider) -> Metadata:
        """Return what a provider says of itself.

        Raises:
            ProviderRefused: It cannot be reached, may not be, or says what is not accepted.
        """
        return (await self._know(provider)).metadata

    async def claims(
        self, provider: IdentityProvider, client: Client, journey: Journey, code: str
    ) -> dict[str, Any]:
        """Exchange a code, and return the claims of the ID token, with those of userinfo that it lacks.

        Raises:
            ProviderRefused: The provider does not vouch for this sign-in.
        """
        known = await self._know(provider)
        form = oidc.token_request(known.metadata, client, code, journey.verifier)
        tokens = await self._ask(
            provider,
            Outgoing(url=known.metadata.token_endpoint, method="POST", headers=form.headers, body=form.body),
        )
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise ProviderRefused("the provider gave no ID token")
        claims = oidc.read_id_token(
            id_token,
            await self._keys(provider, known, id_token),
            issuer=provider.issuer,
            client_id=provider.client_id,
            nonce=journey.nonce,
            now=utcnow(),
        )
        return await self._completed(provider, known.metadata, claims, tokens.get("access_token"))

    async def _completed(
        self, provider: IdentityProvider, metadata: Metadata, claims: dict[str, Any], access_token: object
    ) -> dict[str, Any]:
        enough = oidc.verified_email(claims) is not None and oidc.claim_at(claims, provider.role_claim)
        if enough or metadata.userinfo_endpoint is None or not isinstance(access_token, str):
            return claims
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        more = await self._ask(provider, Outgoing(url=metadata.userinfo_endpoint, headers=headers))
        # OpenID Connect Core, section 5.3.2: another subject's answer must not be used.
        if more.get("sub") != claims["sub"]:
            raise ProviderRefused("userinfo is about another subject")
        return {**more, **claims}

    async def _know(self, provider: IdentityProvider) -> _Known:
        key = (provider.id, provider.issuer)
        known = self._known.get(key)
        if known is not None and time.monotonic() - known.at < KEPT_SECONDS:
            return known
        document = await self._ask(provider, Outgoing(url=provider.issuer.removesuffix("/") + _DISCOVERY))
        metadata = oidc.read_metadata(document, provider.issuer)
        keys = oidc.read_keys(await self._ask(provider, Outgoing(url=metadata.jwks_uri)))
        now = time.monotonic()
        known = self._known[key] = _Known(metadata, keys, now, now)
        if len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return known

    async def _keys(self, provider: IdentityProvider, known: _Known, id_token: str) -> Sequence[PublicKey]:
        named = oidc.key_id_of(id_token)
        is_new = named is not None and all(key.get("kid") != named for key in known.keys)
        # The provider may have rotated its keys; bounded, so that nobody makes us ask it all the time.
        if is_new and time.monotonic() - known.keys_at > _LEAST_SECONDS_BETWEEN_KEYS:
            known.keys_at = time.monotonic()
            known.keys = oidc.read_keys(await self._ask(provider, Outgoing(url=known.metadata.jwks_uri)))
        return known.keys

    async def _ask(self, provider: IdentityProvider, outgoing: Outgoing) -> Mapping[str, Any]:
        limited = Outgoing(
            url=outgoing.url,
            method=outgoing.method,
            headers=outgoing.headers or {"Accept": "application/json"},
            body=outgoing.body,
            most_bytes=_MOST_BYTES,
            timeout_seconds=_SECONDS,
        )
        try:
            reply = await egress_of(self._platform).send(limited, tenant_id=provider.tenant_id)
        except (EgressRefused, EgressFailed) as error:
            raise ProviderRefused(f"the provider could not be asked: {error}") from None
        return _json(reply)


def provider_client(platform: Platform) -> ProviderClient:
    """Return the process's client."""
    found = platform.parts.get("identity.provider_client")
    if not isinstance(found, ProviderClient):
        found = platform.parts["identity.provider_client"] = ProviderClient(platform)
    return found


def _json(reply: Reply) -> Mapping[str, Any]:
    if reply.status != _OK:
        raise ProviderRefused(f"the provider answered {reply.status}")
    try:
        document = jsonio.parse(reply.body)
    except Problem:
        raise ProviderRefused("the provider's answer is no JSON") from None
    if not isinstance(document, Mapping):
        raise ProviderRefused("the provider's answer is no JSON object")
    return document
