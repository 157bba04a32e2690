"""Who belongs to a tenant, and in which role."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import delete, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Access, authenticator
from fettle.identity.models import Membership, User
from fettle.identity.passwords import new_one_time_password, normal_email, passwords
from fettle.identity.roles import check_may_give, check_within, lock_role
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

ADMIN_ROLE: Final = "tenant_admin"
"""The role of which a tenant that has it never loses the last."""

# Driven by the tenant's own people, so that it never walks the accounts of an installation.
_LIST: Final = text("""
WITH own AS (SELECT user_id, role, created_at FROM memberships WHERE tenant_id = :tenant_id),
of_partner AS (
  SELECT p.user_id, p.role, p.created_at FROM tenants t JOIN partner_members p ON p.partner_id = t.partner_id
  WHERE t.id = :tenant_id
), people AS (
  SELECT user_id, own.role AS own_role, of_partner.role AS partner_role,
         coalesce(own.created_at, of_partner.created_at) AS since
  FROM own FULL JOIN of_partner USING (user_id)
)
SELECT u.id, u.email, u.name, coalesce(own_role, partner_role) AS role,
       CASE WHEN own_role IS NULL THEN 'partner' ELSE 'tenant' END AS via, partner_role,
       u.disabled_at IS NOT NULL AS disabled, since
FROM people JOIN users u ON u.id = people.user_id
WHERE (cast(:after AS uuid) IS NULL OR u.id > :after)
  AND (cast(:user_id AS uuid) IS NULL OR u.id = :user_id)
  AND (cast(:role AS text) IS NULL OR :role IN (own_role, partner_role))
  AND (cast(:q AS text) IS NULL OR strpos(lower(u.email || ' ' || u.name), lower(:q)) > 0)
