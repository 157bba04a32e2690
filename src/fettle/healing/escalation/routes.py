"""HTTP of escalation: on-call schedules, policies, contacts, the log of messages, and what people do."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from fettle.healing.escalation import (
    acting,
    calendars,
    routes_channels,
    routes_feeds,
    routes_trying,
    schemas,
    schemas_schedules,
    service,
)
from fettle.healing.escalation.keeping import Keeping, Reader, Writer, page
from fettle.healing.escalation.models import EscalationPolicy, OnCallSchedule
from fettle.healing.escalation.schedules import LONGEST_PREVIEW, Span, gaps
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.identity.names import names_of, people_who_may
from fettle.incidents import queries
from fettle.incidents.commands import By
from fettle.incidents.wording import clean
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import FieldError, Invalid
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["escalation"])
router.include_router(routes_channels.router)
router.include_router(routes_feeds.router)
router.include_router(routes_trying.router)

Handler = Annotated[Access, Depends(require("incidents:write"))]
IncidentReader = Annotated[Access, Depends(require("incidents:read"))]
_MOST_SHOWN = 200


@router.get("/escalation/on-call")
async def list_on_call(access: Reader, session: TenantSession) -> schemas_schedules.OnCallList:
    """Say who is on call now, by every schedule."""
    rows = await service.listed(session, OnCallSchedule, access.tenant_id, after=None, limit=service.MOST)
    found = [(row, *service.now_on_call(row.document)) for row in rows]
    people = await _people(session, access, [person for _, person, _ in found])
    items = [
        schemas_schedules.OnCallNow(
            schedule_id=row.id, schedule=row.name, person=_person(who, people), until=until
        )
        for row, who, until in found
    ]
    return schemas_schedules.OnCallList(items=items)


@router.get("/escalation/schedules")
async def list_schedules(
    access: Reader, session: TenantSession, paging: Paging
) -> Page[schemas_schedules.ScheduleOut]:
    """List on-call schedules, each with the gaps of the next four weeks."""
    rows, cursor = await page(session, OnCallSchedule, access.tenant_id, paging)
    return Page(items=[_schedule(row) for row in rows], next_cursor=cursor)


@router.post("/escalation/schedules", status_code=201)
async def create_schedule(
    body: schemas_schedules.ScheduleBody, access: Writer, session: TenantSession, who: CurrentWho
) -> schemas_schedules.ScheduleOut:
    """Add an on-call schedule."""
    fields = await _schedule_fields(session, access, body)
    return _schedule(await Keeping(session, access.tenant_id, who).add(OnCallSchedule, fields))


@router.get("/escalation/schedules/{schedule_id}")
async def show_schedule(
    schedule_id: UUID, access: Reader, session: TenantSession
) -> schemas_schedules.ScheduleOut:
    """Show one on-call schedule."""
    return _schedule(await service.find(session, OnCallSchedule, access.tenant_id, schedule_id))


@router.put("/escalation/schedules/{schedule_id}")
async def change_schedule(
    schedule_id: UUID,
    body: schemas_schedules.ScheduleChange,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas_schedules.ScheduleOut:
    """Put another schedule in the place of one; whoever is on call by it is asked for when a step is due."""
    changes = Keeping(session, access.tenant_id, who)
    kept = await changes.find(OnCallSchedule, schedule_id)
    fields = await _schedule_fields(session, access, body)
    return _schedule(await changes.replace(kept, fields, version=body.version))


@router.delete("/escalation/schedules/{schedule_id}", status_code=204)
async def delete_schedule(schedule_id: UUID, access: Writer, session: TenantSession, who: CurrentWho) -> None:
    """Delete a schedule that no policy names."""
    await Keeping(session, access.tenant_id, who).remove(OnCallSchedule, schedule_id)


@router.get("/escalation/schedules/{schedule_id}/preview")
async def preview_schedule(
    schedule_id: UUID,
    access: Reader,
    session: TenantSession,
    days: Annotated[int, Query(ge=1, le=LONGEST_PREVIEW.days, description="From now on.")] = 28,
) -> schemas_schedules.PreviewOut:
    """Show who is on call when, and where nobody is."""
    row = await service.find(session, OnCallSchedule, access.tenant_id, schedule_id)
    return await _previewed(session, access, _ahead(row, days))


@router.post("/escalation/schedules/preview")
async def preview_draft(
    body: schemas_schedules.ScheduleBody, access: Reader, session: TenantSession
) -> schemas_schedules.PreviewOut:
    """Show the next four weeks of a schedule that is not kept yet; changes nothing."""
    document = body.model_dump(mode="json", exclude={"name"})
    now = utcnow()
    return await _previewed(session, access, service.looked_ahead(document, now, now + timedelta(days=28)))


@router.get("/escalation/schedules/{schedule_id}/calendar.ics", response_class=Response)
async def export_calendar(
    schedule_id: UUID,
    access: Reader,
    session: TenantSession,
    days: Annotated[int, Query(ge=1, le=LONGEST_PREVIEW.days)] = 90,
) -> Response:
    """Return who is on call when as iCalendar."""
    row = await service.find(session, OnCallSchedule, access.tenant_id, schedule_id)
    spans = _ahead(row, days)
    people = await _people(session, access, [span.person for span in spans])
    text = calendars.write(row.name, [calendars.Part(row.id, row.name, spans)], people, utcnow())
    headers = {"Content-Disposition": 'attachment; filename="on-call.ics"'}
    return Response(text, media_type="text/calendar", headers=headers)


@router.post("/escalation/schedules/{schedule_id}/calendar")
async def import_calendar(
    schedule_id: UUID,
    body: schemas_schedules.CalendarIn,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas_schedules.ImportOut:
    """Take a calendar in: its shifts become the overrides from now on."""
    row = await service.find(session, OnCallSchedule, access.tenant_id, schedule_id)
    taken, unknown, changed = await service.take_calendar(
        session, row, body.ics, version=body.version, actor=access.actor
    )
    await record(session, who, "schedule.calendar_taken", tenant_id=access.tenant_id,
                 target=("schedule", schedule_id), after={"taken": taken, "unknown": len(unknown)})  # fmt: skip
    return schemas_schedules.ImportOut(taken=taken, unknown=unknown, version=changed.version)


@router.get("/escalation/policies")
async def list_policies(
    access: Reader, session: TenantSession, paging: Paging
) -> Page[schemas.EscalationPolicyOut]:
    """List escalation policies; of those that fit an incident, the lowest position holds."""
    rows, cursor = await page(session, EscalationPolicy, access.tenant_id, paging)
    return Page(items=[schemas.EscalationPolicyOut.model_validate(row) for row in rows], next_cursor=cursor)


@router.post("/escalation/policies", status_code=201)
async def create_policy(
    body: schemas.EscalationPolicyBody, access: Writer, session: TenantSession, who: CurrentWho
) -> schemas.EscalationPolicyOut:
    """Add an escalation policy; it holds for what is escalated from now on."""
    fields = await _policy_fields(session, access, body)
    return schemas.EscalationPolicyOut.model_validate(
        await Keeping(session, access.tenant_id, who).add(EscalationPolicy, fields)
    )


@router.get("/escalation/policies/{policy_id}")
async def show_policy(policy_id: UUID, access: Reader, session: TenantSession) -> schemas.EscalationPolicyOut:
    """Show one escalation policy."""
    found = await service.find(session, EscalationPolicy, access.tenant_id, policy_id)
    return schemas.EscalationPolicyOut.model_validate(found)


@router.put("/escalation/policies/{policy_id}")
async def change_policy(
    policy_id: UUID,
    body: schemas.EscalationPolicyChange,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.EscalationPolicyOut:
    """Put another policy in the place of one; what is under way goes on by the old one."""
    changes = Keeping(session, access.tenant_id, who)
    kept = await changes.find(EscalationPolicy, policy_id)
    fields = await _policy_fields(session, access, body)
    changed = await changes.replace(kept, fields, version=body.version)
    return schemas.EscalationPolicyOut.model_validate(changed)


@router.delete("/escalation/policies/{policy_id}", status_code=204)
async def delete_policy(policy_id: UUID, access: Writer, session: TenantSession, who: CurrentWho) -> None:
    """Delete an escalation policy; what is under way goes on by it."""
    await Keeping(session, access.tenant_id, who).remove(EscalationPolicy, policy_id)


@router.get("/escalation/contacts")
async def list_contacts(
    access: Annotated[Access, Depends(require("escalation:read", reads="contacts.listed"))],
    session: TenantSession,
) -> schemas_schedules.ContactList:
    """List the people who may be on call and how channels reach them."""
    known = await service.contacts(session, access.tenant_id)
    people = await people_who_may(session, access.tenant_id, "incidents:write")
    items = [
        schemas_schedules.ContactOut(
            person=schemas.PersonRef(id=one.id, name=one.name), **known.get(one.id, {})
        )
        for one in people
    ]
    return schemas_schedules.ContactList(items=items)


@router.put("/escalation/contacts/{user_id}", status_code=204)
async def put_contact(
    user_id: UUID, body: schemas_schedules.ContactIn, access: Writer, session: TenantSession, who: CurrentWho
) -> None:
    """Say how channels reach a person, and by which ids they are known there."""
    document = body.model_dump(exclude_none=True)
    await service.put_contact(
        session, access.tenant_id, user_id, document, actor=access.actor, permissions=access.permissions
    )
    await record(session, who, "contact.changed", tenant_id=access.tenant_id, target=("user", user_id),
                 after={"ways": sorted(document)})  # fmt: skip


@router.get("/incidents/{incident_id}/escalation")
async def show_escalation(
    incident_id: UUID, access: IncidentReader, session: TenantSession
) -> schemas.IncidentEscalation:
    """Show whom an incident was told to, what came of each message, and what is due next."""
    await queries.one(session, access.tenant_id, incident_id)
    clock = await service.clock_of(session, access.tenant_id, incident_id)
    rows = await service.log(session, access.tenant_id, incident_id=incident_id, limit=_MOST_SHOWN)
    return schemas.IncidentEscalation(
        escalation=schemas.EscalationOut.model_validate(clock) if clock else None,
        deliveries=await routes_channels.messages(session, access.tenant_id, rows),
    )


@router.post("/incidents/{incident_id}/acknowledge", status_code=202)
async def acknowledge_incident(
    incident_id: UUID, body: schemas.AcknowledgeIn, access: Handler, session: TenantSession, who: CurrentWho
) -> schemas.Commanded:
    """Say that one has an incident in hand: nobody else is told."""
    await acting.acknowledge(session, access.tenant_id, By.of(access), incident_id, is_taken=body.take)
    await record(session, who, "incident.acknowledged", tenant_id=access.tenant_id,
                 target=("incident", incident_id))  # fmt: skip
    return _commanded(incident_id)


@router.post("/incidents/{incident_id}/unacknowledge", status_code=202)
async def take_acknowledgement_back(
    incident_id: UUID, access: Handler, session: TenantSession, who: CurrentWho
) -> schemas.Commanded:
    """Take an acknowledgement back: the next step is told after the wait of the one before it."""
    await acting.take_back(session, access.tenant_id, By.of(access), incident_id)
    await record(session, who, "incident.unacknowledged", tenant_id=access.tenant_id,
                 target=("incident", incident_id))  # fmt: skip
    return _commanded(incident_id)


@router.post("/incidents/{incident_id}/hand-over", status_code=202)
async def hand_incident_over(
    incident_id: UUID,
    body: schemas.HandOverIn,
    platform: CurrentPlatform,
    access: Handler,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.Commanded:
    """Give an incident to another person, who is told at once."""
    reason = await clean(platform, access.tenant_id, body.reason)
    await acting.hand_over(session, access.tenant_id, By.of(access), incident_id, to=body.to, reason=reason)
    await record(session, who, "incident.handed_over", tenant_id=access.tenant_id,
                 target=("incident", incident_id), after={"to": str(body.to), "reason": reason})  # fmt: skip
    return _commanded(incident_id)


async def _schedule_fields(
    session: TenantSession, access: Access, body: schemas_schedules.ScheduleBody
) -> dict[str, object]:
    people = [
        (f"/layers/{number}/people/{place}", person)
        for number, layer in enumerate(body.layers)
        for place, person in enumerate(layer.people)
    ]
    people += [(f"/overrides/{n}/person", one.person) for n, one in enumerate(body.overrides) if one.person]
    await service.check_people(session, access.tenant_id, people)
    document = body.model_dump(mode="json", exclude={"name", "version"})
    return {"name": body.name, "document": document, "updated_by": access.actor}


async def _policy_fields(
    session: TenantSession, access: Access, body: schemas.EscalationPolicyBody
) -> dict[str, object]:
    document = body.model_dump(mode="json", exclude={"name", "version", "enabled", "position"})
    await service.check_targets(session, access.tenant_id, document)
    if all(step.wait_seconds == 0 for step in body.steps) and body.repeats:
        fault = FieldError("/steps", "must wait somewhere, or all repeats are told at once")
        raise Invalid("The policy never waits for an acknowledgement.", errors=[fault])
    return {
        "name": body.name,
        "enabled": body.enabled,
        "position": body.position,
        "document": document,
        "updated_by": access.actor,
    }


async def _previewed(
    session: TenantSession, access: Access, spans: list[Span]
) -> schemas_schedules.PreviewOut:
    people = await _people(session, access, [span.person for span in spans])

    def shown(found: list[Span]) -> list[schemas_schedules.SpanOut]:
        return [
            schemas_schedules.SpanOut(begins=span.begins, ends=span.ends, person=_person(span.person, people))
            for span in found
        ]

    return schemas_schedules.PreviewOut(items=shown(spans), gaps=shown(gaps(spans)))


async def _people(session: TenantSession, access: Access, ids: list[UUID | None]) -> dict[UUID, str]:
    wanted = {person for person in ids if person is not None}
    names = await names_of(session, access.tenant_id, [f"user:{person}" for person in wanted])
    return {person: names[f"user:{person}"] for person in wanted if f"user:{person}" in names}


def _person(person: UUID | None, people: dict[UUID, str]) -> schemas.PersonRef | None:
    return None if person is None else schemas.PersonRef(id=person, name=people.get(person))


def _ahead(row: OnCallSchedule, days: int) -> list[Span]:
    now = utcnow().replace(second=0, microsecond=0)
    return service.looked_ahead(row.document, now, now + timedelta(days=days))


def _schedule(row: OnCallSchedule) -> schemas_schedules.ScheduleOut:
    shown = schemas_schedules.ScheduleOut.model_validate(row)
    shown.warnings = service.warnings_of(row.document)
    return shown


def _commanded(incident_id: UUID) -> schemas.Commanded:
    return schemas.Commanded(id=incident_id, href=f"/api/v1/incidents/{incident_id}/escalation")
