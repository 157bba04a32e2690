"""Seals an incident when it ends, and audit records when they were made."""

from uuid import UUID

from fettle.evidence import audit_sealing
from fettle.evidence.service import seal_incidents
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.events import Event


async def seal_ended(batch: TenantBatch) -> None:
    """Seal the batch's incidents, each as it stood at its last ending event."""
    causes: dict[UUID, Event] = {event.stream_id: event for event in batch.events}
    await seal_incidents(batch.platform, batch.session, batch.tenant_id, causes)


CONSUMERS = [
    ConsumerSpec("evidence.seal", frozenset({"incident.resolved", "incident.closed"}), seal_ended),
    audit_sealing.CONSUMER,
]
