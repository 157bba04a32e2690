"""A tenant's schedules, channels, policies and contacts: listed, kept, and taken away while nothing needs them."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.escalation import calendars
from fettle.healing.escalation.documents import schedule_of
from fettle.healing.escalation.models import (
    Escalation,
    EscalationChannel,
    EscalationDelivery,
    EscalationPolicy,
    OnCallContact,
    OnCallSchedule,
)
from fettle.healing.escalation.schedules import Override, Span, gaps, on_call, preview
from fettle.identity.names import people_who_may, permissions_of_person
from fettle.identity.permissions import KEY_SCOPES
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str

MOST: Final = 500
"""Most of each kind that a tenant has."""

_WARNED: Final = timedelta(days=28)
_WORDS: Final[Mapping[type, str]] = {
    OnCallSchedule: "schedule",
    EscalationChannel: "channel",
    EscalationPolicy: "escalation policy",
}

Kept = TypeVar("Kept", OnCallSchedule, EscalationChannel, EscalationPolicy)


async def listed(
    session: AsyncSession, kind: type[Kept], tenant_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[Kept]:
    """Return what a tenant keeps of a kind, oldest first."""
    query = select(kind).where(kind.tenant_id == tenant_id).order_by(kind.id).limit(limit)
    return (await session.scalars(query if after is None else query.where(kind.id > after))).all()


async def find(session: AsyncSession, kind: type[Kept], tenant_id: UUID, kept_id: UUID) -> Kept:
    """Return one.

    Raises:
        NotFound: The tenant has none of this id.
    """
    query = select(kind).where(kind.tenant_id == tenant_id, kind.id == kept_id)
    found = await session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound(f"There is no such {_WORDS[kind]}.")
    return found


async def create(session: AsyncSession, kind: type[Kept], tenant_id: UUID, fields: Mapping[str, Any]) -> Kept:
    """Add one.

    Raises:
        Conflict: The tenant has one of that name, or too many.
    """
    await hold_lock(await driver(session), kind.__tablename__, tenant_id)
    held = await session.scalar(select(func.count()).select_from(kind).where(kind.tenant_id == tenant_id))
    if (held or 0) >= MOST:
        raise Conflict(f"A tenant has at most {MOST} of these. Delete some first.")
    kept_id = new_id()
    try:
        async with session.begin_nested():
            await session.execute(insert(kind).values(id=kept_id, tenant_id=tenant_id, **fields))
    except IntegrityError:
        raise Conflict(f"There is a {_WORDS[kind]} of this name already.") from None
    return await find(session, kind, tenant_id, kept_id)


async def change(
    session: AsyncSession,
    kind: type[Kept],
    tenant_id: UUID,
    kept_id: UUID,
    fields: Mapping[str, Any],
    *,
    version: int,
) -> Kept:
    """Put another in its place.

    Raises:
        NotFound: The tenant has none of this id.
        Conflict: It has another version by now, or another one has the name.
    """
    changed = (
        update(kind)
        .where(kind.tenant_id == tenant_id, kind.id == kept_id, kind.version == version)
        .values(version=version + 1, updated_at=func.now(), **fields)
        .returning(kind.id)
    )
    try:
        async with session.begin_nested():
            done = await session.scalar(changed)
    except IntegrityError:
        raise Conflict(f"There is a {_WORDS[kind]} of this name already.") from None
    found = await find(session, kind, tenant_id, kept_id)
    if done is None:
        raise Conflict(f"It has version {found.version} by now, not {version}. Read it again and repeat.")
    return found


async def remove(session: AsyncSession, kind: type[Kept], tenant_id: UUID, kept_id: UUID) -> Kept:
    """Take one away.

    Raises:
        NotFound: The tenant has none of this id.
        Conflict: A policy names it.
    """
    found = await find(session, kind, tenant_id, kept_id)
    if kind is not EscalationPolicy:
        users = [
            policy.name
            for policy in await listed(session, EscalationPolicy, tenant_id, after=None, limit=MOST)
            if str(kept_id) in _named(policy.document)
        ]
        if users:
            raise Conflict(f"It is named by {', '.join(users[:5])}. Change that first.")
    await session.execute(delete(kind).where(kind.tenant_id == tenant_id, kind.id == kept_id))
    return found


async def check_people(session: AsyncSession, tenant_id: UUID, people: Iterable[tuple[str, UUID]]) -> None:
    """Refuse people who are not of the tenant or work no incidents.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        people: Where each stands in the body, and who.

    Raises:
        Invalid: With where they stand.
    """
    known = {person.id for person in await people_who_may(session, tenant_id, "incidents:write")}
    fault = "is nobody of this tenant who works incidents; GET /api/v1/incidents/people lists them"
    errors = [FieldError(pointer, fault) for pointer, person in people if person not in known]
    if errors:
        raise Invalid("Not everybody can be on call.", errors=errors[:20])


async def check_targets(session: AsyncSession, tenant_id: UUID, document: Mapping[str, Any]) -> None:
    """Refuse a policy that names a channel, a schedule or a person that there is not.

    Raises:
        Invalid: With where they stand.
    """
    targets = [
        (f"/steps/{number}/targets/{place}", target)
        for number, step in enumerate(document["steps"])
        for place, target in enumerate(step["targets"])
    ] + [(f"/fallback/{place}", target) for place, target in enumerate(document["fallback"])]
    errors = []
    for kind, key in ((EscalationChannel, "channel_id"), (OnCallSchedule, "schedule_id")):
        wanted = {UUID(target[key]) for _, target in targets if target[key]}
        found = set(
            await session.scalars(select(kind.id).where(kind.tenant_id == tenant_id, kind.id.in_(wanted)))
        )
        errors += [
            FieldError(f"{pointer}/{key}", f"there is no such {_WORDS[kind]}")
            for pointer, target in targets
            if target[key] and UUID(target[key]) not in found
        ]
    if errors:
        raise Invalid("The policy names what there is not.", errors=errors[:20])
    people = [
        (f"{pointer}/user_id", UUID(target["user_id"])) for pointer, target in targets if target["user_id"]
    ]
    if people:
        await check_people(session, tenant_id, people)


def looked_ahead(document: Mapping[str, Any], begins: datetime, ends: datetime) -> list[Span]:
    """Return who is on call when by a stored schedule."""
    return preview(schedule_of(document), begins, ends)


def now_on_call(document: Mapping[str, Any]) -> tuple[UUID | None, datetime | None]:
    """Return who is on call now by a stored schedule, and until when; None where that is further than a week."""
    now = utcnow()
    spans = looked_ahead(document, now, now + timedelta(days=7))
    return on_call(schedule_of(document), now), spans[0].ends if len(spans) > 1 else None


def warnings_of(document: Mapping[str, Any]) -> list[str]:
    """Return the gaps of the next four weeks in words, the first few."""
    zone = ZoneInfo(document["time_zone"])
    now = utcnow()
    found = gaps(looked_ahead(document, now, now + _WARNED))
    said = [
        f"Nobody is on call from {gap.begins.astimezone(zone):%Y-%m-%d %H:%M} "
        f"to {gap.ends.astimezone(zone):%Y-%m-%d %H:%M}."
        for gap in found[:10]
    ]
    return said if len(found) <= len(said) else [*said, f"And {len(found) - len(said)} more gaps."]


async def take_calendar(
    session: AsyncSession, schedule: OnCallSchedule, text: str, *, version: int, actor: str
) -> tuple[int, list[str], OnCallSchedule]:
    """Take the shifts of a calendar in as overrides, in the place of those that are not over yet.

    Returns:
        How many were taken, whom nobody knows, and the schedule.

    Raises:
        Invalid: It is no calendar.
        Conflict: The schedule has another version by now.
    """
    document = dict(schedule.document)
    now = utcnow()
    try:
        shifts = await asyncio.to_thread(calendars.read, text, ZoneInfo(document["time_zone"]), now)
    except calendars.CalendarError as error:
        raise Invalid(
            f"The calendar cannot be taken in: {error}.", errors=[FieldError("/ics", str(error))]
        ) from None
    people = await _by_name(session, schedule.tenant_id)
    taken = [
        Override(people[shift.who.lower()], shift.begins, shift.ends)
        for shift in shifts
        if shift.who.lower() in people
    ]
    unknown = list(dict.fromkeys(shift.who[:200] for shift in shifts if shift.who.lower() not in people))[:20]
    over = [one for one in document["overrides"] if datetime.fromisoformat(one["ends"]) <= now]
    # The latest of what is over, as far as there is room: with more, the schedule could not be changed any more.
    room = calendars.MOST_EVENTS - len(taken)
    document["overrides"] = [
        *sorted(over, key=lambda one: datetime.fromisoformat(one["ends"]))[max(0, len(over) - room) :],
        *(
            {
                "person": str(one.person) if one.person else None,
                "begins": rfc3339(one.begins),
                "ends": rfc3339(one.ends),
            }
            for one in taken
        ),
    ]
    fields = {"document": document, "updated_by": actor}
    tenant_id, schedule_id = schedule.tenant_id, schedule.id
    changed = await change(session, OnCallSchedule, tenant_id, schedule_id, fields, version=version)
    return len(taken), unknown, changed


async def contacts(session: AsyncSession, tenant_id: UUID) -> dict[UUID, dict[str, str]]:
    """Return how people are reached, by person."""
    rows = await session.execute(
        select(OnCallContact.user_id, OnCallContact.document).where(OnCallContact.tenant_id == tenant_id)
    )
    return {row.user_id: row.document for row in rows}


async def put_contact(
    session: AsyncSession,
    tenant_id: UUID,
    user_id: UUID,
    document: Mapping[str, str],
    *,
    actor: str,
    permissions: frozenset[str],
) -> None:
    """Keep how a person is reached.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        user_id: The person.
        document: How.
        actor: Who says so.
        permissions: What that one may do.

    Raises:
        NotFound: They are nobody of this tenant.
        Forbidden: By an id that is another one by now somebody else would do there what they may not do here.
        Conflict: Somebody else of the tenant is known by the same id.
    """
    held = await permissions_of_person(session, tenant_id, user_id)
    if "incidents:write" not in held:
        raise NotFound("There is nobody of this id in the tenant who works incidents.")
    everybody = await contacts(session, tenant_id)
    was = everybody.get(user_id, {})
    is_known_anew = any(document.get(key) not in {None, was.get(key)} for key in ("slack", "pagerduty"))
    # What no API key can carry does not count, as wherever a key gives what its holder has.
    is_beyond = not held & KEY_SCOPES <= permissions
    if is_known_anew and is_beyond and actor != f"user:{user_id}":
        raise Forbidden(
            "This person may do what you may not, so you cannot say by which id they are known. Ask them, or somebody "
            "who may."
        )
    for other, known in everybody.items():
        same = [
            key for key in ("slack", "pagerduty") if known.get(key) and known.get(key) == document.get(key)
        ]
        if other != user_id and same:
            raise Conflict(f"Somebody else of this tenant is known by the same {same[0]} id.")
    connection = await driver(session)
    await connection.execute(
        "INSERT INTO oncall_contacts (tenant_id, user_id, document, updated_by) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (tenant_id, user_id) DO UPDATE SET document = excluded.document, "
        "updated_by = excluded.updated_by, updated_at = now()",
        tenant_id, user_id, dumps_str(dict(document)), actor,
    )  # fmt: skip


async def contact_entered_by(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> str | None:
    """Return who said last how a person is reached."""
    query = select(OnCallContact.updated_by).where(
        OnCallContact.tenant_id == tenant_id, OnCallContact.user_id == user_id
    )
    entered_by: str | None = await session.scalar(query)
    return entered_by


async def person_known_as(session: AsyncSession, tenant_id: UUID, key: str, value: str) -> UUID | None:
    """Return the person whom a channel calls so."""
    found = [user for user, known in (await contacts(session, tenant_id)).items() if known.get(key) == value]
    return found[0] if len(found) == 1 else None


async def log(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    incident_id: UUID | None = None,
    channel_id: UUID | None = None,
    state: str | None = None,
    kind: str | None = None,
    before: int | None = None,
    limit: int,
) -> Sequence[EscalationDelivery]:
    """Return messages, newest first."""
    query = select(EscalationDelivery).where(EscalationDelivery.tenant_id == tenant_id)
    if incident_id is not None:
        query = query.where(EscalationDelivery.incident_id == incident_id)
    if channel_id is not None:
        query = query.where(EscalationDelivery.channel_id == channel_id)
    if state is not None:
        query = query.where(EscalationDelivery.state == state)
    if kind is not None:
        query = query.where(EscalationDelivery.kind == kind)
    if before is not None:
        query = query.where(EscalationDelivery.position < before)
    return (await session.scalars(query.order_by(EscalationDelivery.position.desc()).limit(limit))).all()


async def channel_names(
    session: AsyncSession, tenant_id: UUID, channel_ids: Collection[UUID]
) -> dict[UUID, str]:
    """Return what channels are called, those that there are."""
    rows = await session.execute(
        select(EscalationChannel.id, EscalationChannel.name).where(
            EscalationChannel.tenant_id == tenant_id, EscalationChannel.id.in_(channel_ids)
        )
    )
    return {row.id: row.name for row in rows}


async def clock_of(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> Escalation | None:
    """Return the latest clock of an incident."""
    query = select(Escalation).where(Escalation.tenant_id == tenant_id, Escalation.incident_id == incident_id)
    return await session.scalar(query.order_by(Escalation.opened_at.desc(), Escalation.id.desc()).limit(1))


async def queue_test(session: AsyncSession, channel: EscalationChannel) -> UUID:
    """Queue a message that tests a channel; returns its id."""
    delivery_id = new_id()
    await session.execute(
        insert(EscalationDelivery).values(
            id=delivery_id,
            tenant_id=channel.tenant_id,
            channel_id=channel.id,
            channel_kind=channel.kind,
            lane=f"{channel.id}:test",
            kind="test",
        )
    )
    return delivery_id


async def _by_name(session: AsyncSession, tenant_id: UUID) -> dict[str, UUID | None]:
    """Return the people who may be on call by id, address and name, in lower case; and nobody, as that is called."""
    people = await people_who_may(session, tenant_id, "incidents:write")
    connection = await driver(session)
    rows: list[asyncpg.Record] = await connection.fetch(
        "SELECT id, email FROM users WHERE id = ANY($1)", [person.id for person in people]
    )
    return {
        **{person.name.lower(): person.id for person in people},
        **{row["email"].lower(): row["id"] for row in rows},
        **{str(person.id): person.id for person in people},
        calendars.NOBODY: None,
    }


def _named(document: Mapping[str, Any]) -> set[str]:
    targets = [target for step in document["steps"] for target in step["targets"]] + document["fallback"]
    return {str(target[key]) for target in targets for key in ("channel_id", "schedule_id") if target[key]}
