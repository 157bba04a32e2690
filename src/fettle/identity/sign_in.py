"""Signing in and out: passwords to sessions, and refresh tokens that rotate and end with a replay."""

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.lockout import Attempts, count_attempt
from fettle.identity.models import LoginAttempt, RefreshSession, RefreshToken, User
from fettle.identity.passwords import Passwords, refuse_weak
from fettle.identity.tokens import (
    ACCESS_LIFETIME,
    REFRESH_LIFETIME,
    TokenRefused,
    issue_access_token,
    new_refresh_token,
    read_refresh_token,
)
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import FieldError, Forbidden, Invalid, RateLimited, Unauthenticated
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

_AGENT_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in or a refresh gives.

    Attributes:
        access_token: For the header ``Authorization``.
        expires_in: Seconds until it must be refreshed.
        refresh_token: For the cookie; good once.
        refresh_expires_at: When the session ends by itself.
        must_change_password: Whether nothing else may be done first.
    """

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_at: datetime
    must_change_password: bool


def passwords(platform: Platform) -> Passwords:
    """Return the process's password hasher."""
    found = platform.parts.get("identity.passwords")
    if not isinstance(found, Passwords):
        found = platform.parts["identity.passwords"] = Passwords()
    return found


def normal_email(email: str) -> str:
    """Return an address in the one form in which it is stored and compared."""
    return email.strip().lower()


async def sign_in(
    platform: Platform, email: str, password: str, *, address: str | None, agent: str | None
) -> SignedIn:
    """Sign a person in.

    An unknown address, a disabled account and a wrong password take the same path, do the same work and
    get the same answer.

    Raises:
        Unauthenticated: The address and the password do not fit.
        RateLimited: There were too many attempts on this address, whether it has an account or not.
    """
    email = normal_email(email)
    await _count(platform, email)
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
        raise Unauthenticated("The address and the password do not fit.")
    now = utcnow()
    async with platform.database.system() as session:
        await _forget_attempts(session, email)
        family = RefreshSession(
            id=new_id(),
            user_id=user.id,
            address=address,
            agent=agent[:_AGENT_CHARS] if agent else None,
            expires_at=now + REFRESH_LIFETIME,
        )
        session.add(family)
        await session.flush()
        refresh_token = await _next_refresh_token(session, family.id)
        who = Who(f"user:{user.id}", address)
        await audit.record(session, who, "session.started", tenant_id=None, target=("session", family.id))
    return await _signed_in(platform, user, family, refresh_token, now)


async def refresh(platform: Platform, token: str, *, address: str | None) -> SignedIn:
    """Exchange a refresh token for a new pair.

    A token that comes a second time was copied, and whether by the thief or from him cannot be told: the
    whole family ends.

    Raises:
        Unauthenticated: The token is not good, or not any more.
    """
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
            await _end_session(session, replayed, "a refresh token was used twice", address)
        else:
            family, user = await _family(session, session_id)
            if family.ended_at is not None or family.expires_at <= now or user.disabled_at is not None:
                raise _session_over()
            refresh_token = await _next_refresh_token(session, family.id)
    if replayed is not None:
        await authenticator(platform).revoke(f"session:{replayed}")
        raise _session_over()
    return await _signed_in(platform, user, family, refresh_token, now)


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
            await _end_session(session, session_id, "signed out", address)
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
    await _count(platform, user.email)
    if not await passwords(platform).check(current, user.password_hash):
        raise Invalid(
            "The present password is wrong.", errors=[FieldError("/current_password", "is not the password")]
        )
    refuse_weak(new, pointer="/new_password", not_like=[current, user.email])
    password_hash = await passwords(platform).hash(new)
    async with platform.database.system() as session:
        await _forget_attempts(session, user.email)
        # Only over the password that was checked: of two changes that race, one wins.
        changed = await session.scalar(
            update(User)
            .where(User.id == user.id, User.password_hash == user.password_hash)
            .values(password_hash=password_hash, must_change_password=False)
            .returning(User.id)
        )
        if changed is None:
            raise Invalid("The password was changed meanwhile. Sign in again.")
        await session.execute(
            update(RefreshSession)
            .where(
                RefreshSession.user_id == user.id,
                RefreshSession.id != caller.session_id,
                RefreshSession.ended_at.is_(None),
            )
            .values(ended_at=utcnow(), ended_because="the password was changed")
        )
        who = Who(caller.actor, address)
        await audit.record(session, who, "password.changed", tenant_id=None, target=("user", user.id))
    await authenticator(platform).revoke(f"user:{user.id}")


async def _count(platform: Platform, email: str) -> None:
    """Count an attempt, in a transaction of its own that commits before the password is looked at."""
    subject = _subject(email)
    now = utcnow()
    async with platform.database.system() as session:
        await session.execute(insert(LoginAttempt).values(subject=subject).on_conflict_do_nothing())
        row = (
            await session.scalars(
                select(LoginAttempt).where(LoginAttempt.subject == subject).with_for_update()
            )
        ).one()
        counted, wait = count_attempt(Attempts(row.failures, row.last_at, row.locked_until), now)
        row.failures, row.last_at, row.locked_until = counted.failures, counted.last_at, counted.locked_until
        await session.flush()
    if wait is not None:
        raise _too_often(wait)


def _too_often(wait: timedelta) -> RateLimited:
    seconds = math.ceil(wait.total_seconds())
    return RateLimited(
        f"There were too many attempts on this address. Try again in {seconds} seconds.",
        retry_after_seconds=seconds,
    )


async def _forget_attempts(session: AsyncSession, email: str) -> None:
    await session.execute(delete(LoginAttempt).where(LoginAttempt.subject == _subject(email)))


def _subject(email: str) -> bytes:
    # What is typed here by mistake may be a password: only its hash is stored.
    return hashlib.sha256(email.encode()).digest()


async def _family(session: AsyncSession, session_id: UUID) -> tuple[RefreshSession, User]:
    row: Any = (
        await session.execute(
            select(RefreshSession, User)
            .join(User, User.id == RefreshSession.user_id)
            .where(RefreshSession.id == session_id)
        )
    ).one()
    return row[0], row[1]


async def _next_refresh_token(session: AsyncSession, session_id: UUID) -> str:
    token, token_hash = new_refresh_token()
    session.add(RefreshToken(token_hash=token_hash, session_id=session_id))
    await session.flush()
    return token


async def _end_session(session: AsyncSession, session_id: UUID, because: str, address: str | None) -> None:
    user_id = await session.scalar(
        update(RefreshSession)
        .where(RefreshSession.id == session_id, RefreshSession.ended_at.is_(None))
        .values(ended_at=utcnow(), ended_because=because)
        .returning(RefreshSession.user_id)
    )
    if user_id is not None:
        who = Who(f"user:{user_id}", address)
        await audit.record(
            session,
            who,
            "session.ended",
            tenant_id=None,
            target=("session", session_id),
            after={"because": because},
        )


async def _signed_in(
    platform: Platform, user: User, family: RefreshSession, refresh_token: str, now: datetime
) -> SignedIn:
    key = await authenticator(platform).keys.private()
    return SignedIn(
        access_token=issue_access_token(key, user_id=user.id, session_id=family.id, now=now),
        expires_in=int(ACCESS_LIFETIME.total_seconds()),
        refresh_token=refresh_token,
        refresh_expires_at=family.expires_at,
        must_change_password=user.must_change_password,
    )


def _session_over() -> Unauthenticated:
    return Unauthenticated("The session is over. Sign in again.")
