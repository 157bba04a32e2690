"""Signing in through a tenant's OpenID provider: away with secrets of one use, and back with what they prove."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit, challenges, oidc
from fettle.identity.audit import Who
from fettle.identity.authentication import authenticator
from fettle.identity.challenges import Challenge
from fettle.identity.identity_providers import secret_of, usable_provider
from fettle.identity.models import Membership, User
from fettle.identity.models_sign_in import IdentityLink, IdentityProvider, SignOnState
from fettle.identity.oidc import Client, Journey, ProviderRefused
from fettle.identity.oidc_client import provider_client
from fettle.identity.roles import permissions_in
from fettle.identity.sessions import Origin, Proof, SignedIn
from fettle.identity.sign_in import handed_out
from fettle.identity.tokens import hash_secret
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import is_storable
from fettle.kernel.platform import Platform
from fettle.kernel.secrets import SecretBox

LIFETIME: Final = timedelta(minutes=10)
_ADMIN: Final = "tenant_admin"
_LONGEST_NAME: Final = 200

_log = structlog.get_logger(__name__)


class SignOnFailed(Exception):  # noqa: N818 - a verdict that the sign-in page explains
    """Nobody was signed in.

    Args:
        code: For the page: ``access_denied``, ``expired``, ``provider_failed``, ``not_allowed``.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Departure:
    """A sign-in on its way to a provider.

    Attributes:
        address: Where the browser goes.
        browser: For the cookie that binds the way back to this browser.
    """

    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider's redirect carries, as it arrived."""

    state: str | None
    code: str | None
    issuer: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A sign-in that came back."""

    begun: SignedIn | Challenge
    return_to: str


async def depart(
    platform: Platform, provider_id: UUID, *, redirect_uri: str, return_to: str | None
) -> Departure:
    """Begin a sign-in at a provider.

    Raises:
        NotFound: There is no such provider, or it is switched off.
        SignOnFailed: It cannot be reached, or is not to be trusted.
    """
    async with platform.database.system() as session:
        provider = await usable_provider(session, provider_id)
    if provider is None:
        raise NotFound("There is no such identity provider.")
    client = Client(provider.client_id, secret_of(platform, provider), redirect_uri)
    try:
        metadata = await provider_client(platform).metadata(provider)
        oidc.check_client(metadata, client)
    except ProviderRefused as refused:
        raise _failed(provider, refused) from None
    journey = Journey.begin()
    state_hash = hash_secret(journey.state)
    async with platform.database.system() as session:
        session.add(
            SignOnState(
                state_hash=state_hash,
                browser_hash=hash_secret(journey.browser),
                provider_id=provider.id,
                nonce=journey.nonce,
                sealed_verifier=SecretBox(platform.settings).encrypt(journey.verifier.encode(), state_hash),
                return_to=oidc.safe_return(return_to),
                expires_at=utcnow() + LIFETIME,
            )
        )
    return Departure(oidc.authorization_address(metadata, client, journey, provider.scopes), journey.browser)


async def arrive(
    platform: Platform, answer: Answer, *, browser: str | None, redirect_uri: str, origin: Origin
) -> Arrival:
    """Finish a sign-in that comes back from a provider.

    Raises:
        SignOnFailed: It was not begun in this browser, or not lately, or the provider does not vouch for it.
    """
    state = await _take_state(platform, answer.state, browser)
    async with platform.database.system() as session:
        provider = await usable_provider(session, state.provider_id)
    if provider is None:
        raise SignOnFailed("provider_failed")
    journey = Journey(
        state=answer.state or "",
        browser=browser or "",
        nonce=state.nonce,
        verifier=SecretBox(platform.settings).decrypt(state.sealed_verifier, state.state_hash).decode(),
    )
    client = Client(provider.client_id, secret_of(platform, provider), redirect_uri)
    try:
        metadata = await provider_client(platform).metadata(provider)
        oidc.check_answer_issuer(metadata, answer.issuer)
        if answer.error is not None or answer.code is None:
            _log.info("sign-on called off", provider=str(provider.id))
            raise SignOnFailed("access_denied")
        claims = await provider_client(platform).claims(provider, client, journey, answer.code)
    except ProviderRefused as refused:
        raise _failed(provider, refused) from None
    user, begun = await _begin(platform, provider, claims, origin)
    return Arrival(await handed_out(platform, user, begun), state.return_to)


async def _begin(
    platform: Platform, provider: IdentityProvider, claims: Mapping[str, Any], origin: Origin
) -> tuple[User, Any]:
    who = Who("system:sign-on", origin.address)
    async with platform.database.system() as session:
        role = await _role(session, provider, claims)
        user = await _linked(session, provider, claims["sub"])
        if user is None and role is not None:
            user = await _newly_linked(session, provider, claims)
        if user is not None and user.disabled_at is None:
            await _keep_membership(session, provider, user, role, who)
        if user is None or role is None or user.disabled_at is not None:
            await audit.record(
                session,
                who,
                "sign_on.refused",
                tenant_id=provider.tenant_id,
                target=("identity_provider", provider.id),
                after={"user": str(user.id) if user else None, "has_role": role is not None},
            )
            begun = None
        else:
            methods = ("oidc", "oidc_mfa") if provider.counts_as_second_factor else ("oidc",)
            begun = await challenges.begin(session, user, Proof(methods, provider.tenant_id), origin)
    if user is not None:
        # The membership may be another by now, or none: whoever is inside already is looked at anew.
        await authenticator(platform).revoke(f"user:{user.id}")
    if user is None or begun is None:
        raise SignOnFailed("not_allowed")
    return user, begun


async def _linked(session: AsyncSession, provider: IdentityProvider, subject: str) -> User | None:
    linked: User | None = await session.scalar(
        select(User)
        .join(IdentityLink, IdentityLink.user_id == User.id)
        .where(IdentityLink.provider_id == provider.id, IdentityLink.subject == subject)
    )
    return linked


async def _newly_linked(
    session: AsyncSession, provider: IdentityProvider, claims: Mapping[str, Any]
) -> User | None:
    """Link the subject to the account of an address that the provider may speak for, made where there is none."""
    email = oidc.verified_email(claims)
    spoken_for = set(provider.confirmed_domains) & set(provider.email_domains)
    if email is None or email.rpartition("@")[2] not in spoken_for:
        return None
    name = claims.get("name")
    await session.execute(
        insert(User)
        .values(
            id=new_id(),
            email=email,
            name=name[:_LONGEST_NAME] if isinstance(name, str) and name and is_storable(name) else email,
            # No password is right until its owner sets one by e-mail.
            password_hash="",
        )
        .on_conflict_do_nothing(index_elements=["email"])
    )
    user = (await session.scalars(select(User).where(User.email == email))).one()
    await session.execute(
        insert(IdentityLink)
        .values(provider_id=provider.id, subject=claims["sub"], tenant_id=provider.tenant_id, user_id=user.id)
        .on_conflict_do_nothing()
    )
    return user


async def _role(session: AsyncSession, provider: IdentityProvider, claims: Mapping[str, Any]) -> str | None:
    """Return the role that the claims give: of several, the one that may do most."""
    mapped = {provider.role_mapping.get(value) for value in oidc.claim_at(claims, provider.role_claim)}
    held = {}
    for role in sorted(one for one in mapped if isinstance(one, str)):
        permissions = await permissions_in(session, provider.tenant_id, role)
        if permissions is not None:
            held[role] = len(permissions)
    if held:
        return max(held, key=lambda role: held[role])
    default = provider.default_role
    if default is not None and await permissions_in(session, provider.tenant_id, default) is not None:
        return default
    return None


async def _keep_membership(
    session: AsyncSession, provider: IdentityProvider, user: User, role: str | None, who: Who
) -> None:
    """Let the membership be as the provider says, but for a tenant's last administrator."""
    tenant_id = provider.tenant_id
    # With every administrator, in the order in which whoever takes one away locks them.
    rows = await session.execute(
        select(Membership.user_id, Membership.role)
        .where(
            Membership.tenant_id == tenant_id,
            or_(Membership.user_id == user.id, Membership.role == _ADMIN),
        )
        .order_by(Membership.user_id)
        .with_for_update()
    )
    before = {row.user_id: row.role for row in rows}.get(user.id)
    if before == role or (before == _ADMIN and await _is_last_admin(session, tenant_id, user.id)):
        return
    if role is None:
        await session.execute(
            delete(Membership).where(Membership.tenant_id == tenant_id, Membership.user_id == user.id)
        )
    else:
        await session.execute(
            insert(Membership)
            .values(tenant_id=tenant_id, user_id=user.id, role=role)
            .on_conflict_do_update(index_elements=["tenant_id", "user_id"], set_={"role": role})
        )
    await audit.record(
        session,
        who,
        "member.changed_by_provider",
        tenant_id=tenant_id,
        target=("user", user.id),
        before={"role": before},
        after={"role": role, "provider": str(provider.id)},
    )


async def _is_last_admin(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> bool:
    others = (
        select(func.count())
        .select_from(Membership)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.tenant_id == tenant_id,
            Membership.user_id != user_id,
            Membership.role == _ADMIN,
            User.disabled_at.is_(None),
        )
    )
    return not await session.scalar(others)


async def _take_state(platform: Platform, state: str | None, browser: str | None) -> SignOnState:
    """Return what was begun in this very browser, for good."""
    if state is None or browser is None:
        raise SignOnFailed("expired")
    async with platform.database.system() as session:
        taken: SignOnState | None = await session.scalar(
            delete(SignOnState)
            .where(
                SignOnState.state_hash == hash_secret(state),
                SignOnState.browser_hash == hash_secret(browser),
                SignOnState.expires_at > func.now(),
            )
            .returning(SignOnState)
        )
    if taken is None:
        raise SignOnFailed("expired")
    return taken


def _failed(provider: IdentityProvider, refused: ProviderRefused) -> SignOnFailed:
    _log.warning("sign-on failed", provider=str(provider.id), reason=str(refused))
    return SignOnFailed("provider_failed")
