"""Tenants: created by those who look after several, seen by those who belong to them."""

import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.models import Membership, Tenant
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


async def create_tenant(platform: Platform, *, name: str, slug: str, who: Who, member: UUID | None) -> Tenant:
    """Create a tenant.

    Args:
        platform: The process's parts.
        name: What people call it.
        slug: Its short name in links, unique in the installation.
        who: Whose wish it is.
        member: A user who belongs to it from the start as ``partner_admin``; None for a platform admin,
            who needs no membership.

    Raises:
        Conflict: The slug is taken.
        Invalid: The slug has another form.
    """
    if _SLUG.fullmatch(slug) is None:
        fault = "must be 1 to 63 lower-case letters, digits and hyphens, without a hyphen at either end"
        raise Invalid(f"The slug {fault}.", errors=[FieldError("/slug", fault)])
    async with platform.database.system() as session:
        tenant = await _insert(session, name, slug)
        if tenant is None:
            raise Conflict(
                "There is a tenant with this slug. Choose another.", errors=[FieldError("/slug", "is taken")]
            )
        if member is not None:
            session.add(Membership(tenant_id=tenant.id, user_id=member, role="partner_admin"))
            await session.flush()
        await audit.record(
            session,
            who,
            "tenant.created",
            tenant_id=tenant.id,
            target=("tenant", tenant.id),
            after={"name": name, "slug": slug},
        )
    if member is not None:
        await authenticator(platform).revoke(f"user:{member}")
    return tenant


async def ensure_tenant(platform: Platform, slug: str, name: str) -> UUID:
    """Return the id of the tenant with a slug, created where there is none; for the demo and for tests."""
    async with platform.database.system() as session:
        tenant = await _insert(session, name, slug)
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
    platform: Platform, caller: Caller, *, after: UUID | None, limit: int
) -> Sequence[Tenant]:
    """Return the tenants that the caller may see, by id: a platform administrator's are all.

    Args:
        platform: The process's parts.
        caller: Who asks.
        after: The last id of the page before.
        limit: How many at most.
    """
    wanted = select(Tenant)
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
    raise NotFound("There is no such tenant for this account.")


def check_may_create(caller: Caller) -> None:
    """Refuse whoever may not create tenants.

    Raises:
        Forbidden: ``tenants:write`` is held in no tenant.
    """
    if not caller.is_platform_admin and not any("tenants:write" in r for r in caller.rights.values()):
        raise Forbidden("This needs the permission tenants:write. Ask a platform administrator.")


async def _insert(session: AsyncSession, name: str, slug: str) -> Tenant | None:
    return await session.scalar(
        insert(Tenant)
        .values(id=new_id(), name=name, slug=slug)
        .on_conflict_do_nothing(index_elements=["slug"])
        .returning(Tenant)
    )
