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
from fettle.kernel.errors import NotFound
from fettle.packs.active import ActivePacks

DAYS: Final = 30
MOST_INCIDENTS: Final = 50_000
_PAGE: Final = 500
_EXAMPLES: Final = 20
_MOST_FOR_A_PAGE: Final = 10_000

_COLUMNS: Final = (
    "id, number, title, check_type, host, site, platform, source, summary, severity, fingerprint, pack_id, labels, "
    "details, state, rule_id AS decided_by, opened_at"
)
_READ: Final = f"""
SELECT {_COLUMNS}
FROM incidents WHERE tenant_id = $1 AND opened_at >= $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
"""  # noqa: S608 - a constant


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
        by_day: By the UTC day on which they were opened: considered, matched, won.
    """

    considered: int = 0
    matched: int = 0
    won: int = 0
    instead_of: dict[str, int] = field(default_factory=dict)
    truncated: bool = False
    examples: list[dict[str, Any]] = field(default_factory=list)
    by_day: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """An incident for which a rule's conditions hold.

    Attributes:
        incident: Its row.
        wins: Whether the rule would decide it among the rules of today.
        instead_of: The rule that decides it today, None for nobody.
    """

    incident: asyncpg.Record
    wins: bool
    instead_of: str | None


async def dry_run(
    session: AsyncSession, tenant_id: UUID, rule: Rule, current: RuleSet, packs: ActivePacks | None = None
) -> DryRun:
    """Try a rule, enabled or not, on the newest incidents of the last 30 days.

    Args:
        session: With the tenant bound.
        tenant_id: Whose incidents.
        rule: The rule, which may take the place of one with its id.
        current: The rules that hold today.
        packs: The tenant's, which know the category of each check.
    """
    trial = _Trial(rule, current, packs)
    result = DryRun()
    async for row in recent_incidents(session, tenant_id):
        if result.considered >= MOST_INCIDENTS:
            result.truncated = True
            break
        result.considered += 1
        day = result.by_day.setdefault(row["opened_at"].date().isoformat(), [0, 0, 0])
        day[0] += 1
        match = trial.match(row)
        if match is None:
            continue
        result.matched += 1
        day[1] += 1
        if not match.wins:
            continue
        result.won += 1
        day[2] += 1
        name = match.instead_of or "none"
        result.instead_of[name] = result.instead_of.get(name, 0) + 1
        if len(result.examples) < _EXAMPLES:
            names = ("id", "number", "title", "state", "decided_by", "opened_at")
            result.examples.append({name: row[name] for name in names})
    return result


async def matches(
    session: AsyncSession,
    tenant_id: UUID,
    rule: Rule,
    current: RuleSet,
    packs: ActivePacks | None = None,
    *,
    before: UUID | None,
    limit: int,
) -> tuple[list[Match], UUID | None]:
    """Return a page of the incidents of the last 30 days for which a rule's conditions hold, newest first.

    Args:
        session: With the tenant bound.
        tenant_id: Whose incidents.
        rule: The rule, enabled or not.
        current: The rules that hold today.
        packs: The tenant's, which know the category of each check.
        before: Where the page before ended.
        limit: The most that are returned.

    Returns:
        The matches, and where to go on; a page may be short of the limit, or empty, and not the last.
    """
    trial = _Trial(rule, current, packs)
    found: list[Match] = []
    seen = 0
    async for row in recent_incidents(session, tenant_id, before):
        if len(found) >= limit or seen >= _MOST_FOR_A_PAGE:
            return found, before
        seen += 1
        before = row["id"]
        match = trial.match(row)
        if match is not None:
            found.append(match)
    return found, None


async def recent_incidents(
    session: AsyncSession, tenant_id: UUID, before: UUID | None = None
) -> AsyncIterator[asyncpg.Record]:
    """Yield the incidents of the last 30 days, newest first, those from before one where it is named."""
    connection = await driver(session)
    since = utcnow() - timedelta(days=DAYS)
    while True:
        rows = await connection.fetch(_READ, tenant_id, since, before, _PAGE)
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        before = rows[-1]["id"]


async def one_incident(
    session: AsyncSession, tenant_id: UUID, incident_id: UUID, packs: ActivePacks | None = None
) -> Mapping[str, Any]:
    """Return an incident as its triage gave it to the rules.

    Raises:
        NotFound: The tenant has no such incident.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM incidents WHERE tenant_id = $1 AND id = $2",  # noqa: S608 - a constant
        tenant_id,
        incident_id,
    )
    if row is None:
        raise NotFound(f"There is no incident {incident_id}.")
    return as_triaged(row, packs)


def as_triaged(row: asyncpg.Record, packs: ActivePacks | None = None) -> Mapping[str, Any]:
    """Return an incident as its triage gave it to the rules: what was not known is not there.

    Args:
        row: The incident's row, in which its category is not kept.
        packs: The tenant's, which know it.
    """
    whole = {
        name: value
        for name, value in row.items()
        if value is not None and name not in ("state", "decided_by")
    }
    whole["id"] = str(row["id"])
    whole["opened_at"] = row["opened_at"].isoformat()
    kind = packs.exception_type(str(row["check_type"])) if packs is not None else None
    if kind is not None:
        whole["category"] = kind.category
    return whole


class _Trial:
    """A rule by itself, among the rules of today, and those rules without it."""

    def __init__(self, rule: Rule, current: RuleSet, packs: ActivePacks | None) -> None:
        others = [one for one in current.rules if one.id != rule.id]
        self._id = rule.id
        self._packs = packs
        self._alone = RuleSet([_enabled(rule)])
        self._together = RuleSet([*others, _enabled(rule)])
        self._today = RuleSet(others)

    def match(self, row: asyncpg.Record) -> Match | None:
        incident = as_triaged(row, self._packs)
        if self._alone.match(incident) is None:
            return None
        winner = self._together.match(incident)
        loser = self._today.match(incident)
        return Match(row, winner is not None and winner.id == self._id, None if loser is None else loser.id)


def _enabled(rule: Rule) -> Rule:
    return Rule.parse({**rule.document, "enabled": True})
