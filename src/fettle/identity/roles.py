"""A tenant's own roles beside the eight built-in ones, and the rule that nobody gives what they do not hold."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Access, authenticator
from fettle.identity.models import Membership, User
from fettle.identity.models_people import CustomRole, Invitation
from fettle.identity.permissions import KEY_SCOPES, MEMBER_ROLES, PERMISSIONS, ROLES, role_permissions
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.platform import Platform

NAME_PATTERN: Final = "^[a-z][a-z0-9_-]{1,62}$"
"""What a tenant's own role may be called."""

ROLES_AT_MOST: Final = 200
_NAMED_HOLDERS: Final = 5


@dataclass(frozen=True, slots=True)
class TenantRole:
    """A role as a tenant sees it."""

    name: str
    description: str
    permissions: frozenset[str]
    builtin: bool


async def list_roles(session: AsyncSession, tenant_id: UUID) -> list[TenantRole]:
    """Return every role that a member of the tenant can have, the built-in ones first.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
    """
    wanted = select(CustomRole).where(CustomRole.tenant_id == tenant_id).order_by(CustomRole.name)
    own = (await session.scalars(wanted)).all()
    return [*builtin_roles(), *(_shown(role) for role in own)]


def builtin_roles() -> list[TenantRole]:
    """Return the eight roles that there are everywhere."""
    return [TenantRole(r.name, r.description, r.permissions, builtin=True) for r in ROLES.values()]


async def permissions_in(session: AsyncSession, tenant_id: UUID, role: str) -> frozenset[str] | None:
    """Return what a role lets a member of the tenant do, or None where there is no such role.

    Args:
        session: With the tenant bound, or of the system.
        tenant_id: The tenant.
        role: A built-in role's name or that of the tenant's own.
    """
    if role in ROLES:
        return role_permissions(role, None) if role in MEMBER_ROLES else None
    own = await session.scalar(
        select(CustomRole.permissions).where(CustomRole.tenant_id == tenant_id, CustomRole.name == role)
    )
    return None if own is None else role_permissions(role, own)


async def check_may_give(session: AsyncSession, access: Access, role: str) -> None:
    """Refuse a role that is not there, or that can do what the caller cannot.

    Raises:
        Invalid: There is no such role for a member.
        Forbidden: It holds more than the caller does.
    """
    permissions = await permissions_in(session, access.tenant_id, role)
    if permissions is None:
        fault = f"must be one of {', '.join(MEMBER_ROLES)}, or a role of the tenant's own"
        raise Invalid(f"The role {fault}.", errors=[FieldError("/role", fault)])
    _check_within(access, role, permissions)


async def check_within(session: AsyncSession, access: Access, role: str) -> None:
    """Refuse to touch a role that can do what the caller cannot.

    Raises:
        Forbidden: It holds more than the caller does.
    """
    permissions = await permissions_in(session, access.tenant_id, role)
    _check_within(access, role, permissions or frozenset())


async def create_role(
    session: AsyncSession,
    access: Access,
    who: Who,
    *,
    name: str,
    description: str,
    permissions: Sequence[str],
) -> TenantRole:
    """Define a role of the tenant's own.

    Raises:
        Invalid: The name or a permission is not one that a role can have.
        Forbidden: The caller does not hold a permission.
        Conflict: There is a role of that name, or there are too many.
    """
    if re.fullmatch(NAME_PATTERN, name) is None:
        fault = "must begin with a lower-case letter and hold 2 to 63 of a-z, 0-9, _ and -"
        raise Invalid(f"The name {fault}.", errors=[FieldError("/name", fault)])
    if name in ROLES:
        raise Conflict(
            f"{name} is a built-in role. Choose another name.",
            errors=[FieldError("/name", "is a built-in role")],
        )
    chosen = _checked(access, permissions)
    await hold_lock(await driver(session), "custom_roles", access.tenant_id)
    if len(await list_roles(session, access.tenant_id)) >= ROLES_AT_MOST:
        raise Conflict(f"A tenant has at most {ROLES_AT_MOST} roles. Delete one that nobody has.")
    created = await session.scalar(
        insert(CustomRole)
        .values(tenant_id=access.tenant_id, name=name, description=description, permissions=chosen)
        .on_conflict_do_nothing()
        .returning(CustomRole)
    )
    if created is None:
        raise Conflict(
            f"There is a role {name} already. Choose another name.", errors=[FieldError("/name", "is taken")]
        )
    await audit.record(
        session,
        who,
        "role.created",
        tenant_id=access.tenant_id,
        target=("role", name),
        after={"description": description, "permissions": chosen},
    )
    return _shown(created)


