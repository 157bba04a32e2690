"""Tenants: created by those who look after several, seen by those who belong to them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.models import Membership, Tenant
from fettle.identity.models_people import Partner
from fettle.identity.partners import check_at
from fettle.identity.permissions import permissions_of
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


async def create_tenant(
    platform: Platform, caller: Caller, who: Who, *, name: str, slug: str, partner_id: UUID | None
) -> Tenant:
    """Create a tenant.

    A partner's administrator creates it for the partner, whose people may act in it at once. Whoever creates
    tenants without a partner belongs to it from the start as ``partner_admin``; a platform administrator needs
    no membership.

    Args:
        platform: The process's parts.
        caller: Who creates it.
        who: The same, for the audit.
        name: What people call it.
        slug: Its short name in links, unique in the installation.
        partner_id: The partner that looks after it; None for the caller's only one, where there is one.

    Raises:
        Forbidden: The caller may not create tenants.
        NotFound: There is no such partner for the caller.
        Conflict: The slug is taken.
        Invalid: The slug has another form, or the caller has several partners and named none.
    """
    if _SLUG.fullmatch(slug) is None:
        fault = "must be 1 to 63 lower-case letters, digits and hyphens, without a hyphen at either end"
        raise Invalid(f"The slug {fault}.", errors=[FieldError("/slug", fault)])
    partner_id = _partner_for(caller, partner_id)
    alone = partner_id is None and not caller.is_platform_admin
    async with platform.database.system() as session:
        await _lock_partner(session, partner_id)
        tenant = await _insert(session, name, slug, partner_id)
        if tenant is None:
            raise Conflict(
                "There is a tenant with this slug. Choose another.", errors=[FieldError("/slug", "is taken")]
            )
        if alone and caller.user_id is not None:
            session.add(Membership(tenant_id=tenant.id, user_id=caller.user_id, role="partner_admin"))
            await session.flush()
        await audit.record(
            session,
            who,
            "tenant.created",
            tenant_id=tenant.id,
            target=("tenant", tenant.id),
            after=_audited(tenant),
        )
    await _revoke(platform, {partner_id}, *([f"user:{caller.user_id}"] if alone else []))
    return tenant


async def change_tenant(
    platform: Platform, caller: Caller, who: Who, tenant_id: UUID, changes: Mapping[str, Any]
) -> Tenant:
    """Rename a tenant, or put it into the care of another partner.

    Args:
        platform: The process's parts.
        caller: Who changes it.
        who: The same, for the audit.
        tenant_id: The tenant.
        changes: Of ``name`` and ``partner_id``; what is not there stays.

    Raises:
        NotFound: There is no such tenant, or partner, for the caller.
        Forbidden: ``tenants:write`` is not held in it; or the partner is to change, which decides who may see
            it and is a platform administrator's to say.
    """
    if not caller.is_platform_admin:
        held = caller.rights.get(tenant_id, frozenset())
        if "tenants:read" not in held:
            raise _no_such_tenant()
        if "tenants:write" not in held:
            raise Forbidden("This needs the permission tenants:write. Ask the tenant's service provider.")
        if "partner_id" in changes:
            raise Forbidden("Which partner looks after a tenant is decided by a platform administrator.")
    async with platform.database.system() as session:
        await _lock_partner(session, changes.get("partner_id"))
        tenant = await session.scalar(select(Tenant).where(Tenant.id == tenant_id).with_for_update())
        if tenant is None:
            raise _no_such_tenant()
        before, partners = _audited(tenant), {tenant.partner_id}
        for name in changes.keys() & {"name", "partner_id"}:
            setattr(tenant, name, changes[name])
        partners.add(tenant.partner_id)
        await session.flush()
        await audit.record(
            session,
            who,
            "tenant.changed",
            tenant_id=tenant_id,
            target=("tenant", tenant_id),
            before=before,
            after=_audited(tenant),
        )
    if "partner_id" in changes:
        await _revoke(platform, partners)
    return tenant


async def ensure_tenant(platform: Platform, slug: str, name: str) -> UUID:
    """Return the id of the tenant with a slug, created where there is none; for the demo and for tests."""
    async with platform.database.system() as session:
        tenant = await _insert(session, name, slug, None)
        if tenant is not None:
            await audit.record(
                session,
                Who("system:setup"),
                "tenant.created",
                tenant_id=tenant.id,
                target=("tenant", tenant.id),
                after={"name": name, "slug": slug},
            )
            return tenant.id
        return (await session.scalars(select(Tenant.id).where(Tenant.slug == slug))).one()


async def list_tenants(
    platform: Platform, caller: Caller, *, after: UUID | None, limit: int, q: str | None = None
) -> Sequence[Tenant]:
    """Return the tenants that the caller may see, by id: a platform administrator's are all.

    Args:
        platform: The process's parts.
        caller: Who asks.
        after: The last id of the page before.
        limit: How many at most.
        q: Part of the name or the slug.
    """
    wanted = select(Tenant)
    if q:
        wanted = wanted.where(func.strpos(func.lower(Tenant.name + " " + Tenant.slug), q.lower()) > 0)
    if not caller.is_platform_admin:
        seen = [tenant for tenant, rights in caller.rights.items() if "tenants:read" in rights]
        wanted = wanted.where(Tenant.id.in_(seen))
    if after is not None:
        wanted = wanted.where(Tenant.id > after)
    async with platform.database.system() as session:
        return (await session.scalars(wanted.order_by(Tenant.id).limit(limit))).all()


async def find_tenant(platform: Platform, caller: Caller, tenant_id: UUID) -> Tenant:
    """Return one tenant.

    Raises:
        NotFound: There is none such for the caller.
    """
    if caller.is_platform_admin or "tenants:read" in caller.rights.get(tenant_id, ()):
        async with platform.database.tenant(tenant_id) as session:
            tenant = await session.scalar(select(Tenant).where(Tenant.id == tenant_id))
        if tenant is not None:
            return tenant
    raise _no_such_tenant()


def _partner_for(caller: Caller, wanted: UUID | None) -> UUID | None:
    """Return the partner that a new tenant of the caller's is for."""
    if wanted is not None:
        check_at(caller, wanted, "tenants:write")
        return wanted
    if caller.is_platform_admin:
        return None
    own = [partner for partner, role in caller.partners.items() if "tenants:write" in permissions_of(role)]
    if len(own) > 1:
        raise Invalid(
            "You look after tenants of several partners. Say for which one this is; GET /api/v1/partners lists them.",
            errors=[FieldError("/partner_id", "is missing")],
        )
    if own:
        return own[0]
    if not any("tenants:write" in rights for rights in caller.rights.values()):
        raise Forbidden("This needs the permission tenants:write. Ask a platform administrator.")
    return None


async def _lock_partner(session: AsyncSession, partner_id: UUID | None) -> None:
    if partner_id is not None:
        found = await session.scalar(
            select(Partner.id).where(Partner.id == partner_id).with_for_update(read=True)
        )
        if found is None:
            raise NotFound("There is no such partner for this account.")


async def _revoke(platform: Platform, partners: Iterable[UUID | None], *subjects: str) -> None:
    named = [f"partner:{partner}" for partner in partners if partner is not None]
    if named or subjects:
        await authenticator(platform).revoke(*named, *subjects)


def _audited(tenant: Tenant) -> dict[str, Any]:
    partner = None if tenant.partner_id is None else str(tenant.partner_id)
    return {"name": tenant.name, "slug": tenant.slug, "partner_id": partner}


def _no_such_tenant() -> NotFound:
    return NotFound("There is no such tenant for this account.")


async def _insert(session: AsyncSession, name: str, slug: str, partner_id: UUID | None) -> Tenant | None:
    return await session.scalar(
        insert(Tenant)
        .values(id=new_id(), name=name, slug=slug, partner_id=partner_id)
        .on_conflict_do_nothing(index_elements=["slug"])
        .returning(Tenant)
    )
