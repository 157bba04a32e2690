"""Who has an incident in hand."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.names import names_of, permissions_of_person
from fettle.incidents.commands import By, standing_at
from fettle.incidents.service import transition
from fettle.kernel.errors import FieldError, Invalid


async def assign(
    session: AsyncSession,
    tenant_id: UUID,
    by: By,
    incident_id: UUID,
    *,
    assignee: UUID | str,
    seen: int | None = None,
) -> None:
    """Give an incident to a person; to whom has it already, nothing is done.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        by: Who gives it.
        incident_id: The incident.
        assignee: A member of the tenant who works incidents; `me` is whoever commands.
        seen: The version that was looked at.

    Raises:
        NotFound: The tenant has no such incident.
        Invalid: The person works no incidents here.
        Conflict: It has changed since.
    """
    standing = await standing_at(session, tenant_id, incident_id, seen)
    person = person_of(by, assignee)
    name = await name_of_worker(session, tenant_id, by, person)
    if standing.assignee == str(person):
        return
    data = {"assignee": str(person), "assignee_name": name, "before": standing.assignee}
    await transition(session, tenant_id, [by.moves(incident_id, "incident.assigned", data)])


async def unassign(
    session: AsyncSession, tenant_id: UUID, by: By, incident_id: UUID, *, seen: int | None = None
) -> None:
    """Take an incident out of everybody's hand; where nobody has it, nothing is done.

    Raises:
        NotFound: The tenant has no such incident.
        Conflict: It has changed since.
    """
    standing = await standing_at(session, tenant_id, incident_id, seen)
    if standing.assignee is None:
        return
    data = {"before": standing.assignee}
    await transition(session, tenant_id, [by.moves(incident_id, "incident.unassigned", data)])


def person_of(by: By, assignee: UUID | str) -> UUID:
    """Return the person that is named, where `me` is whoever commands.

    Raises:
        Invalid: A program says `me`.
    """
    if isinstance(assignee, UUID):
        return assignee
    if by.user_id is None:
        fault = FieldError("/assignee", "an API key is nobody who could have an incident in hand")
        raise Invalid("Name a person.", errors=[fault])
    return by.user_id


async def name_of_worker(session: AsyncSession, tenant_id: UUID, by: By, assignee: UUID) -> str | None:
    """Return the name of a person who may have incidents in hand; whoever commands always may.

    Raises:
        Invalid: They are no member, or their role works no incidents.
    """
    if "incidents:write" in await permissions_of_person(session, tenant_id, assignee):
        actor = f"user:{assignee}"
        return (await names_of(session, tenant_id, [actor])).get(actor)
    if assignee == by.user_id:
        return None
    fault = "is nobody of this tenant who works incidents; GET /api/v1/incidents/people lists them"
    raise Invalid(f"The assignee {fault}.", errors=[FieldError("/assignee", fault)])
