"""Circuit breakers in the database: failures counted, opened and closed under the lock of their rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.brakes.breaking import Circuit, Standing, is_share
from fettle.healing.brakes.limits import HOST, PLAYBOOK, TENANT, TOOL, BreakerLimits, breaker_limits
from fettle.healing.brakes.standing import brakes_of, circuit_of
from fettle.identity.audit import Who, record
from fettle.kernel import context, events, metrics
from fettle.kernel.clock import rfc3339
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict
from fettle.kernel.events import NewEvent
from fettle.kernel.platform import Platform

ACTOR: Final = "system:brakes"
MOST_STANDING: Final = 1_000
"""So many of a tenant may be kept open by hand: every process reads all that stand, several times a second."""

_RECENT_RUNS: Final = 1_000
"""The share of failures is of so many of the newest runs, those within the window."""

Name = tuple[str, str]
"""A breaker's kind and key."""

_ENSURE: Final = """
INSERT INTO circuit_breakers (tenant_id, kind, key)
SELECT $1::uuid, * FROM unnest($2::text[], $3::text[]) AS n(kind, key) ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
_LOCK: Final = """
SELECT b.* FROM circuit_breakers b JOIN unnest($2::text[], $3::text[]) AS n(kind, key)
  ON b.kind = n.kind AND b.key = n.key
WHERE b.tenant_id = $1 ORDER BY b.kind, b.key FOR UPDATE OF b
"""
_SAVE: Final = """
UPDATE circuit_breakers SET state = $4, failures = $5, times_opened = $6, opened_at = $7, open_until = $8,
  probe_run_id = $9, probe_until = $10, reason = $11, changed_by = $12, changed_at = now()
WHERE tenant_id = $1 AND kind = $2 AND key = $3
"""
_ENDED_RUNS: Final = f"""
SELECT count(*) FILTER (WHERE outcome IN ('failed', 'rolled_back', 'unknown')) AS failed,
       count(*) FILTER (WHERE outcome IN ('verified', 'completed')) AS succeeded
FROM (SELECT outcome, finished_at, playbook_id, incident FROM playbook_runs WHERE tenant_id = $1
      ORDER BY id DESC LIMIT {_RECENT_RUNS}) r
WHERE r.finished_at > $2 AND ($3 = 'tenant' OR ($3 = 'playbook' AND r.playbook_id = $4)
                              OR ($3 = 'host' AND lower(r.incident ->> 'host') = $4))
"""  # noqa: S608 - a constant
_ENDED_CALLS: Final = f"""
SELECT count(*) FILTER (WHERE s.state IN ('failed', 'unknown')) AS failed,
       count(*) FILTER (WHERE s.state = 'succeeded') AS succeeded
