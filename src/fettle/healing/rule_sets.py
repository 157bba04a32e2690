"""The compiled rules of each tenant: compiled once for a version of its packs, own rules and playbooks."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
from fettle.tools.own_playbooks import merged

_PART: Final = "healing.rule_sets"
_KEPT: Final = 512
_DRAFTS_KEPT: Final = 20_000

_VERSIONS: Final = """
SELECT (SELECT version FROM rule_sets WHERE tenant_id = $1) AS rules,
       (SELECT version FROM playbook_sets WHERE tenant_id = $1) AS playbooks
"""

log = structlog.get_logger("fettle.healing")


@dataclass(frozen=True, slots=True)
class Parts:
    """What plans are made of: the packs' runbooks and types, and every playbook, the tenant's own first."""

    packs: ActivePacks
    playbooks: Mapping[str, Mapping[str, Any]]

    @property
    def runbooks(self) -> Mapping[str, Mapping[str, Any]]:
        """Runbooks by id."""
        return self.packs.runbooks

    def exception_type(self, check_type: str) -> Any:
        """Return what the packs say of a check type, None for nothing."""
        return self.packs.exception_type(check_type)


class CompiledRules:
    """A compiled set and the plans of its rules, prepared when first needed; who holds it keeps it to the end.

    Attributes:
        rules: The set.
        parts: What its plans are made of.
    """

    def __init__(
        self, rules: RuleSet, packs: PackSet, playbooks: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.rules = rules
        self.parts = Parts(ActivePacks(packs), merged(packs.playbooks, playbooks or {}))
        self._drafts: dict[tuple[str, str], PlanDraft | PlanError] = {}

    def draft(self, rule: Rule, check_type: str) -> PlanDraft | PlanError:
        """Return the prepared plan of a rule for a check type, or why there is none."""
        name = (rule.id, check_type)
        found = self._drafts.get(name)
        if found is None:
            try:
                found = draft(rule, check_type, self.parts)
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
        row = await connection.fetchrow(_VERSIONS, tenant_id)
        own = (row["rules"], row["playbooks"]) if row is not None else (None, None)
        name = (packs.packs.version, *((tenant_id, *own) if any(own) else ()))
        found = self._compiled.get(name)
        if found is None:
            rows = await connection.fetch("SELECT document FROM rules WHERE tenant_id = $1", tenant_id)
            documents = [row["document"] for row in rows]
            rows = await connection.fetch(
                "SELECT id, document FROM playbooks WHERE tenant_id = $1", tenant_id
            )
            compiled = await asyncio.to_thread(compile_rules, packs.rules, documents)
            found = CompiledRules(compiled, packs.packs, {row["id"]: row["document"] for row in rows})
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
