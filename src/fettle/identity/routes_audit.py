"""The audit over HTTP: searched, and exported whole."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field

from fettle.identity import audit_search
from fettle.identity.access import Access, CurrentPlatform, require
from fettle.identity.audit_search import AuditFilter
from fettle.kernel.http.answers import answer_of
from fettle.kernel.http.exporting import as_csv
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["audit"])

_LONGEST = 200
_COLUMNS = (
    "id", "occurred_at", "actor", "action", "target_type", "target_id", "before", "after", "address", "request_id",
    "bundle_id",
)  # fmt: skip


class ChangeOut(BaseModel):
    """One field of a change."""

    field: str
    before: Any
    after: Any


class AuditOut(BaseModel):
    """One change, or one sensitive read."""

    id: UUID
    actor: str = Field(description="`user:<id>`, `key:<id>` or `system:<part>`.")
    action: str = Field(examples=["api_key.created"])
    target_type: str
    target_id: str | None
    before: Any
    after: Any
    changes: list[ChangeOut] = Field(description="The fields that differ between `before` and `after`.")
    address: str | None
    request_id: str | None
    occurred_at: datetime
    bundle_id: UUID | None = Field(description="The evidence bundle that vouches for it; sealed in a moment.")


async def audit_filter(
    actor: Annotated[str | None, Query(max_length=_LONGEST, examples=["system:setup"])] = None,
    action: Annotated[str | None, Query(max_length=_LONGEST, examples=["api_key.created"])] = None,
    target_type: Annotated[str | None, Query(max_length=_LONGEST)] = None,
    target_id: Annotated[str | None, Query(max_length=_LONGEST)] = None,
    q: Annotated[
        str | None, Query(max_length=_LONGEST, description="Beginnings of words; all must be found.")
    ] = None,
    since: Annotated[AwareDatetime | None, Query(alias="from", description="From this moment on.")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Before this moment.")] = None,
) -> AuditFilter:
    """Return the filter of a request's query."""
    return AuditFilter(actor, action, target_type, target_id, q, since, until)


Wanted = Annotated[AuditFilter, Depends(audit_filter)]


@router.get("/audit", response_model=Page[AuditOut])
async def list_audit(
    wanted: Wanted,
    access: Annotated[Access, Depends(require("audit:read"))],
    platform: CurrentPlatform,
    paging: Paging,
) -> Response:
    """Who changed what in the tenant, and who read what is sensitive, newest first."""
    rows = await audit_search.page(
        platform.database,
        access.tenant_id,
        wanted,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: (row["id"],))
    return answer_of({"items": [_shown(row) for row in page], "next_cursor": cursor})


@router.get("/audit/export", response_class=StreamingResponse)
async def export_audit(
    wanted: Wanted,
    platform: CurrentPlatform,
    access: Annotated[Access, Depends(require("audit:read", reads="audit.exported"))],
    form: Annotated[
        Literal["csv", "json"],
        Query(alias="format", description="json: one record a line, as `fettle evidence verify` takes it."),
    ] = "csv",
) -> StreamingResponse:
    """Export every record that the filter lets through, newest first, as CSV or as JSON lines."""
    rows = audit_search.records(platform, access.tenant_id, wanted)
    as_lines = form == "json"
    return StreamingResponse(
        audit_search.lines(rows) if as_lines else as_csv(rows, _COLUMNS),
        media_type="application/x-ndjson" if as_lines else "text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="audit.{"jsonl" if as_lines else "csv"}"'},
    )


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    """Return what `AuditOut` describes."""
    values = dict(row)
    del values["tenant_id"]
    values["changes"] = audit_search.changes(row["before"], row["after"])
    return values
