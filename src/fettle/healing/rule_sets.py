"""The compiled rules of each tenant: compiled once for a version of its packs and own rules, then swapped."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.plans import PlanDraft, PlanError, draft
from fettle.healing.rules import Rule, RuleError, RuleSet
from fettle.kernel.database import driver
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks, PackSet
from fettle.packs.service import active_packs

_PART: Final = "healing.rule_sets"
_KEPT: Final = 512
_DRAFTS_KEPT: Final = 20_000

log = structlog.get_logger("fettle.healing")


class CompiledRules:
    """A compiled set and the plans of its rules, prepared when first needed; who holds it keeps it to the end.

    Attributes:
        rules: The set.
    """

    def __init__(self, rules: RuleSet, packs: PackSet) -> None:
        self.rules = rules
        self._packs = packs
        self._drafts: dict[tuple[str, str], PlanDraft | PlanError] = {}

    def draft(self, rule: Rule, check_type: str) -> PlanDraft | PlanError:
        """Return the prepared plan of a rule for a check type, or why there is none."""
        name = (rule.id, check_type)
        found = self._drafts.get(name)
        if found is None:
            try:
                found = draft(rule, check_type, ActivePacks(self._packs))
            except PlanError as error:
                found = error
            if len(self._drafts) >= _DRAFTS_KEPT:
                self._drafts.clear()
            self._drafts[name] = found
        return found


class RuleSets:
    """A process's compiled rule sets; tenants with the same packs and no rules of their own share one."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[tuple[object, ...], CompiledRules] = OrderedDict()

    async def current(
        self, platform: Platform, session: AsyncSession, tenant_id: UUID
    ) -> tuple[CompiledRules, ActivePacks]:
        """Return the rules that hold in the session's transaction, compiled when they changed, and the packs.

        Args:
            platform: The process's parts.
            session: With the tenant bound.
            tenant_id: Whose rules.
        """
        packs = await active_packs(platform, tenant_id)
        connection = await driver(session)
        version = await connection.fetchval("SELECT version FROM rule_sets WHERE tenant_id = $1", tenant_id)
        name = (packs.packs.version, *((tenant_id, version) if version else ()))
        found = self._compiled.get(name)
        if found is None:
            rows = await connection.fetch("SELECT document FROM rules WHERE tenant_id = $1", tenant_id)
            own = [row["document"] for row in rows]
            found = CompiledRules(await asyncio.to_thread(compile_rules, packs.rules, own), packs.packs)
            self._compiled[name] = found
            while len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(name)
        return found, packs


def rule_sets(platform: Platform) -> RuleSets:
    """Return the process's rule sets."""
    sets = platform.parts.setdefault(_PART, RuleSets())
    if not isinstance(sets, RuleSets):
        raise TypeError(f"{_PART} is not a RuleSets")
    return sets


def compile_rules(packs: Iterable[Mapping[str, Any]], own: Iterable[Mapping[str, Any]]) -> RuleSet:
    """Compile packs' rules with a tenant's own, which stand in the place of those with the same id.

    A rule that cannot be compiled is left out and logged: what it would have healed reaches a person.
    """
    rules: dict[str, Rule] = {}
    for document in (*packs, *own):
        try:
            rule = Rule.parse(document)
        except RuleError as error:
            log.error("healing.rule_left_out", rule_id=error.rule_id, path=error.path, detail=error.detail)  # noqa: TRY400 - it says all
            continue
        rules[rule.id] = rule
    return RuleSet(rules.values())
