"""What is due: rules see that time has passed, keys that say nothing any more are forgotten, incidents are linked.

Whoever looks at a tenant holds its lock, so that no two do at once, and whoever dies has changed nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.temporal.consumers import GROUP, INGESTED
from fettle.healing.temporal.current import current_rules
from fettle.healing.temporal.keeping import Keeper
from fettle.healing.temporal.kinds import Fired, strike
from fettle.healing.temporal.matching import Key
from fettle.healing.temporal.moments import KeyState, to_ms
from fettle.healing.temporal.raised import MOST_TOLD
from fettle.healing.temporal.raising import ACTOR, raise_all
from fettle.healing.temporal.rules import TemporalRule
from fettle.healing.temporal.simulation import Firing
from fettle.incidents import links
from fettle.incidents.commands import By
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Problem
from fettle.kernel.per_tenant import contain_failure
from fettle.kernel.platform import Platform

AT_ONCE: Final = 500
"""Most keys that one transaction looks at."""

KEPT: Final = timedelta(days=90)
"""For how long it is kept what rules found."""

LINKED_WITHIN: Final = timedelta(minutes=10)
"""After so long incidents are linked as far as they are known."""

_TENANTS: Final = "SELECT tenant_id FROM temporal_clocks WHERE due_at <= $1 ORDER BY due_at LIMIT 1000"
# What was accepted and not seen yet may be just what seems to be missing.
_UNSEEN: Final = """
SELECT min(e.occurred_at) FROM events e
LEFT JOIN consumer_lanes l ON l.consumer_group = $2 AND l.lane = e.lane
LEFT JOIN consumer_detours d ON d.consumer_group = $2 AND d.lane = e.lane AND d.tenant_id = e.tenant_id
WHERE e.tenant_id = $1 AND e.type = $3 AND e.position > coalesce(d.position, l.position, 0)
  AND e.position > least((SELECT coalesce(min(position), 0) FROM consumer_lanes WHERE consumer_group = $2),
    (SELECT min(position) FROM consumer_detours WHERE consumer_group = $2 AND tenant_id = $1))
"""
_DUE: Final = """
SELECT rule_id, key_hash, key, stamp, state, bytes FROM temporal_keys
WHERE tenant_id = $1 AND due_at <= $2 ORDER BY due_at, rule_id, key_hash LIMIT $3
"""
_NEXT: Final = """
UPDATE temporal_clocks SET due_at = (SELECT min(due_at) FROM temporal_keys WHERE tenant_id = $1) WHERE tenant_id = $1
"""
_DELETE: Final = """
DELETE FROM temporal_keys k USING unnest($2::text[], $3::text[]) AS n(rule_id, key_hash)
WHERE k.tenant_id = $1 AND k.rule_id = n.rule_id AND k.key_hash = n.key_hash
"""
_FORGETFUL: Final = "SELECT DISTINCT tenant_id FROM temporal_keys WHERE forget_at <= $1 LIMIT 1000"
_FORGET: Final = """
DELETE FROM temporal_keys WHERE ctid IN (
  SELECT ctid FROM temporal_keys WHERE tenant_id = $1 AND forget_at <= $2 LIMIT 5000
) RETURNING rule_id, bytes
"""
_FORGET_FIRINGS: Final = "DELETE FROM temporal_firings WHERE fired_at < $1"
_UNLINKED: Final = "SELECT DISTINCT tenant_id FROM temporal_firings WHERE NOT is_linked LIMIT 1000"
_TO_LINK: Final = """
SELECT f.id, f.fired_at, f.exception_ids, o.incident_id AS own,
  (SELECT array_agg(DISTINCT e.incident_id) FROM incident_exceptions e
   WHERE e.tenant_id = $1 AND e.exception_id = ANY(f.exception_ids) AND e.incident_id IS NOT NULL) AS led,
  (SELECT count(*) FROM incident_exceptions e
   WHERE e.tenant_id = $1 AND e.exception_id = ANY(f.exception_ids)) AS known
