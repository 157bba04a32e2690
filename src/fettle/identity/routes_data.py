"""A tenant's data over HTTP: exported whole, and erased."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from fettle.identity import audit, data_erasure, data_export, step_up
from fettle.identity.access import (
    Access,
    CurrentPlatform,
    CurrentWho,
    SignedInCaller,
    TenantSession,
    require,
)
from fettle.identity.partners import check_platform_admin
from fettle.identity.routes_people import CallerWho
from fettle.identity.schemas import Input, Password
from fettle.kernel import jobs
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, Forbidden, NotFound
from fettle.kernel.http.accepted import Accepted
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.ids import new_id

router = APIRouter(route_class=StrictRoute, tags=["tenants"])

# How far one is, and whether it failed, the job knows that makes it: it was queued right after the export's row.
_EXPORTS = """
SELECT e.id, CASE WHEN job.state = 'failed' THEN 'failed' ELSE e.state END AS state, e.requested_by, e.requested_at,
       e.finished_at, e.expires_at, e.size_bytes, e.sha256,
       CASE WHEN e.state = 'ready' THEN 1.0 ELSE coalesce(job.progress, 0.0) END::float8 AS progress
FROM data_exports e LEFT JOIN LATERAL (
  SELECT j.state, j.progress FROM jobs j
  WHERE e.state = 'queued' AND j.tenant_id = e.tenant_id AND j.id > e.id AND j.name = 'identity.export_tenant'
    AND j.arguments ->> 'export_id' = e.id::text
  LIMIT 1
) AS job ON true
WHERE e.tenant_id = $1
"""


class ExportOut(BaseModel):
    """An export of everything of the tenant."""

    id: UUID
    state: Literal["queued", "ready", "failed"]
    progress: float = Field(ge=0, le=1, description="How much of it is written.")
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="Until when it can be downloaded.")
    size_bytes: int | None
    sha256: str | None
    href: str


class ExportList(BaseModel):
    """The tenant's exports, newest first."""

    items: list[ExportOut]


class ErasureIn(Input):
    """The wish to erase a tenant."""

    confirm: str = Field(max_length=63, description="The tenant's slug.", examples=["alder-clinic"])
    password: Password | None = Field(
        None, description="The caller's, where the sign-in is older than 10 minutes."
    )


class ErasureOut(BaseModel):
    """An erasure; `record` is the signed statement of it, once it is complete."""

    deleted: dict[str, int] = Field(description="How many rows of which table are gone so far.")

    id: UUID
    tenant_id: UUID
    requested_at: datetime
    completed_at: datetime | None
    record: dict[str, Any] | None


class ErasureList(BaseModel):
    """The installation's erasures, newest first."""

    items: list[ErasureOut]


Exporter = Annotated[Access, Depends(require("data:export"))]


@router.post("/tenants/{tenant_id}/export", status_code=202)
async def export_tenant(
    tenant_id: UUID, access: Exporter, session: TenantSession, who: CurrentWho
) -> Accepted:
    """Have everything of the tenant put into one archive, without its secrets."""
    if tenant_id != access.tenant_id:
        raise NotFound("There is no such tenant for this account.")
    export_id = new_id()
    connection = await driver(session)
    await connection.execute(
        "INSERT INTO data_exports (tenant_id, id, requested_by) VALUES ($1, $2, $3)",
        tenant_id, export_id, access.actor,
    )  # fmt: skip
    await jobs.submit(
        session, tenant_id, "identity.export_tenant", {"export_id": str(export_id)}, actor=access.actor
    )
    await audit.record(session, who, "data.export_requested", tenant_id=tenant_id, target=("data", export_id))
    return Accepted(id=export_id, href=f"/api/v1/exports/{export_id}")


@router.get("/exports")
async def list_exports(access: Exporter, session: TenantSession) -> ExportList:
    """List the tenant's exports."""
    connection = await driver(session)
    rows = await connection.fetch(f"{_EXPORTS} ORDER BY e.id DESC LIMIT 200", access.tenant_id)
    return ExportList(items=[_shown(dict(row)) for row in rows])


@router.get("/exports/{export_id}")
async def show_export(export_id: UUID, access: Exporter, session: TenantSession) -> ExportOut:
    """Show how far an export is."""
    return _shown(await _export(session, access.tenant_id, export_id))


@router.get("/exports/{export_id}/download", response_class=StreamingResponse)
async def download_export(
    export_id: UUID,
    platform: CurrentPlatform,
    access: Exporter,
    session: TenantSession,
    who: CurrentWho,
) -> StreamingResponse:
    """Download a finished export, a ZIP archive."""
    row = await _export(session, access.tenant_id, export_id)
    if row["state"] != "ready":
        again = "It failed; ask for another." if row["state"] == "failed" else "Ask again in a moment."
        raise Conflict(f"The export is not ready. {again}")
    entry = audit.Entry(who, "data.downloaded", ("data", export_id))
    await audit.record_read(platform, access.tenant_id, entry)
    return StreamingResponse(
        data_export.read_archive(platform, access.tenant_id, export_id),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="export-{export_id}.zip"',
            "Content-Length": str(row["size_bytes"]),
        },
    )


@router.post("/tenants/{tenant_id}/erase", status_code=202)
async def erase_tenant(
    tenant_id: UUID, body: ErasureIn, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> Accepted:
    """Erase the tenant for good; its slug confirms, and the sign-in must be recent."""
    caller.refuse_one_time_password()
    if not caller.is_platform_admin and "data:erase" not in caller.rights.get(tenant_id, ()):
        if tenant_id in caller.rights:
            raise Forbidden("This needs the permission data:erase. Ask an administrator of the tenant.")
        raise NotFound("There is no such tenant for this account.")
    await step_up.refuse_stale(platform, caller, body.password)
    erasure = await data_erasure.begin(platform, tenant_id, who, confirm=body.confirm)
    return Accepted(id=erasure.id, href="/api/v1/erasures")


@router.get("/erasures")
async def list_erasures(platform: CurrentPlatform, caller: SignedInCaller) -> ErasureList:
    """List what was erased, each with its signed statement; for platform administrators."""
    check_platform_admin(caller)
    rows = await data_erasure.list_erasures(platform)
    return ErasureList(items=[ErasureOut.model_validate(row) for row in rows])


async def _export(session: TenantSession, tenant_id: UUID, export_id: UUID) -> dict[str, Any]:
    connection = await driver(session)
    row = await connection.fetchrow(f"{_EXPORTS} AND e.id = $2", tenant_id, export_id)
    if row is None:
        raise NotFound("There is no such export.")
    return dict(row)


def _shown(row: dict[str, Any]) -> ExportOut:
    return ExportOut(**row, href=f"/api/v1/exports/{row['id']}/download")
