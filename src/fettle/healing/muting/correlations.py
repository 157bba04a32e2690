"""Candidate groups of incidents that may belong together: found by packs' rules, confirmed or dismissed by people."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.muting.correlating import CorrelationRule, Group, Seen, groups_of
from fettle.incidents import links
from fettle.incidents.commands import By
from fettle.kernel import events
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.per_tenant import contain_failure
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

ACTOR: Final = "system:muting"
LOOKED_BACK: Final = timedelta(minutes=10)
MOST_MEMBERS: Final = 50
_MOST_SEEN: Final = 5_000

_TENANTS: Final = "SELECT DISTINCT tenant_id FROM incidents WHERE id > $1"
_SEEN: Final = """
SELECT i.id, i.check_type, i.opened_at, i.host, i.site, i.severity, i.platform, i.source, i.labels FROM incidents i
WHERE i.tenant_id = $1 AND i.check_type = ANY($2) AND i.opened_at > $3 AND i.merged_into IS NULL
ORDER BY i.id DESC LIMIT $4
"""
_TAKEN: Final = """
SELECT c.id, c.rule_id, c.key, c.state, m.incident_id FROM correlation_members m
JOIN correlations c ON c.tenant_id = m.tenant_id AND c.id = m.correlation_id
WHERE m.tenant_id = $1 AND m.incident_id = ANY($2)
"""
_JOIN: Final = """
INSERT INTO correlation_members (tenant_id, correlation_id, incident_id) SELECT $1, $2, * FROM unnest($3::uuid[])
ON CONFLICT DO NOTHING
"""
_LIST: Final = """
SELECT c.id, c.rule_id, c.key, c.title, c.state, c.cause_id, c.version, c.created_at, c.decided_by, c.decided_at
FROM correlations c WHERE c.tenant_id = $1 AND ($2::text IS NULL OR c.state = $2) AND ($3::uuid IS NULL OR c.id < $3)
  AND ($4::uuid IS NULL OR EXISTS (SELECT FROM correlation_members m WHERE m.tenant_id = $1
                                   AND m.correlation_id = c.id AND m.incident_id = $4))
ORDER BY c.id DESC LIMIT $5
"""
_OF: Final = """
SELECT m.correlation_id, i.id, i.number, i.title, i.state, i.severity, i.check_type, i.host, i.site
FROM correlation_members m JOIN incidents i ON i.tenant_id = m.tenant_id AND i.id = m.incident_id
WHERE m.tenant_id = $1 AND m.correlation_id = ANY($2) ORDER BY i.id
"""

_FORGET: Final = """
WITH gone AS (
  DELETE FROM correlations WHERE state <> 'confirmed' AND last_at < now() - interval '30 days' RETURNING tenant_id, id
)
DELETE FROM correlation_members m USING gone WHERE m.tenant_id = gone.tenant_id AND m.correlation_id = gone.id
"""


async def correlate_recent(platform: Platform) -> int:
    """Look for groups among the incidents that every tenant opened lately; returns how many are new."""
    since = utcnow() - LOOKED_BACK
    first = UUID(int=(int(since.timestamp() * 1000) << 80))
    async with platform.database.raw_system() as connection:
        tenants = [row["tenant_id"] for row in await connection.fetch(_TENANTS, first)]
    found = 0
    for tenant_id in tenants:
        found += await contain_failure(tenant_id, "muting.correlate_recent", _correlate(platform, tenant_id))
    return found


async def _correlate(platform: Platform, tenant_id: UUID) -> int:
    rules = await rules_of(platform, tenant_id)
    if not rules:
        return 0
    async with platform.database.tenant(tenant_id) as session:
        return await correlate_tenant(session, tenant_id, rules)


async def rules_of(platform: Platform, tenant_id: UUID) -> list[CorrelationRule]:
    """Return the correlation rules of a tenant's packs."""
    packs = await active_packs(platform, tenant_id)
    return [
        CorrelationRule.parse({**one, "pack_id": pack.id})
        for pack in packs.packs.packs
        for one in pack.content.get("correlations", ())
    ]


async def correlate_tenant(session: AsyncSession, tenant_id: UUID, rules: Sequence[CorrelationRule]) -> int:
    """Write down the groups among a tenant's latest incidents; returns how many are new."""
    connection = await driver(session)
    await hold_lock(connection, "correlations", tenant_id)
    since = utcnow() - LOOKED_BACK - max(rule.window for rule in rules)
    types = sorted({name for rule in rules for name in rule.check_types})
    rows = await connection.fetch(_SEEN, tenant_id, types, since, _MOST_SEEN)
    groups = groups_of(rules, [Seen.of(dict(row)) for row in rows])
    members = list({one.id for group in groups for one in group.members})
    taken = [dict(row) for row in await connection.fetch(_TAKEN, tenant_id, members)]
    by_rule: dict[tuple[str, UUID], Mapping[str, Any]] = {
        (row["rule_id"], row["incident_id"]): row for row in taken
    }
    new = 0
    for group in groups:
        known = [row for one in group.members if (row := by_rule.get((group.rule.id, one.id))) is not None]
        new += await _write(session, connection, tenant_id, group, known)
    return new


