"""How incidents hang together: links between two of them, shown on both."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents.commands import By
from fettle.incidents.service import lock, transition
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound
from fettle.kernel.ids import new_id

Kind = Literal["relates_to", "caused_by", "duplicates"]

SAID_FROM_THE_OTHER: Final = {
    "relates_to": "relates_to",
    "caused_by": "causes",
    "duplicates": "duplicated_by",
}
"""What a link is called on the incident that it points to."""

_MOST: Final = 100

_LIST: Final = """
SELECT l.id, CASE WHEN l.from_id = $2 THEN l.kind ELSE CASE l.kind
         WHEN 'caused_by' THEN 'causes' WHEN 'duplicates' THEN 'duplicated_by' ELSE l.kind END END AS says,
       l.created_by, l.created_at, i.id AS incident_id, i.number, i.title, i.state, i.severity
FROM incident_links l
JOIN incidents i ON i.tenant_id = l.tenant_id AND i.id = CASE WHEN l.from_id = $2 THEN l.to_id ELSE l.from_id END
WHERE l.tenant_id = $1 AND (l.from_id = $2 OR l.to_id = $2) ORDER BY l.id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Other:
    """The incident at the other end."""

    id: UUID
    number: int
    title: str
    state: str
    severity: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link as one of its two incidents shows it.

    Attributes:
        says: ``relates_to``, ``caused_by``, ``causes``, ``duplicates`` or ``duplicated_by``.
    """

    id: UUID
    says: str
    created_by: str
    created_at: datetime
    incident: Other


async def list_links(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> list[Link]:
    """Read the links of an incident, from both sides."""
    connection = await driver(session)
    rows = await connection.fetch(_LIST, tenant_id, incident_id, _MOST)
    return [_link(row) for row in rows]


async def link(
    session: AsyncSession, tenant_id: UUID, by: By, incident_id: UUID, kind: Kind, other_id: UUID
) -> Link:
    """Link an incident to another; both say so in their timelines.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        by: Who links.
        incident_id: What relates to, was caused by or duplicates the other.
        kind: Which of these.
        other_id: The other.

    Raises:
        NotFound: The tenant does not have both.
        Invalid: They are one and the same.
        Conflict: They are linked so already, or one has too many links.
    """
    if incident_id == other_id:
        raise Invalid(
            "An incident is not linked to itself.", errors=[FieldError("/incident_id", "is this incident")]
        )
    await _lock_both(session, tenant_id, incident_id, other_id)
    one, two = incident_id, other_id
    if kind == "relates_to":  # says the same from both sides, so it is kept once
        one, two = sorted((incident_id, other_id))
    link_id, connection = new_id(), await driver(session)
    links = await connection.fetchval(
        "SELECT count(*) FROM incident_links WHERE tenant_id = $1 AND (from_id = ANY($2) OR to_id = ANY($2))",
        tenant_id, [one, two],
    )  # fmt: skip
    if links >= _MOST:
        raise Conflict(f"One of the two has {_MOST} links. Merge what belongs together instead.")
    written = await connection.fetchval(
        "INSERT INTO incident_links (id, tenant_id, from_id, to_id, kind, created_by, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id",
        link_id, tenant_id, one, two, kind, by.actor, utcnow(),
    )  # fmt: skip
    if written is None:
        raise Conflict("The two are linked so already.")
    await _tell(session, tenant_id, by, "incident.linked", link_id, (incident_id, kind, other_id))
    found = await list_links(session, tenant_id, incident_id)
    return next(one for one in found if one.id == link_id)


async def unlink(session: AsyncSession, tenant_id: UUID, by: By, incident_id: UUID, link_id: UUID) -> None:
    """Take a link away, from either side.

    Raises:
        NotFound: The incident has no such link.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        "SELECT from_id, kind, to_id FROM incident_links "
        "WHERE tenant_id = $1 AND id = $2 AND (from_id = $3 OR to_id = $3)",
        tenant_id, link_id, incident_id,
    )  # fmt: skip
    gone = NotFound(f"There is no link {link_id} on this incident.")
    if row is None:
        raise gone
    await _lock_both(session, tenant_id, row["from_id"], row["to_id"])
    deleted = await connection.execute(
        "DELETE FROM incident_links WHERE tenant_id = $1 AND id = $2", tenant_id, link_id
    )
    if deleted != "DELETE 1":
        raise gone
    await _tell(session, tenant_id, by, "incident.unlinked", link_id, tuple(row.values()))


async def _lock_both(session: AsyncSession, tenant_id: UUID, one: UUID, other: UUID) -> None:
    standings = await lock(session, tenant_id, [one, other])
    for incident_id in (one, other):
        if incident_id not in standings:
            raise NotFound(f"There is no incident {incident_id}.")


async def _tell(
    session: AsyncSession, tenant_id: UUID, by: By, event: str, link_id: UUID, ends: tuple[UUID, str, UUID]
) -> None:
    one, kind, other = ends
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT id, number FROM incidents WHERE tenant_id = $1 AND id = ANY($2)", tenant_id, [one, other]
    )
    numbers = {row["id"]: row["number"] for row in rows}

    def said(says: str, to: UUID) -> dict[str, Any]:
        return {"link_id": str(link_id), "says": says, "other_id": str(to), "other_number": numbers[to]}

    moves = [
        by.moves(one, event, said(kind, other)),
        by.moves(other, event, said(SAID_FROM_THE_OTHER[kind], one)),
    ]
    await transition(session, tenant_id, moves)


def _link(row: asyncpg.Record) -> Link:
    other = Other(row["incident_id"], row["number"], row["title"], row["state"], row["severity"])
    return Link(row["id"], row["says"], row["created_by"], row["created_at"], other)
