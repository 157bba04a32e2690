"""Muting's part of the pipeline: what was set just now holds at once for what waits for a person already."""

from datetime import timedelta
from typing import Final

from fettle.healing.muting import ledger
from fettle.healing.muting.releasing import AT_ONCE, look_once
from fettle.healing.tenant_cache import MAX_STALE_SECONDS
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver

_SETS: Final = frozenset(
    {
        "mute.created",
        "mute.changed",
        "mute.ended",
        "mute.restored",
        "policy.changed",
        "pack.activated",
        "pack.deactivated",
        "pack.rolled_back",
    }
)


async def look_again(batch: TenantBatch) -> None:
    """Look at a tenant once for all that was set."""
    connection = await driver(batch.session)
    now = utcnow()
    await ledger.look_at(connection, batch.tenant_id, now)
    done = await look_once(batch.platform, batch.session, batch.tenant_id, now)
    # What was decided meanwhile by what was set before is looked at once more.
    again = now if done == AT_ONCE else now + timedelta(seconds=2 * MAX_STALE_SECONDS)
    await ledger.look_at(connection, batch.tenant_id, again)


CONSUMERS: Final = [ConsumerSpec("healing.mute", _SETS, look_again)]
