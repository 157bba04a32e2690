"""HTTP of evidence."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from fettle.evidence import keys, service
from fettle.evidence.schemas import BundleOut, BundlePage, CheckpointOut, KeysOut
from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.kernel.http.answers import answer_of, documents_of
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["evidence"])

Reader = Annotated[Access, Depends(require("evidence:read"))]


@router.get("/evidence", response_model=BundlePage)
async def list_evidence(
    paging: Paging,
    access: Reader,
    platform: CurrentPlatform,
    incident_id: Annotated[UUID | None, Query(description="Of this incident only.")] = None,
) -> Response:
    """List evidence bundles, newest first."""
    after = paging.after(int)
    rows = await service.list_bundles(
        platform.database,
        access.tenant_id,
        incident_id=incident_id,
        before=after[0] if after else None,
        limit=paging.limit + 1,
    )
    items, cursor = paging.cut(rows, lambda row: [row["sequence"]])
    return answer_of({"items": documents_of(items), "next_cursor": cursor})


@router.get("/evidence/keys")
async def list_keys(platform: CurrentPlatform, _access: Reader) -> KeysOut:
    """List the public keys that evidence is sealed with."""
    public, rollovers = await keys.public_keys(platform)
    return KeysOut.model_validate({"keys": public, "rollovers": rollovers})


@router.get("/evidence/checkpoint", response_model=CheckpointOut)
async def show_checkpoint(platform: CurrentPlatform, access: Reader, session: TenantSession) -> Response:
    """Show how long the chain is now and what it ends in, signed."""
    # Byte for byte what was signed: a time that is parsed and written again might be written otherwise.
    return answer_of(await service.checkpoint(platform, session, access.tenant_id))


@router.get("/evidence/export", response_class=StreamingResponse)
async def export_evidence(
    platform: CurrentPlatform,
    access: Annotated[Access, Depends(require("evidence:read", reads="evidence.exported"))],
) -> StreamingResponse:
    """Export the whole chain as JSON lines; `fettle evidence verify` checks it offline."""
    return StreamingResponse(
        service.export_lines(platform, access.tenant_id),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": 'attachment; filename="evidence.jsonl"'},
    )


@router.get("/evidence/{bundle_id}", response_model=BundleOut)
async def show_evidence(bundle_id: UUID, access: Reader, platform: CurrentPlatform) -> Response:
    """Show one bundle, whole."""
    return answer_of(await service.one_bundle(platform.database, access.tenant_id, bundle_id))
