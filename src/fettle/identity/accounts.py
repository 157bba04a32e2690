"""Accounts of the whole installation: one's own name, and what a platform administrator may do to the others'."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.models import RefreshSession, User
from fettle.identity.partners import check_platform_admin
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict, Forbidden, NotFound
from fettle.kernel.platform import Platform


async def list_accounts(
    platform: Platform, caller: Caller, *, after: UUID | None, limit: int, q: str | None = None
) -> Sequence[User]:
    """Return every account by id, for a platform administrator.

    Raises:
        Forbidden: The caller is none.
    """
    check_platform_admin(caller)
    wanted = select(User)
    if after is not None:
        wanted = wanted.where(User.id > after)
    if q:
        wanted = wanted.where(func.strpos(func.lower(User.email + " " + User.name), q.lower()) > 0)
    async with platform.database.system() as session:
        return (await session.scalars(wanted.order_by(User.id).limit(limit))).all()


async def set_disabled(
    platform: Platform, caller: Caller, who: Who, account_id: UUID, *, disabled: bool
) -> User:
    """Disable an account, which ends all its sessions at once, or let it sign in again.

    Raises:
        Forbidden: The caller is no platform administrator.
        NotFound: There is no such account.
        Conflict: It is the caller's own, or that of the last platform administrator.
    """
    check_platform_admin(caller)
    if disabled and account_id == caller.user_id:
        raise Conflict("This is your own account. Another platform administrator can disable it.")
    async with platform.database.system() as session:
        user = await session.scalar(select(User).where(User.id == account_id).with_for_update())
        if user is None:
            raise NotFound("There is no such account.")
        changed = disabled != (user.disabled_at is not None)
        if changed:
            now = utcnow()
            user.disabled_at = now if disabled else None
            await session.flush()
            if disabled:
                await session.execute(
                    update(RefreshSession)
                    .where(RefreshSession.user_id == account_id, RefreshSession.ended_at.is_(None))
                    .values(ended_at=now, ended_because="the account was disabled")
                )
            action = "user.disabled" if disabled else "user.enabled"
            await audit.record(session, who, action, tenant_id=None, target=("user", account_id))
    await authenticator(platform).revoke(f"user:{account_id}")
    return user


async def change_own_name(platform: Platform, caller: Caller, who: Who, name: str) -> User:
    """Give the caller another name.

    Raises:
        Forbidden: The caller is a program.
    """
    if caller.user_id is None:
        raise Forbidden("An API key has no account. Sign in as a person.")
    async with platform.database.system() as session:
        user = (await session.scalars(select(User).where(User.id == caller.user_id).with_for_update())).one()
        before, user.name = user.name, name
        await session.flush()
        await audit.record(
            session,
            who,
            "user.renamed",
            tenant_id=None,
            target=("user", user.id),
            before={"name": before},
            after={"name": name},
        )
    return user