async def change_role(
    platform: Platform,
    access: Access,
    who: Who,
    name: str,
    *,
    description: str,
    permissions: Sequence[str],
) -> TenantRole:
    """Give a role of the tenant's own other permissions; whoever has it is bound by them at once.

    Raises:
        NotFound: The tenant has no such role of its own.
        Invalid: A permission is not one that a role can have.
        Forbidden: The caller does not hold a permission that it had or is to have.
    """
    async with platform.database.tenant(access.tenant_id) as session:
        old = await _own(session, access, name)
        chosen = _checked(access, permissions)
        changed = await session.scalar(
            update(CustomRole)
            .where(CustomRole.tenant_id == access.tenant_id, CustomRole.name == name)
            .values(description=description, permissions=chosen, updated_at=utcnow())
            .returning(CustomRole)
            .execution_options(populate_existing=True)
        )
        assert changed is not None
        await audit.record(
            session,
            who,
            "role.changed",
            tenant_id=access.tenant_id,
            target=("role", name),
            before={"description": old.description, "permissions": sorted(old.permissions)},
            after={"description": description, "permissions": chosen},
        )
    await authenticator(platform).revoke(f"role:{access.tenant_id}/{name}")
    return _shown(changed)


async def delete_role(platform: Platform, access: Access, who: Who, name: str) -> None:
    """Delete a role of the tenant's own that nobody has and nobody is invited to.

    Raises:
        NotFound: The tenant has no such role of its own.
        Forbidden: It holds more than the caller does.
        Conflict: Somebody has it; it says who.
    """
    async with platform.database.tenant(access.tenant_id) as session:
        old = await _own(session, access, name)
        holders = await _holders(session, access.tenant_id, name)
        if holders:
            named = ", ".join(holders[:_NAMED_HOLDERS])
            more = len(holders) - _NAMED_HOLDERS
            raise Conflict(
                f"The role {name} is in use by {named}{f' and {more} more' if more > 0 else ''}. "
                "Give them another role first."
            )
        await session.execute(
            delete(CustomRole).where(CustomRole.tenant_id == access.tenant_id, CustomRole.name == name)
        )
        await audit.record(
            session,
            who,
            "role.deleted",
            tenant_id=access.tenant_id,
            target=("role", name),
            before={"description": old.description, "permissions": sorted(old.permissions)},
        )
    await authenticator(platform).revoke(f"role:{access.tenant_id}/{name}")


async def lock_role(session: AsyncSession, tenant_id: UUID, role: str) -> None:
    """Keep a tenant's own role from being changed or deleted until the transaction that gives it has ended."""
    if role not in ROLES:
        await session.execute(
            select(CustomRole.name)
            .where(CustomRole.tenant_id == tenant_id, CustomRole.name == role)
            .with_for_update(read=True)
        )


async def _own(session: AsyncSession, access: Access, name: str) -> TenantRole:
    if name in ROLES:
        raise Forbidden(f"{name} is a built-in role, which is the same everywhere. Define one of your own.")
    found = await session.scalar(
        select(CustomRole)
        .where(CustomRole.tenant_id == access.tenant_id, CustomRole.name == name)
        .with_for_update()
    )
    if found is None:
        raise NotFound("The tenant has no such role of its own.")
    role = _shown(found)
    _check_within(access, role.name, role.permissions)
    return role


def _check_within(access: Access, role: str, permissions: frozenset[str]) -> None:
    if not permissions <= access.permissions:
        raise Forbidden(f"The role {role} can do what you cannot; ask somebody who can.")


async def _holders(session: AsyncSession, tenant_id: UUID, name: str) -> list[str]:
    members = await session.scalars(
        select(User.name)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.tenant_id == tenant_id, Membership.role == name)
        .order_by(User.name)
    )
    invited = await session.scalars(
        select(Invitation.email)
        .where(
            Invitation.tenant_id == tenant_id,
            Invitation.role == name,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .order_by(Invitation.email)
    )
    return [*members, *(f"the invitation of {email}" for email in invited)]


def _checked(access: Access, permissions: Sequence[str]) -> list[str]:
    unknown = [
        FieldError(
            f"/permissions/{i}", "is no permission" if p not in PERMISSIONS else "reaches beyond a tenant"
        )
        for i, p in enumerate(permissions)
        if p not in KEY_SCOPES
    ]
    if unknown:
        raise Invalid(f"A role's permissions are of: {', '.join(sorted(KEY_SCOPES))}.", errors=unknown)
    beyond = sorted(set(permissions) - access.permissions)
    if beyond:
        raise Forbidden(f"You cannot give what you do not have: {', '.join(beyond)}.")
    return sorted(set(permissions))


def _shown(role: CustomRole) -> TenantRole:
    return TenantRole(
        role.name, role.description, role_permissions(role.name, role.permissions), builtin=False
    )
