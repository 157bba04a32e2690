"""Signing in, who one is, tenants and members, over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select

from fettle.identity import members, routes_api_keys, routes_audit, schemas, sign_in, tenants
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
from fettle.identity.cookies import (
    REFRESH_COOKIE,
    clear_refresh_cookie,
    refuse_foreign_page,
    set_refresh_cookie,
)
from fettle.identity.models import ApiKey, Membership, Tenant, User
from fettle.identity.permissions import PERMISSIONS, ROLES
from fettle.kernel.errors import Unauthenticated
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform

router = APIRouter(route_class=StrictRoute)
router.include_router(routes_api_keys.router)
router.include_router(routes_audit.router)

_MOST_TENANTS_OF_ME = 200


@router.post("/auth/login", tags=["auth"])
async def login(
    body: schemas.Credentials, request: Request, response: Response, platform: CurrentPlatform
) -> schemas.AccessToken:
    """Sign in with address and password; the refresh token comes as a cookie."""
    signed_in = await sign_in.sign_in(
        platform,
        body.email,
        body.password,
        address=address_of(request),
        agent=request.headers.get("user-agent"),
    )
    return _hand_over(request, response, platform, signed_in)


@router.post("/auth/refresh", tags=["auth"])
async def refresh(request: Request, response: Response, platform: CurrentPlatform) -> schemas.AccessToken:
    """Exchange the cookie's refresh token for a new pair; a token that comes twice ends the session."""
    refuse_foreign_page(request, platform.settings)
    token = request.cookies.get(REFRESH_COOKIE)
    if token is None:
        raise Unauthenticated("There is no session to refresh. Sign in.")
    signed_in = await sign_in.refresh(platform, token, address=address_of(request))
    return _hand_over(request, response, platform, signed_in)


@router.post("/auth/logout", tags=["auth"], status_code=204)
async def logout(request: Request, response: Response, platform: CurrentPlatform) -> None:
    """End the cookie's session; its access tokens stop working at once."""
    refuse_foreign_page(request, platform.settings)
    token = request.cookies.get(REFRESH_COOKIE)
    if token is not None:
        await sign_in.sign_out(platform, token, address=address_of(request))
    clear_refresh_cookie(request, response, platform.settings)


@router.post("/auth/password", tags=["auth"], status_code=204)
async def change_password(
    body: schemas.PasswordChange, request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> None:
    """Change one's own password; every other session of the account ends."""
    await sign_in.change_password(
        platform,
        caller,
        current=body.current_password,
        new=body.new_password,
        address=address_of(request),
    )


@router.get("/me", tags=["auth"])
async def me(
    request: Request, platform: CurrentPlatform, caller: SignedInCaller, token: BearerToken
) -> schemas.Me:
    """Who is calling, their tenants, and their permissions in the tenant that the request names."""
    header = request.headers.get(TENANT_HEADER)
    chosen = None
    if not caller.must_change_password and (header is not None or len(caller.rights) == 1):
        chosen = await authenticator(platform).access(token, header)
    return schemas.Me(
        **await _name_of(platform, caller),
        is_platform_admin=caller.is_platform_admin,
        must_change_password=caller.must_change_password,
        tenants=await _tenants_of(platform, caller),
        tenant_id=chosen.tenant_id if chosen is not None else None,
        permissions=sorted(chosen.permissions) if chosen is not None else [],
    )


@router.get("/roles", tags=["auth"])
async def list_roles(caller: SignedInCaller) -> schemas.RolesAndPermissions:
    """Every role and every permission that there is."""
    del caller  # anybody who is signed in may know what there is
    return schemas.RolesAndPermissions(
        roles=[
            schemas.RoleOut(name=r.name, description=r.description, permissions=sorted(r.permissions))
            for r in ROLES.values()
        ],
        permissions=[schemas.PermissionOut(name=n, description=d) for n, d in PERMISSIONS.items()],
    )


@router.get("/tenants", tags=["tenants"])
async def list_tenants(
    platform: CurrentPlatform, caller: SignedInCaller, paging: Paging
) -> Page[schemas.TenantOut]:
    """The tenants that one may see."""
    caller.refuse_one_time_password()
    rows = await tenants.list_tenants(platform, caller, after=_after(paging), limit=paging.limit + 1)
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    return Page(items=[schemas.TenantOut.model_validate(row) for row in page], next_cursor=cursor)


@router.post("/tenants", tags=["tenants"], status_code=201)
async def create_tenant(
    body: schemas.TenantIn, request: Request, platform: CurrentPlatform, caller: SignedInCaller
) -> schemas.TenantOut:
    """Create a tenant; a partner's administrator belongs to it from the start."""
    caller.refuse_one_time_password()
    tenants.check_may_create(caller)
    tenant = await tenants.create_tenant(
        platform,
        name=body.name,
        slug=body.slug,
        who=Who(caller.actor, address_of(request)),
        member=None if caller.is_platform_admin else caller.user_id,
    )
    return schemas.TenantOut.model_validate(tenant)


@router.get("/tenants/{tenant_id}", tags=["tenants"])
async def get_tenant(tenant_id: UUID, platform: CurrentPlatform, caller: SignedInCaller) -> schemas.TenantOut:
    """One tenant."""
    caller.refuse_one_time_password()
    return schemas.TenantOut.model_validate(await tenants.find_tenant(platform, caller, tenant_id))


@router.get("/users", tags=["users"])
async def list_users(
    access: Annotated[Access, Depends(require("users:read", reads="users.listed"))],
    session: TenantSession,
    paging: Paging,
) -> Page[schemas.MemberOut]:
    """The tenant's members."""
    rows = await members.list_members(session, access.tenant_id, after=_after(paging), limit=paging.limit + 1)
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    return Page(items=[schemas.MemberOut.model_validate(row) for row in page], next_cursor=cursor)


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
    access: Annotated[Access, Depends(require("users:write"))],
    who: CurrentWho,
) -> schemas.MemberOut:
    """Give a member another role."""
    member = await members.change_role(platform, access, who, user_id, body.role)
    return schemas.MemberOut.model_validate(member)


