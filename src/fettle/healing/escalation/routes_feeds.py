"""HTTP of calendar feeds: made, listed and revoked by people, asked by their calendar programs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from fettle.healing.escalation import feeds, schemas, schemas_schedules
from fettle.healing.escalation.keeping import Reader
from fettle.healing.escalation.models import OnCallFeed
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, address_of
from fettle.identity.audit import record
from fettle.identity.names import names_of
from fettle.kernel.errors import Forbidden
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["escalation"])


@router.get("/escalation/feeds")
async def list_feeds(
    access: Reader, session: TenantSession, paging: Paging
) -> Page[schemas_schedules.FeedOut]:
    """List one's own calendar addresses, newest first; whoever sets up escalation sees everybody's."""
    rows = await feeds.listed(
        session,
        access.tenant_id,
        None if _may_all(access) else _person(access),
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    names = await names_of(session, access.tenant_id, [f"user:{row.user_id}" for row in page])
    return Page(
        items=[schemas_schedules.FeedOut(**_feed(row, access, names)) for row in page], next_cursor=cursor
    )


@router.post("/escalation/feeds", status_code=201)
async def make_feed(
    body: schemas_schedules.FeedIn, access: Reader, session: TenantSession, who: CurrentWho
) -> schemas_schedules.NewFeed:
    """Make a calendar address of one's own; its secret is in the answer and nowhere else."""
    person = _person(access)
    made = await feeds.make(session, access.tenant_id, person, body.name, whole=body.whole)
    names = await names_of(session, access.tenant_id, [f"user:{person}"])
    await record(session, who, "calendar_address.made", tenant_id=access.tenant_id,
                 target=("calendar_address", made.feed.id), after=body.model_dump())  # fmt: skip
    return schemas_schedules.NewFeed(
        **_feed(made.feed, access, names), link=f"/api/v1/calendars/{made.secret}/on-call.ics"
    )


@router.delete("/escalation/feeds/{feed_id}", status_code=204)
async def revoke_feed(feed_id: UUID, access: Reader, session: TenantSession, who: CurrentWho) -> None:
    """End a calendar address at once: one's own, or anybody's for whoever sets up escalation."""
    whose = None if _may_all(access) else _person(access)
    name = await feeds.revoke(session, access.tenant_id, feed_id, whose)
    await record(session, who, "calendar_address.revoked", tenant_id=access.tenant_id,
                 target=("calendar_address", feed_id), before={"name": name})  # fmt: skip


@router.get("/calendars/{token}/on-call.ics", response_class=Response)
async def read_feed(
    token: Annotated[str, Path(max_length=100)], request: Request, platform: CurrentPlatform
) -> Response:
    """Return who is on call when as iCalendar, to whoever knows the address."""
    text = await feeds.read(platform, token, address_of(request))
    headers = {"Cache-Control": "private, no-store"}
    return Response(text, media_type="text/calendar", headers=headers)


def _may_all(access: Access) -> bool:
    return "escalation:write" in access.permissions


def _person(access: Access) -> UUID:
    if access.user_id is None:
        raise Forbidden("A calendar address belongs to a person. Sign in as one; an API key has none.")
    return access.user_id


def _feed(row: OnCallFeed, access: Access, names: dict[str, str]) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "whole": row.whole,
        "person": schemas.PersonRef(id=row.user_id, name=names.get(f"user:{row.user_id}")),
        "mine": row.user_id == access.user_id,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
    }
