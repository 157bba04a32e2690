"""HTTP of muting: what is set, what it would mute, when it holds, and why somebody was told or was not."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from fettle.healing.muting import correlations, explanations, schemas, service
from fettle.healing.muting.models import StoredMute
from fettle.healing.muting.mutes import MuteSet
from fettle.healing.muting.reading import when_of
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.identity.names import names_of
from fettle.incidents import queries, storm_listing
from fettle.incidents.commands import By
from fettle.incidents.wording import clean
from fettle.kernel.clock import utcnow
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["muting"])

Reader = Annotated[Access, Depends(require("mutes:read"))]
Writer = Annotated[Access, Depends(require("mutes:write"))]
Handler = Annotated[Access, Depends(require("incidents:write"))]
IncidentReader = Annotated[Access, Depends(require("incidents:read"))]


@router.get("/mutes")
async def list_mutes(
    access: Reader,
    session: TenantSession,
    paging: Paging,
    kind: Annotated[schemas.MuteKind | None, Query(description="Of this kind only.")] = None,
    state: Annotated[
        schemas.MuteState | None, Query(description="active: begun and not over; pending: to come.")
    ] = None,
    q: Annotated[str | None, Query(max_length=200, description="In the title.")] = None,
) -> Page[schemas.MuteOut]:
    """List what the tenant has set, newest first."""
    rows = await service.listed(
        session,
        access.tenant_id,
        kind=kind,
        state=state,
        text=q,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    counts = await service.muted_by(session, access.tenant_id)
    names = await names_of(session, access.tenant_id, {row.created_by for row in page})
    return Page(items=[_out(row, counts, names) for row in page], next_cursor=cursor)


@router.get("/mutes/declared")
async def list_declared(
    platform: CurrentPlatform, access: Reader, session: TenantSession
) -> Page[schemas.MuteOut]:
    """List what the tenant's policy and packs say; it is changed there."""
    mutes, _ = await service.everything(platform, session, access.tenant_id)
    counts = await service.muted_by(session, access.tenant_id)
    return Page(items=_declared(mutes, counts))


