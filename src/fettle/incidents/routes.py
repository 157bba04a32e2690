"""HTTP of exceptions and incidents."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.incidents import queries, reading, routes_many, routes_work
from fettle.incidents.accepting import HREF, acceptor
from fettle.incidents.commands import By, standing_at
from fettle.incidents.filtering import Assignee, FilterIn, IncidentFilter, Sort, filter_of
from fettle.incidents.routes_overview import router as overview_router
from fettle.incidents.schemas import (
    AcceptedBatch,
    ExceptionBatchIn,
    ExceptionIn,
    ExceptionOut,
    IncidentOut,
    IncidentPage,
    Level,
    Reason,
    Severity,
    Timeline,
)
from fettle.incidents.service import transition
from fettle.incidents.states import State
from fettle.incidents.wording import clean
from fettle.incidents.work_schemas import CountOut
from fettle.kernel import context, events
from fettle.kernel.errors import NotFound
from fettle.kernel.http.accepted import Accepted
from fettle.kernel.http.answers import answer_of, documents_of
from fettle.kernel.http.exporting import as_csv, as_json
from fettle.kernel.http.idempotency import IdempotencyKey
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.http.solving import of_query_alone

router = APIRouter(route_class=StrictRoute)
router.include_router(overview_router)
router.include_router(routes_many.router)
router.include_router(routes_work.router)

MOST_COUNTED = 10_000

Sender = Annotated[Access, Depends(require("exceptions:write"))]
Reader = Annotated[Access, Depends(require("incidents:read"))]
Handler = Annotated[Access, Depends(require("incidents:write"))]


@of_query_alone
async def filter_in(
    state: Annotated[list[State] | None, Query(description="Any of these states.")] = None,
    severity: Annotated[list[Severity] | None, Query(description="Any of these severities.")] = None,
    level: Annotated[list[Level] | None, Query(description="Decided at any of these levels.")] = None,
    check_type: Annotated[str | None, Query(max_length=100)] = None,
    host: Annotated[str | None, Query(max_length=200)] = None,
    site: Annotated[str | None, Query(max_length=200)] = None,
    rule_id: Annotated[str | None, Query(max_length=200)] = None,
    label: Annotated[list[str] | None, Query(description="`name=value`; all of these labels.")] = None,
    assignee: Annotated[Assignee | None, Query(description="Who has it in hand.")] = None,
    needs_me: Annotated[
        bool, Query(description="What only a person can move on, and nobody else has in hand.")
    ] = False,
    q: Annotated[str | None, Query(max_length=200, description='Words, "phrases", -without.')] = None,
    opened_after: Annotated[AwareDatetime | None, Query(description="At or after.")] = None,
    opened_before: Annotated[AwareDatetime | None, Query(description="Before.")] = None,
    sort: Annotated[Sort, Query(description="Newest opened, last seen, or gravest first.")] = "opened",
) -> FilterIn:
    """Read the filter from the query string."""
    given = {
        "state": state, "severity": severity, "level": level, "check_type": check_type, "host": host,
        "site": site, "rule_id": rule_id, "label": label, "assignee": assignee, "needs_me": needs_me, "q": q,
        "opened_after": opened_after, "opened_before": opened_before, "sort": sort,
    }  # fmt: skip
    return filter_of({name: value for name, value in given.items() if value is not None})


async def incident_filter(read: Annotated[FilterIn, Depends(filter_in)], access: Reader) -> IncidentFilter:
    """Return the filter for whoever asks."""
    return read.wanted(access.user_id)


Wanted = Annotated[IncidentFilter, Depends(incident_filter)]


@router.post("/exceptions", status_code=202, tags=["exceptions"])
async def accept_exception(
    body: ExceptionIn,
    request: Request,
    platform: CurrentPlatform,
    access: Sender,
    idempotency_key: IdempotencyKey,
) -> Accepted:
    """Accept one exception.

    It is stored when the answer comes; what becomes of it is told at `href` and on the live stream.
    """
    ids = await _accept(request, platform, access, [body], idempotency_key)
    return Accepted(id=UUID(ids[0]), href=f"{HREF}{ids[0]}")


@router.post("/exceptions/batch", status_code=202, tags=["exceptions"])
async def accept_exceptions(
    body: ExceptionBatchIn,
    request: Request,
    platform: CurrentPlatform,
    access: Sender,
    idempotency_key: IdempotencyKey,
) -> AcceptedBatch:
    """Accept up to 1,000 exceptions, all or none."""
    ids = await _accept(request, platform, access, body.items, idempotency_key)
    return AcceptedBatch(items=[Accepted(id=UUID(value), href=f"{HREF}{value}") for value in ids])


@router.get("/exceptions/{exception_id}", tags=["exceptions"])
async def show_exception(exception_id: UUID, access: Reader, session: TenantSession) -> ExceptionOut:
    """Show an exception and the incident that it went to."""
    stored = await events.read_stream(session, access.tenant_id, "exception", exception_id, limit=1)
    if not stored:
        raise NotFound(f"There is no exception {exception_id}.")
    processed, incident_id = await queries.incident_of_exception(session, access.tenant_id, exception_id)
    return ExceptionOut(
        id=exception_id,
        status="processed" if processed else "accepted",
        received_at=stored[0].occurred_at,
        exception=stored[0].data["exception"],
        incident_id=incident_id,
    )


@router.get("/incidents", tags=["incidents"], response_model=IncidentPage)
async def list_incidents(
    wanted: Wanted, paging: Paging, access: Reader, platform: CurrentPlatform
) -> Response:
    """List incidents, newest first unless another order is asked for."""
    database, tenant_id, limit = platform.database, access.tenant_id, paging.limit + 1
    if wanted.sort == "seen":
        seen = cast("tuple[datetime, UUID] | None", paging.after(datetime, UUID))
        rows = await reading.last_seen(database, tenant_id, wanted, before=seen, limit=limit)
        page, cursor = paging.cut(rows, lambda row: [row["last_seen_at"], row["id"]])
    elif wanted.sort == "severity":
        grave = cast("tuple[str, UUID] | None", paging.after(str, UUID))
        rows = await reading.gravest(database, tenant_id, wanted, before=grave, limit=limit)
        page, cursor = paging.cut(rows, lambda row: [row["severity"], row["id"]])
    else:
        before = paging.last_id()
        rows = await reading.newest(database, tenant_id, wanted, before=before, limit=limit)
        page, cursor = paging.cut(rows, lambda row: [row["id"]])
    return answer_of({"items": documents_of(page), "next_cursor": cursor})


@router.get("/incidents/count", tags=["incidents"], response_model=CountOut)
async def count_incidents(wanted: Wanted, access: Reader, platform: CurrentPlatform) -> Response:
    """Count the incidents that the filter lets through, up to 10,000."""
    found = await reading.count(platform.database, access.tenant_id, wanted, most=MOST_COUNTED)
    return answer_of({"count": min(found, MOST_COUNTED), "more": found > MOST_COUNTED})


@router.get("/incidents/export", tags=["incidents"], response_class=StreamingResponse)
async def export_incidents(
    wanted: Wanted,
    platform: CurrentPlatform,
    access: Annotated[Access, Depends(require("incidents:read", reads="incidents.exported"))],
    form: Annotated[Literal["csv", "json"], Query(alias="format")] = "csv",
) -> StreamingResponse:
    """Export every incident that the filter lets through, as CSV or JSON."""
    rows = _rows(platform, access.tenant_id, wanted)
    body = as_csv(rows, queries.EXPORTED) if form == "csv" else as_json(rows)
    return StreamingResponse(
        body,
        media_type="text/csv; charset=utf-8" if form == "csv" else "application/json",
        headers={"Content-Disposition": f'attachment; filename="incidents.{form}"'},
    )


@router.get("/incidents/{incident_id}", tags=["incidents"], response_model=IncidentOut)
async def show_incident(incident_id: UUID, access: Reader, platform: CurrentPlatform) -> Response:
    """Show one incident, with why it was decided as it was."""
    return answer_of(await reading.one(platform.database, access.tenant_id, incident_id))


@router.get("/incidents/{incident_id}/timeline", tags=["incidents"], response_model=Timeline)
async def show_timeline(
    incident_id: UUID, paging: Paging, access: Reader, platform: CurrentPlatform
) -> Response:
    """List what happened to an incident, oldest first, from all streams that belong to it."""
    after = paging.after(int)
    found = await reading.timeline(
        platform.database,
        access.tenant_id,
        incident_id,
        after=after[0] if after else 0,
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(found, lambda event: [event["position"]])
    return answer_of({"items": page, "next_cursor": cursor})


@router.post("/incidents/{incident_id}/resolve", status_code=202, tags=["incidents"])
async def resolve_incident(
    incident_id: UUID, body: Reason, platform: CurrentPlatform, access: Handler, session: TenantSession
) -> Accepted:
    """Say that what was out of order is in order again."""
    reason = await _read(platform, session, access, incident_id, body)
    return await _by_person(session, access, incident_id, State.RESOLVED, "incident.resolved", reason)


@router.post("/incidents/{incident_id}/close", status_code=202, tags=["incidents"])
async def close_incident(
    incident_id: UUID, body: Reason, platform: CurrentPlatform, access: Handler, session: TenantSession
) -> Accepted:
    """Close an incident; what is out of order again later opens a new one."""
    reason = await _read(platform, session, access, incident_id, body)
    return await _by_person(session, access, incident_id, State.CLOSED, "incident.closed", reason)


@router.post("/incidents/{incident_id}/reopen", status_code=202, tags=["incidents"])
async def reopen_incident(
    incident_id: UUID, body: Reason, platform: CurrentPlatform, access: Handler, session: TenantSession
) -> Accepted:
    """Take a resolved or closed incident up again; it goes to a person."""
    reason = await _read(platform, session, access, incident_id, body)
    await queries.refuse_merged(session, access.tenant_id, incident_id)
    await queries.refuse_second_open(session, access.tenant_id, incident_id)
    await _by_person(session, access, incident_id, State.OPEN, "incident.reopened", reason)
    return await _by_person(session, access, incident_id, State.ESCALATED, "incident.escalated", reason)


async def _accept(
    request: Request, platform: CurrentPlatform, access: Access, bodies: list[ExceptionIn], key: str | None
) -> list[str]:
    return await acceptor(platform).accept(
        access.tenant_id,
        bodies,
        actor=access.actor,
        request_id=context.request_id.get(),
        idempotency_key=key,
        body=await request.body(),
    )


async def _read(
    platform: CurrentPlatform, session: TenantSession, access: Access, incident_id: UUID, body: Reason
) -> str:
    """Lock the incident as the caller saw it, and return their reason as it may be stored."""
    await standing_at(session, access.tenant_id, incident_id, body.version)
    return await clean(platform, access.tenant_id, body.reason)


async def _by_person(
    session: TenantSession, access: Access, incident_id: UUID, to: State, kind: str, reason: str
) -> Accepted:
    data: dict[str, Any] = {"reason": reason, "by": "person"}
    if to in {State.RESOLVED, State.CLOSED}:
        data["resolution"] = reason
    if to is State.ESCALATED:
        data["level"] = "L3"
    await transition(session, access.tenant_id, [By.of(access).moves(incident_id, kind, data, to)])
    return Accepted(id=incident_id, href=f"/api/v1/incidents/{incident_id}")


async def _rows(
    platform: CurrentPlatform, tenant_id: UUID, wanted: IncidentFilter
) -> AsyncIterator[dict[str, Any]]:
    async with platform.database.tenant(tenant_id) as session:
        async for incident in queries.each(session, tenant_id, wanted):
            yield queries.summary_row(incident)
