"""The tenants that a caller can open, by name: the first for a start, the others by search and page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, tuple_

from fettle.identity.authentication import Caller
from fettle.identity.models import Membership, Tenant
from fettle.identity.schemas_people import TenantOfMine
from fettle.kernel.platform import Platform

FIRST: Final = 200
"""So many are told with the caller itself."""

_ORDERED_BY: Final = 100
"""Characters of a name: a cursor has room for so many, however long each is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of a caller's tenants are looked for; None lets all through.

    Attributes:
        words: Part of the name or the slug.
        slugs: Those with one of these slugs.
    """

    words: str | None = None
    slugs: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A tenant, and where it stands in the order of `own_tenants`.

    Attributes:
        tenant: The tenant.
        position: As the database orders names, which is not how Python does.
    """

    tenant: TenantOfMine
    position: tuple[str, UUID]


async def own_tenants(
    platform: Platform,
    caller: Caller,
    wanted: Wanted,
    *,
    after: tuple[str, UUID] | None = None,
    limit: int,
) -> list[Placed]:
    """Return tenants of the caller's by name; a platform administrator's are all.

    Args:
        platform: The process's parts.
        caller: Who asks.
        wanted: Which of them.
        after: The position of the last of the page before.
        limit: How many at most.
    """
    name = func.lower(func.left(Tenant.name, _ORDERED_BY))
    found = (
        select(Tenant.id, Tenant.name, Tenant.slug, Tenant.partner_id, Membership.role, name)
        .join(
            Membership,
            (Membership.tenant_id == Tenant.id) & (Membership.user_id == caller.user_id),
            isouter=True,
        )
        .order_by(name, Tenant.id)
        .limit(limit)
    )
    if not caller.is_platform_admin:
        found = found.where(Tenant.id.in_(caller.rights))
    if wanted.words:
        text = func.lower(Tenant.name + " " + Tenant.slug)
        found = found.where(func.strpos(text, wanted.words.lower()) > 0)
    if wanted.slugs is not None:
        found = found.where(Tenant.slug.in_(wanted.slugs))
    if after is not None:
        found = found.where(tuple_(name, Tenant.id) > after)
    async with platform.database.system() as session:
        rows = (await session.execute(found)).all()
    return [Placed(_of(caller, *row[:-1]), (row[-1], row.id)) for row in rows]


def _of(
    caller: Caller, id_: UUID, name: str, slug: str, partner_id: UUID | None, role: str | None
) -> TenantOfMine:
    at_partner = caller.partners.get(partner_id) if partner_id is not None else None
    implied = "platform_admin" if caller.is_platform_admin else None
    ways = (("tenant", role), ("partner", at_partner), ("platform", implied))
    via, held = next(((via, held) for via, held in ways if held is not None), ("tenant", None))
    return TenantOfMine(id=id_, name=name, slug=slug, partner_id=partner_id, via=via, role=held)
