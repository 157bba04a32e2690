"""What people and programs are called, as the tenant may see them: names of actors, and who may do a thing."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.models import ApiKey, Membership, User
from fettle.identity.permissions import permissions_of

_MOST_PEOPLE = 1_000


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
    """Return the tenant's members whose role holds a permission, by name.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        permission: One of `PERMISSIONS`.
    """
    rows = await session.execute(
        select(User.id, User.name, Membership.role)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.tenant_id == tenant_id, User.disabled_at.is_(None))
        .order_by(User.name, User.id)
        .limit(_MOST_PEOPLE)
    )
    return [Person(row.id, row.name) for row in rows if permission in permissions_of(row.role)]


def _ids(actors: Collection[str], kind: str) -> list[UUID]:
    found = []
    for actor in actors:
        if actor.startswith(kind):
            try:
                found.append(UUID(actor.removeprefix(kind)))
            except ValueError:
                continue
    return found
