"""Storms: above a threshold, what is new of one check type at one site becomes one incident; nothing is lost.

What belongs to a storm is known by its own fingerprint, so that its sender's word that all is well is counted, and
the one incident is over when the last of its members is.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.incidents.intake import Arrival
from fettle.incidents.states import SETTLED
from fettle.kernel.platform import Platform

SOURCE: Final = "fettle:storm"
"""What the one incident names as its source; it goes to a person."""

KEPT: Final = timedelta(days=30)

Group = tuple[str, str]
"""A check type and a site, which may be empty."""

_MEMBERS: Final = """
SELECT m.fingerprint, m.incident_id, m.is_firing, i.fingerprint AS goes_to FROM storm_members m
JOIN incidents i ON i.tenant_id = m.tenant_id AND i.id = m.incident_id
WHERE m.tenant_id = $1 AND m.fingerprint = ANY($2) AND i.state <> ALL($3)
"""
# A storm goes on as long as more of it comes within the window.
_COUNT: Final = """
INSERT INTO storms AS s (tenant_id, check_type, site, begun_at, opened)
SELECT $1::uuid, n.check_type, n.site, $5::timestamptz, n.opened FROM unnest($2::text[], $3::text[], $4::int[])
  AS n(check_type, site, opened)
ON CONFLICT (tenant_id, check_type, site) DO UPDATE SET
  opened = CASE WHEN s.begun_at <= $5 - $6::interval THEN excluded.opened ELSE s.opened + excluded.opened END,
  begun_at = CASE WHEN s.begun_at <= $5 - $6::interval OR s.opened > $7 THEN greatest(s.begun_at, $5)
                  ELSE s.begun_at END
RETURNING check_type, site, opened
"""
_NOTE: Final = """
INSERT INTO storm_members AS m (tenant_id, fingerprint, incident_id, host, is_firing, first_at, last_at, occurrences)
SELECT $1::uuid, n.fingerprint, n.incident_id, n.host, n.is_firing, n.at, n.at, n.times
FROM unnest($2::text[], $3::uuid[], $4::text[], $5::bool[], $6::timestamptz[], $7::int[])
  AS n(fingerprint, incident_id, host, is_firing, at, times)
ON CONFLICT (tenant_id, fingerprint) DO UPDATE SET
  incident_id = excluded.incident_id, is_firing = excluded.is_firing, last_at = excluded.last_at,
  occurrences = CASE WHEN m.incident_id = excluded.incident_id THEN m.occurrences ELSE 0 END + excluded.occurrences,
  first_at = CASE WHEN m.incident_id = excluded.incident_id THEN m.first_at ELSE excluded.first_at END
"""
_OPEN: Final = """
SELECT id, fingerprint FROM incidents WHERE tenant_id = $1 AND fingerprint = ANY($2) AND state <> ALL($3)
ORDER BY id FOR UPDATE
"""
_STILL: Final = """
SELECT incident_id, count(*) AS firing FROM storm_members
WHERE tenant_id = $1 AND incident_id = ANY($2) AND is_firing AND fingerprint <> ALL($3) GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class StormLimit:
    """From how many new incidents on the rest becomes one.

    Attributes:
        incidents: So many of one check type at one site are opened one by one.
        window: Within so long.
    """

    incidents: int
    window: timedelta

    @classmethod
    def of(cls, policy: Mapping[str, Any]) -> "StormLimit | None":
        """Return what a policy says, None where it says nothing."""
        said = policy.get("storm")
        return None if said is None else cls(said["incidents"], timedelta(seconds=said["window_seconds"]))


@dataclass(slots=True)
class Sorted:
    """A batch's arrivals once what belongs to storms goes there.

    Attributes:
        arrivals: As they are to be correlated.
        absorbed: Word that all is well with members of storms that go on, by the fingerprint of the storm's
            incident, or by its id.
        members: By exception, what each was before it went to a storm.
        goes_to: Fingerprints of storms' incidents.
    """

    arrivals: list[Arrival]
    absorbed: dict[UUID, UUID | str] = field(default_factory=dict)
    members: dict[UUID, Arrival] = field(default_factory=dict)
    goes_to: set[str] = field(default_factory=set)


def fingerprint_of(group: Group) -> str:
    """Return the fingerprint of the one incident of a storm."""
    return hashlib.sha256("\0".join(("fettle:storm", *group)).encode()).hexdigest()


def group_of(arrival: Arrival) -> Group:
    """Return what an arrival would be a storm with."""
    return str(arrival.body["check_type"]), str(arrival.body.get("site") or "")


def fingerprints_of(arrivals: Iterable[Arrival]) -> list[str]:
    """Return the fingerprints of the storms that a batch may belong to, each once."""
    return [fingerprint_of(group) for group in sorted({group_of(arrival) for arrival in arrivals})]


def overflow(new: Sequence[Arrival], opened: Mapping[Group, int], limit: int) -> list[Arrival]:
    """Return which new things belong to storms; the others get incidents of their own. Pure.

    Args:
        new: The first arrival of each, in their order.
        opened: By group, how many there are within the window, these included.
        limit: So many have one of their own.
    """
    counted = Counter(group_of(arrival) for arrival in new)
    before = {group: opened[group] - number for group, number in counted.items()}
    over = []
    for arrival in new:
        group = group_of(arrival)
        before[group] += 1
        if before[group] > limit:
            over.append(arrival)
    return over


