"""Lets runs begin to act, or holds them: asked under one lock for a tenant, so that no two exceed a limit together."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, runtime_checkable
from uuid import UUID
from weakref import WeakValueDictionary

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.brakes import breakers
from fettle.healing.brakes.breaking import PROBE_POLL_SECONDS, Circuit, Passage, Standing
from fettle.healing.brakes.limiting import DAY, HOUR, LIMITS, VERIFIED, Action, Admitted, Held, admit
from fettle.healing.brakes.limits import ActionLimits
from fettle.healing.brakes.standing import BREAKER_OPEN, breaker_brake, circuit_of
from fettle.kernel import events
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import driver, wake_after_commit
from fettle.kernel.events import NewEvent
from fettle.kernel.platform import Platform
from fettle.tools.runs import CHANNEL

ACTOR: Final = "system:brakes"
_TURNS: Final = "healing.brakes.turns"

_COLUMNS: Final = "run_id, playbook_id, definition_hash, host, disruptive, canary, outcome, admitted_at"
_TODAY: Final = f"""
SELECT {_COLUMNS} FROM action_admissions WHERE tenant_id = $1 AND admitted_at > $2 ORDER BY admitted_at
"""  # noqa: S608 - a constant
# Of each limit just so many of the newest as it lets act, for that is all that it looks at: asked under the lock,
# it must not cost more the more a tenant's runs do.
_BEARING: Final = f"""
WITH own AS NOT MATERIALIZED (SELECT {_COLUMNS} FROM action_admissions WHERE tenant_id = $1)
(SELECT * FROM own WHERE run_id = $2)
UNION (SELECT * FROM own WHERE admitted_at > $3 ORDER BY admitted_at DESC LIMIT $5)
UNION (SELECT * FROM own WHERE admitted_at > $3 AND host = $9 ORDER BY admitted_at DESC LIMIT $6)
UNION (SELECT * FROM own WHERE admitted_at > $4 AND disruptive ORDER BY admitted_at DESC LIMIT $7)
UNION (SELECT DISTINCT ON (host) * FROM own WHERE $8 AND admitted_at > $3 AND playbook_id = $10 AND host <> ''
       ORDER BY host, admitted_at DESC)
UNION (SELECT * FROM own WHERE $12 AND admitted_at > $4 AND playbook_id = $10 AND definition_hash = $11 AND canary
       AND outcome IS NULL)
UNION (SELECT * FROM own WHERE $12 AND admitted_at > $3 AND playbook_id = $10 AND definition_hash = $11
       AND outcome = '{VERIFIED}' ORDER BY admitted_at DESC LIMIT 1)
ORDER BY admitted_at
"""  # noqa: S608 - a constant
# What goes on more than a day after it was let act is not among those of the last day, and is counted once.
_ADMIT: Final = """
INSERT INTO action_admissions (tenant_id, run_id, playbook_id, definition_hash, host, disruptive, canary, admitted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant_id, run_id) DO NOTHING
"""
# Who is held by a limit keeps its place in line. Of a longer line the end is enough: it says when there is room again.
_AHEAD: Final = """
SELECT h.run_id, h.playbook_id, h.host, h.disruptive, h.until FROM held_runs h
LEFT JOIN held_runs own ON own.tenant_id = $1 AND own.run_id = $2
WHERE h.tenant_id = $1 AND h.run_id <> $2 AND h.reason = ANY($3) AND h.until > $4
  AND (own.run_id IS NULL OR (h.since, h.run_id) < (own.since, own.run_id))
ORDER BY h.until DESC LIMIT 1000
"""
_HOLD: Final = """
INSERT INTO held_runs AS h (tenant_id, run_id, incident_id, playbook_id, host, reason, detail, until, disruptive, since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())
ON CONFLICT (tenant_id, run_id) DO UPDATE SET reason = $6, detail = $7, until = $8
"""
_RELEASE: Final = """
DELETE FROM held_runs WHERE tenant_id = $1 AND run_id = $2 RETURNING reason, since, incident_id, playbook_id
"""
_ENDED: Final = """
UPDATE action_admissions a SET outcome = n.outcome FROM unnest($2::uuid[], $3::text[]) AS n(run_id, outcome)
WHERE a.tenant_id = $1 AND a.run_id = n.run_id RETURNING a.canary, a.playbook_id
"""
# What waited for a canary is looked at now, and not when its time would have come.
_WAKE: Final = """
UPDATE playbook_runs r SET due_at = now() FROM held_runs h
WHERE h.tenant_id = $1 AND h.reason = 'canary' AND h.playbook_id = ANY($2)
  AND r.tenant_id = $1 AND r.id = h.run_id AND r.state = 'waiting'
