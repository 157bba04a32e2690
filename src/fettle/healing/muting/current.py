"""What a tenant has set now: compiled once for a version of it, and never older than a second."""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.muting.inhibition import Firing, Inhibitor, source_check_types
from fettle.healing.muting.matching import labels_of
from fettle.healing.muting.mutes import MuteSet
from fettle.healing.muting.reading import mute_set
from fettle.kernel.database import driver
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

MAX_STALE_SECONDS: Final = 1.0
MOST_SOURCES: Final = 5_000
"""So many incidents that are not over are looked at as sources; the latest."""

_PART: Final = "healing.mutes"
_KEPT: Final = 2_000
_VERSION: Final = "SELECT version FROM mute_sets WHERE tenant_id = $1"
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


@dataclass(slots=True)
class _Entry:
    checked_at: float
    stamp: tuple[int | None, str]
    mutes: MuteSet


class MuteSets:
    """A process's compiled mutes."""

    def __init__(self) -> None:
        self._entries: OrderedDict[UUID, _Entry] = OrderedDict()

    async def current(
        self, platform: Platform, session: AsyncSession, tenant_id: UUID, *, is_fresh: bool
    ) -> MuteSet:
        """Return what is set.

        Args:
            platform: The process's parts.
            session: With the tenant bound.
            tenant_id: Whose.
            is_fresh: As the session's transaction sees it, not as it was up to a second ago.
        """
        entry = self._entries.get(tenant_id)
        now = time.monotonic()
        if entry is not None and not is_fresh and now - entry.checked_at <= MAX_STALE_SECONDS:
            return entry.mutes
        packs = await active_packs(platform, tenant_id)
        connection = await driver(session)
        stamp = await connection.fetchval(_VERSION, tenant_id), packs.version
        if entry is None or entry.stamp != stamp or is_fresh:
            rows = await connection.fetch(_STORED, tenant_id) if stamp[0] is not None else []
            stored = [(str(row["id"]), row["kind"], row["document"]) for row in rows]
            declared = [
                {**one, "pack_id": pack.id}
                for pack in packs.packs.packs
                for one in pack.content.get("dependencies", ())
            ]
            entry = _Entry(now, stamp, mute_set(stored, packs.policy, declared))
        entry.checked_at = now
        self._entries[tenant_id] = entry
        self._entries.move_to_end(tenant_id)
        while len(self._entries) > _KEPT:
            self._entries.popitem(last=False)
        return entry.mutes


async def current_mutes(
    platform: Platform, session: AsyncSession, tenant_id: UUID, *, is_fresh: bool = False
) -> MuteSet:
    """Return what a tenant has set; see `MuteSets.current`."""
    sets = platform.parts.setdefault(_PART, MuteSets())
    if not isinstance(sets, MuteSets):
        raise TypeError(f"{_PART} is not a MuteSets")
    return await sets.current(platform, session, tenant_id, is_fresh=is_fresh)


async def inhibitor_of(session: AsyncSession, tenant_id: UUID, mutes: MuteSet, now: datetime) -> Inhibitor:
    """Return what says which incidents are inhibited now; reads nothing where nothing inhibits."""
    firing: Sequence[Firing] = ()
    unheard: set[UUID] = set()
    if mutes.inhibits:
        connection = await driver(session)
        wanted = source_check_types(mutes.inhibitions, mutes.dependencies)
        rows = await connection.fetch(_FIRING, tenant_id, wanted, MOST_SOURCES)
        # The oldest is named as the reason, which stays the same while others come.
        firing = [Firing(row["id"], known_by(dict(row))) for row in reversed(rows)]
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


def known_by(incident: Mapping[str, Any]) -> dict[str, str]:
    """Return what an incident or its row is known by."""
    return labels_of(incident)
