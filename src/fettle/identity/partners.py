"""Partners and their people: who looks after which tenants, and who decides about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.models import Tenant, User
from fettle.identity.models_people import Partner, PartnerMember
from fettle.identity.passwords import new_one_time_password, normal_email, passwords
from fettle.identity.permissions import MEMBER_ROLES, permissions_of
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform


@dataclass(frozen=True, slots=True)
class Colleague:
    """A person of a partner."""

    id: UUID
    email: str
    name: str
    role: str
    disabled: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class NewColleague:
    """A person of a partner, and the one-time password of an account that was made for them."""

    colleague: Colleague
    one_time_password: str | None


def role_at(caller: Caller, partner_id: UUID) -> frozenset[str]:
    """Return what the caller may do at a partner and in each of its tenants.

    Raises:
        NotFound: The caller has nothing to do with the partner, if there is one.
    """
    if caller.is_platform_admin:
        return permissions_of("platform_admin")
    role = caller.partners.get(partner_id)
    if role is None:
        raise _no_such_partner()
    return permissions_of(role)


def check_at(caller: Caller, partner_id: UUID, permission: str) -> frozenset[str]:
    """Refuse what the caller may not do at a partner, and return what they may.

    Raises:
        NotFound: The caller has nothing to do with the partner.
        Forbidden: The permission is not held there.
    """
    held = role_at(caller, partner_id)
    if permission not in held:
        raise Forbidden(f"This needs the permission {permission} at the partner. Ask its administrator.")
    return held


def check_role(held: frozenset[str], role: str) -> None:
    """Refuse a role at a partner that is not there, or that can do what the giver cannot.

    Raises:
        Invalid: There is no such role for the people of a partner.
        Forbidden: It holds more than the giver does.
    """
    if role not in MEMBER_ROLES:
        fault = f"must be one of {', '.join(MEMBER_ROLES)}"
        raise Invalid(f"The role {fault}.", errors=[FieldError("/role", fault)])
    if not permissions_of(role) <= held:
        raise Forbidden(f"The role {role} can do what you cannot; ask somebody who can.")


def check_platform_admin(caller: Caller) -> None:
    """Refuse everybody but a platform administrator.

    Raises:
        Forbidden: The caller is none.
    """
    if not caller.is_platform_admin:
        raise Forbidden("This needs the permission platform:admin. Ask a platform administrator.")


async def create_partner(platform: Platform, who: Who, *, name: str, slug: str) -> Partner:
    """Create a partner, which has neither people nor tenants yet.

    Raises:
        Conflict: The slug is taken.
    """
    async with platform.database.system() as session:
        partner: Partner | None = await session.scalar(
            insert(Partner)
            .values(id=new_id(), name=name, slug=slug)
            .on_conflict_do_nothing(index_elements=["slug"])
            .returning(Partner)
        )
        if partner is None:
            raise Conflict(
                "There is a partner with this slug. Choose another.", errors=[FieldError("/slug", "is taken")]
            )
        await audit.record(
            session,
            who,
            "partner.created",
            tenant_id=None,
            target=("partner", partner.id),
            after={"name": name, "slug": slug},
        )
    return partner


async def list_partners(
    platform: Platform, caller: Caller, *, after: UUID | None, limit: int
) -> Sequence[Partner]:
    """Return the partners that the caller belongs to, by id; a platform administrator's are all."""
    wanted = select(Partner)
    if not caller.is_platform_admin:
        wanted = wanted.where(Partner.id.in_(caller.partners))
    if after is not None:
        wanted = wanted.where(Partner.id > after)
    async with platform.database.system() as session:
        return (await session.scalars(wanted.order_by(Partner.id).limit(limit))).all()


async def find_partner(platform: Platform, caller: Caller, partner_id: UUID) -> Partner:
    """Return one partner.

    Raises:
        NotFound: There is none such for the caller.
    """
    role_at(caller, partner_id)
    async with platform.database.system() as session:
        partner = await session.scalar(select(Partner).where(Partner.id == partner_id))
    if partner is None:
        raise _no_such_partner()
    return partner