ORDER BY u.id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Member:
    """A user as the tenant sees them.

    Attributes:
        role: In this tenant, or at its partner where they belong to it through the partner alone.
        via: Through what they belong to it.
        partner_role: Their role at the tenant's partner, which holds here too.
    """

    id: UUID
    email: str
    name: str
    role: str
    via: Literal["tenant", "partner"]
    partner_role: str | None
    disabled: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member, and the one-time password of an account that was made for them."""

    member: Member
    one_time_password: str | None


async def list_members(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    after: UUID | None,
    limit: int,
    q: str | None = None,
    role: str | None = None,
) -> list[Member]:
    """Return who may act in a tenant by id: its members, and the people of its partner.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        after: The last id of the page before.
        limit: How many at most.
        q: Part of the name or the address.
        role: Only those with this role.
    """
    return await _read(session, tenant_id, after=after, limit=limit, q=q, role=role)


async def add_member(
    platform: Platform, access: Access, who: Who, *, email: str, name: str, role: str
) -> NewMember:
    """Make a person a member of the caller's tenant, with a new account where they have none.

    Whether an address has an account is the platform's knowledge and no tenant's, so only a platform
    administrator may ask; everybody else invites.

    Raises:
        Forbidden: The caller is no platform administrator.
        Invalid: There is no such role.
        Conflict: They are a member already.
    """
    access.check("platform:admin")
    one_time = new_one_time_password()
    password_hash = await passwords(platform).hash(one_time)
    async with platform.database.system() as session:
        await lock_role(session, access.tenant_id, role)
        await check_may_give(session, access, role)
        user_id, created = await _account(session, normal_email(email), name, password_hash)
        since = await session.scalar(
            insert(Membership)
            .values(tenant_id=access.tenant_id, user_id=user_id, role=role)
            .on_conflict_do_nothing()
            .returning(Membership.created_at)
        )
        if since is None:
            raise Conflict("They are a member of this tenant already. Change their role instead.")
        await audit.record(
            session,
            who,
            "member.added",
            tenant_id=access.tenant_id,
            target=("user", user_id),
            after={"role": role, "account_created": created},
        )
        member = await _find(session, access.tenant_id, user_id)
    await authenticator(platform).revoke(f"user:{user_id}")
    return NewMember(member, one_time if created else None)


async def change_role(platform: Platform, access: Access, who: Who, user_id: UUID, role: str) -> Member:
    """Give a member another role, in every process at once.

    Raises:
        Forbidden: The role, before or after, can do what the caller cannot.
        Invalid: There is no such role.
        NotFound: There is no such member.
        Conflict: They are the last administrator of the tenant.
    """
    async with platform.database.tenant(access.tenant_id) as session:
        await lock_role(session, access.tenant_id, role)
        await check_may_give(session, access, role)
        old = await held_role(session, access, user_id)
        if role != ADMIN_ROLE:
            await _keep_an_administrator(session, access.tenant_id, user_id)
        await session.execute(
            update(Membership)
            .where(Membership.tenant_id == access.tenant_id, Membership.user_id == user_id)
            .values(role=role)
        )
        await audit.record(
            session,
            who,
            "member.role_changed",
            tenant_id=access.tenant_id,
            target=("user", user_id),
            before={"role": old},
            after={"role": role},
        )
        member = await _find(session, access.tenant_id, user_id)
    await authenticator(platform).revoke(f"user:{user_id}")
    return member


async def remove_member(platform: Platform, access: Access, who: Who, user_id: UUID) -> None:
    """End a membership, in every process at once; the account stays.

    Raises:
        Forbidden: The member can do what the caller cannot.
        NotFound: There is no such member.
        Conflict: They are the last administrator of the tenant.
    """
    async with platform.database.tenant(access.tenant_id) as session:
        old = await held_role(session, access, user_id)
        await _keep_an_administrator(session, access.tenant_id, user_id)
        await session.execute(
            delete(Membership).where(Membership.tenant_id == access.tenant_id, Membership.user_id == user_id)
        )
        await audit.record(
            session,
            who,
            "member.removed",
            tenant_id=access.tenant_id,
            target=("user", user_id),
            before={"role": old},
        )
    await authenticator(platform).revoke(f"user:{user_id}")


async def _account(session: AsyncSession, email: str, name: str, password_hash: str) -> tuple[UUID, bool]:
    """Return the account of an address and whether it was made just now, with a password to be changed."""
    created = await session.scalar(
        insert(User)
        .values(id=new_id(), email=email, name=name, password_hash=password_hash, must_change_password=True)
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(User.id)
    )
    if created is not None:
        return created, True
    return (await session.scalars(select(User.id).where(User.email == email))).one(), False


async def held_role(session: AsyncSession, access: Access, user_id: UUID) -> str:
    """Return a member's role, with them and every administrator locked, in one order for all callers.

    Raises:
        NotFound: They are no member.
        Forbidden: Their role can do what the caller cannot.
    """
    rows = await session.execute(
        select(Membership.user_id, Membership.role)
        .where(
            Membership.tenant_id == access.tenant_id,
            or_(Membership.user_id == user_id, Membership.role == ADMIN_ROLE),
        )
        .order_by(Membership.user_id)
        .with_for_update()
    )
    roles: dict[UUID, str] = {row.user_id: row.role for row in rows}
    role = roles.get(user_id)
    if role is None:
        raise NotFound("There is no such member of this tenant.")
    await check_within(session, access, role)
    return role


async def _keep_an_administrator(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> None:
    """Refuse to take the last administrator of a tenant away; call it with the administrators locked.

    Raises:
        Conflict: There would be none.
    """
    rows = await session.execute(
        select(Membership.user_id, User.disabled_at)
        .join(User, User.id == Membership.user_id)
        .where(Membership.tenant_id == tenant_id, Membership.role == ADMIN_ROLE)
    )
    administrators = {row.user_id: row.disabled_at is None for row in rows}
    is_one = administrators.pop(user_id, False)
    if is_one and not any(administrators.values()):
        raise Conflict(
            "This is the tenant's last administrator. Make somebody else one first, with the role tenant_admin."
        )


async def _find(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> Member:
    return (await _read(session, tenant_id, user_id=user_id))[0]


async def _read(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    user_id: UUID | None = None,
    after: UUID | None = None,
    limit: int = 1,
    q: str | None = None,
    role: str | None = None,
) -> list[Member]:
    values = {
        "tenant_id": tenant_id,
        "user_id": user_id,
        "after": after,
        "limit": limit,
        "q": q,
        "role": role,
    }
    return [Member(*row) for row in await session.execute(_LIST, values)]
