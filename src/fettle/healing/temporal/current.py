"""The rules over time that hold for a tenant: read again where they changed, and never older than a second."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.temporal.matching import TemporalRules
from fettle.healing.temporal.rules import TemporalRule, TemporalRuleError
from fettle.healing.tenant_cache import TenantCache, stamp_of
from fettle.kernel.database import DriverConnection
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks

MOST_RULES: Final = 500
"""Most rules over time of a tenant's own."""

_SHARED: Final = 2_000
_TYPES_KEPT: Final = 5_000
_OWN: Final = "SELECT document FROM temporal_rules WHERE tenant_id = $1 ORDER BY id"

log = structlog.get_logger("fettle.temporal")


@dataclass(slots=True)
class Current:
    """What holds for a tenant.

    Attributes:
        rules: Packs' and the tenant's own.
        packs: The tenant's.
        stamp: Changes whenever the rules or the packs do.
        has_expected: Whether the keys that rules expect are known to be there.
    """

    rules: TemporalRules
    packs: ActivePacks
    stamp: str
    has_expected: bool = False
    _known: dict[str, bool] = field(default_factory=dict)

    def know_expected(self) -> None:
        """Note that the keys that rules expect are there."""
        self.has_expected = True

    def may_see(self, check_type: str) -> bool:
        """Say whether a rule may look at what a sender calls so; whether one does is known once it is normalised."""
        found = self._known.get(check_type)
        if found is None:
            if len(self._known) >= _TYPES_KEPT:
                self._known.clear()
            found = self._known[check_type] = self.rules.looks_at(_meanings(self.packs, check_type))
        return found


class _Sets(TenantCache[Current]):
    """A process's rules over time; tenants with the same packs and none of their own share one set."""

    PART: ClassVar = "healing.temporal"
    COUNTED_IN: ClassVar = "temporal_rule_sets"
    ENDS: ClassVar = False

    def __init__(self) -> None:
        super().__init__()
        self._shared: OrderedDict[str, TemporalRules] = OrderedDict()

    async def make(
        self, connection: DriverConnection, tenant_id: UUID, packs: ActivePacks, version: int | None
    ) -> Current:
        own = await connection.fetch(_OWN, tenant_id) if version is not None else []
        rules = self._read(packs, [row["document"] for row in own])
        return Current(rules, packs, stamp_of(packs, version))

    def _read(self, packs: ActivePacks, own: list[Mapping[str, Any]]) -> TemporalRules:
        if own:
            return read_rules(packs.packs.temporal_rules, own)
        found = self._shared.get(packs.packs.version)
        if found is None:
            found = self._shared[packs.packs.version] = read_rules(packs.packs.temporal_rules, ())
            while len(self._shared) > _SHARED:
                self._shared.popitem(last=False)
        return found


async def current_rules(
    platform: Platform, session: AsyncSession, tenant_id: UUID, *, is_fresh: bool = False
) -> Current:
    """Return what holds for a tenant; see `TenantCache.current`."""
    return await _Sets.of(platform).current(platform, session, tenant_id, is_fresh=is_fresh)


def read_rules(packs: Iterable[Mapping[str, Any]], own: Iterable[Mapping[str, Any]]) -> TemporalRules:
    """Read packs' rules with a tenant's own, which stand in the place of those with the same id.

    A rule that cannot be read is left out and logged.
    """
    rules: dict[str, TemporalRule] = {}
    for document in (*packs, *own):
        try:
            rule = TemporalRule.parse(document)
        except TemporalRuleError as error:
            log.error("temporal.rule_left_out", rule_id=error.rule_id, path=error.path, detail=error.detail)  # noqa: TRY400 - it says all
            continue
        rules[rule.id] = rule
    return TemporalRules(rules.values())


def _meanings(packs: ActivePacks, check_type: str) -> set[str]:
    """Return the check types that an exception may have once the packs have read it."""
    normaliser = packs.packs.normaliser(check_type)
    if normaliser is None:
        return {check_type}
    named = {check_type, *(normaliser.reclassify[1].values() if normaliser.reclassify else ())}
    found = (packs.packs.normaliser(name) for name in named)
    return {one.type.check_type for one in found if one is not None}