"""


@runtime_checkable
class Fleet(Protocol):
    """Who knows how many hosts a tenant has declared; lent as ``Platform.parts["hosts"]``."""

    async def count(self, tenant_id: UUID) -> int:
        """Return how many."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run that would begin to act.

    Attributes:
        began: It did something already, so it is counted, but not held.
        breakers: Those that bear on it and are not closed.
        limits: Of the policy.
    """

    tenant_id: UUID
    run_id: UUID
    incident_id: UUID | None
    playbook: str
    definition: str
    host: str
    disruptive: bool
    began: bool
    breakers: Sequence[tuple[str, str]]
    limits: ActionLimits


async def ask(platform: Platform, wanted: Wanted) -> Held | None:
    """Let a run begin, or say until when it is held, or that it may not; the same run asked again changes nothing.

    Returns:
        None where it may begin; what holds it, which is over for good where it has no `until`.
    """
    fleet = await _fleet(platform, wanted)
    # Those who wait for the lock of a tenant wait in line here, and not each with a connection of the pool.
    async with _turn(platform, wanted.tenant_id), platform.database.tenant(wanted.tenant_id) as session:
        connection = await driver(session)
        # Whoever asks for the same tenant waits for what this one wrote.
        await hold_lock(connection, "brakes", wanted.tenant_id)
        now = utcnow()
        held = await _at_breakers(session, wanted, now)
        if held is None and wanted.limits.any:
            held = await _at_limits(connection, wanted, fleet, now)
        if held is None:
            await _release(session, wanted.tenant_id, wanted.run_id)
        elif held.until is not None:
            await _hold(session, wanted, held, held.until)
        else:
            await connection.execute(_RELEASE, wanted.tenant_id, wanted.run_id)
    return held


def _turn(platform: Platform, tenant_id: UUID) -> asyncio.Lock:
    turns = platform.parts.setdefault(_TURNS, WeakValueDictionary())
    if not isinstance(turns, WeakValueDictionary):
        raise TypeError(f"{_TURNS} is not a WeakValueDictionary")
    found: asyncio.Lock = turns.setdefault(tenant_id, asyncio.Lock())
    return found


async def _fleet(platform: Platform, wanted: Wanted) -> int:
    if wanted.limits.share_of_fleet_per_hour is None:
        return 0
    hosts = platform.parts.get("hosts")
    return await hosts.count(wanted.tenant_id) if isinstance(hosts, Fleet) else 0


async def _at_breakers(session: AsyncSession, wanted: Wanted, now: datetime) -> Held | None:
    """Pass the breakers that are not closed, as the one run that tries where they want one."""
    if not wanted.breakers or wanted.began:
        return None
    connection = await driver(session)
    tries: list[tuple[tuple[str, str], Circuit]] = []
    waits: tuple[str, str] | None = None
    for row in await breakers.lock(connection, wanted.tenant_id, wanted.breakers):
        name, circuit = (row["kind"], row["key"]), circuit_of(row)
        passage = circuit.passage(wanted.run_id, now)
        if passage is Passage.REFUSED:
            return Held(BREAKER_OPEN, breaker_brake(name, circuit).detail, None)
        if passage is Passage.WAIT:
            waits = name
        elif passage is Passage.PROBE:
            tries.append((name, circuit.tried_by(wanted.run_id, now)))
    if waits is not None:
        detail = f"Another run tries whether {' '.join(waits).strip()} is well again; this one waits for it."
        return Held(BREAKER_OPEN, detail, now + timedelta(seconds=PROBE_POLL_SECONDS))
    for name, circuit in tries:
        reason = f"Run {wanted.run_id} tries whether it is well again."
        await breakers.save(connection, wanted.tenant_id, name, circuit, reason, ACTOR)
        if circuit.standing is Standing.HALF_OPEN:
            told = breakers.changed(wanted.tenant_id, name, circuit, reason, ACTOR)
            await events.append(session, wanted.tenant_id, [told])
    return None


async def _at_limits(
    connection: asyncpg.Connection, wanted: Wanted, fleet: int, now: datetime
) -> Held | None:
    before = await bearing(connection, wanted, now)
    if any(action.run == wanted.run_id for action in before):
        return None
    action = Action(
        wanted.run_id, wanted.playbook, wanted.definition, wanted.host, disruptive=wanted.disruptive, at=now
    )
    answer = Admitted() if wanted.began else admit(action, before, wanted.limits, fleet=fleet, now=now)
    if isinstance(answer, Held):
        if answer.reason not in LIMITS or answer.until is None:
            return answer
        ahead = await _ahead(connection, wanted, now)
        placed = admit(action, before, wanted.limits, fleet=fleet, now=now, ahead=ahead)
        return placed if isinstance(placed, Held) else answer
    await connection.execute(
        _ADMIT, wanted.tenant_id, wanted.run_id, wanted.playbook, wanted.definition, wanted.host,
        wanted.disruptive, answer.canary, now,
    )  # fmt: skip
    return None


async def _ahead(connection: asyncpg.Connection, wanted: Wanted, now: datetime) -> list[Action]:
    """Return the runs before one in line, each as if it acted at the time at which it asks again."""
    rows = await connection.fetch(_AHEAD, wanted.tenant_id, wanted.run_id, list(LIMITS), now)
    return [
        Action(
            row["run_id"], row["playbook_id"], "", row["host"], disruptive=row["disruptive"], at=row["until"]
        )
        for row in rows
    ]


async def bearing(connection: asyncpg.Connection, wanted: Wanted, now: datetime) -> list[Action]:
    """Return what acted already, this run included, as far as the limits that are set look at it."""
    limits = wanted.limits
    rows = await connection.fetch(
        _BEARING, wanted.tenant_id, wanted.run_id, now - HOUR, now - DAY, limits.per_hour or 0,
        (limits.per_host_per_hour or 0) if wanted.host else 0,
        (limits.disruptive_per_day or 0) if wanted.disruptive else 0,
        limits.hosts_per_hour is not None or limits.share_of_fleet_per_hour is not None,
        wanted.host, wanted.playbook, wanted.definition, limits.canary,
    )  # fmt: skip
    return [_action(row) for row in rows]


async def _hold(session: AsyncSession, wanted: Wanted, held: Held, until: datetime) -> None:
    connection = await driver(session)
    before = await connection.fetchval(
        "SELECT reason FROM held_runs WHERE tenant_id = $1 AND run_id = $2", wanted.tenant_id, wanted.run_id
    )
    await connection.execute(
        _HOLD, wanted.tenant_id, wanted.run_id, wanted.incident_id, wanted.playbook, wanted.host, held.reason,
        held.detail, until, wanted.disruptive,
    )  # fmt: skip
    if before != held.reason:
        data = {"reason": held.reason, "detail": held.detail, "until": rfc3339(until)}
        told = _told(wanted.run_id, wanted.incident_id, wanted.playbook, "run.held", data)
        await events.append(session, wanted.tenant_id, [told])


async def release(platform: Platform, tenant_id: UUID, run_id: UUID) -> None:
    """Note that nothing holds a run any more."""
    async with platform.database.tenant(tenant_id) as session:
        await _release(session, tenant_id, run_id)


async def _release(session: AsyncSession, tenant_id: UUID, run_id: UUID) -> None:
    connection = await driver(session)
    row = await connection.fetchrow(_RELEASE, tenant_id, run_id)
    if row is not None:
        data = {"reason": row["reason"], "since": rfc3339(row["since"])}
        told = _told(run_id, row["incident_id"], row["playbook_id"], "run.released", data)
        await events.append(session, tenant_id, [told])


def _told(
    run_id: UUID, incident_id: UUID | None, playbook: str, kind: str, data: Mapping[str, Any]
) -> NewEvent:
    said = {
        "run_id": str(run_id),
        "incident_id": None if incident_id is None else str(incident_id),
        "playbook_id": playbook,
        **data,
    }
    return NewEvent(
        stream_type="run",
        stream_id=run_id,
        type=kind,
        data=said,
        actor=ACTOR,
        correlation_id=incident_id,
    )


async def note_ended(session: AsyncSession, tenant_id: UUID, ended: Sequence[tuple[UUID, str]]) -> None:
    """Note how runs ended that were counted, and wake what waited for those that went first.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        ended: Run and outcome.
    """
    connection = await driver(session)
    rows = await connection.fetch(
        _ENDED, tenant_id, [run_id for run_id, _ in ended], [outcome for _, outcome in ended]
    )
    led = [row["playbook_id"] for row in rows if row["canary"]]
    if led:
        await connection.execute(_WAKE, tenant_id, led)
        wake_after_commit(session, CHANNEL)
    await connection.execute(
        "DELETE FROM held_runs WHERE tenant_id = $1 AND run_id = ANY($2)",
        tenant_id, [run_id for run_id, _ in ended],
    )  # fmt: skip


async def actions(session: AsyncSession, tenant_id: UUID, now: datetime) -> list[Action]:
    """Return what began to act within the last day."""
    connection = await driver(session)
    return [_action(row) for row in await connection.fetch(_TODAY, tenant_id, now - DAY)]


async def listed(
    session: AsyncSession, tenant_id: UUID, *, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Return the runs that are held, newest first, each with its incident's number and title."""
    connection = await driver(session)
    rows: list[asyncpg.Record] = await connection.fetch(
        "SELECT h.run_id, h.incident_id, h.playbook_id, h.host, h.reason, h.detail, h.until, h.since, "
        "i.number AS incident_number, i.title AS incident_title FROM held_runs h "
        "LEFT JOIN incidents i ON i.tenant_id = h.tenant_id AND i.id = h.incident_id "
        "WHERE h.tenant_id = $1 AND ($2::uuid IS NULL OR h.run_id < $2) ORDER BY h.run_id DESC LIMIT $3",
        tenant_id, before, limit,
    )  # fmt: skip
    return rows


def _action(row: asyncpg.Record) -> Action:
    return Action(
        row["run_id"],
        row["playbook_id"],
        row["definition_hash"],
        row["host"],
        disruptive=row["disruptive"],
        at=row["admitted_at"],
        outcome=row["outcome"],
        canary=row["canary"],
    )
