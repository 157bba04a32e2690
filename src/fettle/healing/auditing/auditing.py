"""Proves that nothing hangs: looks through all that is open, tells of what is overdue, and when it moves again."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.auditing import looking
from fettle.healing.auditing.due import ALLOWED_SECONDS, SETTING, due_at, is_overdue, line_of
from fettle.healing.auditing.looking import CHECK_TYPE, Place, Seen
from fettle.incidents import history, opening
from fettle.incidents.service import Transition, transition
from fettle.incidents.states import SETTLED, State
from fettle.kernel import events
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.per_tenant import contain_failure
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

ACTOR: Final = "system:auditor"
INCIDENTS_A_ROUND: Final = 2_000
TENANTS_A_ROUND: Final = 500
LEAST_ALLOWED: Final = timedelta(seconds=60)
"""No policy allows less, so what was due later than this ago is not read at all."""

_OF_A_KIND: Final = 200
_LOOKED_AGAIN: Final = 1_000

_PROGRESS: Final = "SELECT at_tenant, at_state, at_incident, looked_at, began_at FROM auditor_progress"
_WALK_ON: Final = """
UPDATE auditor_progress SET at_tenant = $1, at_state = $2, at_incident = $3, looked_at = $4, last_round_at = $5,
  began_at = CASE WHEN $6 THEN $5 ELSE began_at END,
  last_whole_at = CASE WHEN $6 THEN $5 ELSE last_whole_at END,
  last_whole_looked_at = CASE WHEN $6 THEN $7 ELSE last_whole_looked_at END