async def listed(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    state: str | None = None,
    incident_id: UUID | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return groups, newest first, each with its incidents as `members`."""
    connection = await driver(session)
    rows = await connection.fetch(_LIST, tenant_id, state, before, incident_id, limit)
    of = await connection.fetch(_OF, tenant_id, [row["id"] for row in rows])
    return [
        {
            **dict(row),
            "members": [dict(one) for one in of if one["correlation_id"] == row["id"]][:MOST_MEMBERS],
        }
        for row in rows
    ]


async def decide(
    session: AsyncSession, tenant_id: UUID, by: By, correlation_id: UUID, *, version: int, together: bool
) -> dict[str, Any]:
    """Confirm that incidents belong together, which links them, or dismiss it.

    Raises:
        NotFound: The tenant has no such group.
        Conflict: Somebody decided already, or it has grown since.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        "SELECT state, version, cause_id FROM correlations WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant_id, correlation_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("There is no such group of incidents.")
    if row["state"] != "candidate":
        raise Conflict(f"Somebody has {row['state']} it already.")
    if row["version"] != version:
        raise Conflict(f"It has version {row['version']} by now, not {version}: it has grown. Look again.")
    state = "confirmed" if together else "dismissed"
    await connection.execute(
        "UPDATE correlations SET state = $3, version = version + 1, decided_by = $4, decided_at = $5 "
        "WHERE tenant_id = $1 AND id = $2",
        tenant_id, correlation_id, state, by.actor, utcnow(),
    )  # fmt: skip
    if together:
        await _link(session, connection, tenant_id, by, correlation_id, row["cause_id"])
    await _tell(
        session, tenant_id, by.actor, f"correlation.{state}", correlation_id, {"cause": row["cause_id"]}
    )
    [shown] = await listed_one(session, tenant_id, correlation_id)
    return shown


async def listed_one(session: AsyncSession, tenant_id: UUID, correlation_id: UUID) -> list[dict[str, Any]]:
    """Return one group with its incidents, in a list that is empty where there is none."""
    following = UUID(int=correlation_id.int + 1)
    return [
        one
        for one in await listed(session, tenant_id, before=following, limit=1)
        if one["id"] == correlation_id
    ]


async def _write(
    session: AsyncSession,
    connection: asyncpg.Connection,
    tenant_id: UUID,
    group: Group,
    known: Sequence[Mapping[str, Any]],
) -> int:
    """Write one group down, or let what is new join the one that there is."""
    wanted = [one.id for one in group.members][:MOST_MEMBERS]
    open_ = next((row["id"] for row in known if row["state"] == "candidate"), None)
    if open_ is None and known:
        return 0  # a person has decided
    if open_ is not None:
        fresh = set(wanted) - {row["incident_id"] for row in known if row["id"] == open_}
        if fresh:
            await connection.execute(_JOIN, tenant_id, open_, list(fresh))
            await connection.execute(
                "UPDATE correlations SET version = version + 1, cause_id = coalesce(cause_id, $3), last_at = $4 "
                "WHERE tenant_id = $1 AND id = $2",
                tenant_id, open_, group.cause, group.members[-1].opened_at,
            )  # fmt: skip
        return 0
    made = new_id()
    written = await connection.fetchval(
        "INSERT INTO correlations (id, tenant_id, rule_id, key, title, cause_id, last_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, rule_id, key) WHERE state = 'candidate' "
        "DO UPDATE SET last_at = excluded.last_at, version = correlations.version + 1 RETURNING id",
        made, tenant_id, group.rule.id, group.key, group.rule.title, group.cause, group.members[-1].opened_at,
    )  # fmt: skip
    await connection.execute(_JOIN, tenant_id, written, wanted)
    told = {"rule_id": group.rule.id, "key": group.key, "incidents": [str(one) for one in wanted]}
    await _tell(session, tenant_id, ACTOR, "correlation.proposed", UUID(str(written)), told)
    return int(UUID(str(written)) == made)


async def _link(
    session: AsyncSession,
    connection: asyncpg.Connection,
    tenant_id: UUID,
    by: By,
    correlation_id: UUID,
    cause: UUID | None,
) -> None:
    rows = await connection.fetch(_OF, tenant_id, [correlation_id])
    ids = [UUID(str(row["id"])) for row in rows]
    if not ids:
        return
    centre = ids[0] if cause is None else UUID(str(cause))
    for one in ids:
        if one == centre:
            continue
        try:
            async with session.begin_nested():
                await links.link(
                    session, tenant_id, by, one, "relates_to" if cause is None else "caused_by", centre
                )
        except Conflict:
            continue  # they are linked so already


async def _tell(
    session: AsyncSession,
    tenant_id: UUID,
    actor: str,
    kind: str,
    correlation_id: UUID,
    data: Mapping[str, Any],
) -> None:
    plain = {
        name: None if value is None else value if isinstance(value, list) else str(value)
        for name, value in data.items()
    }
    event = NewEvent(stream_type="correlation", stream_id=correlation_id, type=kind, data=plain, actor=actor)
    await events.append(session, tenant_id, [event])


async def forget_unconfirmed(platform: Platform) -> None:
    """Forget what seemed to belong together a month ago and what nobody confirmed."""
    async with platform.database.raw_system() as connection:
        await connection.execute(_FORGET)
