"""What the pipeline asks of packs: the active packs of a tenant, cached and never older than a second."""

import asyncio
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fettle.kernel.platform import Platform
from fettle.kernel.redaction import use_for_tenant
from fettle.packs.activation import EFFECTIVE
from fettle.packs.active import ActivePacks, PackSet
from fettle.packs.catalogue import ensure_shipped
from fettle.packs.loading import DomainPack
from fettle.packs.shipped import default_policy, shipped_policy

__all__ = ["ActivePacks", "active_packs", "ensure_shipped", "shipped_policy"]

MAX_STALE_SECONDS: Final = 1.0

_PART: Final = "packs.cache"
_TENANTS_KEPT: Final = 2_000
_SETS_KEPT: Final = 50

_POLICY_VERSION = "SELECT coalesce(max(version), 0) FROM policy_packs WHERE tenant_id = $1"
_CONTENT = """
SELECT v.content, v.digest FROM pack_versions v
JOIN unnest($1::text[], $2::text[]) AS w(pack_id, version) USING (pack_id, version)
"""
_POLICY = "SELECT content FROM policy_packs WHERE tenant_id = $1 AND version = $2"

Stamp = tuple[tuple[str, str, str, str], ...]
"""What tells one set of packs from another: id, version, digest and origin of each."""


async def active_packs(platform: Platform, tenant_id: UUID) -> ActivePacks:
    """Return the packs and the policy that hold for a tenant.

    What is returned never changes; a caller that keeps it for one piece of work sees one version of
    everything. A change is seen at most a second after its transaction ended.
    """
    cache = platform.parts.get(_PART)
    if not isinstance(cache, PackCache):
        cache = platform.parts[_PART] = PackCache()
    return await cache.get(platform, tenant_id)


@dataclass(slots=True)
class _Entry:
    checked_at: float
    stamp: Stamp
    packs: ActivePacks


class PackCache:
    """A process's compiled packs; tenants with the same packs share one set."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[UUID, _Entry] = OrderedDict()
        self._sets: OrderedDict[Stamp, PackSet] = OrderedDict()
        self._locks: defaultdict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, platform: Platform, tenant_id: UUID) -> ActivePacks:
        """Return a tenant's packs, looked up again when the last look is older than a second."""
        entry = self._fresh(tenant_id)
        if entry is None:
            async with self._locks[tenant_id]:
                # Whoever waited here finds what the first one fetched.
                entry = self._fresh(tenant_id) or await self._refresh(platform, tenant_id)
        return entry.packs

    def _fresh(self, tenant_id: UUID) -> _Entry | None:
        entry = self._tenants.get(tenant_id)
        if entry is None or time.monotonic() - entry.checked_at > MAX_STALE_SECONDS:
            return None
        return entry

    async def _refresh(self, platform: Platform, tenant_id: UUID) -> _Entry:
        checked_at = time.monotonic()
        async with platform.database.raw_tenant(tenant_id) as connection:
            rows = await connection.fetch(EFFECTIVE, tenant_id)
            stamp: Stamp = tuple(
                (row["pack_id"], row["version"], row["digest"], row["origin"]) for row in rows
            )
            policy_version: int = await connection.fetchval(_POLICY_VERSION, tenant_id)
            entry = self._tenants.get(tenant_id)
            if entry is not None and entry.stamp == stamp and entry.packs.policy_version == policy_version:
                entry.checked_at = checked_at
                return entry
            packs = await self._set(connection, stamp)
            policy = await connection.fetchval(_POLICY, tenant_id, policy_version) if policy_version else None
        active = ActivePacks(packs, policy or default_policy(), policy_version=policy_version)
        entry = _Entry(checked_at, stamp, active)
        use_for_tenant(tenant_id, packs.redactor)
        self._tenants[tenant_id] = entry
        self._tenants.move_to_end(tenant_id)
        while len(self._tenants) > _TENANTS_KEPT:
            oldest, _ = self._tenants.popitem(last=False)
            self._locks.pop(oldest, None)
        return entry

    async def _set(self, connection: Any, stamp: Stamp) -> PackSet:
        packs = self._sets.get(stamp)
        if packs is None:
            rows = await connection.fetch(_CONTENT, [key[0] for key in stamp], [key[1] for key in stamp])
            loaded = [DomainPack(row["content"], row["digest"]) for row in rows]
            builtin = frozenset(key[0] for key in stamp if key[3] == "shipped")
            packs = await asyncio.to_thread(_compiled, loaded, builtin)
            self._sets[stamp] = packs
        self._sets.move_to_end(stamp)
        while len(self._sets) > _SETS_KEPT:
            self._sets.popitem(last=False)
        return packs


def _compiled(loaded: list[DomainPack], builtin: frozenset[str]) -> PackSet:
    packs = PackSet(loaded, builtin=builtin)
    packs.redactor  # noqa: B018 - its patterns are compiled here, off the event loop
    return packs
