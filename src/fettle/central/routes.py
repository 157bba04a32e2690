"""HTTP of the event store and the live stream."""

from dataclasses import asdict
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from fettle.central import event_log, routes_jobs
from fettle.central.event_log import DeadLetterPage, EventPage, Lag
from fettle.central.streams import EventStream, Watch, position_of
from fettle.identity.access import (
    Access,
    CurrentPlatform,
    TenantSession,
    bearer_token,
    require,
)
from fettle.kernel import bus_groups
from fettle.kernel.errors import FieldError, Invalid, NotFound
from fettle.kernel.http.accepted import Accepted
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["events"])
router.include_router(routes_jobs.router)

Reading = Annotated[Access, Depends(require("events:read"))]
Replaying = Annotated[Access, Depends(require("events:replay"))]
Watching = Annotated[Access, Depends(require("incidents:read"))]

_LARGEST_POSITION: Final = 2**63 - 1


@router.get("/events")
async def list_events(
    paging: Paging,
    access: Reading,
    session: TenantSession,
    stream_type: Annotated[str | None, Query(max_length=50, description="Streams of this type only.")] = None,
    stream_id: Annotated[UUID | None, Query(description="This stream only; name its type, too.")] = None,
    event_type: Annotated[
        str | None, Query(alias="type", max_length=100, description="This type only.")
    ] = None,
    after: Annotated[int, Query(ge=0, le=_LARGEST_POSITION, description="Later than this position.")] = 0,
    order: Annotated[
        Literal["oldest", "newest"], Query(description="Which come first; the newest know no `after`.")
    ] = "oldest",
) -> EventPage:
    """List the tenant's events, oldest first unless it is asked otherwise."""
    if stream_id is not None and stream_type is None:
        raise Invalid(
            "A stream is named by its type and its id. Send stream_type as well.",
            errors=[FieldError("/query/stream_type", "is missing")],
        )
    cursor = paging.after(int)
    wanted = event_log.EventFilter(stream_type, stream_id, event_type)
    limit = paging.limit + 1
    if order == "newest":
        before = cursor[0] if cursor else _LARGEST_POSITION
        rows = await event_log.list_latest_events(
            session, access.tenant_id, wanted, before=before, limit=limit
        )
    else:
        first = cursor[0] if cursor else after
        rows = await event_log.list_events(session, access.tenant_id, wanted, after=first, limit=limit)
    items, following = paging.cut(rows, lambda event: [event.position])
    return EventPage(items=[event.envelope() for event in items], next_cursor=following)


@router.get("/events/dead-letters")
async def list_dead_letters(paging: Paging, access: Reading, session: TenantSession) -> DeadLetterPage:
    """List events that a consumer could not handle, oldest first."""
    rows = await event_log.list_dead_letters(
        session, access.tenant_id, after=paging.last_id(), limit=paging.limit + 1
    )
    items, following = paging.cut(rows, lambda letter: [letter.id])
    return DeadLetterPage(items=list(items), next_cursor=following)


@router.post("/events/dead-letters/{letter_id}/replay", status_code=202)
async def replay_dead_letter(letter_id: UUID, access: Replaying, session: TenantSession) -> Accepted:
    """Give a dead letter back to its consumer."""
    if not await bus_groups.replay_dead(session, access.tenant_id, [letter_id]):
        raise NotFound(f"There is no dead letter {letter_id}.")
    return Accepted(id=letter_id, href="/api/v1/events/dead-letters")


@router.get("/events/lag")
async def show_lag(platform: CurrentPlatform, access: Reading) -> Lag:
    """Show how far each consumer is behind; parked and dead events are those of the caller's tenant."""
    async with platform.database.raw_system() as connection:
        found = await bus_groups.lag(connection)
    async with platform.database.tenant(access.tenant_id) as session:
        own = await event_log.count_parked(session, access.tenant_id)
    groups = [
        {
            **asdict(group),
            "waiting": own.get((group.group, False), 0),
            "dead": own.get((group.group, True), 0),
        }
        for group in found
    ]
    return Lag.model_validate({"groups": groups})


@router.get(
    "/events/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}}
)
async def stream_events(
    request: Request,
    platform: CurrentPlatform,
    access: Watching,
    token: Annotated[str, Depends(bearer_token)],
    last_event_id: Annotated[
        str | None, Header(description="Position of the last message that was received; resumes after it.")
    ] = None,
) -> Response:
    """Follow the tenant's live messages as server-sent events.

    Each message's id is its position. A reader that does not keep up is cut off, and resumes by
    `Last-Event-ID` as every client of this protocol does by itself.
    """
    after = position_of(last_event_id)
    return EventStream(Watch(platform, access, token, request.headers.get("x-tenant-id"), after))
