"""Which events people see live, and as what; one bulk read of the incidents that they are about."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from fettle.incidents.schemas import IncidentItem
from fettle.kernel.clock import rfc3339
from fettle.kernel.database import DriverConnection
from fettle.kernel.events import Event

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
    "incident.verification_started": "incident_updated",
    "incident.evidence_sealed": "incident_updated",
    "plan.proposed": "incident_updated",
    "plan.approved": "incident_updated",
    "plan.rejected": "incident_updated",
    "approval.requested": "approval_requested",
    "approval.decided": "incident_updated",
    "step.started": "action_status_update",
    "step.succeeded": "action_status_update",
    "step.failed": "action_status_update",
    "playbook.completed": "action_status_update",
}

EVENT_TYPES: Final = tuple(_OF_TYPE)
"""The events that become live messages."""

_ITEM_COLUMNS: Final = ", ".join(IncidentItem.model_fields)
_TOLD: Final = (
    "check_type", "host", "path", "title", "tool", "phase", "outcome", "reason", "approval_id", "run_id",
)  # fmt: skip


async def messages_of(connection: DriverConnection, events: Sequence[Event]) -> list[dict[str, Any]]:
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


def _message(event: Event, items: Mapping[tuple[UUID, UUID], dict[str, Any]]) -> dict[str, Any]:
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
    return {
        "type": _OF_TYPE[event.type],
        "tenant_id": str(event.tenant_id),
        "position": event.position,
        "occurred_at": rfc3339(event.occurred_at),
        "data": data,
    }


def _item(row: dict[str, Any]) -> dict[str, Any]:
    del row["tenant_id"]
    return row
