"""A tenant's OpenID providers: declared by its administrators, their e-mail domains confirmed by the platform's."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from fettle.identity import audit, oidc, sessions
from fettle.identity.audit import Who
from fettle.identity.authentication import Access, authenticator
from fettle.identity.models import RefreshSession
from fettle.identity.models_sign_in import IdentityProvider
from fettle.identity.roles import check_may_give
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.secrets import SecretBox

MOST_PROVIDERS: Final = 20
MOST_OFFERED: Final = 10
_SECRET: Final = "client_secret"  # noqa: S105 - a field's name
_NOT_TOLD: Final = frozenset({"id", "tenant_id", "sealed_client_secret", "created_at", "updated_at"})


async def list_providers(
    session: AsyncSession, tenant_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[IdentityProvider]:
    """Return a tenant's providers by id, without their secrets.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        after: The last id of the page before.
        limit: How many at most.
    """
    wanted = select(IdentityProvider).where(IdentityProvider.tenant_id == tenant_id)
    if after is not None:
        wanted = wanted.where(IdentityProvider.id > after)
    return (await session.scalars(wanted.order_by(IdentityProvider.id).limit(limit))).all()


async def find_provider(session: AsyncSession, tenant_id: UUID, provider_id: UUID) -> IdentityProvider:
    """Return one of a tenant's providers.

    Raises:
        NotFound: It has no such.
    """
    found = await session.scalar(
        select(IdentityProvider).where(
            IdentityProvider.tenant_id == tenant_id, IdentityProvider.id == provider_id
        )
    )
    if found is None:
        raise NotFound("There is no such identity provider.")
    return found


async def create_provider(
    platform: Platform, access: Access, who: Who, fields: Mapping[str, Any]
) -> IdentityProvider:
    """Declare a provider.

    Raises:
        Invalid: A field is not acceptable.
        Forbidden: A role that it would give holds more than the caller does.
        Conflict: The tenant has as many as it may.
    """
    provider_id, now = new_id(), utcnow()
    values = _checked(platform, provider_id, fields)
    async with platform.database.tenant(access.tenant_id) as session:
        await _check_roles(session, access, fields)
        await hold_lock(await driver(session), "identity_providers", access.tenant_id)
        present = await list_providers(session, access.tenant_id, after=None, limit=MOST_PROVIDERS)
        if len(present) == MOST_PROVIDERS:
            raise Conflict(f"A tenant has {MOST_PROVIDERS} identity providers at most. Remove one first.")
        session.add(
            IdentityProvider(
                id=provider_id, tenant_id=access.tenant_id, created_at=now, updated_at=now, **values
            )
        )
        await session.flush()
        await audit.record(
            session,
            who,
            "identity_provider.created",
            tenant_id=access.tenant_id,
            target=("identity_provider", provider_id),
            after=_told(values),
        )
    return await _settled(platform, access, who, provider_id)


async def change_provider(
    platform: Platform, access: Access, who: Who, provider_id: UUID, fields: Mapping[str, Any]
) -> IdentityProvider:
    """Change a provider; what is not among the fields stays.

    Raises:
        NotFound: The tenant has no such provider.
        Invalid: A field is not acceptable.
        Forbidden: A role that it would give holds more than the caller does.
    """
    async with platform.database.tenant(access.tenant_id) as session:
        provider = await find_provider(session, access.tenant_id, provider_id)
        values = _checked(platform, provider_id, fields)
        await _check_roles(session, access, fields)
        before = _told({name: getattr(provider, name) for name in values if name not in _NOT_TOLD})
        # A secret is for the place that it was given for: who changes the place does not thereby get it.
        if values.get("issuer", provider.issuer) != provider.issuer and _SECRET not in fields:
            values["sealed_client_secret"] = None
        await session.execute(
            update(IdentityProvider)
            .where(IdentityProvider.tenant_id == access.tenant_id, IdentityProvider.id == provider_id)
            .values(**values, updated_at=utcnow())
        )
        await audit.record(
            session,
            who,
            "identity_provider.changed",
            tenant_id=access.tenant_id,
            target=("identity_provider", provider_id),
            before=before,
            after=_told(values),
        )
    if values.get("enabled") is False:
        await _end_sessions(platform, access.tenant_id)
    return await _settled(platform, access, who, provider_id)


async def remove_provider(platform: Platform, access: Access, who: Who, provider_id: UUID) -> None:
    """Remove a provider; whoever came by one of the tenant's is signed out.

    Raises:
        NotFound: The tenant has no such provider.
    """
    async with platform.database.tenant(access.tenant_id) as session:
        provider = await find_provider(session, access.tenant_id, provider_id)
        await session.execute(
            delete(IdentityProvider).where(
                IdentityProvider.tenant_id == access.tenant_id, IdentityProvider.id == provider_id
            )
        )
        await audit.record(
            session,
            who,
            "identity_provider.removed",
            tenant_id=access.tenant_id,
            target=("identity_provider", provider_id),
            before={"name": provider.name, "issuer": provider.issuer},
        )
    await _end_sessions(platform, access.tenant_id)


async def confirm_domains(
    platform: Platform, access: Access, who: Who, provider_id: UUID
) -> IdentityProvider:
    """Confirm that a provider's e-mail domains are its tenant's, so that it may vouch for their addresses.

    Raises:
        Forbidden: The caller is no platform administrator.
        NotFound: The tenant has no such provider.
    """
    access.check("platform:admin")
    async with platform.database.tenant(access.tenant_id) as session:
        await find_provider(session, access.tenant_id, provider_id)
    return await _settled(platform, access, who, provider_id)


async def providers_for(platform: Platform, email: str) -> Sequence[IdentityProvider]:
    """Return the providers that vouch for a domain; whether the address has an account plays no part."""
    domain = email.strip().lower().rpartition("@")[2]
    async with platform.database.system() as session:
        wanted = select(IdentityProvider).where(
            IdentityProvider.enabled,
            IdentityProvider.confirmed_domains.contains([domain]),
            IdentityProvider.email_domains.contains([domain]),
        )
        return (await session.scalars(wanted.order_by(IdentityProvider.id).limit(MOST_OFFERED))).all()


async def usable_provider(session: AsyncSession, provider_id: UUID) -> IdentityProvider | None:
    """Return a provider that people may sign in by, with its sealed secret; for the system role."""
    return await session.scalar(
        select(IdentityProvider)
        .where(IdentityProvider.id == provider_id, IdentityProvider.enabled)
        .options(undefer(IdentityProvider.sealed_client_secret))
    )


def secret_of(platform: Platform, provider: IdentityProvider) -> str | None:
    """Return a provider's client secret, for the provider alone."""
    if provider.sealed_client_secret is None:
        return None
    return (
        SecretBox(platform.settings).decrypt(provider.sealed_client_secret, _bound_to(provider.id)).decode()
    )


