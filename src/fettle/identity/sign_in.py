"""Signing in and out: passwords to sessions, and refresh tokens that rotate and end with a replay."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import attempts, audit, challenges, sessions
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.breached import refuse_breached
from fettle.identity.challenges import Challenge
from fettle.identity.models import RefreshSession, RefreshToken, User
from fettle.identity.models_sign_in import SignInChallenge
from fettle.identity.passwords import normal_email, passwords, refuse_weak
from fettle.identity.sessions import Origin, Proof, SignedIn, Started
from fettle.identity.tokens import TokenRefused, read_refresh_token
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import FieldError, Forbidden, Invalid, Unauthenticated
from fettle.kernel.platform import Platform

__all__ = ["change_password", "normal_email", "passwords", "refresh", "sign_in", "sign_out"]


async def sign_in(
    platform: Platform, email: str, password: str, *, address: str | None, agent: str | None
) -> SignedIn | Challenge:
    """Sign a person in, or ask whoever has a second factor for it.

    An unknown address, a disabled account and a wrong password take the same path, do the same work and
    get the same answer.

    Raises:
        Unauthenticated: The address and the password do not fit.
        RateLimited: There were too many attempts on this address, whether it has an account or not.
    """
    email = normal_email(email)
    subject = attempts.at_password(email)
    await attempts.count(platform, subject)
    async with platform.database.system() as session:
        user = await session.scalar(select(User).where(User.email == email))
    usable = user is not None and user.disabled_at is None
    right = await passwords(platform).check(password, user.password_hash if user and usable else None)
    if user is None or not right:
        who = Who(f"user:{user.id}" if user else "anonymous", address)
        async with platform.database.system() as session:
            await audit.record(
                session, who, "session.refused", tenant_id=None, target=("user", user and user.id)
            )
        raise _unfitting()
    async with platform.database.system() as session:
        if not await _still_fits(session, user):
            raise _unfitting()
        await attempts.forget(session, subject)
        begun = await challenges.begin(session, user, Proof(("password",)), Origin(address, agent))
    return await handed_out(platform, user, begun)


async def _still_fits(session: AsyncSession, user: User) -> bool:
    """Look again, under the account's lock: while a password was checked, another may have taken its place.

    Whoever gives it another one waits, and then ends the session that is begun now with all the others.
    """
    wanted = select(User.id).where(
        User.id == user.id, User.password_hash == user.password_hash, User.disabled_at.is_(None)
    )
    return await session.scalar(wanted.with_for_update(read=True)) is not None


async def handed_out(platform: Platform, user: User, begun: Started | Challenge) -> SignedIn | Challenge:
    """Return what the caller gets of what was begun, once its transaction is committed."""
    if isinstance(begun, Challenge):
        return begun
    return await sessions.hand_out(platform, user, begun)


async def refresh(platform: Platform, token: str | None, *, address: str | None) -> SignedIn:
    """Exchange a refresh token for a new pair.

    A token that comes a second time was copied, and whether by the thief or from him cannot be told: the
    whole family ends.

    Raises:
        Unauthenticated: There is no token, or it is not good, or not any more.
    """
    if token is None:
        raise Unauthenticated("There is no session to refresh. Sign in.")
    now = utcnow()
    replayed: UUID | None = None
    async with platform.database.system() as session:
        try:
            token_hash = read_refresh_token(token)
        except TokenRefused:
            raise _session_over() from None
        # One statement decides between two exchanges that race.
        session_id = await session.scalar(
            update(RefreshToken)
            .where(RefreshToken.token_hash == token_hash, RefreshToken.used_at.is_(None))
            .values(used_at=now)
            .returning(RefreshToken.session_id)
        )
        if session_id is None:
            replayed = await session.scalar(
                select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash)
            )
            if replayed is None:
                raise _session_over()
            await sessions.end(session, replayed, "a refresh token was used twice", address)
        else:
            family, user = await _family(session, session_id)
            # A tenant may have come to want shorter sessions since this one began.
            family.expires_at = await sessions.longest_until(session, family)
            if family.ended_at is not None or family.expires_at <= now or user.disabled_at is not None:
                raise _session_over()
            family.last_used_at = now
            started = Started(family, await sessions.next_refresh_token(session, family.id))
    if replayed is not None:
        await authenticator(platform).revoke(f"session:{replayed}")
        raise _session_over()
    return await sessions.hand_out(platform, user, started)


async def sign_out(platform: Platform, token: str, *, address: str | None) -> None:
    """End the session that a refresh token belongs to; a token that is not good changes nothing."""
    try:
        token_hash = read_refresh_token(token)
    except TokenRefused:
        return
    async with platform.database.system() as session:
        session_id = await session.scalar(
            select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash)
        )
        if session_id is not None:
            await sessions.end(session, session_id, "signed out", address)
    if session_id is not None:
        await authenticator(platform).revoke(f"session:{session_id}")


async def change_password(
    platform: Platform, caller: Caller, *, current: str, new: str, address: str | None
) -> None:
    """Change the caller's own password and end their other sessions.

    Raises:
        Forbidden: The caller is a program, or the present password is wrong.
        Invalid: The new password would not last.
        RateLimited: The present password was guessed at too often.
    """
    if caller.user_id is None:
        raise Forbidden("An API key has no password. Sign in as a person.")
    async with platform.database.system() as session:
        user = (await session.scalars(select(User).where(User.id == caller.user_id))).one()
    subject = attempts.at_password(user.email)
    await attempts.count(platform, subject)
    if not await passwords(platform).check(current, user.password_hash):
        raise Invalid(
            "The present password is wrong.", errors=[FieldError("/current_password", "is not the password")]
        )
    refuse_weak(new, pointer="/new_password", not_like=[current, user.email])
    await refuse_breached(platform, new, pointer="/new_password")
    password_hash = await passwords(platform).hash(new)
    async with platform.database.system() as session:
        await attempts.forget(session, subject)
        # Only over the password that was checked: of two changes that race, one wins.
        changed = await session.scalar(
            update(User)
            .where(User.id == user.id, User.password_hash == user.password_hash)
            .values(password_hash=password_hash, must_change_password=False)
            .returning(User.id)
        )
        if changed is None:
            raise Invalid("The password was changed meanwhile. Sign in again.")
        await session.execute(delete(SignInChallenge).where(SignInChallenge.user_id == user.id))
        await sessions.end_all(
            session,
            RefreshSession.user_id == user.id,
            RefreshSession.id != caller.session_id,
            because="the password was changed",
        )
        who = Who(caller.actor, address)
        await audit.record(session, who, "password.changed", tenant_id=None, target=("user", user.id))
    await authenticator(platform).revoke(f"user:{user.id}")


async def _family(session: AsyncSession, session_id: UUID) -> tuple[RefreshSession, User]:
    row: Any = (
        await session.execute(
            select(RefreshSession, User)
            .join(User, User.id == RefreshSession.user_id)
            .where(RefreshSession.id == session_id)
        )
    ).one()
    return row[0], row[1]


def _unfitting() -> Unauthenticated:
    return Unauthenticated("The address and the password do not fit.")


def _session_over() -> Unauthenticated:
    return Unauthenticated("The session is over. Sign in again.")