async def rename_partner(
    platform: Platform, caller: Caller, who: Who, partner_id: UUID, name: str
) -> Partner:
    """Give a partner another name.

    Raises:
        NotFound: There is none such for the caller.
        Forbidden: The caller does not administer it.
    """
    check_at(caller, partner_id, "tenants:write")
    async with platform.database.system() as session:
        partner = await session.scalar(select(Partner).where(Partner.id == partner_id).with_for_update())
        if partner is None:
            raise _no_such_partner()
        before, partner.name = partner.name, name
        await session.flush()
        await audit.record(
            session,
            who,
            "partner.renamed",
            tenant_id=None,
            target=("partner", partner_id),
            before={"name": before},
            after={"name": name},
        )
    return partner


async def list_people(
    platform: Platform, caller: Caller, partner_id: UUID, *, after: UUID | None, limit: int
) -> list[Colleague]:
    """Return a partner's people by id.

    Raises:
        NotFound: There is no such partner for the caller.
        Forbidden: The caller may not see them.
    """
    check_at(caller, partner_id, "users:read")
    async with platform.database.system() as session:
        await _partner_exists(session, partner_id)
        wanted = _people(partner_id)
        if after is not None:
            wanted = wanted.where(User.id > after)
        rows = await session.execute(wanted.order_by(User.id).limit(limit))
        return [Colleague(*row) for row in rows]


async def add_person(
    platform: Platform, caller: Caller, who: Who, partner_id: UUID, *, email: str, name: str, role: str
) -> NewColleague:
    """Make somebody one of a partner's people, with a new account where they have none.

    Whether an address has an account is the platform's knowledge, so only a platform administrator may ask;
    a partner's administrator invites.

    Raises:
        Forbidden: The caller is no platform administrator.
        NotFound: There is no such partner.
        Invalid: There is no such role.
        Conflict: They are one already.
    """
    check_platform_admin(caller)
    check_role(permissions_of("platform_admin"), role)
    one_time = new_one_time_password()
    password_hash = await passwords(platform).hash(one_time)
    async with platform.database.system() as session:
        await _partner_exists(session, partner_id)
        email = normal_email(email)
        created = await session.scalar(
            insert(User)
            .values(
                id=new_id(), email=email, name=name, password_hash=password_hash, must_change_password=True
            )
            .on_conflict_do_nothing(index_elements=["email"])
            .returning(User.id)
        )
        user_id = created or (await session.scalars(select(User.id).where(User.email == email))).one()
        if not await join(session, partner_id, user_id, role):
            raise Conflict("They belong to this partner already. Remove them first to change their role.")
        await record_in_each(
            session, who, "partner_member.added", partner_id=partner_id, user_id=user_id, after=role
        )
        found = await session.execute(_people(partner_id).where(User.id == user_id))
        colleague = Colleague(*found.one())
    await authenticator(platform).revoke(f"user:{user_id}")
    return NewColleague(colleague, one_time if created is not None else None)


async def join(session: AsyncSession, partner_id: UUID, user_id: UUID, role: str) -> bool:
    """Make a user one of a partner's people unless they are already; returns whether they were not.

    Args:
        session: Of the system; whoever calls revokes ``user:<id>`` after the commit.
        partner_id: The partner.
        user_id: Whom.
        role: In each of the partner's tenants.
    """
    added = await session.scalar(
        insert(PartnerMember)
        .values(partner_id=partner_id, user_id=user_id, role=role)
        .on_conflict_do_nothing()
        .returning(PartnerMember.user_id)
    )
    return added is not None


async def record_in_each(
    session: AsyncSession,
    who: Who,
    action: str,
    *,
    partner_id: UUID,
    user_id: UUID,
    before: str | None = None,
    after: str | None = None,
) -> None:
    """Tell the installation's audit and that of each of a partner's tenants what became of one of its people.

    Args:
        session: Of the system, in the transaction of the change.
        who: Whose change it is.
        action: ``partner_member.`` and what was done.
        partner_id: The partner.
        user_id: The person.
        before: Their role until now.
        after: Their role from now on.
    """
    tenants = await session.scalars(
        select(Tenant.id).where(Tenant.partner_id == partner_id).order_by(Tenant.id)
    )
    for tenant_id in (None, *tenants.all()):
        await audit.record(
            session,
            who,
            action,
            tenant_id=tenant_id,
            target=("user", user_id),
            before=None if before is None else {"partner_id": str(partner_id), "role": before},
            after=None if after is None else {"partner_id": str(partner_id), "role": after},
        )


