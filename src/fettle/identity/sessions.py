"""Sessions: begun by a sign-in, listed and ended by their owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Caller, authenticator
from fettle.identity.models import Membership, RefreshSession, RefreshToken, User
from fettle.identity.models_sign_in import SignInPolicy
from fettle.identity.tokens import (
    ACCESS_LIFETIME,
    REFRESH_LIFETIME,
    issue_access_token,
    new_refresh_token,
)
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Forbidden, NotFound
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


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in comes from, as the list of sessions shows it.

    Attributes:
        address: Network address.
        agent: What the program calls itself.
    """

    address: str | None
    agent: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a sign-in has proved.

    Attributes:
        methods: Of ``password``, ``totp``, ``recovery_code``, ``passkey``, ``oidc``, ``oidc_mfa``.
        within_tenant: The one tenant that the session reaches, because that tenant's provider vouched for
            the person and no other tenant has agreed to trust it; None for every tenant of the account.
    """

    methods: tuple[str, ...]
    within_tenant: UUID | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A session at the one moment when its first refresh token is known."""

    family: RefreshSession
    refresh_token: str


async def start(session: AsyncSession, user: User, proof: Proof, origin: Origin) -> Started:
    """Begin a session, in the transaction that made sure of its proof."""
    now = utcnow()
    family = RefreshSession(
        id=new_id(),
        user_id=user.id,
        address=origin.address,
        agent=origin.agent[:_AGENT_CHARS] if origin.agent else None,
        methods=list(proof.methods),
        within_tenant=proof.within_tenant,
        created_at=now,
        authenticated_at=now,
        last_used_at=now,
        expires_at=now + REFRESH_LIFETIME,
    )
    family.expires_at = await longest_until(session, family)
    session.add(family)
    await session.flush()
    refresh_token = await next_refresh_token(session, family.id)
    who = Who(f"user:{user.id}", origin.address)
    await audit.record(
        session,
        who,
        "session.started",
        tenant_id=None,
        target=("session", family.id),
        after={"methods": list(proof.methods)},
    )
    return Started(family, refresh_token)


async def longest_until(session: AsyncSession, family: RefreshSession) -> datetime:
    """Return until when a session may last by the strictest of its tenants' policies."""
    wanted = select(func.min(SignInPolicy.session_hours))
    if family.within_tenant is not None:
        wanted = wanted.where(SignInPolicy.tenant_id == family.within_tenant)
    else:
        of_person = select(Membership.tenant_id).where(Membership.user_id == family.user_id)
        wanted = wanted.where(SignInPolicy.tenant_id.in_(of_person))
    hours = await session.scalar(wanted)
    if hours is None:
        return family.expires_at
    return min(family.expires_at, family.created_at + timedelta(hours=hours))


async def next_refresh_token(session: AsyncSession, session_id: UUID) -> str:
    """Add a refresh token to a session and return its text."""
    token, token_hash = new_refresh_token()
    session.add(RefreshToken(token_hash=token_hash, session_id=session_id))
    await session.flush()
    return token


async def hand_out(platform: Platform, user: User, started: Started) -> SignedIn:
    """Return what the caller gets of a session whose transaction was committed."""
    key = await authenticator(platform).keys.private()
    return SignedIn(
        access_token=issue_access_token(key, user_id=user.id, session_id=started.family.id, now=utcnow()),
        expires_in=int(ACCESS_LIFETIME.total_seconds()),
        refresh_token=started.refresh_token,
        refresh_expires_at=started.family.expires_at,
        must_change_password=user.must_change_password,
    )


async def list_sessions(
    platform: Platform, caller: Caller, *, after: UUID | None, limit: int
) -> Sequence[RefreshSession]:
    """Return the caller's sessions that are not over, newest first.

    Args:
        platform: The process's parts.
        caller: Whose; an identity provider's session sees those of its own tenant alone.
        after: The last id of the page before.
        limit: How many at most.

    Raises:
        Forbidden: The caller is a program.
    """
    wanted = select(RefreshSession).where(*_of(caller), RefreshSession.expires_at > utcnow())
    if after is not None:
        wanted = wanted.where(RefreshSession.id < after)
    async with platform.database.system() as session:
        return (await session.scalars(wanted.order_by(RefreshSession.id.desc()).limit(limit))).all()


async def end_session(platform: Platform, caller: Caller, session_id: UUID, *, address: str | None) -> None:
    """End one of the caller's sessions; its access tokens stop working at once.

    Raises:
        Forbidden: The caller is a program.
        NotFound: They have no such session.
    """
    async with platform.database.system() as session:
        mine = await session.scalar(
            select(RefreshSession.id).where(*_of(caller), RefreshSession.id == session_id)
        )
        if mine is None:
            raise NotFound("There is no such session, or it is over already.")
        await end(session, session_id, "ended by its owner", address)
    await authenticator(platform).revoke(f"session:{session_id}")


async def end_others(platform: Platform, caller: Caller, *, address: str | None) -> int:
    """End every session of the caller but the present one; returns how many there were.

    Raises:
        Forbidden: The caller is a program.
    """
    async with platform.database.system() as session:
        ended = await end_all(
            session, *_of(caller), RefreshSession.id != caller.session_id, because="ended by its owner"
        )
        who = Who(caller.actor, address)
        await audit.record(
            session,
            who,
            "session.others_ended",
            tenant_id=None,
            target=("user", caller.user_id),
            after={"ended": len(ended)},
        )
    await authenticator(platform).revoke(*(f"session:{one}" for one in ended))
    return len(ended)


async def end(session: AsyncSession, session_id: UUID, because: str, address: str | None) -> None:
    """End a session in the caller's transaction; revoke it after the commit."""
    user_id = await session.scalar(
        update(RefreshSession)
        .where(RefreshSession.id == session_id, RefreshSession.ended_at.is_(None))
        .values(ended_at=utcnow(), ended_because=because)
        .returning(RefreshSession.user_id)
    )
    if user_id is not None:
        await audit.record(
            session,
            Who(f"user:{user_id}", address),
            "session.ended",
            tenant_id=None,
            target=("session", session_id),
            after={"because": because},
        )


async def end_all(session: AsyncSession, *which: ColumnElement[bool], because: str) -> Sequence[UUID]:
    """End the sessions that meet every condition, and return their ids; revoke them after the commit."""
    return (
        await session.scalars(
            update(RefreshSession)
            .where(*which, RefreshSession.ended_at.is_(None))
            .values(ended_at=utcnow(), ended_because=because)
            .returning(RefreshSession.id)
        )
    ).all()


def _of(caller: Caller) -> list[ColumnElement[bool]]:
    if caller.user_id is None:
        raise Forbidden("An API key has no sessions. Sign in as a person.")
    conditions = [RefreshSession.user_id == caller.user_id, RefreshSession.ended_at.is_(None)]
    if caller.within_tenant is not None:
        conditions.append(RefreshSession.within_tenant == caller.within_tenant)
    return conditions
