"""The end of a tenant's chain: what is to be proved is sealed behind it and stored, under its lock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fettle.evidence import keys
from fettle.evidence.chain import GENESIS, seal
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import DriverConnection
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

ACTOR: Final = "system:evidence"

# The chain's row is locked from here to the commit, so each bundle follows the one before it.
_HEAD: Final = """
INSERT INTO evidence_chains (tenant_id, size, head) VALUES ($1, 0, $2)
ON CONFLICT (tenant_id) DO UPDATE SET size = evidence_chains.size RETURNING size, head
"""

_STORE: Final = """
INSERT INTO evidence_bundles (id, tenant_id, sequence, kind, incident_id, covers_position, hash, bundle,
                              previous_hash, signature, key_id, sealed_at)
SELECT n.id, $1, n.sequence, $12::text, n.incident_id, n.covers_position, n.hash, n.bundle, n.previous_hash,
       n.signature, n.key_id, $11
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::text[])
  AS n(id, sequence, incident_id, covers_position, hash, bundle, previous_hash, signature, key_id)
"""

_MOVE_ON: Final = "UPDATE evidence_chains SET size = $2, head = $3 WHERE tenant_id = $1"


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be proved.

    Attributes:
        named: What it is called in its bundle: an incident's id, or its kind.
        incident_id: The incident, where it is about one.
        content: What is to be proved of it, as JSON.
        position: Of the last event that it covers.
    """

    named: str
    incident_id: UUID | None
    content: Mapping[str, Any]
    position: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A bundle as it stands in the chain now.

    Attributes:
        id: Of its row.
        sequence: Its number in the chain.
        hash: Its own.
    """

    id: UUID
    sequence: int
    hash: str


async def append(
    platform: Platform, connection: DriverConnection, tenant_id: UUID, kind: str, due: Sequence[Due]
) -> list[Stored]:
    """Seal what is due into the next bundles of a tenant's chain, with one signature for all; returns them in order.

    Args:
        platform: The process's parts.
        connection: In the transaction of what is proved; the chain is locked until it ends.
        tenant_id: Whose chain.
        kind: Of the bundles: ``incident`` or ``audit``.
        due: At least one.

    Raises:
        NotCanonicalError: A content has no canonical form.
    """
    key = await keys.signer(platform)
    head = await connection.fetchrow(_HEAD, tenant_id, GENESIS)
    assert head is not None
    now = utcnow()
    sealed = seal(
        str(tenant_id),
        [(one.named, one.content) for one in due],
        previous=head["head"],
        next_sequence=head["size"] + 1,
        sealed_at=rfc3339(now),
        signer=key,
    )
    bundles = [one.bundle for one in sealed]
    stored = [Stored(new_id(), bundle["sequence"], bundle["hash"]) for bundle in bundles]
    await connection.execute(
        _STORE,
        tenant_id,
        [one.id for one in stored],
        [one.sequence for one in stored],
        [one.incident_id for one in due],
        [one.position for one in due],
        [one.hash for one in stored],
        [one.text.decode() for one in sealed],
        [bundle["previous"] for bundle in bundles],
        [bundle["proof"]["signature"] for bundle in bundles],
        [bundle["proof"]["key_id"] for bundle in bundles],
        now,
        kind,
    )
    await connection.execute(_MOVE_ON, tenant_id, stored[-1].sequence, stored[-1].hash)
    return stored
