"""Tries a rule over time on the exceptions of the last days before it is let loose; reads only."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.temporal.current import Current
from fettle.healing.temporal.keeping import ROW_BYTES
from fettle.healing.temporal.matching import Sighting, TemporalRules, named
from fettle.healing.temporal.moments import from_ms, read_time
from fettle.healing.temporal.raising import ACTOR
from fettle.healing.temporal.rules import MILLIONTHS, TemporalRule
from fettle.healing.temporal.simulation import Firing, Simulation
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.jsonio import dumps
from fettle.packs.active import ActivePacks

DAYS: Final = 30
MOST_EXCEPTIONS: Final = 50_000
MOST_SHOWN: Final = 100
_PAGE: Final = 1_000

# The newest are looked at, in the order in which they came.
_FIRST: Final = """
SELECT min(position) AS low, count(*) AS found FROM (
  SELECT position FROM events WHERE tenant_id = $1 AND type = 'exception.ingested' AND occurred_at >= $2
  ORDER BY position DESC LIMIT $3
) AS newest
"""
_READ: Final = """
SELECT position, stream_id, data, metadata, occurred_at FROM events
WHERE tenant_id = $1 AND type = 'exception.ingested' AND position > $2 ORDER BY position LIMIT $3
"""


@dataclass(slots=True)
class DryRun:
    """What a rule would have done; the fields are those of `TemporalDryRunOut`."""

    considered: int = 0
    truncated: bool = False
    outcomes: dict[str, int] = field(default_factory=dict)
    fired: int = 0
    keys: int = 0
    bytes: int = 0
    forgotten: int = 0
    by_day: dict[str, list[int]] = field(default_factory=dict)
    firings: list[dict[str, Any]] = field(default_factory=list)


async def dry_run(session: AsyncSession, tenant_id: UUID, rule: TemporalRule, packs: ActivePacks) -> DryRun:
    """Try a rule, enabled or not, on the newest exceptions of the last 30 days.

    Args:
        session: With the tenant bound.
        tenant_id: Whose exceptions.
        rule: The rule.
        packs: The tenant's, in whose words the rule is written.
    """
    now = utcnow()
    since = now - timedelta(days=DAYS)
    rules = TemporalRules([TemporalRule.parse({**rule.document, "enabled": True})])
    tried = Current(rules, packs, packs.version)
    simulation = Simulation(rules, since)
    result = DryRun()
    connection = await driver(session)
    newest = await connection.fetchrow(_FIRST, tenant_id, since, MOST_EXCEPTIONS + 1)
    assert newest is not None
    result.truncated = newest["found"] > MOST_EXCEPTIONS
    if newest["found"]:
        async for row in _exceptions(connection, tenant_id, newest["low"] - 1):
            result.considered += 1
            day = result.by_day.setdefault(row["occurred_at"].date().isoformat(), [0, 0])
            if row["metadata"].get("actor") == ACTOR or not tried.may_see(
                row["data"]["exception"]["check_type"]
            ):
                continue
            seen = simulation.outcomes[rule.id].total()
            _note(result, simulation.see(_sighting(row, packs)))
            day[0] += simulation.outcomes[rule.id].total() - seen
    _note(result, simulation.pass_time(now))
    result.outcomes = dict(simulation.outcomes[rule.id])
    remembered = simulation.remembered(rule.id)
    result.keys = len(remembered)
    result.bytes = sum(
        ROW_BYTES + len(dumps(named(rule, key.values))) + len(dumps(state.document()))
        for key, state in remembered.items()
    )
    result.forgotten = simulation.forgotten[rule.id]
    return result


async def _exceptions(
    connection: asyncpg.Connection, tenant_id: UUID, after: int
) -> AsyncIterator[asyncpg.Record]:
    while True:
        rows = await connection.fetch(_READ, tenant_id, after, _PAGE)
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        after = rows[-1]["position"]


def _sighting(row: asyncpg.Record, packs: ActivePacks) -> Sighting:
    exception = row["data"]["exception"]
    body = packs.normalise(exception)
    body.setdefault("status", "firing")
    occurred_at = read_time(exception.get("occurred_at"))
    return Sighting(str(row["stream_id"]), body, occurred_at, row["occurred_at"])


def _note(result: DryRun, found: list[Firing]) -> None:
    for firing in found:
        fired = firing.fired
        at = from_ms(fired.at)
        result.fired += not fired.is_over
        result.by_day.setdefault(at.date().isoformat(), [0, 0])[1] += not fired.is_over
        result.firings.append(
            {
                "at": at,
                "key": named(firing.rule, firing.key.values),
                "is_over": fired.is_over,
                "count": fired.count,
                "total": None if fired.total is None else fired.total / MILLIONTHS,
                "exception_ids": list(fired.ids),
            }
        )
    del result.firings[:-MOST_SHOWN]
