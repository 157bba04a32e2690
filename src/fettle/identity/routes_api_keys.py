"""API keys over HTTP."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from fettle.identity import api_keys
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.api_keys import IssuedKey, KeyFilter, KeyState
from fettle.identity.models import ApiKey
from fettle.identity.schemas_api_keys import ApiKeyChange, ApiKeyIn, ApiKeyIssued, ApiKeyOut, ApiKeyRotation
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["api-keys"])

Writer = Annotated[Access, Depends(require("keys:write"))]


async def key_filter(
    state: Annotated[KeyState | None, Query(description="Left out: all that are not revoked.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="Part of the name.")] = None,
) -> KeyFilter:
    """Return the filter of a request's query."""
    return KeyFilter(state, q)


@router.get("/api-keys")
async def list_keys(
    access: Annotated[Access, Depends(require("keys:read", reads="api_keys.listed"))],
    session: TenantSession,
    paging: Paging,
    wanted: Annotated[KeyFilter, Depends(key_filter)],
) -> Page[ApiKeyOut]:
    """The tenant's API keys, newest first, without their secrets."""
    rows = await api_keys.list_api_keys(
        session,
        access.tenant_id,
        wanted,
        after=paging.last_id(),
        limit=paging.limit + 1,
    )
    return paging.by_id(rows, _shown)


@router.post("/api-keys", status_code=201)
async def create_key(body: ApiKeyIn, session: TenantSession, access: Writer, who: CurrentWho) -> ApiKeyIssued:
    """Make an API key; its secret is in this answer and nowhere else."""
    issued = await api_keys.create_api_key(
        session, access, who, name=body.name, scopes=body.scopes, expires_at=body.expires_at
    )
    return _issued(issued)


@router.patch("/api-keys/{key_id}")
async def change_key(
    key_id: UUID, body: ApiKeyChange, platform: CurrentPlatform, access: Writer, who: CurrentWho
) -> ApiKeyOut:
    """Give an API key another name or other scopes; they hold at once."""
    changed = await api_keys.change_api_key(platform, access, who, key_id, name=body.name, scopes=body.scopes)
    return _shown(changed)


@router.post("/api-keys/{key_id}/rotate")
async def rotate_key(
    key_id: UUID, body: ApiKeyRotation, platform: CurrentPlatform, access: Writer, who: CurrentWho
) -> ApiKeyIssued:
    """Give an API key a new secret, shown here alone; the old one works until the overlap ends."""
    overlap = timedelta(hours=body.overlap_hours)
    return _issued(await api_keys.rotate_api_key(platform, access, who, key_id, overlap=overlap))


@router.delete("/api-keys/{key_id}", status_code=204)
async def revoke_key(key_id: UUID, platform: CurrentPlatform, access: Writer, who: CurrentWho) -> None:
    """Revoke an API key for good; it stops working at once."""
    await api_keys.revoke_api_key(platform, access, key_id, who)


def _shown(key: ApiKey) -> ApiKeyOut:
    own = {name: getattr(key, name) for name in ApiKeyOut.model_fields if name != "state"}
    return ApiKeyOut(**own, state=api_keys.state_of(key))


def _issued(issued: IssuedKey) -> ApiKeyIssued:
    return ApiKeyIssued(**_shown(issued.key).model_dump(), secret=issued.text)
