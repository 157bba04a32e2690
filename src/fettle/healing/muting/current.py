"""What a tenant has set now: compiled once for a version of it, and never older than a second."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.muting.inhibition import Firing, Inhibitor, source_check_types
from fettle.healing.muting.matching import labels_of
from fettle.healing.muting.mutes import MuteSet
from fettle.healing.muting.reading import mute_set
from fettle.healing.tenant_cache import TenantCache
from fettle.kernel.database import DriverConnection, driver
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks

MOST_SOURCES: Final = 5_000
"""So many incidents that are not over are looked at as sources; the latest."""

_STORED: Final = """
SELECT id, kind, document FROM mutes WHERE tenant_id = $1 AND (ends_at IS NULL OR ends_at > now()) ORDER BY id
"""
_FIRING: Final = """
SELECT id, check_type, host, site, severity, platform, source, labels,
  state = 'suppressed' AND NOT EXISTS (
    SELECT 1 FROM muted_incidents m WHERE m.tenant_id = incidents.tenant_id AND m.incident_id = incidents.id
  ) AS is_unheard
FROM incidents
WHERE tenant_id = $1 AND state = ANY('{open,triaged,planning,awaiting_approval,healing,verifying,escalated,suppressed}')
  AND ($2::text[] IS NULL OR check_type = ANY($2))
ORDER BY id DESC LIMIT $3
"""

log = structlog.get_logger("fettle.muting")


class _MuteSets(TenantCache[MuteSet]):
    """A process's compiled mutes."""

    PART: ClassVar = "healing.mutes"
    COUNTED_IN: ClassVar = "mute_sets"
    ENDS: ClassVar = True

    async def make(
        self, connection: DriverConnection, tenant_id: UUID, packs: ActivePacks, version: int | None
    ) -> MuteSet:
        rows = await connection.fetch(_STORED, tenant_id) if version is not None else []
        stored = [(str(row["id"]), row["kind"], row["document"]) for row in rows]
        declared = [
            {**one, "pack_id": pack.id}
            for pack in packs.packs.packs
            for one in pack.content.get("dependencies", ())
        ]
        return mute_set(stored, packs.policy, declared)


async def current_mutes(
    platform: Platform, session: AsyncSession, tenant_id: UUID, *, is_fresh: bool = False
) -> MuteSet:
    """Return what a tenant has set; see `TenantCache.current`."""
    return await _MuteSets.of(platform).current(platform, session, tenant_id, is_fresh=is_fresh)


async def inhibitor_of(session: AsyncSession, tenant_id: UUID, mutes: MuteSet, now: datetime) -> Inhibitor:
    """Return what says which incidents are inhibited now; reads nothing where nothing inhibits."""
    firing: Sequence[Firing] = ()
    unheard: set[UUID] = set()
    if mutes.inhibits:
        connection = await driver(session)
        wanted = source_check_types(mutes.inhibitions, mutes.dependencies)
        rows = await connection.fetch(_FIRING, tenant_id, wanted, MOST_SOURCES)
        # The oldest is named as the reason, which stays the same while others come.
        firing = [Firing(row["id"], labels_of(dict(row))) for row in reversed(rows)]
        # A rule says of these that nobody needs to hear of them.
        unheard = {row["id"] for row in rows if row["is_unheard"]}
        if len(firing) == MOST_SOURCES:
            log.warning("muting.many_sources", looked_at=MOST_SOURCES)
    return Inhibitor(
        mutes.inhibitions,
        mutes.dependencies,
        firing,
        lambda one: one.id in unheard or mutes.quiets(one.labels, now),
    )
