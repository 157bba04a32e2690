"""Seals audit records into their tenant's chain: each once, in the transaction that moves the consumer on."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fettle.evidence.appending import ACTOR, Due, append
from fettle.evidence.audit_records import KIND, content_of, line_of
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.clock import rfc3339
from fettle.kernel.database import driver
from fettle.kernel.events import NewEvent

_RECORDS = """
SELECT r.id::text, r.tenant_id::text, r.actor, r.action, r.target_type, r.target_id, r.before, r.after, r.address,
       r.request_id, r.occurred_at
FROM audit_records r WHERE r.tenant_id = $1 AND r.id = ANY($2)
AND NOT EXISTS (SELECT FROM audit_seals s WHERE s.tenant_id = $1 AND s.record_id = r.id) ORDER BY r.id
"""

_SEALS = "INSERT INTO audit_seals (tenant_id, record_id, bundle_id) SELECT $1, unnest($2::uuid[]), $3"


async def seal_audit(batch: TenantBatch) -> None:
    """Seal the records that the batch's events tell of into one bundle."""
    connection = await driver(batch.session)
    tenant_id = batch.tenant_id
    rows = await connection.fetch(_RECORDS, tenant_id, [event.stream_id for event in batch.events])
    if not rows:
        return
    content = content_of(_lines([dict(row) for row in rows]))
    last = batch.events[-1]
    [bundle] = await append(
        batch.platform, connection, tenant_id, KIND, [Due(KIND, None, content, last.position)]
    )
    await connection.execute(_SEALS, tenant_id, [UUID(row["id"]) for row in rows], bundle.id)
    told = {"bundle_id": str(bundle.id), "sequence": bundle.sequence, "hash": bundle.hash, "kind": KIND}
    await batch.append(
        [
            NewEvent(
                stream_type="evidence",
                stream_id=bundle.id,
                type="evidence.sealed",
                data=told,
                actor=ACTOR,
                causation_id=last.id,
            )
        ]
    )


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, bytes]]:
    forms = ({**row, "occurred_at": rfc3339(row["occurred_at"])} for row in rows)
    return [(form["id"], line_of(form)) for form in forms]


CONSUMER = ConsumerSpec("evidence.audit", frozenset({"audit.recorded"}), seal_audit)