FROM (SELECT id FROM playbook_runs WHERE tenant_id = $1 ORDER BY id DESC LIMIT {_RECENT_RUNS}) r
JOIN run_steps s ON s.tenant_id = $1 AND s.run_id = r.id
WHERE s.tool = $4 AND s.ended_at > $2 AND $3 = 'tool'
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that came to its end.

    Attributes:
        well: None where its end says nothing, such as one that was stopped.
    """

    run_id: UUID
    playbook: str
    host: str
    well: bool | None
    at: datetime


def host_key(host: object) -> str:
    """Return a host as breakers name it; host names count without regard to case."""
    return str(host or "").lower()


async def note_runs(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    policy: Mapping[str, Any],
    ended: Sequence[Ended],
) -> None:
    """Count runs that failed, and close or open again what a run was trying; nothing where all is well.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: The owner.
        policy: Its Policy Pack.
        ended: Runs, in the order in which they ended.
    """
    failed: defaultdict[Name, list[datetime]] = defaultdict(list)
    for run in ended:
        if run.well is False:
            names = [(TENANT, ""), (PLAYBOOK, run.playbook), *([(HOST, run.host)] if run.host else [])]
            for name in names:
                failed[name].append(run.at)
    standing = (await brakes_of(platform).of(tenant_id)).breakers
    tried = {run.run_id: run for run in ended} if standing else {}
    if failed or tried:
        await _note(platform, session, tenant_id, policy, failed, tried, standing.keys())


async def note_calls(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    policy: Mapping[str, Any],
    failed: Iterable[tuple[str, datetime]],
) -> None:
    """Count calls of tools that failed.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: The owner.
        policy: Its Policy Pack.
        failed: Tool and time of each.
    """
    by_tool: defaultdict[Name, list[datetime]] = defaultdict(list)
    for tool, at in failed:
        by_tool[TOOL, tool].append(at)
    if by_tool:
        await _note(platform, session, tenant_id, policy, by_tool, {}, ())


async def _note(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    policy: Mapping[str, Any],
    failed: Mapping[Name, Sequence[datetime]],
    tried: Mapping[UUID, Ended],
    standing: Iterable[Name],
) -> None:
    connection = await driver(session)
    names = sorted({*failed, *standing})
    if failed:
        await connection.execute(_ENSURE, tenant_id, [kind for kind, _ in failed], [key for _, key in failed])
    told: list[NewEvent] = []
    for row in await lock(connection, tenant_id, names):
        name = (row["kind"], row["key"])
        limits = breaker_limits(policy, name[0])
        before = after = circuit_of(row)
        run = tried.get(row["probe_run_id"]) if row["probe_run_id"] is not None else None
        if run is not None:
            after = after.ended(run.run_id, run.at, limits, well=run.well)
        for at in failed.get(name, ()):
            if after.standing is Standing.CLOSED:
                after = after.failed(at, limits)
        if after.is_due(limits) and await _is_large(connection, tenant_id, name, after, limits):
            after = after.opened(after.failures[-1], limits.open_seconds)
        if after == before:
            continue
        reason = _reason(before, after, name, limits.failures, limits.window_seconds)
        await save(connection, tenant_id, name, after, reason, ACTOR)
        if after.standing is not before.standing:
            told.append(changed(tenant_id, name, after, reason, ACTOR))
    await events.append(session, tenant_id, told)
    if told:
        metrics.after_commit(session, brakes_of(platform).forget)


async def _is_large(
    connection: asyncpg.Connection, tenant_id: UUID, name: Name, circuit: Circuit, limits: BreakerLimits
) -> bool:
    """Say whether the failures are a large enough share of what ended in the window; asked once they are many."""
    since = circuit.failures[-1] - timedelta(seconds=limits.window_seconds)
    query = _ENDED_CALLS if name[0] == TOOL else _ENDED_RUNS
    (row,) = await connection.fetch(query, tenant_id, since, name[0], name[1])
    return is_share(max(row["failed"], len(circuit.failures)), row["succeeded"], limits)


def _reason(before: Circuit, after: Circuit, name: Name, failures: int, seconds: int) -> str | None:
    if after.standing is Standing.OPEN:
        if before.standing is Standing.HALF_OPEN:
            return "The run that tried it failed, too."
        what = "calls of it" if name[0] == TOOL else "runs"
        return f"{failures} {what} failed within {seconds} s."
    if before.standing is Standing.HALF_OPEN and after.standing is Standing.CLOSED:
        return "The run that tried it ended well."
    return None


async def lock(
    connection: asyncpg.Connection, tenant_id: UUID, names: Sequence[Name]
) -> list[asyncpg.Record]:
    """Read and lock breakers, always in the same order."""
    rows: list[asyncpg.Record] = await connection.fetch(
        _LOCK, tenant_id, [kind for kind, _ in names], [key for _, key in names]
    )
    return rows


async def save(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    name: Name,
    circuit: Circuit,
    reason: str | None,
    actor: str,
) -> None:
    """Write a breaker back; its row is locked by the caller."""
    await connection.execute(
        _SAVE, tenant_id, *name, circuit.standing.value, list(circuit.failures), circuit.times_opened,
        circuit.opened_at, circuit.open_until, circuit.probe, circuit.probe_until, reason, actor,
    )  # fmt: skip


def changed(tenant_id: UUID, name: Name, circuit: Circuit, reason: str | None, actor: str) -> NewEvent:
    """Return the event of a breaker that changed: `breaker.opened`, `breaker.half_opened` or `breaker.closed`."""
    verb = {Standing.OPEN: "opened", Standing.HALF_OPEN: "half_opened", Standing.CLOSED: "closed"}
    data = {
        "kind": name[0],
        "key": name[1],
        "reason": reason,
        "until": None if circuit.open_until is None else rfc3339(circuit.open_until),
        "by": actor,
    }
    return NewEvent(
        stream_type="breaker",
        stream_id=uuid5(tenant_id, ":".join(name)),
        type=f"breaker.{verb[circuit.standing]}",
        data=data,
        actor=actor,
        request_id=context.request_id.get(),
    )


async def open_by_hand(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    name: Name,
    *,
    now: datetime,
    seconds: int | None,
    reason: str,
    who: Who,
) -> None:
    """Open a breaker, for a time or until somebody resets it.

    Raises:
        Conflict: It is open already, or too many are.
    """
    connection = await driver(session)
    standing = await connection.fetchval(
        "SELECT count(*) FROM circuit_breakers WHERE tenant_id = $1 AND state <> 'closed'", tenant_id
    )
    if standing >= MOST_STANDING:
        raise Conflict(f"{standing} breakers are open already. Reset some, or press the stop switch.")
    await connection.execute(_ENSURE, tenant_id, [name[0]], [name[1]])
    (row,) = await lock(connection, tenant_id, [name])
    before = circuit_of(row)
    if before.standing is Standing.OPEN and (before.open_until is None or before.open_until > now):
        raise Conflict("This breaker is open already.")
    await _by_hand(platform, session, tenant_id, name, before.opened(now, seconds), reason, who)


async def reset(
    platform: Platform, session: AsyncSession, tenant_id: UUID, name: Name, *, reason: str, who: Who
) -> None:
    """Close a breaker and forget the failures that it counted.

    Raises:
        Conflict: It is closed, and counted nothing.
    """
    connection = await driver(session)
    rows = await lock(connection, tenant_id, [name])
    if not rows or circuit_of(rows[0]) == Circuit():
        raise Conflict("This breaker is closed, and nothing failed. There is nothing to reset.")
    await _by_hand(platform, session, tenant_id, name, Circuit(), reason, who)


async def _by_hand(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    name: Name,
    circuit: Circuit,
    reason: str,
    who: Who,
) -> None:
    connection = await driver(session)
    await save(connection, tenant_id, name, circuit, reason, who.actor)
    event = changed(tenant_id, name, circuit, reason, who.actor)
    await events.append(session, tenant_id, [event])
    target = ("breaker", ":".join(name))
    await record(session, who, event.type, tenant_id=tenant_id, target=target, after={"reason": reason})
    metrics.after_commit(session, brakes_of(platform).forget)


async def listed(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    state: str | None,
    kind: str | None,
    after: Name | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return breakers that ever counted something, by kind and key."""
    connection = await driver(session)
    rows: list[asyncpg.Record] = await connection.fetch(
        "SELECT * FROM circuit_breakers WHERE tenant_id = $1 AND ($2::text IS NULL OR state = $2) "
        "AND ($3::text IS NULL OR kind = $3) AND ($4::text IS NULL OR (kind, key) > ($4, $5)) "
        "ORDER BY kind, key LIMIT $6",
        tenant_id, state, kind, *(after or (None, None)), limit,
    )  # fmt: skip
    return rows