async def change_person(
    platform: Platform, caller: Caller, who: Who, partner_id: UUID, user_id: UUID, role: str
) -> Colleague:
    """Give one of a partner's people another role, in every tenant of it and in every process at once.

    Raises:
        NotFound: There is no such person for the caller.
        Forbidden: The role, before or after, can do what the caller cannot.
        Invalid: There is no such role.
        Conflict: They are the partner's last administrator.
    """
    held = check_at(caller, partner_id, "users:write")
    check_role(held, role)
    async with platform.database.system() as session:
        old = await _held_role(session, held, partner_id, user_id, keeps=role == "partner_admin")
        await session.execute(
            update(PartnerMember)
            .where(PartnerMember.partner_id == partner_id, PartnerMember.user_id == user_id)
            .values(role=role)
        )
        await record_in_each(
            session,
            who,
            "partner_member.role_changed",
            partner_id=partner_id,
            user_id=user_id,
            before=old,
            after=role,
        )
        found = await session.execute(_people(partner_id).where(User.id == user_id))
        colleague = Colleague(*found.one())
    await authenticator(platform).revoke(f"user:{user_id}")
    return colleague


async def remove_person(
    platform: Platform, caller: Caller, who: Who, partner_id: UUID, user_id: UUID
) -> None:
    """Take somebody out of a partner, and thereby out of all its tenants, in every process at once.

    Raises:
        NotFound: There is no such person for the caller.
        Forbidden: They can do what the caller cannot.
        Conflict: They are the partner's last administrator.
    """
    held = check_at(caller, partner_id, "users:write")
    async with platform.database.system() as session:
        old = await _held_role(session, held, partner_id, user_id, keeps=False)
        await session.execute(
            delete(PartnerMember).where(
                PartnerMember.partner_id == partner_id, PartnerMember.user_id == user_id
            )
        )
        await record_in_each(
            session,
            who,
            "partner_member.removed",
            partner_id=partner_id,
            user_id=user_id,
            before=old,
        )
    await authenticator(platform).revoke(f"user:{user_id}")


async def _held_role(
    session: AsyncSession, held: frozenset[str], partner_id: UUID, user_id: UUID, *, keeps: bool
) -> str:
    """Return a person's role with all of the partner's people locked; refuse to take its last administrator."""
    rows = await session.execute(
        select(PartnerMember.user_id, PartnerMember.role)
        .where(PartnerMember.partner_id == partner_id)
        .order_by(PartnerMember.user_id)
        .with_for_update()
    )
    roles: dict[UUID, str] = {row.user_id: row.role for row in rows}
    old = roles.pop(user_id, None)
    if old is None:
        raise NotFound("There is no such person at this partner.")
    if not permissions_of(old) <= held:
        raise Forbidden(f"The role {old} can do what you cannot; ask somebody who can.")
    if old == "partner_admin" and not keeps and "partner_admin" not in roles.values():
        raise Conflict("This is the partner's last administrator. Make somebody else one first.")
    return old


async def _partner_exists(session: AsyncSession, partner_id: UUID) -> None:
    if await session.scalar(select(Partner.id).where(Partner.id == partner_id)) is None:
        raise _no_such_partner()


def _people(partner_id: UUID) -> Select[UUID, str, str, str, bool, datetime]:
    return (
        select(
            User.id,
            User.email,
            User.name,
            PartnerMember.role,
            User.disabled_at.is_not(None),
            PartnerMember.created_at,
        )
        .join(PartnerMember, PartnerMember.user_id == User.id)
        .where(PartnerMember.partner_id == partner_id)
    )


def _no_such_partner() -> NotFound:
    return NotFound("There is no such partner for this account.")