@router.post("/mutes", status_code=201)
async def create_mute(
    body: schemas.MuteBody,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.MuteOut:
    """Set a silence, a maintenance window, an inhibition or a dependency; it holds within a second."""
    kind, document = await _document(platform, access, body)
    made = await service.create(session, access.tenant_id, By.of(access), kind, document)
    await record(session, who, f"{kind}.created", tenant_id=access.tenant_id, target=(kind, made.id),
                 after=document)  # fmt: skip
    return await _shown(session, access, made)


@router.post("/mutes/preview")
async def preview_mute(body: schemas.MuteBody, access: Reader, session: TenantSession) -> schemas.MutePreview:
    """Show which incidents something would mute if it held now; sets nothing."""
    document = _stored(body)
    looked_at, found = await service.preview(session, access.tenant_id, body.mute.kind, document)
    items = [schemas.MatchedIncident.model_validate(row) for row in found[: service.SHOWN]]
    return schemas.MutePreview(looked_at=looked_at, matched=len(found), items=items)


@router.get("/mutes/calendar")
async def show_calendar(
    platform: CurrentPlatform,
    access: Reader,
    session: TenantSession,
    days: Annotated[int, Query(ge=1, le=31, description="From now on.")] = 14,
) -> schemas.MuteCalendar:
    """Show when silences and windows hold, those of the policy as well."""
    found = await service.calendar(platform, session, access.tenant_id, days=days)
    items = [
        schemas.CalendarSpan.model_validate(
            {
                "mute_id": one.id,
                "title": one.title,
                "effect": one.effect,
                "origin": _origin(one.id),
                "covers": str(one.matchers),
                "begins": begin,
                "ends": end,
                "is_cut": one.when.holds(end),
            }
        )
        for one, begin, end in found
    ]
    return schemas.MuteCalendar(items=items)


@router.get("/mutes/{mute_id}")
async def show_mute(mute_id: UUID, access: Reader, session: TenantSession) -> schemas.MuteOut:
    """Show one thing that the tenant has set."""
    return await _shown(session, access, await service.find(session, access.tenant_id, mute_id))


@router.put("/mutes/{mute_id}")
async def change_mute(
    mute_id: UUID,
    body: schemas.MuteChange,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.MuteOut:
    """Put something else in the place of what is set; what it muted and mutes no longer is released."""
    kind, document = await _document(platform, access, body)
    before = dict((await service.find(session, access.tenant_id, mute_id)).document)
    changed = await service.change(
        session, access.tenant_id, By.of(access), mute_id, kind, document, version=body.version
    )
    await record(session, who, f"{kind}.changed", tenant_id=access.tenant_id, target=(kind, mute_id),
                 before=before, after=document)  # fmt: skip
    return await _shown(session, access, changed)


@router.post("/mutes/{mute_id}/end")
async def end_mute(
    mute_id: UUID, body: schemas.MuteEnd, access: Writer, session: TenantSession, who: CurrentWho
) -> schemas.MuteOut:
    """End it now; what it muted and still fires is released, and nothing else."""
    ended = await service.end(session, access.tenant_id, By.of(access), mute_id, version=body.version)
    await record(
        session, who, f"{ended.kind}.ended", tenant_id=access.tenant_id, target=(ended.kind, mute_id)
    )
    return await _shown(session, access, ended)


@router.post("/mutes/{mute_id}/undo")
async def undo_mute(
    mute_id: UUID, body: schemas.MuteEnd, access: Writer, session: TenantSession, who: CurrentWho
) -> schemas.MuteOut:
    """Undo its last change: let it be as it was before."""
    restored = await service.undo(session, access.tenant_id, By.of(access), mute_id, version=body.version)
    await record(session, who, f"{restored.kind}.restored", tenant_id=access.tenant_id,
                 target=(restored.kind, mute_id))  # fmt: skip
    return await _shown(session, access, restored)


@router.get("/mutes/{mute_id}/history")
async def show_history(
    mute_id: UUID, access: Reader, session: TenantSession, paging: Paging
) -> Page[schemas.PastMute]:
    """Show who changed what and when, newest first."""
    after = paging.after(int)
    rows = await service.history(
        session, access.tenant_id, mute_id, before=after[0] if after else None, limit=paging.limit + 1
    )
    found, cursor = paging.cut(rows, lambda event: (event.version,))
    actors = {str(event.metadata.get("actor")) for event in found}
    names = await names_of(session, access.tenant_id, actors)
    items = [
        schemas.PastMute(
            version=event.version,
            did=event.type.removeprefix("mute."),
            before=event.data.get("before"),
            after=event.data["after"],
            by=str(event.metadata.get("actor")),
            by_name=names.get(str(event.metadata.get("actor"))),
            at=event.occurred_at,
        )
        for event in found
    ]
    return Page(items=items, next_cursor=cursor)


@router.get("/incidents/{incident_id}/explain")
async def explain_incident(
    incident_id: UUID, platform: CurrentPlatform, access: IncidentReader, session: TenantSession
) -> schemas.IncidentWhy:
    """Say why somebody was told of an incident or was not, and when the next message is due."""
    return await explanations.explain_incident(platform, session, access.tenant_id, incident_id)


@router.get("/messages/{message_id}/explain")
async def explain_message(
    message_id: UUID, access: IncidentReader, session: TenantSession
) -> schemas.MessageWhy:
    """Say why a message was sent, waits, or was not sent."""
    return await explanations.explain_message(session, access.tenant_id, message_id)


@router.get("/storms")
async def list_storms(
    access: IncidentReader,
    session: TenantSession,
    paging: Paging,
    state: Annotated[
        storm_listing.Standing | None, Query(description="going_on: its incident is not over.")
    ] = None,
    opened_after: Annotated[AwareDatetime | None, Query(description="At this moment or later.")] = None,
    opened_before: Annotated[AwareDatetime | None, Query(description="Before this moment.")] = None,
    q: Annotated[
        str | None, Query(max_length=200, description="In the check type or the site; or its number.")
    ] = None,
) -> Page[schemas.StormOut]:
    """List incidents that stand for many things at once, newest first."""
    wanted = storm_listing.StormFilter(state, opened_after, opened_before, q or None)
    rows = await storm_listing.list_storms(
        session, access.tenant_id, wanted, before=paging.last_id(), limit=paging.limit + 1
    )
    page, cursor = paging.cut(rows, lambda row: (row["id"],))
    return Page(items=[schemas.StormOut.model_validate(row) for row in page], next_cursor=cursor)


@router.get("/incidents/{incident_id}/storm")
async def list_storm(
    incident_id: UUID, access: IncidentReader, session: TenantSession, paging: Paging
) -> Page[schemas.StormMember]:
    """List what an incident of a storm stands for; empty for any other."""
    await queries.one(session, access.tenant_id, incident_id)
    after = paging.after(str)
    rows = await storm_listing.list_members(
        session, access.tenant_id, incident_id, after=after[0] if after else "", limit=paging.limit + 1
    )
    page, cursor = paging.cut(rows, lambda row: (row["fingerprint"],))
    return Page(items=[schemas.StormMember.model_validate(row) for row in page], next_cursor=cursor)


@router.get("/incidents/{incident_id}/pace")
async def show_pace(incident_id: UUID, access: IncidentReader, session: TenantSession) -> schemas.StormPace:
    """Show how many exceptions of an incident were accepted per minute, or more coarsely where it lasted long."""
    await queries.one(session, access.tenant_id, incident_id)
    found = await storm_listing.pace(session, access.tenant_id, incident_id)
    first_at = None if found.first is None else datetime.fromtimestamp(found.first, UTC)
    return schemas.StormPace(
        seconds=found.seconds, first_at=first_at, counts=found.counts, is_whole=found.is_whole
    )


@router.get("/correlations")
async def list_correlations(
    access: IncidentReader,
    session: TenantSession,
    paging: Paging,
    state: Annotated[Literal["candidate", "confirmed", "dismissed"] | None, Query()] = None,
    incident_id: Annotated[UUID | None, Query(description="With this incident.")] = None,
) -> Page[schemas.CorrelationOut]:
    """List groups of incidents that may belong together, newest first."""
    rows = await correlations.listed(
        session,
        access.tenant_id,
        state=state,
        incident_id=incident_id,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: (row["id"],))
    return Page(items=[schemas.CorrelationOut.model_validate(row) for row in page], next_cursor=cursor)


@router.post("/correlations/{correlation_id}/confirm")
async def confirm_correlation(
    correlation_id: UUID, body: schemas.CorrelationVerdict, access: Handler, session: TenantSession
) -> schemas.CorrelationOut:
    """Confirm that incidents belong together; it links them."""
    shown = await correlations.decide(
        session, access.tenant_id, By.of(access), correlation_id, version=body.version, together=True
    )
    return schemas.CorrelationOut.model_validate(shown)


@router.post("/correlations/{correlation_id}/dismiss")
async def dismiss_correlation(
    correlation_id: UUID, body: schemas.CorrelationVerdict, access: Handler, session: TenantSession
) -> schemas.CorrelationOut:
    """Say that incidents do not belong together; they are not proposed again."""
    shown = await correlations.decide(
        session, access.tenant_id, By.of(access), correlation_id, version=body.version, together=False
    )
    return schemas.CorrelationOut.model_validate(shown)


async def _document(
    platform: CurrentPlatform, access: Access, body: schemas.MuteBody
) -> tuple[str, dict[str, Any]]:
    document = _stored(body)
    document["title"] = await clean(platform, access.tenant_id, document["title"])
    return body.mute.kind, document


def _stored(body: schemas.MuteBody) -> dict[str, Any]:
    return body.mute.model_dump(mode="json", by_alias=True, exclude={"kind"})


async def _shown(session: TenantSession, access: Access, row: StoredMute) -> schemas.MuteOut:
    counts = await service.muted_by(session, access.tenant_id)
    return _out(row, counts, await names_of(session, access.tenant_id, {row.created_by}))


def _out(row: StoredMute, counts: Mapping[str, int], names: Mapping[str, str]) -> schemas.MuteOut:
    now = utcnow()
    when = when_of(row.document)
    ended = row.ends_at is not None and row.ends_at <= now
    pending = not ended and row.starts_at is not None and row.starts_at > now
    return schemas.MuteOut(
        id=str(row.id),
        kind=row.kind,
        title=row.title,
        origin="tenant",
        document=row.document,
        state="ended" if ended else "pending" if pending else "active",
        holds=when.holds(now),
        changes_at=when.next_change(now),
        muted=counts.get(str(row.id), 0),
        version=row.version,
        created_by=row.created_by,
        created_by_name=names.get(row.created_by),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _declared(mutes: MuteSet, counts: Mapping[str, int]) -> list[schemas.MuteOut]:
    now = utcnow()
    found: list[schemas.MuteOut] = []
    for one in mutes.timed:
        if _origin(one.id) != "tenant":
            ended = one.when.ends_at is not None and one.when.ends_at <= now
            found.append(
                schemas.MuteOut(
                    **_fixed(one.id, one.title, counts),
                    kind="silence" if one.effect == "silence" else "window",
                    document={"effect": one.effect, "covers": str(one.matchers)},
                    state="ended" if ended else "active",
                    holds=one.when.holds(now),
                    changes_at=one.when.next_change(now),
                )
            )
    for hanging in mutes.dependencies:
        if _origin(hanging.id) != "tenant":
            covers = f"{', '.join(str(thing) for thing in hanging.dependents)} on {hanging.on}"
            found.append(
                schemas.MuteOut(
                    **_fixed(hanging.id, hanging.title, counts),
                    kind="dependency",
                    document={"covers": covers},
                    state="active",
                    holds=True,
                    changes_at=None,
                )
            )
    return found


def _fixed(key: str, title: str, counts: Mapping[str, int]) -> dict[str, Any]:
    nobody = dict.fromkeys(("created_by", "created_by_name", "created_at", "updated_at"))
    return {
        "id": key,
        "title": title,
        "origin": _origin(key),
        "muted": counts.get(key, 0),
        "version": 0,
        **nobody,
    }


def _origin(key: str) -> str:
    head, colon, _ = key.partition(":")
    return head if colon else "tenant"
