"""HTTP of evidence."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from fettle.evidence import keys, service
from fettle.evidence.schemas import BundleItem, BundleOut, BundlePage, CheckpointOut, KeysOut
from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.jsonio import dumps

router = APIRouter(route_class=StrictRoute, tags=["evidence"])

Reader = Annotated[Access, Depends(require("evidence:read"))]


@router.get("/evidence")
async def list_evidence(
    paging: Paging,
    access: Reader,
    session: TenantSession,
    incident_id: Annotated[UUID | None, Query(description="Of this incident only.")] = None,
) -> BundlePage:
    """List evidence bundles, newest first."""
    after = paging.after(int)
    rows = await service.list_bundles(
        session,
        access.tenant_id,
        incident_id=incident_id,
        before=after[0] if after else None,
        limit=paging.limit + 1,
    )
    items, cursor = paging.cut(rows, lambda row: [row["sequence"]])
    return BundlePage(items=[BundleItem(**_item(row)) for row in items], next_cursor=cursor)


@router.get("/evidence/keys")
async def list_keys(platform: CurrentPlatform, _access: Reader) -> KeysOut:
    """List the public keys that evidence is sealed with."""
    public, rollovers = await keys.public_keys(platform)
    return KeysOut.model_validate({"keys": public, "rollovers": rollovers})


@router.get("/evidence/checkpoint", response_model=CheckpointOut)
async def show_checkpoint(platform: CurrentPlatform, access: Reader, session: TenantSession) -> Response:
    """Show how long the chain is now and what it ends in, signed."""
    # Byte for byte what was signed: a time that is parsed and written again might be written otherwise.
    return Response(
        dumps(await service.checkpoint(platform, session, access.tenant_id)), media_type="application/json"
    )


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


@router.get("/evidence/{bundle_id}")
async def show_evidence(bundle_id: UUID, access: Reader, session: TenantSession) -> BundleOut:
    """Show one bundle, whole."""
    row = await service.one_bundle(session, access.tenant_id, bundle_id)
    return BundleOut(**_item(row), bundle=row["bundle"])


def _item(row: dict[str, Any]) -> dict[str, Any]:
    bundle = row["bundle"]
    return {
        "id": row["id"],
        "kind": row["kind"],
        "incident_id": row["incident_id"],
        "incident_number": row["incident_number"],
        "incident_title": row["incident_title"],
        "sequence": row["sequence"],
        "hash": bundle["hash"],
        "previous_hash": bundle["previous"],
        "signature": bundle["proof"]["signature"],
        "key_id": bundle["proof"]["key_id"],
        "sealed_at": row["sealed_at"],
    }