@router.delete("/users/{user_id}", tags=["users"], status_code=204)
async def remove_user(
    user_id: UUID,
    platform: CurrentPlatform,
    access: Annotated[Access, Depends(require("users:write"))],
    who: CurrentWho,
) -> None:
    """End a membership; the account stays."""
    await members.remove_member(platform, access, who, user_id)


def _hand_over(
    request: Request, response: Response, platform: Platform, signed_in: sign_in.SignedIn
) -> schemas.AccessToken:
    set_refresh_cookie(request, response, platform.settings, signed_in)
    response.headers["Cache-Control"] = "no-store"
    return schemas.AccessToken(
        access_token=signed_in.access_token,
        expires_in=signed_in.expires_in,
        must_change_password=signed_in.must_change_password,
    )


def _after(paging: Paging) -> UUID | None:
    position = paging.after(UUID)
    return position[0] if position is not None else None


async def _name_of(platform: Platform, caller: Caller) -> dict[str, Any]:
    async with platform.database.system() as session:
        if caller.user_id is not None:
            user = (await session.scalars(select(User).where(User.id == caller.user_id))).one()
            return {"id": user.id, "kind": "user", "email": user.email, "name": user.name}
        name = await session.scalar(select(ApiKey.name).where(ApiKey.id == caller.api_key_id))
        return {"id": caller.api_key_id, "kind": "api_key", "email": None, "name": name or ""}


async def _tenants_of(platform: Platform, caller: Caller) -> list[schemas.TenantOfMine]:
    """Return the caller's tenants; a platform administrator's are all."""
    wanted = (
        select(Tenant.id, Tenant.name, Tenant.slug, Membership.role)
        .join(
            Membership,
            (Membership.tenant_id == Tenant.id) & (Membership.user_id == caller.user_id),
            isouter=True,
        )
        .order_by(Tenant.name, Tenant.id)
        .limit(_MOST_TENANTS_OF_ME)
    )
    if not caller.is_platform_admin:
        wanted = wanted.where(Tenant.id.in_(caller.rights))
    async with platform.database.system() as session:
        rows = (await session.execute(wanted)).all()
    implied = "platform_admin" if caller.is_platform_admin else None
    return [
        schemas.TenantOfMine(id=id_, name=name, slug=slug, role=role or implied)
        for id_, name, slug, role in rows
    ]
