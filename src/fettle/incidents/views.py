"""Saved views: a filter of the list under a name, one's own or shared with the tenant, and each person's default."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents.filtering import read_query, write_query
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Forbidden, NotFound
from fettle.kernel.ids import new_id

MOST_OF_ONE: Final = 100

_COLUMNS: Final = "id, owner, name, query, shared, updated_at, version"

_LIST: Final = f"""
SELECT {_COLUMNS}, EXISTS (SELECT FROM incident_view_defaults d
  WHERE d.tenant_id = v.tenant_id AND d.owner = $2 AND d.view_id = v.id) AS is_default
FROM incident_views v WHERE tenant_id = $1 AND (owner = $2 OR shared) ORDER BY lower(name), id LIMIT 500
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class View:
    """A saved view as one person sees it."""

    id: UUID
    owner: str
    name: str
    query: str
    shared: bool
    updated_at: datetime
    version: int
    is_default: bool


async def list_views(session: AsyncSession, tenant_id: UUID, owner: str) -> list[View]:
    """Read a person's own views and those that are shared, by name."""
    connection = await driver(session)
    return [View(*row.values()) for row in await connection.fetch(_LIST, tenant_id, owner)]


async def save(
    session: AsyncSession, tenant_id: UUID, owner: str, *, name: str, query: str, shared: bool
) -> View:
    """Save a view.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        owner: Whose it is.
        name: What it is called, unlike any other of theirs.
        query: The filter as it stands in the address.
        shared: Whether the whole tenant sees it.

    Raises:
        Invalid: The filter cannot be read.
        Conflict: They have a view of this name, or too many.
    """
    plain = write_query(read_query(query))
    await hold_lock(await driver(session), "incident_views", tenant_id, owner)
    connection = await driver(session)
    if await connection.fetchval(
        "SELECT count(*) FROM incident_views WHERE tenant_id = $1 AND owner = $2", tenant_id, owner
    ) >= MOST_OF_ONE:  # fmt: skip
        raise Conflict(f"You have {MOST_OF_ONE} views. Delete one that you do not use.")
    row = await connection.fetchrow(
        "INSERT INTO incident_views (id, tenant_id, owner, name, query, shared, created_at, updated_at, version) "  # noqa: S608 - constants
        f"VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 1) ON CONFLICT DO NOTHING RETURNING {_COLUMNS}",
        new_id(), tenant_id, owner, name, plain, shared, utcnow(),
    )  # fmt: skip
    if row is None:
        raise _name_taken(name)
    return View(**dict(row), is_default=False)


async def change(
    session: AsyncSession,
    tenant_id: UUID,
    owner: str,
    view_id: UUID,
    *,
    name: str | None,
    query: str | None,
    shared: bool | None,
    seen: int,
) -> View:
    """Change one's own view; what is None stays.

    Raises:
        NotFound: There is no such view that one sees.
        Forbidden: It is somebody else's.
        Invalid: The filter cannot be read.
        Conflict: It was changed since, or the name is taken.
    """
    row = await _locked(session, tenant_id, owner, view_id)
    _refuse_other_owner(row, owner)
    if row["version"] != seen:
        fault = FieldError("/version", f"you saw {seen}, it is {row['version']}")
        raise Conflict("The view was changed since you looked. Read it again.", errors=[fault])
    connection = await driver(session)
    plain = None if query is None else write_query(read_query(query))
    try:
        async with connection.transaction():
            await connection.execute(
                "UPDATE incident_views SET name = coalesce($3, name), query = coalesce($4, query), "
                "shared = coalesce($5, shared), updated_at = $6, version = version + 1 "
                "WHERE tenant_id = $1 AND id = $2",
                tenant_id, view_id, name, plain, shared, utcnow(),
            )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise _name_taken(name or "") from None
    if shared is False:
        await connection.execute(
            "DELETE FROM incident_view_defaults WHERE tenant_id = $1 AND view_id = $2 AND owner <> $3",
            tenant_id, view_id, owner,
        )  # fmt: skip
    return next(view for view in await list_views(session, tenant_id, owner) if view.id == view_id)


async def delete(
    session: AsyncSession, tenant_id: UUID, owner: str, view_id: UUID, *, of_anybody: bool = False
) -> None:
    """Delete a view.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        owner: Who asks.
        view_id: The view.
        of_anybody: Whether a shared view of somebody else may be deleted, as administrators may.

    Raises:
        NotFound: There is no such view that one sees.
        Forbidden: It is somebody else's.
    """
    row = await _locked(session, tenant_id, owner, view_id)
    if not of_anybody:
        _refuse_other_owner(row, owner)
    connection = await driver(session)
    await connection.execute(
        "DELETE FROM incident_views WHERE tenant_id = $1 AND id = $2", tenant_id, view_id
    )


async def set_default(session: AsyncSession, tenant_id: UUID, owner: str, view_id: UUID | None) -> None:
    """Choose the view that one's list opens with; None for the list of all.

    Raises:
        NotFound: There is no such view that one sees.
    """
    connection = await driver(session)
    if view_id is None:
        await connection.execute(
            "DELETE FROM incident_view_defaults WHERE tenant_id = $1 AND owner = $2", tenant_id, owner
        )
        return
    await _locked(session, tenant_id, owner, view_id)
    await connection.execute(
        "INSERT INTO incident_view_defaults (tenant_id, owner, view_id) VALUES ($1, $2, $3) "
        "ON CONFLICT (tenant_id, owner) DO UPDATE SET view_id = $3",
        tenant_id, owner, view_id,
    )  # fmt: skip


async def _locked(session: AsyncSession, tenant_id: UUID, owner: str, view_id: UUID) -> asyncpg.Record:
    connection = await driver(session)
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM incident_views WHERE tenant_id = $1 AND id = $2 "  # noqa: S608 - constants
        "AND (owner = $3 OR shared) FOR UPDATE",
        tenant_id, view_id, owner,
    )  # fmt: skip
    if row is None:
        raise NotFound(f"There is no view {view_id}.")
    return row


def _refuse_other_owner(row: asyncpg.Record, owner: str) -> None:
    if row["owner"] != owner:
        raise Forbidden("Somebody else made this view. Save one of your own.")


def _name_taken(name: str) -> Conflict:
    fault = FieldError("/name", "is the name of another view of yours")
    return Conflict(f"You have a view “{name}” already.", errors=[fault])
