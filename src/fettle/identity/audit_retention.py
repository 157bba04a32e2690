"""How long the audit is kept: each tenant's Policy Pack says, and the evidence chain holds on without the old."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import driver
from fettle.kernel.per_tenant import contain_failure
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

_AT_ONCE: Final = 1_000

_TOLD_BEFORE: Final = """
DELETE FROM events WHERE tenant_id = $1 AND stream_type = 'audit' AND occurred_at < $2
  AND NOT EXISTS (SELECT FROM audit_records r WHERE r.tenant_id = $1 AND r.id = events.stream_id)
"""


async def forget_old_audit(platform: Platform) -> int:
    """Delete, for each tenant whose policy says so, the audit records that are past their time.

    Only what the evidence chain vouches for goes, and never what is younger than 30 days: the database's own
    function sees to both. The chain keeps the hashes, so it verifies as before.

    Returns:
        How many records went.
    """
    async with platform.database.raw_system() as connection:
        tenants = [row["id"] for row in await connection.fetch("SELECT id FROM tenants")]
    forgotten = 0
    for tenant_id in tenants:
        forgotten += await contain_failure(
            tenant_id, "identity.forget_old_audit", _forget(platform, tenant_id)
        )
    return forgotten


async def _forget(platform: Platform, tenant_id: UUID) -> int:
    policy = (await active_packs(platform, tenant_id)).policy
    days = policy.get("retention", {}).get("audit_days")
    if days is None:
        return 0
    before = utcnow() - timedelta(days=days)
    forgotten = 0
    while True:
        done = await _forget_some(platform, tenant_id, before, days)
        forgotten += done
        if done < _AT_ONCE:
            return forgotten


async def _forget_some(platform: Platform, tenant_id: UUID, before: datetime, days: int) -> int:
    """Delete some records, and tell the audit so in the same transaction: none goes without a word."""
    async with platform.database.system() as session:
        connection = await driver(session)
        done: int = await connection.fetchval(
            "SELECT forget_audit_records($1, $2, $3)", tenant_id, before, _AT_ONCE
        )
        if done:
            await connection.execute(_TOLD_BEFORE, tenant_id, before)
            await audit.record(
                session,
                Who("system:retention"),
                "audit.forgotten",
                tenant_id=tenant_id,
                target=("audit", None),
                after={"records": done, "before": rfc3339(before), "kept_days": days},
            )
    return done
