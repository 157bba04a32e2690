"""Which events people see live, and as what; one bulk read of the incidents that they are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from fettle.incidents.schemas import IncidentItem
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import DriverConnection
from fettle.kernel.events import Event
from fettle.kernel.jsonio import dumps

_OF_TYPE: Final[Mapping[str, str]] = {
    "exception.ingested": "exception_accepted",
    "incident.opened": "incident_opened",
    "incident.closed": "incident_closed",
    "incident.occurrence_added": "incident_updated",
    "incident.reopened": "incident_updated",
    "incident.triaged": "incident_updated",
    "incident.suppressed": "incident_updated",
    "incident.escalated": "incident_updated",
    "incident.resolved": "incident_updated",
    "incident.recovery_reported": "incident_updated",
    "incident.assigned": "incident_updated",
    "incident.unassigned": "incident_updated",
    "incident.commented": "incident_updated",
    "incident.comment_edited": "incident_updated",
    "incident.comment_deleted": "incident_updated",
    "incident.linked": "incident_updated",
    "incident.unlinked": "incident_updated",
    "incident.merge_received": "incident_updated",
    "incident.merge_undone": "incident_updated",
    "incident.unmerged": "incident_updated",
    "incident.split": "incident_updated",
    "incident.verification_started": "incident_updated",
    "incident.evidence_sealed": "incident_updated",
    "plan.requested": "incident_updated",
    "plan.proposed": "incident_updated",
    "plan.approved": "incident_updated",
    "plan.rejected": "incident_updated",
    "approval.requested": "approval_requested",
    "approval.decided": "incident_updated",
    "approval.given": "incident_updated",
    "step.started": "action_status_update",
    "step.succeeded": "action_status_update",
    "step.failed": "action_status_update",
    "playbook.completed": "action_status_update",
    "run.stop_requested": "action_status_update",
    "run.held": "action_status_update",
    "run.released": "action_status_update",
    "run.braked": "action_status_update",
}

EVENT_TYPES: Final = tuple(_OF_TYPE)
"""The events that become live messages."""

_ITEM_COLUMNS: Final = ", ".join(IncidentItem.model_fields)
_TOLD: Final = (
    "check_type", "host", "path", "title", "tool", "phase", "outcome", "reason", "approval_id", "run_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One message, written once however many watch.

    Attributes:
        position: That of its event; a reader resumes after it.
        type: What kind of news it is.
        body: The message as JSON, on one line.
    """

    position: int
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Publication:
    """Every message of a tenant in the stretch ``(after, upto]`` of the store."""

    after: int
    upto: int
    messages: list[LiveMessage]

    def pack(self) -> bytes:
        """Return it as bytes: a line about it, then a line for each message."""
        told = [(message.position, message.type) for message in self.messages]
        head = dumps({"after": self.after, "upto": self.upto, "told": told})
        return b"\n".join([head, *(message.body for message in self.messages)])

    @classmethod
    def unpack(cls, packed: bytes) -> "Publication":
        """Read what `pack` wrote.

        Raises:
            ValueError: It is something else.
        """
        head, *bodies = packed.split(b"\n")
        try:
            found = orjson.loads(head)
            messages = [
                LiveMessage(position, kind, body)
                for (position, kind), body in zip(found["told"], bodies, strict=True)
            ]
            return cls(int(found["after"]), int(found["upto"]), messages)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a publication: {error}") from None


def platform_status(tenant_id: UUID, position: int, status: str) -> LiveMessage:
    """Return the message about the stream itself.

    Args:
        tenant_id: Whose stream.
        position: Everything up to here was told.
        status: ``live``, or ``delayed`` while there is no Redis.
    """
    body = {
        "type": "platform_status",
        "tenant_id": tenant_id,
        "position": position,
        "occurred_at": rfc3339(utcnow()),
        "data": {"stream": status},
    }
    return LiveMessage(position, "platform_status", dumps(body))


async def messages_of(connection: DriverConnection, events: Sequence[Event]) -> list[LiveMessage]:
    """Return the live message of each event, with the incident as it is now where it is about one.

    Args:
        connection: One that may read these events' incidents: of the system role, or bound to their tenant.
        events: All of `EVENT_TYPES`.
    """
    wanted = {event.correlation_id for event in events if event.correlation_id is not None}
    rows = (
        await connection.fetch(
            f"SELECT tenant_id, {_ITEM_COLUMNS} FROM incidents WHERE id = ANY($1)",  # noqa: S608 - constants
            list(wanted),
        )
        if wanted
        else []
    )
    items = {(row["tenant_id"], row["id"]): _item(dict(row)) for row in rows}
    return [_message(event, items) for event in events]


def _message(event: Event, items: Mapping[tuple[UUID, UUID], dict[str, Any]]) -> LiveMessage:
    data: dict[str, Any] = {
        "event": event.type,
        "event_id": str(event.id),
        **{name: event.data[name] for name in _TOLD if event.data.get(name) is not None},
    }
    incident_id = event.correlation_id
    if incident_id is not None:
        data["incident_id"] = str(incident_id)
        item = items.get((event.tenant_id, incident_id))
        if item is not None:
            data["incident"] = item
    else:
        data[f"{event.stream_type}_id"] = str(event.stream_id)
    kind = _OF_TYPE[event.type]
    body = {
        "type": kind,
        "tenant_id": str(event.tenant_id),
        "position": event.position,
        "occurred_at": rfc3339(event.occurred_at),
        "data": data,
    }
    return LiveMessage(event.position, kind, dumps(body))


def _item(row: dict[str, Any]) -> dict[str, Any]:
    del row["tenant_id"]
    return row
