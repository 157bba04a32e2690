"""Tries a rule on the incidents of the last days before it is let loose; reads only."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.rules import Rule, RuleSet
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver

DAYS: Final = 30
MOST_INCIDENTS: Final = 50_000
_PAGE: Final = 2_000
_EXAMPLES: Final = 20

_READ = """
SELECT id, number, title, check_type, host, site, platform, source, summary, severity, fingerprint, pack_id, labels,
       details, state, rule_id AS decided_by, opened_at
FROM incidents WHERE tenant_id = $1 AND opened_at >= $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
"""


@dataclass(slots=True)
class DryRun:
    """What a rule would have done.

    Attributes:
        considered: Incidents looked at.
        matched: Those for which its conditions hold.
        won: Those that it would decide among the rules of today.
        instead_of: By the rule that decides them today (`none` for nobody), how many it would take over.
        truncated: Whether there were more incidents than are looked at.
        examples: Some incidents that it would decide, the newest first.
    """

    considered: int = 0
    matched: int = 0
    won: int = 0
    instead_of: dict[str, int] = field(default_factory=dict)
    truncated: bool = False
    examples: list[dict[str, Any]] = field(default_factory=list)


async def dry_run(session: AsyncSession, tenant_id: UUID, rule: Rule, current: RuleSet) -> DryRun:
    """Try a rule, enabled or not, on the newest incidents of the last 30 days.

    Args:
        session: With the tenant bound.
        tenant_id: Whose incidents.
        rule: The rule, which may take the place of one with its id.
        current: The rules that hold today.
    """
    alone = RuleSet([_enabled(rule)])
    others = [one for one in current.rules if one.id != rule.id]
    together = RuleSet([*others, _enabled(rule)])
    today = RuleSet(others)
    result = DryRun()
    async for row in _incidents(session, tenant_id):
        if result.considered >= MOST_INCIDENTS:
            result.truncated = True
            break
        result.considered += 1
        incident = _mapping(row)
        if alone.match(incident) is None:
            continue
        result.matched += 1
        winner = together.match(incident)
        if winner is None or winner.id != rule.id:
            continue
        result.won += 1
        loser = today.match(incident)
        name = loser.id if loser is not None else "none"
        result.instead_of[name] = result.instead_of.get(name, 0) + 1
        if len(result.examples) < _EXAMPLES:
            names = ("id", "number", "title", "state", "decided_by", "opened_at")
            result.examples.append({name: row[name] for name in names})
    return result


async def _incidents(session: AsyncSession, tenant_id: UUID) -> AsyncIterator[asyncpg.Record]:
    connection = await driver(session)
    since = utcnow() - timedelta(days=DAYS)
    before: UUID | None = None
    while True:
        rows = await connection.fetch(_READ, tenant_id, since, before, _PAGE)
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        before = rows[-1]["id"]


def _mapping(row: asyncpg.Record) -> Mapping[str, Any]:
    """Return an incident as its triage gave it to the rules: what was not known is not there."""
    whole = {
        name: value
        for name, value in row.items()
        if value is not None and name not in ("state", "decided_by")
    }
    whole["id"] = str(row["id"])
    whole["opened_at"] = row["opened_at"].isoformat()
    return whole


def _enabled(rule: Rule) -> Rule:
    return Rule.parse({**rule.document, "enabled": True})
