"""HTTP of trying escalation policies: whom they would tell, and when; nothing is sent and nothing kept."""

from uuid import UUID

from fastapi import APIRouter

from fettle.healing.escalation import schemas, service, trying
from fettle.healing.escalation.contacts import channels_of, policy_of_contacts
from fettle.healing.escalation.documents import policy_of, schedule_of
from fettle.healing.escalation.keeping import Reader
from fettle.healing.escalation.models import EscalationChannel, EscalationPolicy, OnCallSchedule
from fettle.healing.escalation.policies import chosen
from fettle.identity.access import Access, CurrentPlatform, TenantSession
from fettle.identity.names import names_of
from fettle.kernel.clock import utcnow
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

router = APIRouter(route_class=StrictRoute, tags=["escalation"])

_OF_CONTACTS = "the contacts of the Policy Pack"


@router.post("/escalation/policies/try")
async def try_policy(
    body: schemas.TryIn, access: Reader, session: TenantSession, platform: CurrentPlatform
) -> schemas.TrialOut:
    """Show whom a policy, or what the tenant has, would tell of an incident, and when; tells nobody."""
    found = await _policy(body, access, session, platform)
    if found is None:
        return schemas.TrialOut(policy=None, quiet_until=None, items=[], more=False)
    name, document = found
    channels = await service.listed(
        session, EscalationChannel, access.tenant_id, after=None, limit=service.MOST
    )
    schedules = await service.listed(
        session, OnCallSchedule, access.tenant_id, after=None, limit=service.MOST
    )
    places = {row.id: (row.name, row.kind, row.enabled) for row in channels}
    places |= {UUID(own): (one["name"], one["kind"], True) for own, one in channels_of(document).items()}
    trial = trying.attempt(
        policy_of(document),
        body.severity,
        body.at or utcnow(),
        channels={key: place[2] for key, place in places.items()},
        schedules={row.id: schedule_of(row.document) for row in schedules},
    )
    people = {one.person for stroke in trial.strokes for one in stroke.told if one.person}
    names = await names_of(session, access.tenant_id, [f"user:{person}" for person in people])

    def told(one: trying.Told) -> schemas.ToldOut:
        place = places.get(one.target.channel_id)
        person = one.person and schemas.PersonRef(id=one.person, name=names.get(f"user:{one.person}"))
        return schemas.ToldOut(
            channel_id=one.target.channel_id,
            channel=place and place[0],
            channel_kind=place and place[1],
            person=person,
            why_not=one.why_not,
        )

    return schemas.TrialOut(
        policy=name,
        quiet_until=trial.quiet_until,
        items=[
            schemas.StrokeOut(at=one.at, step=one.step, turn=one.turn, told=[told(each) for each in one.told])
            for one in trial.strokes
        ],
        more=trial.is_cut,
    )


async def _policy(
    body: schemas.TryIn, access: Access, session: TenantSession, platform: Platform
) -> tuple[str, dict[str, object]] | None:
    """Return the policy to try with its name: the one given where it fits, else the tenant's own that holds."""
    check_type = body.check_type or ""
    if body.policy is not None:
        document = body.policy.model_dump(mode="json", exclude={"name", "version", "enabled", "position"})
        match = policy_of(document).match
        fits = match.holds(severity=body.severity, check_type=check_type, site=body.site)
        return (body.policy.name, document) if fits else None
    rows = [
        row
        for row in await service.listed(
            session, EscalationPolicy, access.tenant_id, after=None, limit=service.MOST
        )
        if row.enabled
    ]
    rows.sort(key=lambda row: (row.position, row.id))
    holding = chosen(
        [(row.id, policy_of(row.document)) for row in rows],
        severity=body.severity,
        check_type=check_type,
        site=body.site,
    )
    if holding is not None:
        row = next(row for row in rows if row.id == holding)
        return row.name, row.document
    policy = (await active_packs(platform, access.tenant_id)).policy
    of_contacts = policy_of_contacts(policy.get("escalation_contacts", ()), body.severity)
    return None if of_contacts is None else (_OF_CONTACTS, of_contacts)
