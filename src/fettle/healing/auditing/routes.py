"""HTTP of the auditor: what is overdue, and the table of what is due when."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from fettle.healing.auditing import schemas, service
from fettle.healing.auditing.due import TABLE, allowed_seconds
from fettle.healing.auditing.models import OverdueItem
from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.packs.service import active_packs

router = APIRouter(route_class=StrictRoute, tags=["auditing"])

Reader = Annotated[Access, Depends(require("incidents:read"))]


@router.get("/overdue")
async def list_overdue(
    access: Reader,
    session: TenantSession,
    paging: Paging,
    hanging: Annotated[bool | None, Query(description="What has not moved yet, or what has.")] = None,
    incident_id: Annotated[
        UUID | None, Query(description="Of this incident, by which the auditor tells.")
    ] = None,
) -> Page[schemas.OverdueOut]:
    """List what should have gone on by now and did not, and what did since, newest first."""
    rows = await service.listed(
        session,
        access.tenant_id,
        hanging=hanging,
        incident_id=incident_id,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    return Page(items=[_overdue(row) for row in page], next_cursor=cursor)


@router.get("/overdue/table")
async def show_due_table(access: Reader, platform: CurrentPlatform) -> schemas.DueTable:
    """Show what must come next of each thing that is open, and how long the policy lets it take."""
    policy = (await active_packs(platform, access.tenant_id)).policy
    items = [
        schemas.DueLine(
            kind=kind,
            state=str(state),
            next_event=line.next_event,
            setting=line.allows,
            allowed_seconds=allowed_seconds(line.allows, policy),
            is_for_person=line.is_for_person,
        )
        for (kind, state), line in TABLE.items()
    ]
    return schemas.DueTable(items=items)


def _overdue(row: OverdueItem) -> schemas.OverdueOut:
    line = TABLE.get((row.kind, row.state))
    return schemas.OverdueOut(
        id=row.id,
        kind=row.kind,
        state=row.state,
        subject_id=row.subject_id,
        about_incident_id=row.about_incident_id,
        is_for_person=row.is_for_person,
        due_at=row.due_at,
        found_at=row.found_at,
        moved_at=row.moved_at,
        incident_id=row.incident_id,
        next_event=line.next_event if line else "",
    )
