"""Seals audit records into their tenant's chain: each once, in the transaction that moves the consumer on."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fettle.evidence import keys
from fettle.evidence.audit_records import KIND, content_of, line_of
from fettle.evidence.chain import GENESIS, seal
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import driver
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id

ACTOR = "system:evidence"

_RECORDS = """
SELECT r.id::text, r.tenant_id::text, r.actor, r.action, r.target_type, r.target_id, r.before, r.after, r.address,
       r.request_id, r.occurred_at
FROM audit_records r WHERE r.tenant_id = $1 AND r.id = ANY($2)
AND NOT EXISTS (SELECT FROM audit_seals s WHERE s.tenant_id = $1 AND s.record_id = r.id) ORDER BY r.id
"""

# The chain's row is locked from here to the commit, so each bundle follows the one before it.
_HEAD = """
INSERT INTO evidence_chains (tenant_id, size, head) VALUES ($1, 0, $2)
ON CONFLICT (tenant_id) DO UPDATE SET size = evidence_chains.size RETURNING size, head
"""

_STORE = """
INSERT INTO evidence_bundles (id, tenant_id, sequence, kind, covers_position, hash, bundle, sealed_at,
                              previous_hash, signature, key_id)
VALUES ($2, $1, $3, 'audit', $4, $5, $6, $7, $8, $9, $10)
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
    key = await keys.signer(batch.platform)
    head = await connection.fetchrow(_HEAD, tenant_id, GENESIS)
    assert head is not None
    now, bundle_id = utcnow(), new_id()
    [(bundle, text)] = seal(
        str(tenant_id),
        [(KIND, content)],
        previous=head["head"],
        next_sequence=head["size"] + 1,
        sealed_at=rfc3339(now),
        signer=key,
    )
    last = batch.events[-1]
    await connection.execute(
        _STORE, tenant_id, bundle_id, bundle["sequence"], last.position, bundle["hash"], text.decode(), now,
        bundle["previous"], bundle["proof"]["signature"], bundle["proof"]["key_id"],
    )  # fmt: skip
    await connection.execute(_SEALS, tenant_id, [UUID(row["id"]) for row in rows], bundle_id)
    await connection.execute(
        "UPDATE evidence_chains SET size = $2, head = $3 WHERE tenant_id = $1",
        tenant_id,
        bundle["sequence"],
        bundle["hash"],
    )
    told = {
        "bundle_id": str(bundle_id),
        "sequence": bundle["sequence"],
        "hash": bundle["hash"],
        "kind": KIND,
    }
    await batch.append(
        [
            NewEvent(
                stream_type="evidence",
                stream_id=bundle_id,
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
