"""Who belongs to a tenant, and in which role."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Access, authenticator
from fettle.identity.models import Membership, User
from fettle.identity.passwords import new_one_time_password
from fettle.identity.permissions import MEMBER_ROLES, permissions_of
from fettle.identity.sign_in import normal_email, passwords
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform


@dataclass(frozen=True, slots=True)
class Member:
    """A user as the tenant sees them."""

    id: UUID
    email: str
    name: str
    role: str
    since: datetime


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member, and the one-time password of an account that was made for them."""

    member: Member
    one_time_password: str | None


async def list_members(
    session: AsyncSession, tenant_id: UUID, *, after: UUID | None, limit: int
) -> list[Member]:
    """Return a tenant's members by id.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        after: The last id of the page before.
        limit: How many at most.
    """
    wanted = _members(tenant_id)
    if after is not None:
        wanted = wanted.where(User.id > after)
    rows = await session.execute(wanted.order_by(User.id).limit(limit))
    return [Member(*row) for row in rows]


async def add_member(
    platform: Platform, access: Access, who: Who, *, email: str, name: str, role: str
) -> NewMember:
    """Make a person a member of the caller's tenant, with a new account where the address has none.

    Whether an address has an account is the platform's knowledge and no tenant's, so only a platform
    administrator may ask.

    Raises:
        Forbidden: The caller is no platform administrator.
        Invalid: There is no such role.
        Conflict: They are a member already.
    """
    access.check("platform:admin")
    _check_role(access, role)
    email = normal_email(email)
    one_time = new_one_time_password()
    password_hash = await passwords(platform).hash(one_time)
    async with platform.database.system() as session:
        created = await session.scalar(
            insert(User)
            .values(
                id=new_id(), email=email, name=name, password_hash=password_hash, must_change_password=True
            )
            .on_conflict_do_nothing(index_elements=["email"])
            .returning(User.id)
        )
        user = (await session.scalars(select(User).where(User.email == email))).one()
        since = await session.scalar(
            insert(Membership)
            .values(tenant_id=access.tenant_id, user_id=user.id, role=role)
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
            target=("user", user.id),
            after={"role": role, "account_created": created is not None},
        )
    await authenticator(platform).revoke(f"user:{user.id}")
    member = Member(user.id, user.email, user.name, role, since)
    return NewMember(member, one_time if created is not None else None)


async def change_role(platform: Platform, access: Access, who: Who, user_id: UUID, role: str) -> Member:
    """Give a member another role, in every process at once.

    Raises:
        Forbidden: The role, before or after, can do what the caller cannot.
        Invalid: There is no such role.
        NotFound: There is no such member.
    """
    _check_role(access, role)
    async with platform.database.tenant(access.tenant_id) as session:
        old = await _role_of(session, access, user_id)
        _check_role(access, old)
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
        found = await session.execute(_members(access.tenant_id).where(User.id == user_id))
        member = Member(*found.one())
    await authenticator(platform).revoke(f"user:{user_id}")
    return member


async def remove_member(platform: Platform, access: Access, who: Who, user_id: UUID) -> None:
    """End a membership, in every process at once; the account stays.

    Raises:
        Forbidden: The member can do what the caller cannot.
        NotFound: There is no such member.
    """
    async with platform.database.tenant(access.tenant_id) as session:
        old = await _role_of(session, access, user_id)
        _check_role(access, old)
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


def _members(tenant_id: UUID) -> Select[UUID, str, str, str, datetime]:
    return (
        select(User.id, User.email, User.name, Membership.role, Membership.created_at)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.tenant_id == tenant_id)
    )


async def _role_of(session: AsyncSession, access: Access, user_id: UUID) -> str:
    role = await session.scalar(
        select(Membership.role)
        .where(Membership.tenant_id == access.tenant_id, Membership.user_id == user_id)
        .with_for_update()
    )
    if role is None:
        raise NotFound("There is no such member of this tenant.")
    return role


def _check_role(access: Access, role: str) -> None:
    if role not in MEMBER_ROLES:
        fault = f"must be one of {', '.join(MEMBER_ROLES)}"
        raise Invalid(f"The role {fault}.", errors=[FieldError("/role", fault)])
    if not permissions_of(role) <= access.permissions:
        raise Forbidden(f"The role {role} can do what you cannot; ask somebody who can.")
