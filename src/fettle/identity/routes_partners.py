"""Partners, their people and the tenants of an installation, over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from fettle.identity import partners, tenants
from fettle.identity import schemas_people as schemas
from fettle.identity.access import CurrentPlatform, SignedInCaller
from fettle.identity.routes_people import CallerWho
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute)


@router.get("/tenants", tags=["tenants"])
async def list_tenants(
    platform: CurrentPlatform,
    caller: SignedInCaller,
    paging: Paging,
    q: Annotated[
        str | None, Query(min_length=1, max_length=200, description="Part of the name or the slug.")
    ] = None,
) -> Page[schemas.TenantOut]:
    """The tenants that one may see."""
    caller.refuse_one_time_password()
    rows = await tenants.list_tenants(platform, caller, after=paging.last_id(), limit=paging.limit + 1, q=q)
    return paging.by_id(rows, schemas.TenantOut.model_validate)


@router.post("/tenants", tags=["tenants"], status_code=201)
async def create_tenant(
    body: schemas.TenantIn, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> schemas.TenantOut:
    """Create a tenant, for the partner that looks after it where there is one."""
    caller.refuse_one_time_password()
    tenant = await tenants.create_tenant(
        platform, caller, who, name=body.name, slug=body.slug, partner_id=body.partner_id
    )
    return schemas.TenantOut.model_validate(tenant)


@router.get("/tenants/{tenant_id}", tags=["tenants"])
async def get_tenant(tenant_id: UUID, platform: CurrentPlatform, caller: SignedInCaller) -> schemas.TenantOut:
    """One tenant."""
    caller.refuse_one_time_password()
    return schemas.TenantOut.model_validate(await tenants.find_tenant(platform, caller, tenant_id))


@router.patch("/tenants/{tenant_id}", tags=["tenants"])
async def change_tenant(
    tenant_id: UUID,
    body: schemas.TenantChange,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    who: CallerWho,
) -> schemas.TenantOut:
    """Rename a tenant; a platform administrator also says which partner looks after it."""
    caller.refuse_one_time_password()
    changes = body.model_dump(exclude_unset=True)
    tenant = await tenants.change_tenant(platform, caller, who, tenant_id, changes)
    return schemas.TenantOut.model_validate(tenant)


@router.get("/partners", tags=["partners"])
async def list_partners(
    platform: CurrentPlatform, caller: SignedInCaller, paging: Paging
) -> Page[schemas.PartnerOut]:
    """The partners that one belongs to; a platform administrator sees all."""
    caller.refuse_one_time_password()
    rows = await partners.list_partners(platform, caller, after=paging.last_id(), limit=paging.limit + 1)
    return paging.by_id(rows, schemas.PartnerOut.model_validate)


@router.post("/partners", tags=["partners"], status_code=201)
async def create_partner(
    body: schemas.PartnerIn, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> schemas.PartnerOut:
    """Create a partner; for platform administrators."""
    caller.refuse_one_time_password()
    partners.check_platform_admin(caller)
    made = await partners.create_partner(platform, who, name=body.name, slug=body.slug)
    return schemas.PartnerOut.model_validate(made)


@router.get("/partners/{partner_id}", tags=["partners"])
async def get_partner(
    partner_id: UUID, platform: CurrentPlatform, caller: SignedInCaller
) -> schemas.PartnerOut:
    """One partner."""
    caller.refuse_one_time_password()
    return schemas.PartnerOut.model_validate(await partners.find_partner(platform, caller, partner_id))


@router.patch("/partners/{partner_id}", tags=["partners"])
async def rename_partner(
    partner_id: UUID,
    body: schemas.PartnerChange,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    who: CallerWho,
) -> schemas.PartnerOut:
    """Give a partner another name."""
    caller.refuse_one_time_password()
    renamed = await partners.rename_partner(platform, caller, who, partner_id, body.name)
    return schemas.PartnerOut.model_validate(renamed)


@router.get("/partners/{partner_id}/members", tags=["partners"])
async def list_partner_members(
    partner_id: UUID, platform: CurrentPlatform, caller: SignedInCaller, paging: Paging
) -> Page[schemas.PartnerMemberOut]:
    """A partner's people, who have one role in each of its tenants."""
    caller.refuse_one_time_password()
    rows = await partners.list_people(
        platform, caller, partner_id, after=paging.last_id(), limit=paging.limit + 1
    )
    return paging.by_id(rows, schemas.PartnerMemberOut.model_validate)


@router.post("/partners/{partner_id}/members", tags=["partners"], status_code=201)
async def add_partner_member(
    partner_id: UUID,
    body: schemas.MemberIn,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    who: CallerWho,
) -> schemas.PartnerMemberAdded:
    """Make a person one of a partner's; for platform administrators, everybody else invites."""
    caller.refuse_one_time_password()
    added = await partners.add_person(
        platform, caller, who, partner_id, email=body.email, name=body.name, role=body.role
    )
    shown = schemas.PartnerMemberOut.model_validate(added.colleague).model_dump()
    return schemas.PartnerMemberAdded(**shown, one_time_password=added.one_time_password)


@router.patch("/partners/{partner_id}/members/{user_id}", tags=["partners"])
async def change_partner_member(
    partner_id: UUID,
    user_id: UUID,
    body: schemas.RoleChange,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    who: CallerWho,
) -> schemas.PartnerMemberOut:
    """Give one of a partner's people another role in each of its tenants."""
    caller.refuse_one_time_password()
    changed = await partners.change_person(platform, caller, who, partner_id, user_id, body.role)
    return schemas.PartnerMemberOut.model_validate(changed)


@router.delete("/partners/{partner_id}/members/{user_id}", tags=["partners"], status_code=204)
async def remove_partner_member(
    partner_id: UUID, user_id: UUID, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> None:
    """Take somebody out of a partner, and thereby out of all its tenants."""
    caller.refuse_one_time_password()
    await partners.remove_person(platform, caller, who, partner_id, user_id)
