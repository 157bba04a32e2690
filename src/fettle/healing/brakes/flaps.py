"""Checks that flap: counted as they return, suppressed when it is too often, and cleared by a person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.brakes.flapping import KEPT, Subject, is_flap, is_flapping, within
from fettle.healing.brakes.limits import FlapLimits
from fettle.identity.audit import Who, record
from fettle.kernel import context, events
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id

CLEARED: Final = "flap.cleared"
FLAPPING: Final = "flapping"
"""Why an incident went to a person, rests, or is decided anew, as its events say it."""

_SUPPRESSED_KEPT: Final = 1_000

# One question for a whole batch: is its check suppressed, and did an earlier incident of its end just now?
_READ: Final = """
SELECT n.ordinal, s.id AS suppression, r.resolved_at
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY
  AS n(check_type, host, site, fingerprint, ordinal)
LEFT JOIN flap_suppressions s ON s.tenant_id = $1 AND s.cleared_at IS NULL
  AND s.check_type = n.check_type AND s.host = n.host AND s.site = n.site
LEFT JOIN LATERAL (
  SELECT i.resolved_at FROM incidents i WHERE i.tenant_id = $1 AND i.fingerprint = n.fingerprint
    AND i.state = 'closed' AND i.resolved_at > $6
  ORDER BY i.resolved_at DESC LIMIT 1
) r ON true
WHERE s.id IS NOT NULL OR r.resolved_at IS NOT NULL
"""

_COUNT: Final = f"""
INSERT INTO flap_counts AS c (tenant_id, check_type, host, site, moments, last_at)
SELECT $1::uuid, n.check_type, n.host, n.site, array_fill($6::timestamptz, ARRAY[n.flaps]), $6
FROM unnest($2::text[], $3::text[], $4::text[], $5::int[]) AS n(check_type, host, site, flaps)
ORDER BY n.check_type, n.host, n.site
ON CONFLICT (tenant_id, check_type, host, site) DO UPDATE SET last_at = $6,
  moments = (c.moments || excluded.moments)[greatest(1, cardinality(c.moments || excluded.moments) - {KEPT - 1}):]
