"""Signing in and out, over HTTP; the other areas of identity are routers of their own."""

from fastapi import APIRouter, Request, Response

from fettle.identity import routes_api_keys, routes_audit, routes_partners, routes_people, schemas, sign_in
from fettle.identity.access import CurrentPlatform, SignedInCaller, address_of
from fettle.identity.cookies import (
    REFRESH_COOKIE,
    clear_refresh_cookie,
    refuse_foreign_page,
    set_refresh_cookie,
)
from fettle.kernel.errors import Unauthenticated
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform

router = APIRouter(route_class=StrictRoute)
router.include_router(routes_people.router)
router.include_router(routes_partners.router)
router.include_router(routes_api_keys.router)
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
