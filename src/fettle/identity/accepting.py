"""Accepting an invitation: a new account, or the account of the address once its owner has proved to be it."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import attempts, audit, links, partners
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.breached import refuse_breached
from fettle.identity.grants import GRANTS, grants_of
from fettle.identity.models import Membership, Tenant, User
from fettle.identity.models_people import Invitation, LinkToken, Partner
from fettle.identity.passwords import passwords, refuse_weak
from fettle.identity.permissions import KEY_SCOPES, PERMISSIONS, permissions_of
from fettle.identity.roles import lock_role, permissions_in
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

_GRANTS_OF: Final = (
    "SELECT u.is_platform_admin, g.* FROM users u "  # noqa: S608 - of constants
    f"LEFT JOIN LATERAL ({GRANTS}) AS g ON true WHERE u.id = $1 AND u.disabled_at IS NULL"
)
_SCOPES_OF: Final = (
    "SELECT scopes FROM api_keys WHERE id = $1 AND tenant_id = $2 AND revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > now())"
)


@dataclass(frozen=True, slots=True)
class Look:
    """What a link's holder is told of the invitation.

    Attributes:
        place: The tenant's or the partner's name.
        has_account: Whether the address has one, whose owner must sign in or give the password.
    """

    place: str
    email: str
    name: str | None
    role: str
    has_account: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """An invitation that was just accepted."""

    place: str
    email: str
    tenant_id: UUID | None
    partner_id: UUID | None
    account_created: bool


async def look(platform: Platform, token: str) -> Look:
    """Return what an invitation is to.

    Raises:
        NotFound: The link is not good, or not any more.
    """
    async with platform.database.system() as session:
        invitation, place = await _find(session, token)
        user = await session.scalar(select(User).where(User.email == invitation.email))
    if user is not None and user.disabled_at is not None:
        raise _not_good()
    return Look(place, invitation.email, invitation.name, invitation.role, user is not None)


async def accept(
    platform: Platform,
    token: str,
    *,
    name: str | None,
    password: str | None,
    caller: Caller | None,
    address: str | None,
) -> Accepted:
    """Accept an invitation; nobody is signed in by it.

    Args:
        platform: The process's parts.
        token: Of the link; good once.
        name: What a new account's owner is called.
        password: The new account's, or else the password of the account that the address has.
        caller: Who is signed in, where somebody is.
        address: Where the request comes from.

    Raises:
        NotFound: The link is not good, or not any more.
        Invalid: The name or the password is missing, wrong, or would not last.
        Forbidden: Somebody else is signed in, or who invited may no longer do so.
        RateLimited: The password was guessed at too often.
    """
    async with platform.database.system() as session:
        invitation, _ = await _find(session, token)
        user = await session.scalar(select(User).where(User.email == invitation.email))
    if user is None:
        new = await _new_account(platform, invitation, name, password)
        return await _join(platform, token, new, is_new=True, address=address)
    if user.disabled_at is not None:
        raise _not_good()
    if caller is not None:
        _check_owner(caller, user)
    else:
        await _check_password(platform, user, password)
    return await _join(platform, token, user, is_new=False, address=address)


async def _new_account(
    platform: Platform, invitation: Invitation, name: str | None, password: str | None
) -> User:
    name = name or invitation.name
    missing = [
        FieldError(f"/{field}", "is missing")
        for field, value in (("name", name), ("password", password))
        if not value
    ]
    if missing or name is None or password is None:
        raise Invalid("This address has no account yet. Send a name and a password for it.", errors=missing)
    refuse_weak(password, pointer="/password", not_like=[invitation.email])
    await refuse_breached(platform, password, pointer="/password")
    password_hash = await passwords(platform).hash(password)
    return User(id=new_id(), email=invitation.email, name=name, password_hash=password_hash)


def _check_owner(caller: Caller, user: User) -> None:
    if caller.user_id != user.id:
        raise Forbidden(
            "You are signed in as somebody else than the invitation is for. Sign out, and open the link again."
        )
    caller.refuse_one_time_password()
    if caller.within_tenant is not None:
        raise Forbidden(
            "This sign-in came through an identity provider and reaches one tenant. Sign in with the account's "
            "own password or passkey, or send the password."
        )


async def _check_password(platform: Platform, user: User, password: str | None) -> None:
    if not password:
        raise Invalid(
            "This address has an account. Sign in first, or send its password.",
            errors=[FieldError("/password", "is missing")],
        )
    subject = attempts.at_password(user.email)
    await attempts.count(platform, subject)
    if not await passwords(platform).check(password, user.password_hash):
        raise Invalid("The password is wrong.", errors=[FieldError("/password", "is not the password")])
    async with platform.database.system() as session:
        await attempts.forget(session, subject)


async def _join(platform: Platform, token: str, user: User, *, is_new: bool, address: str | None) -> Accepted:
    async with platform.database.system() as session:
        # Of two that accept at once, the second waits here, and then finds no token.
        invitation, place = await _find(session, token, lock=True)
        if invitation.tenant_id is not None:
            await lock_role(session, invitation.tenant_id, invitation.role)
        if not await _may_still_invite(session, invitation):
            raise Forbidden("Whoever invited you may no longer do so. Ask for another invitation.")
        user_id = await _keep_account(session, user) if is_new else user.id
        joined = await _add(session, invitation, user_id)
        invitation.accepted_at = utcnow()
        await session.flush()
        await session.execute(delete(LinkToken).where(LinkToken.invitation_id == invitation.id))
        partner = None if invitation.partner_id is None else str(invitation.partner_id)
        await audit.record(
            session,
            Who(f"user:{user_id}", address),
            "invitation.accepted",
            tenant_id=invitation.tenant_id,
            target=("invitation", invitation.id),
            after={
                "role": invitation.role if joined else None,
                "partner_id": partner,
                "account_created": is_new,
                "invited_by": invitation.invited_by,
            },
        )
        if joined and invitation.partner_id is not None:
            await partners.record_in_each(
                session,
                Who(f"user:{user_id}", address),
                "partner_member.added",
                partner_id=invitation.partner_id,
                user_id=user_id,
                after=invitation.role,
            )
    await authenticator(platform).revoke(f"user:{user_id}")
    return Accepted(place, invitation.email, invitation.tenant_id, invitation.partner_id, is_new)


async def _find(session: AsyncSession, token: str, *, lock: bool = False) -> tuple[Invitation, str]:
    """Return the invitation that a token is good for, and the name of its place."""
    token_hash, now = links.hash_of(token), utcnow()
    if token_hash is None:
        raise _not_good()
    wanted = (
        select(Invitation, func.coalesce(Tenant.name, Partner.name))
        .join(LinkToken, LinkToken.invitation_id == Invitation.id)
        .join(Tenant, Tenant.id == Invitation.tenant_id, isouter=True)
        .join(Partner, Partner.id == Invitation.partner_id, isouter=True)
        .where(
            LinkToken.token_hash == token_hash,
            LinkToken.expires_at > now,
            Invitation.expires_at > now,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
    )
    row = (await session.execute(wanted.with_for_update(of=Invitation) if lock else wanted)).one_or_none()
    if row is None:
        raise _not_good()
    return row[0], row[1]


async def _may_still_invite(session: AsyncSession, invitation: Invitation) -> bool:
    """Tell whether who invited could do so now: the invitation must not outlive their own rights."""
    held = await _held_by(session, invitation)
    if invitation.tenant_id is not None:
        needed = await permissions_in(session, invitation.tenant_id, invitation.role)
    else:
        needed = permissions_of(invitation.role)
    return needed is not None and "users:write" in held and needed <= held


async def _held_by(session: AsyncSession, invitation: Invitation) -> frozenset[str]:
    """Return what an inviter may do now in the place of their invitation."""
    kind, _, id_ = invitation.invited_by.partition(":")
    connection = await driver(session)
    if kind == "key":
        scopes = await connection.fetchval(_SCOPES_OF, UUID(id_), invitation.tenant_id)
        return KEY_SCOPES.intersection(scopes or ())
    if kind != "user":
        return frozenset()
    rows = await connection.fetch(_GRANTS_OF, UUID(id_))
    if rows and rows[0]["is_platform_admin"]:
        return frozenset(PERMISSIONS)
    granted = grants_of(rows)
    if invitation.tenant_id is not None:
        return granted.rights.get(invitation.tenant_id, frozenset())
    role = granted.partners.get(invitation.partner_id) if invitation.partner_id is not None else None
    return permissions_of(role) if role is not None else frozenset()


async def _keep_account(session: AsyncSession, user: User) -> UUID:
    kept = await session.scalar(
        insert(User)
        .values(id=user.id, email=user.email, name=user.name, password_hash=user.password_hash)
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(User.id)
    )
    if kept is None:
        raise Conflict("This address was given an account just now. Open the link again.")
    return user.id


async def _add(session: AsyncSession, invitation: Invitation, user_id: UUID) -> bool:
    """Make the user a member, unless they have become one in another way; their role then stays."""
    if invitation.partner_id is not None:
        return await partners.join(session, invitation.partner_id, user_id, invitation.role)
    added = await session.scalar(
        insert(Membership)
        .values(tenant_id=invitation.tenant_id, user_id=user_id, role=invitation.role)
        .on_conflict_do_nothing()
        .returning(Membership.user_id)
    )
    return added is not None


def _not_good() -> NotFound:
    return NotFound("This invitation is not good, or not any more. Ask whoever invited you for another.")