FROM temporal_firings f
LEFT JOIN incident_exceptions o ON o.tenant_id = f.tenant_id AND o.exception_id = f.id
WHERE f.tenant_id = $1 AND NOT f.is_linked ORDER BY f.id LIMIT 100
FOR UPDATE OF f SKIP LOCKED
"""
_LINKED: Final = "UPDATE temporal_firings SET is_linked = true WHERE tenant_id = $1 AND id = ANY($2)"

log = structlog.get_logger("fettle.temporal")


async def look_at_due(platform: Platform) -> int:
    """Let time pass for every tenant where something is due; returns how much was found."""
    now = utcnow()
    async with platform.database.raw_system() as connection:
        tenants = [UUID(int=row["tenant_id"].int) for row in await connection.fetch(_TENANTS, now)]
        seen = {
            tenant_id: min(now, await connection.fetchval(_UNSEEN, tenant_id, GROUP, INGESTED) or now)
            for tenant_id in tenants
        }
    total = 0
    for tenant_id in tenants:
        total += await contain_failure(
            tenant_id, "temporal.look", look_at_tenant(platform, tenant_id, seen[tenant_id])
        )
    return total


async def look_at_tenant(platform: Platform, tenant_id: UUID, now: datetime) -> int:
    """Let time pass for one tenant until nothing is due there; returns how much was found.

    Args:
        platform: The process's parts.
        tenant_id: Whose rules.
        now: Up to when all that was accepted has been seen.
    """
    total = 0
    while True:
        async with platform.database.tenant(tenant_id) as session:
            looked, found = await _look_once(platform, session, tenant_id, now)
        total += found
        if looked < AT_ONCE:
            return total


async def forget(platform: Platform) -> int:
    """Delete keys that say nothing any more and what was found long ago; returns how many keys those were."""
    now = utcnow()
    async with platform.database.raw_system() as connection:
        await connection.execute(_FORGET_FIRINGS, now - KEPT)
        tenants = [UUID(int=row["tenant_id"].int) for row in await connection.fetch(_FORGETFUL, now)]
    total = 0
    for tenant_id in tenants:
        while gone := await contain_failure(
            tenant_id, "temporal.forget", _forget_some(platform, tenant_id, now)
        ):
            total += gone
    return total


async def link_incidents(platform: Platform) -> int:
    """Link the incidents of what rules found with those that led to it; returns how many findings that were."""
    async with platform.database.raw_system() as connection:
        tenants = [UUID(int=row["tenant_id"].int) for row in await connection.fetch(_UNLINKED)]
    total = 0
    for tenant_id in tenants:
        total += await contain_failure(tenant_id, "temporal.link", _link(platform, tenant_id, utcnow()))
    return total


async def _forget_some(platform: Platform, tenant_id: UUID, now: datetime) -> int:
    async with platform.database.tenant(tenant_id) as session:
        connection = await driver(session)
        keeper = await Keeper.open(connection, tenant_id, now)
        gone = await connection.fetch(_FORGET, tenant_id, now)
        for row in gone:
            keeper.dropped(row["rule_id"], row["bytes"])
        await keeper.save()
    return len(gone)


async def _look_once(
    platform: Platform, session: AsyncSession, tenant_id: UUID, now: datetime
) -> tuple[int, int]:
    connection = await driver(session)
    # Read under the lock: what rules of just now remembered is not taken for that of rules that are gone.
    keeper = await Keeper.open(connection, tenant_id, utcnow())
    current = await current_rules(platform, session, tenant_id, is_fresh=True)
    rows = await connection.fetch(_DUE, tenant_id, now, AT_ONCE)
    found: list[Firing] = []
    unwanted: list[tuple[str, str]] = []
    for row in rows:
        rule = current.rules.enabled(row["rule_id"])
        if rule is not None and keeper.begins_anew(rule, row):
            continue
        if rule is None or rule.stamp != row["stamp"]:
            unwanted.append((row["rule_id"], row["key_hash"]))
            keeper.dropped(row["rule_id"], row["bytes"])
            continue
        key = Key(row["key_hash"], tuple(row["key"][".".join(path)] for path in rule.by))
        state = KeyState.of(row["state"])
        found += keeper.put(rule, key, state, row["bytes"], _struck(rule, state, to_ms(now)))
    # Nobody waits for these any more.
    await connection.execute(
        _DELETE, tenant_id, [rule_id for rule_id, _ in unwanted], [key_hash for _, key_hash in unwanted]
    )
    await keeper.save()
    await connection.execute(_NEXT, tenant_id)
    await raise_all(session, tenant_id, found, keeper.limits, utcnow())
    return len(rows), len(found)


def _struck(rule: TemporalRule, state: KeyState, now: int) -> list[Fired]:
    found = []
    while (fired := strike(rule, state, now)) is not None:
        found.append(fired)
    return found


async def _link(platform: Platform, tenant_id: UUID, now: datetime) -> int:
    async with platform.database.tenant(tenant_id) as session:
        return await _link_some(session, tenant_id, now)


async def _link_some(session: AsyncSession, tenant_id: UUID, now: datetime) -> int:
    connection = await driver(session)
    done: list[UUID] = []
    for row in await connection.fetch(_TO_LINK, tenant_id):
        is_known = row["own"] is not None and row["known"] == len(row["exception_ids"])
        if not is_known and row["fired_at"] > now - LINKED_WITHIN:
            continue
        done.append(row["id"])
        if row["own"] is not None:
            await _link_one(session, tenant_id, row["own"], row["led"] or ())
    await connection.execute(_LINKED, tenant_id, done)
    return len(done)


async def _link_one(session: AsyncSession, tenant_id: UUID, own: Any, led: Sequence[Any]) -> None:
    for other in sorted(led)[:MOST_TOLD]:
        if other == own:
            continue
        try:
            await links.link(
                session, tenant_id, By(ACTOR), UUID(int=own.int), "caused_by", UUID(int=other.int)
            )
        except Problem as problem:
            # They are linked already, or one of them has as many links as it may have.
            log.info("temporal.not_linked", incident=str(own), other=str(other), detail=problem.detail)
