"""HTTP of what people do on one incident: assign, comment, link, merge, split, and see what is related."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.identity.names import names_of, people_who_may
from fettle.incidents import assigning, comments, links, merging, queries, related, splitting
from fettle.incidents.commands import By
from fettle.incidents.comments import Comment
from fettle.incidents.links import Link
from fettle.incidents.schemas import IncidentItem, Reason
from fettle.incidents.wording import clean
from fettle.incidents.work_schemas import (
    ActorOut,
    AssignIn,
    CommentChange,
    CommentIn,
    CommentOut,
    CommentPage,
    LinkedIncident,
    LinkIn,
    LinkOut,
    LinksOut,
    MergeIn,
    PeopleOut,
    PersonOut,
    RelatedList,
    RelatedOut,
    ReportedException,
    ReportedPage,
    SplitIn,
    UnassignIn,
)
from fettle.kernel.http.accepted import Accepted
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["incidents"])

Reader = Annotated[Access, Depends(require("incidents:read"))]
Handler = Annotated[Access, Depends(require("incidents:write"))]


@router.get("/incidents/people")
async def list_people(access: Reader, session: TenantSession) -> PeopleOut:
    """List the people who may have incidents in hand."""
    people = await people_who_may(session, access.tenant_id, "incidents:write")
    return PeopleOut(items=[PersonOut.model_validate(person) for person in people])


@router.post("/incidents/{incident_id}/assign", status_code=202)
async def assign_incident(
    incident_id: UUID, body: AssignIn, access: Handler, session: TenantSession
) -> Accepted:
    """Give an incident to a person; `me` takes it."""
    await assigning.assign(
        session,
        access.tenant_id,
        By.of(access),
        incident_id,
        assignee=body.assignee,
        seen=body.version,
    )
    return _accepted(incident_id)


@router.post("/incidents/{incident_id}/unassign", status_code=202)
async def unassign_incident(
    incident_id: UUID, body: UnassignIn, access: Handler, session: TenantSession
) -> Accepted:
    """Take an incident out of everybody's hand."""
    await assigning.unassign(session, access.tenant_id, By.of(access), incident_id, seen=body.version)
    return _accepted(incident_id)


@router.get("/incidents/{incident_id}/comments")
async def list_comments(
    incident_id: UUID, paging: Paging, access: Reader, session: TenantSession
) -> CommentPage:
    """List what was said on an incident, oldest first."""
    await queries.one(session, access.tenant_id, incident_id)
    rows = await comments.list_comments(
        session, access.tenant_id, incident_id, after=paging.last_id(), limit=paging.limit + 1
    )
    found, cursor = paging.cut(rows, lambda comment: [comment.id])
    names = await names_of(session, access.tenant_id, {comment.author for comment in found})
    return CommentPage(items=[_comment(one, access, names) for one in found], next_cursor=cursor)


@router.post("/incidents/{incident_id}/comments", status_code=201)
async def add_comment(
    incident_id: UUID, body: CommentIn, platform: CurrentPlatform, access: Handler, session: TenantSession
) -> CommentOut:
    """Say something on an incident."""
    comment = await comments.add(
        session,
        access.tenant_id,
        By.of(access),
        incident_id,
        body=await clean(platform, access.tenant_id, body.body),
        mentions=list(dict.fromkeys(body.mentions)),
    )
    return _comment(comment, access, await names_of(session, access.tenant_id, [comment.author]))


@router.patch("/incidents/{incident_id}/comments/{comment_id}")
async def edit_comment(
    incident_id: UUID,
    comment_id: UUID,
    body: CommentChange,
    platform: CurrentPlatform,
    access: Handler,
    session: TenantSession,
) -> CommentOut:
    """Say one's own comment in other words."""
    comment = await comments.edit(
        session,
        access.tenant_id,
        By.of(access),
        incident_id,
        comment_id,
        body=await clean(platform, access.tenant_id, body.body),
        seen=body.version,
    )
    return _comment(comment, access, await names_of(session, access.tenant_id, [comment.author]))


@router.delete("/incidents/{incident_id}/comments/{comment_id}", status_code=204)
async def delete_comment(
    incident_id: UUID, comment_id: UUID, access: Handler, session: TenantSession
) -> None:
    """Take one's own comment out of the conversation; that it was there stays in the timeline."""
    await comments.delete(session, access.tenant_id, By.of(access), incident_id, comment_id)


@router.get("/incidents/{incident_id}/links")
async def list_links(incident_id: UUID, access: Reader, session: TenantSession) -> LinksOut:
    """List the links of an incident, what was merged into it, and what it was merged into."""
    incident = await queries.one(session, access.tenant_id, incident_id)
    found = await links.list_links(session, access.tenant_id, incident_id)
    names = await names_of(session, access.tenant_id, {link.created_by for link in found})
    merged = await queries.merged_into(session, access.tenant_id, incident_id)
    target = incident.merged_into and await queries.one(session, access.tenant_id, incident.merged_into)
    return LinksOut(
        items=[_link(link, names) for link in found],
        merged=[LinkedIncident.model_validate(row) for row in merged],
        merged_into=LinkedIncident.model_validate(target) if target else None,
    )


