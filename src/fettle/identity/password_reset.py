"""A password that was forgotten: a link by mail, good once and for half an hour, that signs nobody in."""

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import attempts, audit, links, mailing, sessions
from fettle.identity.audit import Who
from fettle.identity.authentication import authenticator
from fettle.identity.breached import refuse_breached
from fettle.identity.models import RefreshSession, User
from fettle.identity.models_people import LinkToken
from fettle.identity.models_sign_in import SignInChallenge
from fettle.identity.passwords import normal_email, passwords, refuse_weak
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import NotFound
from fettle.kernel.platform import Platform


async def ask(platform: Platform, email: str) -> None:
    """Take a wish for a new password; the same is done, and answered, whether the address has an account or not."""
    async with platform.database.system() as session:
        await mailing.queue_for_account(session, mailing.PASSWORD_RESET, normal_email(email))


async def reset(platform: Platform, token: str, new: str, *, address: str | None) -> None:
    """Set a new password and end every session; a second factor is asked for as before.

    Args:
        platform: The process's parts.
        token: Of the link; good once.
        new: The password to be.
        address: Where the request comes from.

    Raises:
        NotFound: The link is not good, or not any more.
        Invalid: The password would not last.
    """
    async with platform.database.system() as session:
        user = await _find(session, token)
    refuse_weak(new, pointer="/new_password", not_like=[user.email])
    await refuse_breached(platform, new, pointer="/new_password")
    password_hash = await passwords(platform).hash(new)
    async with platform.database.system() as session:
        # Of two that use the link at once, the second waits here, and then finds it gone.
        await session.scalar(select(User.id).where(User.id == user.id).with_for_update())
        await _find(session, token)
        await session.execute(
            update(User)
            .where(User.id == user.id)
            .values(password_hash=password_hash, must_change_password=False)
        )
        # A sign-in that was begun with the old password must not be finished either.
        await session.execute(delete(SignInChallenge).where(SignInChallenge.user_id == user.id))
        await sessions.end_all(session, RefreshSession.user_id == user.id, because="the password was reset")
        await session.execute(delete(LinkToken).where(LinkToken.user_id == user.id))
        await attempts.forget(session, attempts.at_password(user.email))
        who = Who(f"user:{user.id}", address)
        await audit.record(session, who, "password.reset", tenant_id=None, target=("user", user.id))
        await mailing.queue_for_account(session, mailing.PASSWORD_CHANGED, user.email)
    await authenticator(platform).revoke(f"user:{user.id}")


async def _find(session: AsyncSession, token: str) -> User:
    token_hash = links.hash_of(token)
    wanted = select(User).join(LinkToken, LinkToken.user_id == User.id).where(User.disabled_at.is_(None))
    if token_hash is not None:
        good = LinkToken.token_hash == token_hash, LinkToken.expires_at > utcnow()
        user = await session.scalar(wanted.where(*good))
        if user is not None:
            return user
    raise NotFound("This link is not good, or not any more. Ask for a new one.")
