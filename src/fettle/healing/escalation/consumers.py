"""Escalation's part of the pipeline: clocks begin, stop and end with what happens to incidents."""

from typing import Final
from uuid import UUID

import asyncpg

from fettle.healing.escalation import clocks
from fettle.healing.escalation.clocks import Opening
from fettle.healing.escalation.sending import send_messages
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.events import Event
from fettle.packs.service import active_packs

_BEGINS: Final = frozenset({"incident.escalated", "approval.requested"})
_ENDS: Final = frozenset({"incident.resolved", "incident.closed", "incident.merged"})
_TAKES: Final = frozenset({"incident.assigned", "approval.decided", "plan.approved"})


async def follow_incidents(batch: TenantBatch) -> None:
    """Keep the clocks of a tenant's incidents in step with them: a handful of statements for all."""
    connection = await driver(batch.session)
    begun: dict[UUID, Event] = {}
    ended: set[UUID] = set()
    taken: dict[UUID, str] = {}
    for event in batch.events:
        incident_id = event.stream_id
        if event.type in _BEGINS:
            begun[incident_id] = event
            taken.pop(incident_id, None)
        elif event.type in _ENDS:
            ended.add(incident_id)
            begun.pop(incident_id, None)
            taken.pop(incident_id, None)
        elif (person := _person(event)) is not None:
            taken[incident_id] = person
    if ended:
        await clocks.settle(connection, batch.tenant_id, ended)
    if begun:
        openings = await _openings(connection, batch.tenant_id, begun)
        policy = (await active_packs(batch.platform, batch.tenant_id)).policy
        named = policy.get("escalation_contacts", ())
        await clocks.open_all(connection, batch.tenant_id, openings, utcnow(), named)
    for incident_id, person in taken.items():
        await clocks.stop(connection, batch.tenant_id, incident_id, by=person, now=utcnow())


def _person(event: Event) -> str | None:
    """Return the person who showed by what they did that they have the incident in hand."""
    actor = str(event.metadata.get("actor"))
    if not actor.startswith("user:"):
        return None
    if event.type == "incident.assigned" and actor != f"user:{event.data.get('assignee')}":
        return None
    return actor


async def _openings(
    connection: asyncpg.Connection, tenant_id: UUID, begun: dict[UUID, Event]
) -> list[Opening]:
    rows = await connection.fetch(
        "SELECT id, severity, check_type, site FROM incidents WHERE tenant_id = $1 AND id = ANY($2) ORDER BY id",
        tenant_id, list(begun),
    )  # fmt: skip
    return [
        Opening(row["id"], row["severity"], row["check_type"], row["site"], _reason(begun[row["id"]]))
        for row in rows
    ]


def _reason(event: Event) -> str:
    return "approval_requested" if event.type == "approval.requested" else str(event.data.get("reason"))


CONSUMERS: Final = [ConsumerSpec("healing.escalate", _BEGINS | _ENDS | _TAKES, follow_incidents)]
SERVICES: Final = [send_messages]
