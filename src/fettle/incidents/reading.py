"""The hot reads of incidents: each is one statement on the bare driver, which finds its rows by an index.

Whatever a filter leaves open stands in no statement, so that PostgreSQL plans a statement once and not for the
values of each request; the limit stands in it as a number, since a plan depends on it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.incidents import timeline as whole_timeline
from fettle.incidents.filtering import Condition, IncidentFilter
from fettle.incidents.history import SEVERITIES
from fettle.incidents.schemas import IncidentItem, IncidentOut
from fettle.kernel import events
from fettle.kernel.database import Database
from fettle.kernel.errors import Invalid, NotFound
from fettle.kernel.http.answers import as_shown

_ITEM: Final = as_shown(IncidentItem)
_WHOLE: Final = as_shown(IncidentOut)
_ITEM_FOUND: Final = as_shown(IncidentItem, "i.")
_GRAVEST_FIRST: Final = tuple(reversed(SEVERITIES))
_LAST_ID: Final = UUID(int=2**128 - 1)

# A stretch of an index is one state, or one severity, in the order of ids. A few of each stretch are found in
# the index alone; only those that are shown are read.
_STRETCHES: Final = """
SELECT {items} FROM (
  SELECT few.id, stretch.place FROM unnest($2::text[], $3::uuid[]) WITH ORDINALITY AS stretch(value, below, place)
  CROSS JOIN LATERAL (
    SELECT id FROM incidents WHERE tenant_id = bound.tenant_id AND {column} = stretch.value AND id < stretch.below
    {narrowed} ORDER BY id DESC LIMIT {limit}) AS few
  ORDER BY {order} LIMIT {limit}
) AS found JOIN incidents i ON i.tenant_id = bound.tenant_id AND i.id = found.id ORDER BY {found}
"""


async def newest(
    database: Database, tenant_id: UUID, wanted: IncidentFilter, *, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Read incidents, newest first, from the one before the given id; ids are in order of opening."""
    if wanted.states:
        values = [state.value for state in wanted.states]
        ids = [before or _LAST_ID] * len(values)
        return await _stretches(
            database, tenant_id, wanted, ("state", values, ids), by_place=False, limit=limit
        )
    query = _Query(tenant_id, wanted.narrowing())
    if before is not None:
        query.narrow(Condition("id < {}", (before,)))
    return await query.fetch(database, query.select(_ITEM, f"ORDER BY incidents.id DESC LIMIT {limit}"))


async def last_seen(
    database: Database,
    tenant_id: UUID,
    wanted: IncidentFilter,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Read incidents, last seen first, from the one before the given place."""
    query = _Query(tenant_id, wanted.narrowing())
    if before is not None:
        query.narrow(Condition("(last_seen_at, id) < ({}, {})", before))
    return await query.fetch(
        database, query.select(_ITEM, f"ORDER BY last_seen_at DESC, incidents.id DESC LIMIT {limit}")
    )


async def gravest(
    database: Database,
    tenant_id: UUID,
    wanted: IncidentFilter,
    *,
    before: tuple[str, UUID] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Read incidents, gravest first and newest of those, from the one before the given place.

    Raises:
        Invalid: The place is of another list.
    """
    if before is not None and before[0] not in _GRAVEST_FIRST:
        raise Invalid("The cursor is not one of this list. Pass next_cursor of the page before unchanged.")
    left = _GRAVEST_FIRST if before is None else _GRAVEST_FIRST[_GRAVEST_FIRST.index(before[0]) :]
    values = [one for one in left if not wanted.severities or one in wanted.severities]
    ids = [before[1] if before is not None and one == before[0] else _LAST_ID for one in values]
    return await _stretches(
        database, tenant_id, wanted, ("severity", values, ids), by_place=True, limit=limit
    )


async def count(database: Database, tenant_id: UUID, wanted: IncidentFilter, *, most: int) -> int:
    """Count the incidents that the filter lets through, and stop one above `most`."""
    query = _Query(tenant_id, wanted.narrowing())
    some = query.select("", f"LIMIT {most + 1}")
    (row,) = await query.fetch(database, f"SELECT count(*) AS found FROM ({some}) AS few")  # noqa: S608 - as above
    return int(row["found"])


async def one(database: Database, tenant_id: UUID, incident_id: UUID) -> dict[str, Any]:
    """Read one incident, whole.

    Raises:
        NotFound: The tenant has no such incident.
    """
    query = _Query(tenant_id, [Condition("id = {}", (incident_id,))])
    rows = await query.fetch(database, query.select(_WHOLE, ""))
    if not rows:
        raise NotFound(f"There is no incident {incident_id}.")
    return dict(rows[0])


async def timeline(
    database: Database, tenant_id: UUID, incident_id: UUID, *, after: int, limit: int
) -> list[dict[str, Any]]:
    """Read what happened to an incident after a position, as the API shows it.

    Raises:
        NotFound: The tenant has no such incident.
    """
    rows = await database.fetch_bound(
        tenant_id, whole_timeline.of_incident(limit), incident_id, after, whole_timeline.EXCEPTIONS
    )
    if not rows:
        # Nothing happened after the position, or there is no such incident.
        await one(database, tenant_id, incident_id)
    return [events.from_row(row).envelope() for row in rows]


async def _stretches(
    database: Database,
    tenant_id: UUID,
    wanted: IncidentFilter,
    stretches: tuple[str, Sequence[str], Sequence[UUID]],
    *,
    by_place: bool,
    limit: int,
) -> list[asyncpg.Record]:
    column, values, ids = stretches
    query = _Query(tenant_id, (), [list(values), list(ids)])
    for condition in wanted.narrowing(column):
        query.narrow(condition)
    select = _STRETCHES.format(
        items=_ITEM_FOUND,
        column=column,
        narrowed="".join(f" AND {condition}" for condition in query.conditions),
        limit=limit,
        order="stretch.place, few.id DESC" if by_place else "few.id DESC",
        found="found.place, i.id DESC" if by_place else "i.id DESC",
    )
    return await database.fetch_bound(tenant_id, select, *query.arguments)


class _Query:
    """A statement in the making: conditions whose parameters are numbered as they come."""

    def __init__(
        self, tenant_id: UUID, conditions: Sequence[Condition], arguments: Sequence[Any] = ()
    ) -> None:
        self.tenant_id = tenant_id
        self.conditions: list[str] = []
        self.arguments: list[Any] = list(arguments)
        for condition in conditions:
            self.narrow(condition)

    def narrow(self, condition: Condition) -> None:
        """Add a condition; the first parameter is the tenant that `fetch_bound` binds."""
        self.conditions.append(condition.numbered(len(self.arguments) + 2))
        self.arguments += condition.values

    def select(self, columns: str, rest: str) -> str:
        """Return the statement."""
        where = " AND ".join(["tenant_id = bound.tenant_id", *self.conditions])
        return f"SELECT {columns} FROM incidents WHERE {where} {rest}"  # noqa: S608 - constants and a number

    async def fetch(self, database: Database, select: str) -> list[asyncpg.Record]:
        """Read under the bound tenant."""
        return await database.fetch_bound(self.tenant_id, select, *self.arguments)