async def _settled(platform: Platform, access: Access, who: Who, provider_id: UUID) -> IdentityProvider:
    """Confirm the domains where the caller may, and return the provider as it is now."""
    if "platform:admin" in access.permissions:
        async with platform.database.system() as session:
            provider = await find_provider(session, access.tenant_id, provider_id)
            if set(provider.email_domains) != set(provider.confirmed_domains):
                await audit.record(
                    session,
                    who,
                    "identity_provider.domains_confirmed",
                    tenant_id=access.tenant_id,
                    target=("identity_provider", provider_id),
                    before={"confirmed_domains": provider.confirmed_domains},
                    after={"confirmed_domains": provider.email_domains},
                )
                provider.confirmed_domains = list(provider.email_domains)
    async with platform.database.tenant(access.tenant_id) as session:
        return await find_provider(session, access.tenant_id, provider_id)


async def _check_roles(session: AsyncSession, access: Access, fields: Mapping[str, Any]) -> None:
    given = set((fields.get("role_mapping") or {}).values())
    for role in sorted(given | ({fields["default_role"]} if fields.get("default_role") else set())):
        await check_may_give(session, access, role)


def _checked(platform: Platform, provider_id: UUID, fields: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in fields.items() if name != _SECRET}
    if "issuer" in values:
        try:
            values["issuer"] = oidc.read_issuer(values["issuer"])
        except oidc.ProviderRefused as refused:
            raise Invalid(f"{refused}.", errors=[FieldError("/issuer", str(refused))]) from None
    if "email_domains" in values:
        values["email_domains"] = sorted({domain.lower() for domain in values["email_domains"]})
    if _SECRET in fields:
        secret = fields[_SECRET]
        values["sealed_client_secret"] = (
            SecretBox(platform.settings).encrypt(secret.encode(), _bound_to(provider_id)) if secret else None
        )
    return values


async def _end_sessions(platform: Platform, tenant_id: UUID) -> None:
    async with platform.database.system() as session:
        ended = await sessions.end_all(
            session, RefreshSession.within_tenant == tenant_id, because="the identity provider was removed"
        )
    await authenticator(platform).revoke(*(f"session:{one}" for one in ended))


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in values.items() if name not in _NOT_TOLD}
    if "sealed_client_secret" in values:
        told["client_secret_changed"] = True
    return told


def _bound_to(provider_id: UUID) -> bytes:
    return f"identity_providers:{provider_id}".encode()
