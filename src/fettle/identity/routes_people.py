"""Oneself, the people of a tenant, its roles, and the accounts of the installation, over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from sqlalchemy import select

from fettle.identity import accounts, members, own_tenants, roles, second_factors, step_up
from fettle.identity import schemas_people as schemas
from fettle.identity.access import (
    TENANT_HEADER,
    Access,
    BearerToken,
    CurrentPlatform,
    CurrentWho,
    SignedInCaller,
    TenantSession,
    address_of,
    require,
)
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.models import ApiKey, User
from fettle.identity.models_people import Partner
from fettle.identity.permissions import PERMISSIONS
from fettle.identity.sign_in_policy import SecondFactorRequired, SignInWayRefused
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform

router = APIRouter(route_class=StrictRoute)

Searched = Annotated[
    str | None, Query(min_length=1, max_length=200, description="Part of the name or the address.")
]
SearchedTenant = Annotated[
    str | None, Query(min_length=1, max_length=200, description="Part of the name or the slug.")
]
Slugs = Annotated[
    list[Annotated[str, Field(max_length=63)]] | None,
    Query(max_length=20, description="Only those with one of these slugs."),
]
HeldRole = Annotated[str | None, Query(min_length=1, max_length=63, description="Only those with this role.")]


async def caller_as_who(request: Request, caller: SignedInCaller) -> Who:
    """Return the caller as the audit names them, for a route that is about no tenant."""
    return Who(caller.actor, address_of(request))


CallerWho = Annotated[Who, Depends(caller_as_who)]


Manager = Annotated[Access, Depends(require("users:write"))]


@router.get("/me", tags=["auth"])
async def me(
    request: Request, platform: CurrentPlatform, caller: SignedInCaller, token: BearerToken
) -> schemas.Me:
    """Who is calling, their tenants and partners, and their permissions in the tenant that the request names."""
    header = request.headers.get(TENANT_HEADER)
    chosen, refusal = None, None
    if not caller.must_change_password and (header is not None or len(caller.rights) == 1):
        try:
            chosen = await authenticator(platform).access(token, header)
        except (SecondFactorRequired, SignInWayRefused) as refused:
            refusal = refused.slug
    first = await own_tenants.own_tenants(platform, caller, own_tenants.Wanted(), limit=own_tenants.FIRST + 1)
    return schemas.Me(
        **await _name_of(platform, caller),
        is_platform_admin=caller.is_platform_admin,
        must_change_password=caller.must_change_password,
        tenants=[one.tenant for one in first[: own_tenants.FIRST]],
        more_tenants=len(first) > own_tenants.FIRST,
        partners=await _partners_of(platform, caller),
        tenant_id=chosen.tenant_id if chosen is not None else None,
        permissions=sorted(chosen.permissions) if chosen is not None else [],
        refused_because=refusal,
    )


@router.get("/me/tenants", tags=["auth"])
async def my_tenants(
    platform: CurrentPlatform,
    caller: SignedInCaller,
    paging: Paging,
    q: SearchedTenant = None,
    slug: Slugs = None,
) -> Page[schemas.TenantOfMine]:
    """The caller's tenants by name, page by page, and whichever of them are searched for."""
    placed = await own_tenants.own_tenants(
        platform,
        caller,
        own_tenants.Wanted(q, slug),
        after=paging.after(str, UUID),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(placed, lambda one: one.position)
    return Page(items=[one.tenant for one in page], next_cursor=cursor)


@router.patch("/me", tags=["auth"])
async def change_my_name(
    body: schemas.MyName, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> schemas.Myself:
    """Give oneself another name."""
    step_up.person(caller)
    return schemas.Myself.model_validate(await accounts.change_own_name(platform, caller, who, body.name))


@router.get("/roles", tags=["users"])
async def list_roles(
    request: Request, platform: CurrentPlatform, caller: SignedInCaller, token: BearerToken
) -> schemas.RolesAndPermissions:
    """Every permission that there is, and every role: the built-in ones and those of the tenant that is named."""
    header = request.headers.get(TENANT_HEADER)
    found = roles.builtin_roles()
    if not caller.must_change_password and (header is not None or len(caller.rights) == 1):
        access = await authenticator(platform).access(token, header)
        async with platform.database.tenant(access.tenant_id) as session:
            found = await roles.list_roles(session, access.tenant_id)
    return schemas.RolesAndPermissions(
        roles=[_role(role) for role in found],
        permissions=[schemas.PermissionOut(name=n, description=d) for n, d in PERMISSIONS.items()],
    )


@router.post("/roles", tags=["users"], status_code=201)
async def create_role(
    body: schemas.RoleIn,
    session: TenantSession,
    access: Manager,
    who: CurrentWho,
) -> schemas.RoleOut:
    """Define a role of the tenant's own, of permissions that the caller has."""
    made = await roles.create_role(
        session, access, who, name=body.name, description=body.description, permissions=body.permissions
    )
    return _role(made)


@router.put("/roles/{name}", tags=["users"])
async def change_role_definition(
    name: str,
    body: schemas.RoleDefinition,
    platform: CurrentPlatform,
    access: Manager,
    who: CurrentWho,
) -> schemas.RoleOut:
    """Change a role of the tenant's own; whoever has it is bound by it at once."""
    changed = await roles.change_role(
        platform, access, who, name, description=body.description, permissions=body.permissions
    )
    return _role(changed)


@router.delete("/roles/{name}", tags=["users"], status_code=204)
async def delete_role(
    name: str,
    platform: CurrentPlatform,
    access: Manager,
    who: CurrentWho,
) -> None:
    """Delete a role of the tenant's own that nobody has."""
    await roles.delete_role(platform, access, who, name)


@router.get("/users", tags=["users"])
async def list_users(
    access: Annotated[Access, Depends(require("users:read", reads="users.listed"))],
    session: TenantSession,
    paging: Paging,
    q: Searched = None,
    role: HeldRole = None,
) -> Page[schemas.MemberOut]:
    """Who may act in the tenant: its members, and the people of its partner."""
    rows = await members.list_members(
        session, access.tenant_id, after=paging.last_id(), limit=paging.limit + 1, q=q, role=role
    )
    return paging.by_id(rows, schemas.MemberOut.model_validate)


@router.post("/users", tags=["users"], status_code=201)
async def add_user(
    body: schemas.MemberIn,
    platform: CurrentPlatform,
    access: Annotated[Access, Depends(require("platform:admin"))],
    who: CurrentWho,
) -> schemas.MemberAdded:
    """Make a person a member of the tenant; a new account's one-time password is shown once."""
    added = await members.add_member(platform, access, who, email=body.email, name=body.name, role=body.role)
    shown = schemas.MemberOut.model_validate(added.member).model_dump()
    return schemas.MemberAdded(**shown, one_time_password=added.one_time_password)


@router.patch("/users/{user_id}", tags=["users"])
async def change_role(
    user_id: UUID,
    body: schemas.RoleChange,
    platform: CurrentPlatform,
    access: Manager,
    who: CurrentWho,
) -> schemas.MemberOut:
    """Give a member another role; the last administrator of a tenant keeps theirs."""
    member = await members.change_role(platform, access, who, user_id, body.role)
    return schemas.MemberOut.model_validate(member)


@router.delete("/users/{user_id}", tags=["users"], status_code=204)
async def remove_user(
    user_id: UUID,
    platform: CurrentPlatform,
    access: Manager,
    who: CurrentWho,
) -> None:
    """End a membership, but for that of the last administrator; the account stays."""
    await members.remove_member(platform, access, who, user_id)


@router.get("/accounts", tags=["accounts"])
async def list_accounts(
    platform: CurrentPlatform, caller: SignedInCaller, paging: Paging, q: Searched = None
) -> Page[schemas.AccountOut]:
    """Every account of the installation, for platform administrators."""
    caller.refuse_one_time_password()
    rows = await accounts.list_accounts(platform, caller, after=paging.last_id(), limit=paging.limit + 1, q=q)
    return paging.by_id(rows, schemas.AccountOut.model_validate)


@router.patch("/accounts/{account_id}", tags=["accounts"])
async def change_account(
    account_id: UUID,
    body: schemas.AccountChange,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    who: CallerWho,
) -> schemas.AccountOut:
    """Disable an account, which ends its sessions at once, or enable it; for platform administrators."""
    caller.refuse_one_time_password()
    user = await accounts.set_disabled(platform, caller, who, account_id, disabled=body.disabled)
    return schemas.AccountOut.model_validate(user)


@router.delete("/accounts/{account_id}/second-factors", tags=["accounts"], status_code=204)
async def reset_second_factors_of_account(
    account_id: UUID, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> None:
    """Take every second factor from an account whose owner has lost them; for platform administrators.

    Its sessions end, and every tenant that asks for a second factor asks for a new one.
    """
    caller.refuse_one_time_password()
    await step_up.refuse_stale(platform, caller, None)
    await second_factors.reset_of_account(platform, caller, who, account_id)


def _role(role: roles.TenantRole) -> schemas.RoleOut:
    return schemas.RoleOut(
        name=role.name,
        description=role.description,
        permissions=sorted(role.permissions),
        builtin=role.builtin,
    )


async def _name_of(platform: Platform, caller: Caller) -> dict[str, Any]:
    async with platform.database.system() as session:
        if caller.user_id is not None:
            user = (await session.scalars(select(User).where(User.id == caller.user_id))).one()
            return {"id": user.id, "kind": "user", "email": user.email, "name": user.name}
        name = await session.scalar(select(ApiKey.name).where(ApiKey.id == caller.api_key_id))
        return {"id": caller.api_key_id, "kind": "api_key", "email": None, "name": name or ""}


async def _partners_of(platform: Platform, caller: Caller) -> list[schemas.PartnerOfMine]:
    if not caller.partners:
        return []
    wanted = select(Partner).where(Partner.id.in_(caller.partners)).order_by(Partner.name, Partner.id)
    async with platform.database.system() as session:
        found = (await session.scalars(wanted)).all()
    return [
        schemas.PartnerOfMine(id=p.id, name=p.name, slug=p.slug, role=caller.partners[p.id]) for p in found
    ]
