"""What people say on an incident: comments, which their authors may edit and delete.

The conversation is what the table holds. Each word also stands, redacted, in the event that brought it, so a
comment that is deleted here is gone from the conversation and not from the history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.names import people_who_may
from fettle.incidents.commands import By, standing_at
from fettle.incidents.service import transition
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id

_COLUMNS = "id, author, body, mentions, created_at, edited_at, deleted_at, version"


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment; a deleted one has no body."""

    id: UUID
    author: str
    body: str
    mentions: Sequence[UUID]
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    version: int


async def list_comments(
    session: AsyncSession, tenant_id: UUID, incident_id: UUID, *, after: UUID | None, limit: int
) -> list[Comment]:
    """Read the comments of an incident, oldest first."""
    connection = await driver(session)
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM incident_comments WHERE tenant_id = $1 AND incident_id = $2 "  # noqa: S608 - constants
        "AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4",
        tenant_id, incident_id, after, limit,
    )  # fmt: skip
    return [_comment(row) for row in rows]


async def add(
    session: AsyncSession,
    tenant_id: UUID,
    by: By,
    incident_id: UUID,
    *,
    body: str,
    mentions: Sequence[UUID] = (),
) -> Comment:
    """Add a comment.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        by: Its author.
        incident_id: What it is about.
        body: Redacted already.
        mentions: People of the tenant whom it is meant for.

    Raises:
        NotFound: The tenant has no such incident.
        Invalid: A person who is mentioned does not see incidents of this tenant.
    """
    await _refuse_strangers(session, tenant_id, mentions)
    await standing_at(session, tenant_id, incident_id, None)
    comment = Comment(new_id(), by.actor, body, tuple(mentions), utcnow(), None, None, 1)
    connection = await driver(session)
    await connection.execute(
        f"INSERT INTO incident_comments (tenant_id, incident_id, {_COLUMNS}) "  # noqa: S608 - constants
        "VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, NULL, 1)",
        tenant_id, incident_id, comment.id, by.actor, body, list(mentions), comment.created_at,
    )  # fmt: skip
    said = _said(comment.id, body=body, mentions=[str(person) for person in mentions])
    await transition(session, tenant_id, [by.moves(incident_id, "incident.commented", said)])
    return comment


async def edit(
    session: AsyncSession,
    tenant_id: UUID,
    by: By,
    incident_id: UUID,
    comment_id: UUID,
    *,
    body: str,
    seen: int | None,
) -> Comment:
    """Say one's own comment in other words.

    Raises:
        NotFound: There is no such comment.
        Forbidden: Somebody else wrote it.
        Conflict: It was changed or deleted since.
    """
    await _own(session, tenant_id, by, incident_id, comment_id, seen)
    connection = await driver(session)
    row = await connection.fetchrow(
        "UPDATE incident_comments SET body = $3, edited_at = $4, version = version + 1 "  # noqa: S608 - constants
        f"WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}",
        tenant_id, comment_id, body, utcnow(),
    )  # fmt: skip
    assert row is not None
    said = _said(comment_id, body=body)
    await transition(session, tenant_id, [by.moves(incident_id, "incident.comment_edited", said)])
    return _comment(row)


async def delete(session: AsyncSession, tenant_id: UUID, by: By, incident_id: UUID, comment_id: UUID) -> None:
    """Take one's own comment out of the conversation.

    Raises:
        NotFound: There is no such comment.
        Forbidden: Somebody else wrote it.
        Conflict: It was deleted already.
    """
    await _own(session, tenant_id, by, incident_id, comment_id, None)
    connection = await driver(session)
    await connection.execute(
        "UPDATE incident_comments SET body = '', mentions = '{}', deleted_at = $3, version = version + 1 "
        "WHERE tenant_id = $1 AND id = $2",
        tenant_id, comment_id, utcnow(),
    )  # fmt: skip
    deleted = by.moves(incident_id, "incident.comment_deleted", _said(comment_id))
    await transition(session, tenant_id, [deleted])


async def _own(
    session: AsyncSession, tenant_id: UUID, by: By, incident_id: UUID, comment_id: UUID, seen: int | None
) -> None:
    await standing_at(session, tenant_id, incident_id, None)
    connection = await driver(session)
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM incident_comments "  # noqa: S608 - constants
        "WHERE tenant_id = $1 AND incident_id = $2 AND id = $3 FOR UPDATE",
        tenant_id, incident_id, comment_id,
    )  # fmt: skip
    if row is None:
        raise NotFound(f"There is no comment {comment_id} on this incident.")
    if row["author"] != by.actor:
        raise Forbidden("Somebody else wrote this comment. Write one of your own.")
    if row["deleted_at"] is not None:
        raise Conflict("The comment was deleted already.")
    if seen is not None and seen != row["version"]:
        fault = FieldError("/version", f"you saw {seen}, it is {row['version']}")
        raise Conflict("The comment was edited since you looked. Read it again.", errors=[fault])


async def _refuse_strangers(session: AsyncSession, tenant_id: UUID, mentions: Sequence[UUID]) -> None:
    if not mentions:
        return
    known = {person.id for person in await people_who_may(session, tenant_id, "incidents:read")}
    faults = [
        FieldError(f"/mentions/{index}", "is nobody who sees incidents of this tenant")
        for index, person in enumerate(mentions)
        if person not in known
    ]
    if faults:
        raise Invalid("Somebody who is mentioned does not see this incident.", errors=faults)


def _said(comment_id: UUID, **more: Any) -> dict[str, Any]:
    return {"comment_id": str(comment_id), **more}


def _comment(row: asyncpg.Record) -> Comment:
    return Comment(*row.values())
