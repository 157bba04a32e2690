"""Tries a grown rule on the incidents of the last 30 days: what it would have taken on, and how that ended."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.conditions import Leaf
from fettle.healing.dry_run import DAYS, MOST_INCIDENTS, recent_incidents
from fettle.healing.flywheel.incidents_seen import as_decided
from fettle.healing.planner.words import PLAYBOOK, RUNBOOK
from fettle.healing.rules import Rule, RuleSet
from fettle.packs.active import ActivePacks

_EXAMPLES: Final = 10
_MOST_BESIDE: Final = 20
_SETTLED: Final = frozenset({"resolved", "closed"})


async def back_test(
    session: AsyncSession, tenant_id: UUID, document: Mapping[str, Any], current: RuleSet, packs: ActivePacks
) -> dict[str, Any]:
    """Return what a rule would have done.

    Args:
        session: With the tenant bound.
        tenant_id: Whose incidents.
        document: The rule, which comes after all others of the same priority.
        current: The rules of today.
        packs: The tenant's packs.
    """
    rule = Rule.parse(document)
    alone = RuleSet([rule])
    today = RuleSet([one for one in current.rules if one.id != rule.id])
    ended: Counter[str] = Counter()
    instead_of: Counter[str] = Counter()
    considered = matched = won = 0
    examples: list[dict[str, Any]] = []
    async for row in recent_incidents(session, tenant_id):
        if considered >= MOST_INCIDENTS:
            break
        considered += 1
        incident = as_decided(row, packs)
        if alone.match(incident) is None:
            continue
        matched += 1
        first = today.match(incident)
        if first is not None and (first.priority, first.id) < (rule.priority, rule.id):
            instead_of[first.id] += 1
            continue
        won += 1
        ended[_ending(row, document)] += 1
        if len(examples) < _EXAMPLES:
            names = ("id", "number", "title", "state", "decided_by", "opened_at")
            examples.append({name: row[name] for name in names})
    return {
        "days": DAYS,
        "considered": considered,
        "matched": matched,
        "won": won,
        "decided_by_others": dict(instead_of.most_common(_MOST_BESIDE)),
        "ended": dict(ended),
        "examples": examples,
    }


def beside(current: RuleSet, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rules of today that look at the same check type, in the order in which they win."""
    wanted = {
        one["value"]
        for one in document["conditions"]
        if one["field"] == "check_type" and one["operator"] == "eq"
    }
    found = []
    for rule in current.rules:
        looks_at = {
            member.value
            for member in rule.conditions.members
            if isinstance(member, Leaf) and member.field == "check_type" and member.operator == "eq"
        }
        if rule.enabled and looks_at & wanted:
            found.append(
                {"rule_id": rule.id, "priority": rule.priority, "source": rule.source, "action": rule.action}
            )
    return found[:_MOST_BESIDE]


def _ending(row: asyncpg.Record, document: Mapping[str, Any]) -> str:
    """Say in a word how an incident ended that the rule would have taken on."""
    runbook = document.get("runbook_id")
    own = f"{RUNBOOK}:{runbook}" if runbook else f"{PLAYBOOK}:{document.get('playbook_id')}"
    if row["state"] not in _SETTLED:
        return "not_over"
    if str(row["decided_by"] or "").endswith(own):
        return "healed_alike"
    return "healed_otherwise" if row["decided_by"] else "by_person"