async def sort_out(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    limit: StormLimit,
    arrivals: Sequence[Arrival],
    unknown: Iterable[str],
) -> Sorted:
    """Send what belongs to storms to their incidents.

    Args:
        connection: With the tenant bound.
        tenant_id: The owner.
        limit: What the policy says.
        arrivals: A batch.
        unknown: The fingerprints among them of which there is no incident.
    """
    strange = set(unknown)
    sorted_ = Sorted(list(arrivals))
    if not strange:
        return sorted_
    rows = await connection.fetch(_MEMBERS, tenant_id, list(strange), [state.value for state in SETTLED])
    known = {row["fingerprint"]: row for row in rows}
    first: dict[str, Arrival] = {}
    for arrival in arrivals:
        if arrival.fingerprint in strange and arrival.fingerprint not in known and not arrival.resolved:
            first.setdefault(arrival.fingerprint, arrival)
    over = await _overflowing(connection, tenant_id, limit, list(first.values()))
    joins = {arrival.fingerprint: fingerprint_of(group_of(arrival)) for arrival in over}
    joins |= {name: row["goes_to"] for name, row in known.items()}
    last_words = await _last_words(connection, tenant_id, arrivals, joins)
    result: list[Arrival] = []
    for arrival in arrivals:
        target = joins.get(arrival.fingerprint)
        if target is None:
            result.append(arrival)
            continue
        sorted_.members[arrival.exception_id] = arrival
        member = known.get(arrival.fingerprint)
        if arrival.resolved and arrival.exception_id not in last_words:
            sorted_.absorbed[arrival.exception_id] = target if member is None else member["incident_id"]
            continue
        sorted_.goes_to.add(target)
        result.append(_as_storm(arrival, target))
    sorted_.arrivals = result
    return sorted_


async def note_members(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    sorted_: Sorted,
    went_to: dict[UUID, UUID | None],
    incidents: Mapping[str, UUID],
) -> None:
    """Write down which things out of order a storm's incident stands for, and which of them still are.

    Args:
        connection: With the tenant bound.
        tenant_id: The owner.
        sorted_: The batch.
        went_to: By exception, its incident; what was absorbed is added.
        incidents: The batch's incidents by fingerprint.
    """
    for exception_id, storm in sorted_.absorbed.items():
        went_to[exception_id] = incidents[storm] if isinstance(storm, str) else storm
    last: dict[str, tuple[Arrival, UUID]] = {}
    times: Counter[str] = Counter()
    for exception_id, arrival in sorted_.members.items():
        incident_id = went_to.get(exception_id)
        if incident_id is not None:
            last[arrival.fingerprint] = (arrival, incident_id)
            times[arrival.fingerprint] += not arrival.resolved
    if not last:
        return
    names = sorted(last)
    await connection.execute(
        _NOTE,
        tenant_id,
        names,
        [last[name][1] for name in names],
        [last[name][0].body.get("host") for name in names],
        [not last[name][0].resolved for name in names],
        [last[name][0].received_at for name in names],
        [times[name] for name in names],
    )


async def forget_old(platform: Platform) -> None:
    """Forget the members of storms that are long over; their exceptions and events stay."""
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "DELETE FROM storm_members m USING incidents i WHERE i.tenant_id = m.tenant_id AND i.id = m.incident_id "
            "AND i.state = 'closed' AND i.closed_at < now() - $1::interval",
            KEPT,
        )
        await connection.execute("DELETE FROM storms WHERE begun_at < now() - $1::interval", KEPT)


async def _overflowing(
    connection: asyncpg.Connection, tenant_id: UUID, limit: StormLimit, new: Sequence[Arrival]
) -> list[Arrival]:
    if not new:
        return []
    counted = Counter(group_of(arrival) for arrival in new)
    groups = sorted(counted)
    moment: datetime = max(arrival.received_at for arrival in new)
    rows = await connection.fetch(
        _COUNT,
        tenant_id,
        [group[0] for group in groups],
        [group[1] for group in groups],
        [counted[group] for group in groups],
        moment,
        limit.window,
        limit.incidents,
    )
    opened = {(row["check_type"], row["site"]): row["opened"] for row in rows}
    return overflow(new, opened, limit.incidents)


async def _last_words(
    connection: asyncpg.Connection, tenant_id: UUID, arrivals: Sequence[Arrival], joins: Mapping[str, str]
) -> set[UUID]:
    """Return which word that all is well is the last that a storm waits for, also of one that begins with it."""
    said: dict[str, Arrival] = {}
    for arrival in arrivals:
        if arrival.fingerprint in joins:
            said.pop(arrival.fingerprint, None)
            said[arrival.fingerprint] = arrival
    well = {name: arrival for name, arrival in said.items() if arrival.resolved}
    if not well:
        return set()
    # Their rows are locked, so that of two batches one sees what the other ended.
    storms = await connection.fetch(
        _OPEN, tenant_id, list({joins[name] for name in well}), [state.value for state in SETTLED]
    )
    rows = await connection.fetch(_STILL, tenant_id, [storm["id"] for storm in storms], list(said))
    still = {row["incident_id"] for row in rows}
    firing = {storm["fingerprint"] for storm in storms if storm["id"] in still}
    firing |= {joins[name] for name, arrival in said.items() if not arrival.resolved}
    over = {joins[name]: arrival.exception_id for name, arrival in well.items()}
    return {exception_id for storm, exception_id in over.items() if storm not in firing}


def _as_storm(arrival: Arrival, fingerprint: str) -> Arrival:
    check_type, site = group_of(arrival)
    at = f" at {site}" if site else ""
    body = {
        **arrival.body,
        "host": None,
        "platform": None,
        "source": SOURCE,
        "labels": {},
        "details": {},
        "title": f"Storm: {check_type}{at} on many hosts",
        "summary": "More of these came within a short time than are kept one by one; its page lists them all.",
    }
    return replace(arrival, fingerprint=fingerprint, body=body)