@router.post("/incidents/{incident_id}/links", status_code=201)
async def link_incident(incident_id: UUID, body: LinkIn, access: Handler, session: TenantSession) -> LinkOut:
    """Say how an incident hangs together with another; both show it."""
    link = await links.link(
        session, access.tenant_id, By.of(access), incident_id, body.kind, body.incident_id
    )
    return _link(link, await names_of(session, access.tenant_id, [link.created_by]))


@router.delete("/incidents/{incident_id}/links/{link_id}", status_code=204)
async def unlink_incident(incident_id: UUID, link_id: UUID, access: Handler, session: TenantSession) -> None:
    """Take a link away, from either side."""
    await links.unlink(session, access.tenant_id, By.of(access), incident_id, link_id)


@router.post("/incidents/{incident_id}/merge", status_code=202)
async def merge_incident(
    incident_id: UUID, body: MergeIn, platform: CurrentPlatform, access: Handler, session: TenantSession
) -> Accepted:
    """Merge an incident into another.

    This one is closed and points to the other, which takes over what was and will be reported for it.
    """
    await merging.merge(
        session,
        access.tenant_id,
        By.of(access),
        incident_id,
        body.into,
        reason=await clean(platform, access.tenant_id, body.reason),
        seen=body.version,
    )
    return _accepted(body.into)


@router.post("/incidents/{incident_id}/unmerge", status_code=202)
async def unmerge_incident(
    incident_id: UUID, body: Reason, platform: CurrentPlatform, access: Handler, session: TenantSession
) -> Accepted:
    """Take a merge back, while nothing was split off the other since."""
    await merging.unmerge(
        session,
        access.tenant_id,
        By.of(access),
        incident_id,
        reason=await clean(platform, access.tenant_id, body.reason),
        seen=body.version,
    )
    return _accepted(incident_id)


@router.get("/incidents/{incident_id}/exceptions")
async def list_reported(
    incident_id: UUID, paging: Paging, access: Reader, session: TenantSession
) -> ReportedPage:
    """List what was reported for an incident and for what was merged into it, newest first."""
    rows = await splitting.exceptions_of(
        session, access.tenant_id, incident_id, before=paging.last_id(), limit=paging.limit + 1
    )
    found, cursor = paging.cut(rows, lambda row: [row["id"]])
    return ReportedPage(items=[ReportedException.model_validate(row) for row in found], next_cursor=cursor)


@router.post("/incidents/{incident_id}/split", status_code=202)
async def split_incident(
    incident_id: UUID, body: SplitIn, platform: CurrentPlatform, access: Handler, session: TenantSession
) -> Accepted:
    """Open an incident for some of what was reported; it goes to a person."""
    new_incident_id = await splitting.split(
        platform,
        session,
        access.tenant_id,
        By.of(access),
        incident_id,
        exception_ids=body.exception_ids,
        reason=await clean(platform, access.tenant_id, body.reason),
        title=body.title and await clean(platform, access.tenant_id, body.title),
        seen=body.version,
    )
    return _accepted(new_incident_id)


@router.get("/incidents/{incident_id}/related")
async def list_related(
    incident_id: UUID,
    access: Reader,
    session: TenantSession,
    hours: Annotated[int, Query(ge=1, le=24 * 90, description="How long before and after.")] = 72,
) -> RelatedList:
    """List what else was out of order on the same host or site, or of the same check or pattern."""
    found = await related.related(session, access.tenant_id, incident_id, hours=hours)
    items = [
        RelatedOut(incident=IncidentItem.model_validate(dict(one.incident)), shares=list(one.shares))
        for one in found
    ]
    return RelatedList(items=items)


def actor_out(actor: str, names: dict[str, str]) -> ActorOut:
    """Return an actor with the name that the tenant knows them by."""
    return ActorOut(actor=actor, name=names.get(actor))


def _comment(comment: Comment, access: Access, names: dict[str, str]) -> CommentOut:
    return CommentOut(
        id=comment.id,
        author=actor_out(comment.author, names),
        body=comment.body,
        mentions=list(comment.mentions),
        created_at=comment.created_at,
        edited_at=comment.edited_at,
        deleted_at=comment.deleted_at,
        mine=comment.author == access.actor,
        version=comment.version,
    )


def _link(link: Link, names: dict[str, str]) -> LinkOut:
    return LinkOut.model_validate(
        {
            "id": link.id,
            "says": link.says,
            "incident": LinkedIncident.model_validate(link.incident),
            "created_by": actor_out(link.created_by, names),
            "created_at": link.created_at,
        }
    )


def _accepted(incident_id: UUID) -> Accepted:
    return Accepted(id=incident_id, href=f"/api/v1/incidents/{incident_id}")
