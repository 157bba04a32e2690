"""What people and programs are called, as the tenant may see them: names of actors, and who may do a thing."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.models import ApiKey, User
from fettle.identity.permissions import role_permissions

_MOST_PEOPLE: Final = 1_000

_OF_TENANT: Final = """
SELECT u.id, u.name, own.role, r.permissions FROM (
  SELECT user_id, role FROM memberships WHERE tenant_id = :tenant_id
  UNION ALL
  SELECT p.user_id, p.role FROM tenants t JOIN partner_members p ON p.partner_id = t.partner_id
  WHERE t.id = :tenant_id
) AS own
JOIN users u ON u.id = own.user_id
LEFT JOIN custom_roles r ON r.tenant_id = :tenant_id AND r.name = own.role
WHERE u.disabled_at IS NULL
"""
_PEOPLE: Final = text(f"{_OF_TENANT} ORDER BY u.name, u.id LIMIT :limit")
_PERSON: Final = text(f"{_OF_TENANT} AND u.id = :user_id")


@dataclass(frozen=True, slots=True)
class Person:
    """A member of a tenant, by name alone."""

    id: UUID
    name: str


async def names_of(session: AsyncSession, tenant_id: UUID, actors: Collection[str]) -> dict[str, str]:
    """Return the names of those actors that the tenant knows: its members and its API keys.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        actors: ``user:<id>``, ``key:<id>``; others have no name.
    """
    people, keys = _ids(actors, "user:"), _ids(actors, "key:")
    found: dict[str, str] = {}
    if people:
        rows = await session.execute(select(User.id, User.name).where(User.id.in_(people)))
        found.update({f"user:{row.id}": row.name for row in rows})
    if keys:
        wanted = select(ApiKey.id, ApiKey.name).where(ApiKey.tenant_id == tenant_id, ApiKey.id.in_(keys))
        found.update({f"key:{row.id}": row.name for row in await session.execute(wanted)})
    return found


async def people_who_may(session: AsyncSession, tenant_id: UUID, permission: str) -> list[Person]:
    """Return the tenant's people whose role holds a permission, by name, its partner's among them.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        permission: One of `PERMISSIONS`.
    """
    rows = await session.execute(_PEOPLE, {"tenant_id": tenant_id, "limit": _MOST_PEOPLE})
    may: dict[UUID, Person] = {}
    for row in rows:
        if permission in role_permissions(row.role, row.permissions):
            may[row.id] = Person(row.id, row.name)
    return list(may.values())


async def permissions_of_person(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> frozenset[str]:
    """Return what a person may do in a tenant; nothing for whoever does not belong to it.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        user_id: The person.
    """
    rows = await session.execute(_PERSON, {"tenant_id": tenant_id, "user_id": user_id})
    held = [role_permissions(row.role, row.permissions) for row in rows]
    return frozenset().union(*held)


def _ids(actors: Collection[str], kind: str) -> list[UUID]:
    found = []
    for actor in actors:
        if actor.startswith(kind):
            try:
                found.append(UUID(actor.removeprefix(kind)))
            except ValueError:
                continue
    return found
