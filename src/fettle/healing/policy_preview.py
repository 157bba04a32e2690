"""Compares what two policies let happen, on the incidents of the last 30 days and today's rules; reads only."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.autonomy import autonomy, refused_tools
from fettle.healing.dry_run import as_triaged, recent_incidents
from fettle.healing.plans import Plan, PlanError
from fettle.healing.rule_sets import CompiledRules

MOST_INCIDENTS: Final = 10_000
REFUSED: Final = "refused"
_EXAMPLES: Final = 50
_RUNNING: Final = frozenset({"execute_runbook", "run_playbook", "notify"})


@dataclass(slots=True)
class Effect:
    """What another policy would have changed.

    Attributes:
        considered: Incidents that a rule would act on.
        before: How many of them by what holds: an autonomy level, or `refused` for a tool that is not allowed.
        after: The same under the other policy.
        changed: How many would have gone otherwise.
        examples: Some of those, the newest first.
    """

    considered: int = 0
    truncated: bool = False
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


async def preview_policy(
    session: AsyncSession,
    tenant_id: UUID,
    rules: CompiledRules,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> Effect:
    """Return what a policy would have changed.

    Args:
        session: With the tenant bound.
        tenant_id: Whose incidents.
        rules: Its rules of today.
        before: The policy that holds.
        after: The policy to compare with it.
    """
    effect = Effect()
    seen = 0
    async for row in recent_incidents(session, tenant_id):
        if seen >= MOST_INCIDENTS:
            effect.truncated = True
            break
        seen += 1
        incident = as_triaged(row, rules.parts.packs)
        rule = rules.rules.match(incident)
        if rule is None or rule.action not in _RUNNING:
            continue
        drafted = rules.draft(rule, str(incident.get("check_type")))
        if isinstance(drafted, PlanError):
            continue
        plan = Plan({}, "", str(drafted.playbook["id"]), drafted.tools)
        now, then = (
            REFUSED if refused_tools(policy, plan.tools) else autonomy(policy, incident, rule, plan)
            for policy in (before, after)
        )
        effect.considered += 1
        effect.before[now] += 1
        effect.after[then] += 1
        if now != then:
            effect.changed += 1
            if len(effect.examples) < _EXAMPLES:
                shown = {name: row[name] for name in ("id", "number", "title", "severity", "host")}
                effect.examples.append({**shown, "rule_id": rule.id, "before": now, "after": then})
    return effect