"""
_HANGING: Final = """
WITH oldest AS (
  SELECT id FROM overdue_items WHERE moved_at IS NULL ORDER BY looked_at, id LIMIT $1
)
UPDATE overdue_items o SET looked_at = now() FROM oldest WHERE o.id = oldest.id
RETURNING o.id, o.tenant_id, o.kind, o.state, o.subject_id, o.incident_id
"""
_KNOWN: Final = """
SELECT kind, subject_id FROM overdue_items WHERE tenant_id = $1 AND moved_at IS NULL AND subject_id = ANY($2)
"""
_NOTE: Final = """
INSERT INTO overdue_items (id, tenant_id, kind, state, subject_id, about_incident_id, is_for_person, due_at,
                           incident_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (tenant_id, kind, subject_id) WHERE moved_at IS NULL DO NOTHING
"""
_MOVED: Final = """
UPDATE overdue_items SET moved_at = now() WHERE tenant_id = $1 AND id = ANY($2) AND moved_at IS NULL
"""
_ALL_MOVED: Final = """
SELECT n.id FROM unnest($2::uuid[]) AS n(id)
WHERE NOT EXISTS (SELECT FROM overdue_items o WHERE o.tenant_id = $1 AND o.incident_id = n.id AND o.moved_at IS NULL)
"""
_INCIDENT: Final = """
SELECT id, state FROM incidents WHERE tenant_id = $1 AND fingerprint = $2 AND state <> 'closed' FOR UPDATE
"""

_STRICTEST: Final = {SETTING: dict.fromkeys(ALLOWED_SECONDS, int(LEAST_ALLOWED.total_seconds()))}

log = structlog.get_logger("fettle.auditor")


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to."""

    looked_at: int
    overdue: int
    moved: int
    is_whole: bool


async def audit(
    platform: Platform, *, incidents: int = INCIDENTS_A_ROUND, tenants: int = TENANTS_A_ROUND
) -> Round:
    """Go one round: look again at what hangs, then on through everything that is open, from where the last ended.

    Args:
        platform: The process's parts.
        incidents: Most incidents to look at.
        tenants: Most tenants to visit.
    """
    now = utcnow()
    moved = await _look_again(platform, now)
    found = await _look_at_all(platform, now)
    looked, is_whole = await _walk(platform, now, found, incidents, tenants)
    overdue = 0
    for tenant_id, seen in found.items():
        overdue += await contain_failure(
            tenant_id, "auditing.audit", _tell(platform, tenant_id, seen, now), overtaken=Conflict
        )
    if overdue or moved:
        log.warning("auditor.found", overdue=overdue, moved=moved)
    return Round(looked, overdue, moved, is_whole)


async def _look_at_all(platform: Platform, now: datetime) -> defaultdict[UUID, list[Seen]]:
    async with platform.database.raw_system() as connection:
        return defaultdict(list, await looking.of_all(connection, now - LEAST_ALLOWED, _OF_A_KIND))


async def _walk(
    platform: Platform, now: datetime, found: defaultdict[UUID, list[Seen]], incidents: int, tenants: int
) -> tuple[int, bool]:
    """Look through tenants in order of their ids; returns how many incidents that were, and whether it was the end."""
    async with platform.database.raw_system() as connection:
        progress = await connection.fetchrow(_PROGRESS)
        assert progress is not None  # the migration wrote it
        place = Place(progress["at_state"], progress["at_incident"]) if progress["at_state"] else Place()
        ids = await connection.fetch(
            "SELECT id FROM tenants WHERE $1::uuid IS NULL OR id >= $1 ORDER BY id LIMIT $2",
            progress["at_tenant"], tenants + 1,
        )  # fmt: skip
        looked = 0
        stopped: tuple[UUID, Place] | None = (ids[tenants]["id"], Place()) if len(ids) > tenants else None
        for row in ids[:tenants]:
            tenant_id = UUID(int=row["id"].int)
            if row["id"] != progress["at_tenant"]:
                place = Place()
            if place == Place():
                found[tenant_id] += await looking.queues(
                    connection, tenant_id, now - LEAST_ALLOWED, _OF_A_KIND
                )
            seen, count, following = await looking.page(connection, tenant_id, place, incidents - looked)
            found[tenant_id] += seen
            looked += count
            if following is not None:
                stopped = (tenant_id, following)
                break
        total = progress["looked_at"] + looked
        at_tenant, at_place = stopped or (None, None)
        await connection.execute(
            _WALK_ON,
            at_tenant,
            at_place and at_place.state,
            at_place and at_place.after,
            0 if stopped is None else total,
            now,
            stopped is None,
            total,
        )
    return looked, stopped is None


async def _tell(platform: Platform, tenant_id: UUID, seen: Sequence[Seen], now: datetime) -> int:
    """Tell of a tenant's things that are overdue and were not told of yet; returns how many that were."""
    late = [one for one in seen if is_overdue(one.standing, _STRICTEST, now)]
    if not late:
        return 0
    policy = (await active_packs(platform, tenant_id)).policy
    late = [one for one in late if is_overdue(one.standing, policy, now)]
    if not late:
        return 0
    async with platform.database.tenant(tenant_id) as session:
        return await _note(session, tenant_id, late, policy)


async def _note(
    session: AsyncSession, tenant_id: UUID, late: Sequence[Seen], policy: Mapping[str, Any]
) -> int:
    connection = await driver(session)
    # Another round that tells of the same is waited for, so that what it told of is known.
    await hold_lock(connection, "auditor", tenant_id)
    known = {
        (row["kind"], row["subject_id"])
        for row in await connection.fetch(_KNOWN, tenant_id, [one.subject_id for one in late])
    }
    fresh = {(one.standing.kind, one.subject_id): one for one in late}
    groups: defaultdict[tuple[str, str], list[Seen]] = defaultdict(list)
    for key, one in fresh.items():
        if key not in known:
            groups[(one.standing.kind, one.standing.state)].append(one)
    for (kind, state), members in sorted(groups.items()):
        incident_id = await _incident(session, tenant_id, kind, state, members)
        await connection.executemany(
            _NOTE,
            [
                (new_id(), tenant_id, kind, state, one.subject_id, one.incident_id,
                 line_of(one.standing).is_for_person, due_at(one.standing, policy), incident_id)
                for one in members
            ],
        )  # fmt: skip
    return sum(map(len, groups.values()))


async def _incident(
    session: AsyncSession, tenant_id: UUID, kind: str, state: str, members: Sequence[Seen]
) -> UUID:
    """Open the incident of what hangs in one state, or add to it; returns its id."""
    connection = await driver(session)
    row = await connection.fetchrow(_INCIDENT, tenant_id, f"auditor:{kind}:{state}")
    line = line_of(members[0].standing)
    escalated = {
        "level": "L3",
        "reason": "overdue",
        "detail": f"{_words(kind, len(members))} should have gone on by now. Next: {line.next_event}",
    }
    moves: list[tuple[str, State | None, dict[str, Any]]]
    if row is None:
        incident_id = await _open(session, tenant_id, kind, state, members)
        moves = [("incident.escalated", State.ESCALATED, escalated)]
    elif row["state"] in SETTLED:
        incident_id = UUID(int=row["id"].int)
        moves = [
            ("incident.reopened", State.OPEN, {"count": len(members), "exception_ids": []}),
            ("incident.escalated", State.ESCALATED, escalated),
        ]
    else:
        incident_id = UUID(int=row["id"].int)
        moves = [("incident.occurrence_added", None, {"count": len(members), "exception_ids": []})]
    await transition(
        session,
        tenant_id,
        [Transition(incident_id=incident_id, type=type_, to=to, data=data, actor=ACTOR)
         for type_, to, data in moves],
    )  # fmt: skip
    return incident_id


async def _open(
    session: AsyncSession, tenant_id: UUID, kind: str, state: str, members: Sequence[Seen]
) -> UUID:
    connection = await driver(session)
    incident_id = new_id()
    first, line = members[0], line_of(members[0].standing)
    body: dict[str, Any] = {
        "check_type": CHECK_TYPE,
        "source": "fettle",
        "severity": "medium" if line.is_for_person else "high",
        "title": f"Hanging: {kind.replace('_', ' ')}, {state.replace('_', ' ')}",
        "summary": f"It should have gone on by now and did not. What must come next: {line.next_event}",
        "details": {
            "kind": kind,
            "state": state,
            "next_event": line.next_event,
            "first": str(first.subject_id),
            "since": rfc3339(first.standing.since),
            "list": "/api/v1/overdue",
        },
    }
    number = await opening.take_numbers(connection, tenant_id, 1)
    content = opening.content_of(incident_id, number, f"auditor:{kind}:{state}", body, utcnow())
    data = {**content, "count": len(members), "exception_ids": []}
    standing = history.apply(None, "incident.opened", data, content["opened_at"])
    await opening.insert(connection, tenant_id, [(content, standing)])
    opened = NewEvent(
        stream_type="incident",
        stream_id=incident_id,
        type="incident.opened",
        data=data,
        actor=ACTOR,
        correlation_id=incident_id,
        occurred_at=content["opened_at"],
    )
    await events.append(session, tenant_id, [opened])
    return incident_id


async def _look_again(platform: Platform, now: datetime) -> int:
    """Look again at what hung, the least lately looked at first; returns how much of it moved."""
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(_HANGING, _LOOKED_AGAIN)
    by_tenant: defaultdict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        by_tenant[UUID(int=row["tenant_id"].int)].append(row)
    moved = 0
    for tenant_id, hanging in by_tenant.items():
        moved += await contain_failure(
            tenant_id, "auditing.audit", _look_again_at(platform, tenant_id, hanging, now), overtaken=Conflict
        )
    return moved


async def _look_again_at(
    platform: Platform, tenant_id: UUID, hanging: Sequence[asyncpg.Record], now: datetime
) -> int:
    policy = (await active_packs(platform, tenant_id)).policy
    async with platform.database.tenant(tenant_id) as session:
        return await _note_moved(session, tenant_id, hanging, policy, now)


async def _note_moved(
    session: AsyncSession,
    tenant_id: UUID,
    hanging: Sequence[asyncpg.Record],
    policy: Mapping[str, Any],
    now: datetime,
) -> int:
    connection = await driver(session)
    subjects: defaultdict[str, list[UUID]] = defaultdict(list)
    for row in hanging:
        subjects[row["kind"]].append(row["subject_id"])
    standing = await looking.again(connection, tenant_id, subjects)
    moved = [
        row for row in hanging if not _still(row, standing.get((row["kind"], row["subject_id"])), policy, now)
    ]
    if not moved:
        return 0
    await connection.execute(_MOVED, tenant_id, [row["id"] for row in moved])
    over = await connection.fetch(_ALL_MOVED, tenant_id, list({row["incident_id"] for row in moved}))
    await _close(session, tenant_id, [UUID(int=row["id"].int) for row in over])
    return len(moved)


def _still(row: asyncpg.Record, seen: Seen | None, policy: Mapping[str, Any], now: datetime) -> bool:
    if seen is None or seen.standing.state != row["state"]:
        return False
    return is_overdue(seen.standing, policy, now)


async def _close(session: AsyncSession, tenant_id: UUID, incident_ids: Iterable[UUID]) -> None:
    resolution = "Everything that hung has moved again."
    moves = [
        Transition(
            incident_id=incident_id,
            type=type_,
            to=to,
            data={"resolution": resolution, "by": "auditor"},
            actor=ACTOR,
        )
        for incident_id in incident_ids
        for type_, to in (("incident.resolved", State.RESOLVED), ("incident.closed", State.CLOSED))
    ]
    await transition(session, tenant_id, moves, if_allowed=True)


def _words(kind: str, count: int) -> str:
    noun = kind.replace("_", " ")
    return f"One {noun}" if count == 1 else f"{count} of the kind {noun}"
