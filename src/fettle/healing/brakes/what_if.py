"""What would have happened at each level of autonomy, as decisions of the last 30 days recorded it; reads only."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.autonomy import ACT, ACTED, LEVELS
from fettle.kernel.database import driver
from fettle.kernel.ids import least_id

DAYS: Final = 30
MOST_INCIDENTS: Final = 10_000
_MOST_PLAYBOOKS: Final = 50
_CLOCKS_APART: Final = timedelta(days=1)
"""Ids are in order of time as well: an index finds where to begin."""

_RECENT: Final = f"""
WITH recent AS (
  SELECT id, pack_id, decision FROM incidents WHERE tenant_id = $1 AND id >= $3 AND opened_at > $2 ORDER BY id DESC
  LIMIT {MOST_INCIDENTS + 1}
)
SELECT i.pack_id, i.decision #>> '{{plan,playbook,id}}' AS playbook_id, i.decision ->> 'autonomy' AS autonomy,
       i.decision -> 'would' AS would, r.outcome, count(*) AS incidents
FROM recent i LEFT JOIN LATERAL (
  SELECT r.outcome FROM playbook_runs r WHERE r.tenant_id = $1 AND r.incident_id = i.id ORDER BY r.id DESC LIMIT 1
) r ON i.decision -> 'would' IS NOT NULL
GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 - a constant

# As far back as the sums look, so that a filter that fits little reads no more than they do.
_OLDEST: Final = f"""
SELECT id FROM incidents WHERE tenant_id = $1 AND id >= $2 ORDER BY id DESC OFFSET {MOST_INCIDENTS} LIMIT 1
"""  # noqa: S608 - a constant

_LISTED: Final = """
SELECT i.id, i.number, i.title, i.severity, i.host, i.state, i.opened_at, i.decision ->> 'rule_id' AS rule_id,
       i.decision #>> '{plan,playbook,id}' AS playbook_id, i.decision ->> 'autonomy' AS autonomy,
       i.decision #>> ARRAY['would', i.decision ->> 'autonomy'] AS now,
       i.decision #>> ARRAY['would', $3::text] AS would,
       (SELECT r.outcome FROM playbook_runs r WHERE r.tenant_id = $1 AND r.incident_id = i.id
        ORDER BY r.id DESC LIMIT 1) AS outcome
FROM incidents i
WHERE i.tenant_id = $1 AND i.id >= $8 AND i.opened_at > $2 AND i.decision -> 'would' IS NOT NULL
  AND ($4::text IS NULL OR i.decision #>> ARRAY['would', $3::text] = $4)
  AND (NOT $5::boolean OR i.decision #>> ARRAY['would', i.decision ->> 'autonomy']
                          IS DISTINCT FROM i.decision #>> ARRAY['would', $3::text])
  AND ($6::uuid IS NULL OR i.id < $6)
ORDER BY i.id DESC LIMIT $7
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Incidents of which the same was recorded.

    Attributes:
        would: What would have become of them by level; None where nothing was proposed.
        outcome: Of the run that they had, None for none.
    """

    pack_id: str | None
    playbook_id: str | None
    autonomy: str | None
    would: Mapping[str, str] | None
    outcome: str | None
    incidents: int


@dataclass(slots=True)
class Raised:
    """What acting by itself would have added.

    Attributes:
        acting: Incidents on which something would have acted at once, and did not.
        healed: Of those, whose run, begun by a person, was verified.
        failed: Of those, whose run came to another end.
    """

    acting: int = 0
    healed: int = 0
    failed: int = 0

    def add(self, group: Group) -> None:
        """Count a group, where it is one of these."""
        if group.would is None or group.autonomy is None:
            return
        if group.would.get(ACT) != ACTED or group.would.get(group.autonomy) == ACTED:
            return
        self.acting += group.incidents
        if group.outcome == "verified":
            self.healed += group.incidents
        elif group.outcome is not None:
            self.failed += group.incidents


@dataclass(slots=True)
class WhatIf:
    """What was recorded.

    Attributes:
        considered: Incidents for which something was proposed.
        unproposed: Incidents for which nothing was; no level changes that.
        now: What became of them.
        levels: What would have become of them, by level.
        raised: What acting by itself would have added.
        by_playbook: The same for each pack and playbook, those with the most first.
    """

    considered: int = 0
    unproposed: int = 0
    truncated: bool = False
    now: Counter[str] = field(default_factory=Counter)
    levels: dict[str, Counter[str]] = field(default_factory=lambda: {level: Counter() for level in LEVELS})
    raised: Raised = field(default_factory=Raised)
    by_playbook: list[tuple[tuple[str | None, str | None], int, Raised]] = field(default_factory=list)


def add_up(groups: Iterable[Group]) -> WhatIf:
    """Add up what was recorded; pure."""
    found = WhatIf()
    playbooks: defaultdict[tuple[str | None, str | None], Raised] = defaultdict(Raised)
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for group in groups:
        if group.would is None:
            found.unproposed += group.incidents
            continue
        found.considered += group.incidents
        if group.autonomy is not None:
            found.now[group.would.get(group.autonomy, "")] += group.incidents
        for level in LEVELS:
            found.levels[level][group.would.get(level, "")] += group.incidents
        found.raised.add(group)
        name = (group.pack_id, group.playbook_id)
        playbooks[name].add(group)
        counts[name] += group.incidents
    most = sorted(playbooks.items(), key=lambda item: (-item[1].acting, -counts[item[0]], str(item[0])))
    found.by_playbook = [(name, counts[name], raised) for name, raised in most[:_MOST_PLAYBOOKS]]
    return found


async def what_if(session: AsyncSession, tenant_id: UUID, now: datetime) -> WhatIf:
    """Return what would have become of the incidents of the last 30 days at each level."""
    connection = await driver(session)
    since = now - timedelta(days=DAYS)
    rows = await connection.fetch(_RECENT, tenant_id, since, least_id(since - _CLOCKS_APART))
    found = add_up(Group(**dict(row)) for row in rows)
    found.truncated = found.considered + found.unproposed > MOST_INCIDENTS
    return found


async def listed(
    session: AsyncSession,
    tenant_id: UUID,
    now: datetime,
    *,
    level: str,
    effect: str | None,
    changed: bool,
    before: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return incidents with what became of them, and what would have at a level, newest first.

    Of the last 30 days, and of more than `MOST_INCIDENTS` the newest.
    """
    connection = await driver(session)
    since = now - timedelta(days=DAYS)
    least = least_id(since - _CLOCKS_APART)
    oldest = await connection.fetchval(_OLDEST, tenant_id, least) or least
    rows: list[asyncpg.Record] = await connection.fetch(
        _LISTED, tenant_id, since, level, effect, changed, before, limit, oldest
    )
    return rows
