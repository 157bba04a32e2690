"""Changes that a stolen session must not make: they need a recent sign-in, or the password once more."""

from datetime import timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import attempts
from fettle.identity.authentication import Caller
from fettle.identity.models import RefreshSession, User
from fettle.identity.passwords import passwords
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import FieldError, Forbidden, Invalid
from fettle.kernel.platform import Platform

RECENT: Final = timedelta(minutes=10)


class RecentSignInRequired(Forbidden):
    """The session is too old for this change."""

    slug = "recent-sign-in-required"
    title = "Confirm that it is you"


def person(caller: Caller) -> None:
    """Refuse whoever cannot change how an account signs in.

    A tenant's provider may vouch for a person in that tenant; it must not get hold of their account.

    Raises:
        Forbidden: The caller is a program, still has a one-time password, or came by a provider.
    """
    if caller.user_id is None:
        raise Forbidden("An API key has no sign-in of its own. Sign in as a person.")
    if caller.within_tenant is not None:
        raise Forbidden(
            "This sign-in came through an identity provider and reaches one tenant. Sign in with the "
            "account's own password or passkey to change how the account signs in."
        )
    caller.refuse_one_time_password()


async def refuse_stale(platform: Platform, caller: Caller, password: str | None) -> None:
    """Refuse a caller whose sign-in is neither recent nor confirmed by the password.

    Raises:
        Forbidden: The caller is a program.
        RecentSignInRequired: It is neither.
        Invalid: The password is wrong.
        RateLimited: It was guessed at too often.
    """
    if caller.user_id is None:
        raise Forbidden("This needs a person's recent sign-in; an API key has none.")
    if password is not None:
        await check_password(platform, caller, password)
        return
    async with platform.database.system() as session:
        recent = await session.scalar(
            select(RefreshSession.id).where(
                RefreshSession.id == caller.session_id,
                RefreshSession.authenticated_at > utcnow() - RECENT,
            )
        )
    if recent is None:
        raise RecentSignInRequired(
            "This change needs a sign-in of the last 10 minutes. Confirm it with POST /api/v1/me/confirm."
        )


async def check_password(platform: Platform, caller: Caller, password: str) -> None:
    """Refuse a password that is not the caller's.

    Raises:
        Invalid: It is wrong.
        RateLimited: It was guessed at too often.
    """
    async with platform.database.system() as session:
        user = (await session.scalars(select(User).where(User.id == caller.user_id))).one()
    subject = attempts.at_password(user.email)
    await attempts.count(platform, subject)
    if not await passwords(platform).check(password, user.password_hash):
        raise Invalid("The password is wrong.", errors=[FieldError("/password", "is not the password")])
    async with platform.database.system() as session:
        await attempts.forget(session, subject)


async def note_recent(session: AsyncSession, caller: Caller) -> None:
    """Note that the caller has just proved again who they are."""
    await session.execute(
        update(RefreshSession).where(RefreshSession.id == caller.session_id).values(authenticated_at=utcnow())
    )
