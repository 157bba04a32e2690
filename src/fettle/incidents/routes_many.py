"""HTTP of many incidents at once: counts, saved views, commands on many."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.identity.names import names_of
from fettle.incidents import bulk, bulk_running, views
from fettle.incidents.assigning import person_of
from fettle.incidents.bulk import Bulk, Command
from fettle.incidents.commands import By
from fettle.incidents.filtering import read_query
from fettle.incidents.routes_work import actor_out
from fettle.incidents.views import View
from fettle.incidents.wording import clean
from fettle.incidents.work_schemas import (
    BulkIn,
    BulkItemOut,
    BulkItems,
    BulkOut,
    DefaultViewIn,
    ViewChange,
    ViewIn,
    ViewOut,
    ViewsOut,
)
from fettle.kernel.errors import FieldError, Invalid
from fettle.kernel.http.accepted import Accepted
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform

router = APIRouter(route_class=StrictRoute, tags=["incidents"])

Reader = Annotated[Access, Depends(require("incidents:read"))]
Handler = Annotated[Access, Depends(require("incidents:write"))]

HREF = "/api/v1/incidents/bulk/"


@router.get("/incidents/views")
async def list_views(access: Reader, session: TenantSession) -> ViewsOut:
    """List one's own saved views and those that are shared."""
    found = await views.list_views(session, access.tenant_id, access.actor)
    return ViewsOut(items=await _views(session, access, found))


@router.post("/incidents/views", status_code=201)
async def save_view(body: ViewIn, access: Reader, session: TenantSession) -> ViewOut:
    """Save a filter under a name; to share it needs the permission to work incidents."""
    if body.shared:
        access.check("incidents:write")
    view = await views.save(
        session, access.tenant_id, access.actor, name=body.name, query=body.query, shared=body.shared
    )
    return (await _views(session, access, [view]))[0]


@router.put("/incidents/views/default", status_code=204)
async def set_default_view(body: DefaultViewIn, access: Reader, session: TenantSession) -> None:
    """Choose the view that one's own list opens with."""
    await views.set_default(session, access.tenant_id, access.actor, body.view_id)


@router.patch("/incidents/views/{view_id}")
async def change_view(view_id: UUID, body: ViewChange, access: Reader, session: TenantSession) -> ViewOut:
    """Change one's own view."""
    if body.shared:
        access.check("incidents:write")
    view = await views.change(
        session,
        access.tenant_id,
        access.actor,
        view_id,
        name=body.name,
        query=body.query,
        shared=body.shared,
        seen=body.version,
    )
    return (await _views(session, access, [view]))[0]


@router.delete("/incidents/views/{view_id}", status_code=204)
async def delete_view(view_id: UUID, access: Reader, session: TenantSession) -> None:
    """Delete one's own view; who manages the tenant's people may delete any that is shared."""
    of_anybody = "users:write" in access.permissions
    await views.delete(session, access.tenant_id, access.actor, view_id, of_anybody=of_anybody)


@router.post("/incidents/bulk", status_code=202)
async def command_many(
    body: BulkIn, platform: CurrentPlatform, access: Handler, session: TenantSession
) -> Accepted:
    """Command many incidents at once: up to 500 by id, which are done when the answer comes, or up to 10,000 by filter.

    What became of each is told at `href`.
    """
    if (body.ids is None) == (body.filter is None):
        fault = FieldError("/ids", "give either ids or a filter")
        raise Invalid("Say which incidents: either ids or a filter.", errors=[fault])
    by, command = By.of(access), await _command(platform, access, body)
    if body.ids is not None:
        bulk_id = await bulk.write_down(session, access.tenant_id, by, command, body.ids)
        await bulk_running.run_all(session, access.tenant_id, by, bulk_id)
    else:
        wanted = read_query(body.filter or "").wanted(access.user_id)
        bulk_id = await bulk.write_down_filtered(session, access.tenant_id, by, command, wanted)
    return Accepted(id=bulk_id, href=f"{HREF}{bulk_id}")


@router.get("/incidents/bulk/{bulk_id}")
async def show_bulk(bulk_id: UUID, access: Reader, session: TenantSession) -> BulkOut:
    """Show how far a command on many incidents is."""
    command = await bulk.read(session, access.tenant_id, bulk_id)
    names = await names_of(session, access.tenant_id, [command.requested_by])
    return _bulk(command, names)


@router.get("/incidents/bulk/{bulk_id}/items")
async def list_bulk_items(
    bulk_id: UUID,
    paging: Paging,
    access: Reader,
    session: TenantSession,
    result: Annotated[
        Literal["pending", "done", "skipped", "undone", "kept"] | None, Query(description="Only these.")
    ] = None,
) -> BulkItems:
    """List what became of each incident."""
    await bulk.read(session, access.tenant_id, bulk_id)
    after = paging.after(int)
    rows = await bulk.read_items(
        session,
        access.tenant_id,
        bulk_id,
        result=result,
        after=after[0] if after else 0,
        limit=paging.limit + 1,
    )
    found, cursor = paging.cut(rows, lambda item: [item.place])
    return BulkItems(items=[BulkItemOut.model_validate(one) for one in found], next_cursor=cursor)


@router.post("/incidents/bulk/{bulk_id}/undo", status_code=202)
async def undo_bulk(bulk_id: UUID, access: Handler, session: TenantSession) -> Accepted:
    """Take a command on many incidents back, wherever nothing else was done since."""
    by = By.of(access)
    command = await bulk.queue_undo(session, access.tenant_id, by, bulk_id)
    if command.total <= bulk.MOST_IDS:
        await bulk_running.run_all(session, access.tenant_id, by, bulk_id, back=True)
    return Accepted(id=bulk_id, href=f"{HREF}{bulk_id}")


async def _command(platform: Platform, access: Access, body: BulkIn) -> Command:
    return Command(
        action=body.action,
        reason=body.reason and await clean(platform, access.tenant_id, body.reason),
        assignee=None if body.assignee is None else person_of(By.of(access), body.assignee),
        body=body.body and await clean(platform, access.tenant_id, body.body),
    )


async def _views(session: AsyncSession, access: Access, found: list[View]) -> list[ViewOut]:
    names = await names_of(session, access.tenant_id, {view.owner for view in found})
    return [
        ViewOut(
            id=view.id,
            name=view.name,
            query=view.query,
            shared=view.shared,
            mine=view.owner == access.actor,
            owner=actor_out(view.owner, names),
            is_default=view.is_default,
            updated_at=view.updated_at,
            version=view.version,
        )
        for view in found
    ]


def _bulk(command: Bulk, names: dict[str, str]) -> BulkOut:
    counts = {name: command.results.get(name, 0) for name in ("pending", "done", "skipped", "undone", "kept")}
    return BulkOut.model_validate(
        {
            "id": command.id,
            "action": command.action,
            "state": "running" if command.state == "queued" and counts["done"] else command.state,
            "requested_by": actor_out(command.requested_by, names),
            "total": command.total,
            **counts,
            "can_undo": command.state == "done" and counts["done"] > 0,
            "job_id": command.job_id,
            "created_at": command.created_at,
            "finished_at": command.finished_at,
        }
    )