RETURNING check_type, host, site, moments
"""  # noqa: S608 - a constant

_SUPPRESS: Final = """
INSERT INTO flap_suppressions (id, tenant_id, check_type, host, site, flaps, window_seconds, incident_id, since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (tenant_id, check_type, host, site) WHERE cleared_at IS NULL DO NOTHING RETURNING id
"""
_STANDING: Final = """
SELECT id FROM flap_suppressions
WHERE tenant_id = $1 AND check_type = $2 AND host = $3 AND site = $4 AND cleared_at IS NULL
"""

# Locked, so that whatever is noted under a suppression is noted before somebody clears it.
_LOCK: Final = """
SELECT id, cardinality(suppressed) AS resting FROM flap_suppressions
WHERE tenant_id = $1 AND id = ANY($2) AND cleared_at IS NULL ORDER BY id FOR UPDATE
"""
_PRUNE: Final = """
UPDATE flap_suppressions s SET suppressed = ARRAY(
  SELECT i.id FROM incidents i WHERE i.tenant_id = $1 AND i.id = ANY(s.suppressed) AND i.state = 'suppressed'
  ORDER BY i.id)
WHERE s.tenant_id = $1 AND s.id = ANY($2)
"""
# Many of a batch may rest under one suppression, and an update takes each row of its table once.
_NOTE: Final = f"""
UPDATE flap_suppressions s SET suppressed = (s.suppressed || ARRAY(
  SELECT x FROM unnest(n.incidents) AS x WHERE NOT x = ANY(s.suppressed)))[:{_SUPPRESSED_KEPT}]
FROM (SELECT f.id, array_agg(f.incident) AS incidents FROM unnest($2::uuid[], $3::uuid[]) AS f(id, incident)
      GROUP BY f.id) n
WHERE s.tenant_id = $1 AND s.id = n.id
RETURNING ARRAY(SELECT x FROM unnest(n.incidents) AS x WHERE x = ANY(s.suppressed)) AS resting
"""  # noqa: S608 - a constant

_COLUMNS: Final = """
s.id, s.check_type, s.host, s.site, s.flaps, s.window_seconds, s.incident_id, s.since, s.cleared_at, s.cleared_by,
s.clear_reason, cardinality(s.suppressed) AS suppressed_incidents
"""


@dataclass(frozen=True, slots=True)
class Flap:
    """What flapping makes of an incident.

    Attributes:
        suppression: The standing suppression.
        began: It began with this very incident, which a person gets; those after it are suppressed.
        flaps: How many were too many.
        is_full: So many rest under it already that this one goes to a person, or nothing would release it.
    """

    suppression: UUID
    began: bool
    flaps: int
    is_full: bool = False


@dataclass(frozen=True, slots=True)
class Returned:
    """A triaged incident, as flapping looks at it.

    Attributes:
        resolved_at: When it was resolved itself, where it is open again.
        was_cleared: It is decided anew because a person cleared its check, which makes no flap.
    """

    incident_id: UUID
    subject: Subject
    fingerprint: str
    resolved_at: datetime | None
    was_cleared: bool = False


def subject_of(incident: Mapping[str, Any]) -> Subject:
    """Return what may flap of an incident; host names count without regard to case."""
    return Subject(
        str(incident.get("check_type") or ""),
        str(incident.get("host") or "").lower(),
        str(incident.get("site") or ""),
    )


async def take(
    session: AsyncSession, tenant_id: UUID, triaged: Sequence[Returned], limits: FlapLimits, now: datetime
) -> dict[UUID, Flap]:
    """Count what returned, and say which incidents are of a check that flaps; one query where nothing does.

    Args:
        session: With the tenant bound; the incidents are locked.
        tenant_id: The owner.
        triaged: The incidents of a batch.
        limits: Of the policy.
        now: The time.
    """
    connection = await driver(session)
    known = await _read(connection, tenant_id, triaged, limits, now)
    found: dict[UUID, Flap] = {}
    noted: list[tuple[UUID, UUID]] = []
    returned: list[Returned] = []
    for ordinal, one in enumerate(triaged, 1):
        row = known.get(ordinal)
        if row is not None and row["suppression"] is not None:
            noted.append((row["suppression"], one.incident_id))
            continue
        resolved_at = one.resolved_at or (row["resolved_at"] if row is not None else None)
        if not one.was_cleared and is_flap(resolved_at, now, limits):
            returned.append(one)
    found |= await _rest(connection, tenant_id, noted, flaps=0)
    if returned:
        found |= await _count(session, tenant_id, returned, limits, now)
    return found


async def _read(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    triaged: Sequence[Returned],
    limits: FlapLimits,
    now: datetime,
) -> dict[int, asyncpg.Record]:
    rows = await connection.fetch(
        _READ,
        tenant_id,
        [one.subject.check_type for one in triaged],
        [one.subject.host for one in triaged],
        [one.subject.site for one in triaged],
        [one.fingerprint for one in triaged],
        now - timedelta(seconds=limits.window_seconds),
    )
    return {row["ordinal"]: row for row in rows}


async def _count(
    session: AsyncSession, tenant_id: UUID, returned: Sequence[Returned], limits: FlapLimits, now: datetime
) -> dict[UUID, Flap]:
    connection = await driver(session)
    counts = Counter(one.subject for one in returned)
    rows = await connection.fetch(
        _COUNT,
        tenant_id,
        [subject.check_type for subject in counts],
        [subject.host for subject in counts],
        [subject.site for subject in counts],
        [min(flaps, KEPT) for flaps in counts.values()],
        now,
    )
    moments = {Subject(row["check_type"], row["host"], row["site"]): row["moments"] for row in rows}
    found: dict[UUID, Flap] = {}
    told: list[NewEvent] = []
    begun: dict[Subject, UUID] = {}
    for one in sorted(returned, key=lambda one: one.subject):
        flaps = len(within(moments[one.subject], now, limits))
        if not is_flapping(moments[one.subject], now, limits):
            continue
        if one.subject not in begun and (
            made := await _suppress(connection, tenant_id, one, flaps, limits, now)
        ):
            begun[one.subject] = made
            told.append(_suppressed(made, one, flaps, limits))
        if one.subject in begun:
            found[one.incident_id] = Flap(begun[one.subject], began=True, flaps=flaps)
        else:  # another lane saw it first
            standing = await connection.fetchval(
                _STANDING, tenant_id, one.subject.check_type, one.subject.host, one.subject.site
            )
            if standing is not None:
                found |= await _rest(connection, tenant_id, [(standing, one.incident_id)], flaps=flaps)
    await events.append(session, tenant_id, told)
    return found


async def _rest(
    connection: asyncpg.Connection, tenant_id: UUID, wanted: Sequence[tuple[UUID, UUID]], *, flaps: int
) -> dict[UUID, Flap]:
    """Note which incidents rest under which suppressions; without those that were cleared at this moment."""
    if not wanted:
        return {}
    rows = await connection.fetch(_LOCK, tenant_id, list({suppression for suppression, _ in wanted}))
    standing = {row["id"]: row["resting"] for row in rows}
    noted = [(suppression, incident) for suppression, incident in wanted if suppression in standing]
    more = Counter(suppression for suppression, _ in noted)
    full = [
        suppression for suppression in more if standing[suppression] + more[suppression] > _SUPPRESSED_KEPT
    ]
    if full:
        await connection.execute(_PRUNE, tenant_id, full)
    rows = await connection.fetch(_NOTE, tenant_id, [s for s, _ in noted], [i for _, i in noted])
    resting = {incident for row in rows for incident in row["resting"]}
    return {
        incident: Flap(suppression, began=False, flaps=flaps, is_full=incident not in resting)
        for suppression, incident in noted
    }


async def _suppress(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    one: Returned,
    flaps: int,
    limits: FlapLimits,
    now: datetime,
) -> UUID | None:
    made: UUID | None = await connection.fetchval(
        _SUPPRESS, new_id(), tenant_id, one.subject.check_type, one.subject.host, one.subject.site, flaps,
        limits.window_seconds, one.incident_id, now,
    )  # fmt: skip
    return made


def _suppressed(suppression: UUID, one: Returned, flaps: int, limits: FlapLimits) -> NewEvent:
    data = {
        "suppression_id": str(suppression),
        "incident_id": str(one.incident_id),
        "check_type": one.subject.check_type,
        "host": one.subject.host or None,
        "site": one.subject.site or None,
        "flaps": flaps,
        "window_seconds": limits.window_seconds,
    }
    return NewEvent(
        stream_type="flap",
        stream_id=suppression,
        type="flap.suppressed",
        data=data,
        actor="system:brakes",
        correlation_id=one.incident_id,
    )


async def listed(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    cleared: bool | None,
    q: str | None,
    before: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return suppressions, newest first."""
    connection = await driver(session)
    rows: list[asyncpg.Record] = await connection.fetch(
        f"SELECT {_COLUMNS} FROM flap_suppressions s WHERE s.tenant_id = $1 "  # noqa: S608 - a constant
        "AND ($2::boolean IS NULL OR (s.cleared_at IS NOT NULL) = $2) AND ($3::uuid IS NULL OR s.id < $3) "
        "AND ($4::text IS NULL OR strpos(lower(s.check_type || ' ' || s.host || ' ' || s.site), lower($4)) > 0) "
        "ORDER BY s.id DESC LIMIT $5",
        tenant_id, cleared, before, q, limit,
    )  # fmt: skip
    return rows


async def clear(
    session: AsyncSession, tenant_id: UUID, suppression_id: UUID, reason: str, *, who: Who
) -> None:
    """Let a check be healed again; its incidents that were suppressed are triaged anew, and it is counted from zero.

    Raises:
        NotFound: The tenant has no such suppression.
        Conflict: It was cleared already.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        "SELECT check_type, host, site, cleared_at FROM flap_suppressions WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant_id, suppression_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("There is no such suppression.")
    if row["cleared_at"] is not None:
        raise Conflict("It was cleared already.")
    await connection.execute(
        "UPDATE flap_suppressions SET cleared_at = now(), cleared_by = $3, clear_reason = $4 "
        "WHERE tenant_id = $1 AND id = $2",
        tenant_id, suppression_id, who.actor, reason,
    )  # fmt: skip
    await connection.execute(
        "DELETE FROM flap_counts WHERE tenant_id = $1 AND check_type = $2 AND host = $3 AND site = $4",
        tenant_id, row["check_type"], row["host"], row["site"],
    )  # fmt: skip
    what = {"check_type": row["check_type"], "host": row["host"] or None, "site": row["site"] or None}
    # Its incidents are released by whoever hears of this: here it would lock in another order than decisions do.
    event = NewEvent(
        stream_type="flap",
        stream_id=suppression_id,
        type=CLEARED,
        data={"suppression_id": str(suppression_id), **what, "by": who.actor, "reason": reason},
        actor=who.actor,
        request_id=context.request_id.get(),
    )
    await events.append(session, tenant_id, [event])
    await record(
        session,
        who,
        CLEARED,
        tenant_id=tenant_id,
        target=("flap", suppression_id),
        after={**what, "reason": reason},
    )
