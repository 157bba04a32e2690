"""What all commands of people on incidents share: who commands, the lock, and what changed since one looked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.access import Access
from fettle.identity.names import names_of
from fettle.incidents.history import Standing
from fettle.incidents.service import Transition, lock
from fettle.incidents.states import State
from fettle.kernel import context, events
from fettle.kernel.errors import Conflict, FieldError, NotFound
from fettle.kernel.events import Event

PASSING: Final = frozenset(
    {
        "incident.occurrence_added",
        "incident.recovery_reported",
        "incident.evidence_sealed",
        "incident.commented",
        "incident.comment_edited",
        "incident.comment_deleted",
        "incident.linked",
        "incident.unlinked",
    }
)
"""What may happen between looking and commanding without changing what one decides."""

_LOOKED_BACK: Final = 200
_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class By:
    """Who commands.

    Attributes:
        actor: As events name them.
        user_id: The person, None for a program.
        request_id: The request that it came with.
    """

    actor: str
    user_id: UUID | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, access: Access) -> "By":
        """Return who sends the request at hand."""
        return cls(access.actor, access.user_id, context.request_id.get())

    def moves(
        self, incident_id: UUID, kind: str, data: Mapping[str, Any], to: State | None = None
    ) -> Transition:
        """Return an event of theirs."""
        return Transition(
            incident_id=incident_id,
            type=kind,
            to=to,
            data=data,
            actor=self.actor,
            request_id=self.request_id,
        )


async def standing_at(
    session: AsyncSession, tenant_id: UUID, incident_id: UUID, seen: int | None
) -> Standing:
    """Lock an incident and return how it stands, if it still is as the caller saw it.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        incident_id: The incident.
        seen: The version that the caller looked at; None for whatever it is now.

    Raises:
        NotFound: The tenant has no such incident.
        Conflict: It has changed since; the detail says what did.
    """
    standing = (await lock(session, tenant_id, [incident_id])).get(incident_id)
    if standing is None:
        raise NotFound(f"There is no incident {incident_id}.")
    if seen is not None and seen != standing.version:
        await _refuse_changed(session, tenant_id, incident_id, seen, standing)
    return standing


def last_lasting(found: Sequence[Event]) -> list[Event]:
    """Return the events among these that change what one would decide."""
    return [event for event in found if event.type not in PASSING]


async def _refuse_changed(
    session: AsyncSession, tenant_id: UUID, incident_id: UUID, seen: int, standing: Standing
) -> None:
    if seen > standing.version:
        fault = FieldError("/version", f"the incident is at version {standing.version}")
        raise Conflict("The incident never had the version that you name. Read it again.", errors=[fault])
    since = await events.read_stream(
        session, tenant_id, "incident", incident_id, after_version=seen, limit=_LOOKED_BACK
    )
    changes = last_lasting(since)
    if not changes:
        return
    names = await names_of(session, tenant_id, {str(event.metadata.get("actor")) for event in changes})
    told = Counter((event.type, _by(event, names)) for event in changes)
    words = "; ".join(
        f"{kind} by {who}" + (f", {times} times" if times > 1 else "")
        for (kind, who), times in list(told.items())[-_TOLD:]
    )
    raise Conflict(
        f"It has changed since you looked: {words}. It is {standing.state.value} now. Look again, then decide.",
        errors=[FieldError("/version", f"you saw {seen}, it is {standing.version}")],
    )


def _by(event: Event, names: Mapping[str, str]) -> str:
    actor = str(event.metadata.get("actor"))
    return names.get(actor, actor)
