"""What people do on an incident that was escalated: acknowledge it, take that back, or hand it over."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.escalation import clocks
from fettle.incidents import assigning
from fettle.incidents.commands import By
from fettle.incidents.service import lock, transition
from fettle.incidents.states import SETTLED
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound


async def acknowledge(
    session: AsyncSession, tenant_id: UUID, by: By, incident_id: UUID, *, is_taken: bool
) -> None:
    """Say that somebody has an incident in hand: the clock stops. Said again, it changes nothing.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        by: Who says so.
        incident_id: The incident.
        is_taken: They become its assignee, too.

    Raises:
        NotFound: The tenant has no such incident.
        Conflict: It is over.
    """
    await _lock_open(session, tenant_id, incident_id)
    connection = await driver(session)
    if await clocks.stop(connection, tenant_id, incident_id, by=by.actor, now=utcnow()):
        await transition(session, tenant_id, [by.moves(incident_id, "incident.acknowledged", {})])
    if is_taken and by.user_id is not None:
        await assigning.assign(session, tenant_id, by, incident_id, assignee=by.user_id)


async def take_back(session: AsyncSession, tenant_id: UUID, by: By, incident_id: UUID) -> None:
    """Take an acknowledgement back: the clock goes on. Said again, it changes nothing.

    Raises:
        NotFound: The tenant has no such incident.
        Conflict: It is over.
    """
    await _lock_open(session, tenant_id, incident_id)
    connection = await driver(session)
    if await clocks.go_on(connection, tenant_id, incident_id, now=utcnow()):
        await transition(session, tenant_id, [by.moves(incident_id, "incident.unacknowledged", {})])


async def hand_over(
    session: AsyncSession, tenant_id: UUID, by: By, incident_id: UUID, *, to: UUID, reason: str
) -> None:
    """Give an incident to another person, who is told by the channels of the step that was told last.

    Raises:
        NotFound: The tenant has no such incident.
        Invalid: The person works no incidents here.
        Conflict: It is over.
    """
    await _lock_open(session, tenant_id, incident_id)
    await assigning.assign(session, tenant_id, by, incident_id, assignee=to)
    connection = await driver(session)
    told = await clocks.hand_over(connection, tenant_id, incident_id, to=to, now=utcnow())
    data = {"to": str(to), "reason": reason, "is_told": told}
    await transition(session, tenant_id, [by.moves(incident_id, "incident.handed_over", data)])


async def _lock_open(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> None:
    standing = (await lock(session, tenant_id, [incident_id])).get(incident_id)
    if standing is None:
        raise NotFound(f"There is no incident {incident_id}.")
    if standing.state in SETTLED:
        raise Conflict(f"The incident is {standing.state} already; there is nothing to take.")
