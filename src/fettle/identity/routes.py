"""Signing in, who one is, tenants, members and API keys, over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select

from fettle.identity import members, routes_audit, schemas, sign_in, tenants
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
from fettle.identity.api_keys import create_api_key, list_api_keys, revoke_api_key
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
router.include_router(routes_audit.router)



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


@router.get("/api-keys", tags=["api-keys"])
async def list_keys(
    access: Annotated[Access, Depends(require("keys:read", reads="api_keys.listed"))],
    session: TenantSession,
    paging: Paging,
) -> Page[schemas.ApiKeyOut]:
    """The tenant's API keys, newest first, without their secrets."""
    rows = await list_api_keys(session, access.tenant_id, after=_after(paging), limit=paging.limit + 1)
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    return Page(items=[schemas.ApiKeyOut.model_validate(row) for row in page], next_cursor=cursor)


@router.post("/api-keys", tags=["api-keys"], status_code=201)
async def create_key(
    body: schemas.ApiKeyIn,
    session: TenantSession,
    access: Annotated[Access, Depends(require("keys:write"))],
    who: CurrentWho,
) -> schemas.ApiKeyIssued:
    """Make an API key; its secret is in this answer and nowhere else."""
    issued = await create_api_key(
        session, access, who, name=body.name, scopes=body.scopes, expires_at=body.expires_at
    )
    shown = schemas.ApiKeyOut.model_validate(issued.key).model_dump()
    return schemas.ApiKeyIssued(**shown, secret=issued.text)


@router.delete("/api-keys/{key_id}", tags=["api-keys"], status_code=204)
async def revoke_key(
    key_id: UUID,
    platform: CurrentPlatform,
    access: Annotated[Access, Depends(require("keys:write"))],
    who: CurrentWho,
) -> None:
    """Revoke an API key for good; it stops working at once."""
    await revoke_api_key(platform, access, key_id, who)


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
