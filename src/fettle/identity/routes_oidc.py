"""Identity providers, and the way of a browser to one and back, over HTTP."""

from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse

from fettle.identity import identity_providers, sign_on, step_up
from fettle.identity import schemas_sign_on as schemas
from fettle.identity.access import (
    Access,
    CurrentPlatform,
    CurrentWho,
    SignedInCaller,
    TenantSession,
    require,
)
from fettle.identity.cookies import is_secure, set_refresh_cookie
from fettle.identity.routes_sign_in import origin_of
from fettle.identity.schemas import Email
from fettle.identity.sessions import SignedIn
from fettle.identity.sign_on import Answer, SignOnFailed
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform

router = APIRouter(route_class=StrictRoute)

Reader = Annotated[Access, Depends(require("sign_on:read"))]
Declarer = Annotated[Access, Depends(require("sign_on:write"))]

DEFAULT_CLAIM: Final = "realm_access.roles"
CALLBACK: Final = "/api/v1/auth/oidc/callback"
COOKIE: Final = "fettle_sign_on"
_COOKIE_PATH: Final = "/api/v1/auth/oidc"
_LONGEST: Final = 4_096
_NOT_NULL: Final = frozenset(schemas.ProviderChange.model_fields) - {"client_secret", "default_role"}


@router.get("/identity-providers", tags=["identity-providers"])
async def list_providers(access: Reader, session: TenantSession, paging: Paging) -> Page[schemas.ProviderOut]:
    """The tenant's identity providers, without their secrets."""
    rows = await identity_providers.list_providers(
        session, access.tenant_id, after=paging.last_id(), limit=paging.limit + 1
    )
    return paging.by_id(rows, schemas.ProviderOut.model_validate)


@router.post("/identity-providers", tags=["identity-providers"], status_code=201)
async def create_provider(
    body: schemas.ProviderIn,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    access: Declarer,
    who: CurrentWho,
) -> schemas.ProviderOut:
    """Declare an identity provider; it vouches for addresses once a platform administrator confirms the domains."""
    await step_up.refuse_stale(platform, caller, None)
    fields = body.model_dump() | {"role_claim": body.role_claim or DEFAULT_CLAIM}
    made = await identity_providers.create_provider(platform, access, who, fields)
    return schemas.ProviderOut.model_validate(made)


@router.get("/identity-providers/{provider_id}", tags=["identity-providers"])
async def get_provider(
    provider_id: UUID,
    access: Reader,
    session: TenantSession,
) -> schemas.ProviderOut:
    """One identity provider."""
    found = await identity_providers.find_provider(session, access.tenant_id, provider_id)
    return schemas.ProviderOut.model_validate(found)


@router.patch("/identity-providers/{provider_id}", tags=["identity-providers"])
async def change_provider(
    provider_id: UUID,
    body: schemas.ProviderChange,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    access: Declarer,
    who: CurrentWho,
) -> schemas.ProviderOut:
    """Change an identity provider; another issuer needs the client secret anew."""
    await step_up.refuse_stale(platform, caller, None)
    sent = body.model_dump(exclude_unset=True)
    fields = {name: value for name, value in sent.items() if value is not None or name not in _NOT_NULL}
    if "role_claim" in sent:
        fields["role_claim"] = body.role_claim or DEFAULT_CLAIM
    changed = await identity_providers.change_provider(platform, access, who, provider_id, fields)
    return schemas.ProviderOut.model_validate(changed)


@router.delete("/identity-providers/{provider_id}", tags=["identity-providers"], status_code=204)
async def remove_provider(
    provider_id: UUID,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    access: Declarer,
    who: CurrentWho,
) -> None:
    """Remove an identity provider; whoever came by one of the tenant's is signed out."""
    await step_up.refuse_stale(platform, caller, None)
    await identity_providers.remove_provider(platform, access, who, provider_id)


@router.post("/identity-providers/{provider_id}/confirm-domains", tags=["identity-providers"])
async def confirm_domains(
    provider_id: UUID,
    platform: CurrentPlatform,
    caller: SignedInCaller,
    access: Annotated[Access, Depends(require("platform:admin"))],
    who: CurrentWho,
) -> schemas.ProviderOut:
    """Confirm that the provider's e-mail domains are the tenant's."""
    await step_up.refuse_stale(platform, caller, None)
    confirmed = await identity_providers.confirm_domains(platform, access, who, provider_id)
    return schemas.ProviderOut.model_validate(confirmed)


@router.get("/auth/providers", tags=["auth"])
async def offered_providers(
    platform: CurrentPlatform, email: Annotated[Email, Query(examples=["ann@alder.example"])]
) -> list[schemas.Offered]:
    """The providers that vouch for an address's domain, whether or not it has an account."""
    found = await identity_providers.providers_for(platform, email)
    return [
        schemas.Offered(id=one.id, name=one.name, start_href=f"/api/v1/auth/oidc/{one.id}/start")
        for one in found
    ]


@router.get("/auth/oidc/{provider_id}/start", include_in_schema=False)
async def start(
    provider_id: UUID, request: Request, platform: CurrentPlatform, return_to: str | None = None
) -> RedirectResponse:
    """Send the browser to a provider."""
    try:
        departure = await sign_on.depart(
            platform, provider_id, redirect_uri=_callback(request, platform), return_to=return_to
        )
    except SignOnFailed as failed:
        return _explained(failed)
    response = RedirectResponse(departure.address, status_code=302)
    # Lax, so that it comes along when the provider sends the browser back, and with nothing that a page posts.
    response.set_cookie(
        COOKIE,
        departure.browser,
        max_age=int(sign_on.LIFETIME.total_seconds()),
        path=_COOKIE_PATH,
        secure=is_secure(request, platform.settings),
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/auth/oidc/callback", include_in_schema=False)
async def callback(request: Request, platform: CurrentPlatform) -> RedirectResponse:
    """Take the browser back from a provider, into the console."""
    try:
        arrival = await sign_on.arrive(
            platform,
            Answer(**{name: _single(request, key) for name, key in _ANSWERED.items()}),
            browser=request.cookies.get(COOKIE),
            redirect_uri=_callback(request, platform),
            origin=origin_of(request),
        )
    except SignOnFailed as failed:
        response = _explained(failed)
    else:
        response = RedirectResponse(arrival.return_to, status_code=302)
        if isinstance(arrival.begun, SignedIn):
            set_refresh_cookie(request, response, platform.settings, arrival.begun)
        else:
            # In the fragment, which neither a server's log nor a Referer ever sees.
            told = {"challenge": arrival.begun.token, "methods": ",".join(arrival.begun.methods)}
            response = RedirectResponse(f"/#{urlencode(told)}", status_code=302)
    response.delete_cookie(COOKIE, path=_COOKIE_PATH, httponly=True, samesite="lax")
    return response


_ANSWERED: Final = {"state": "state", "code": "code", "issuer": "iss", "error": "error"}


def _single(request: Request, name: str) -> str | None:
    """Return a parameter that came once; one that came twice could be read in two ways, so it is none."""
    values = request.query_params.getlist(name)
    return values[0] if len(values) == 1 and len(values[0]) <= _LONGEST else None


def _explained(failed: SignOnFailed) -> RedirectResponse:
    return RedirectResponse(f"/?{urlencode({'sign_in_error': failed.code})}", status_code=302)


def _callback(request: Request, platform: Platform) -> str:
    public = platform.settings.public_url
    base = public.rstrip("/") if public else f"{request.url.scheme}://{request.headers.get('host', '')}"
    return base + CALLBACK
