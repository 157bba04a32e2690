"""Sign-ins in two halves: after the first, a challenge that is short-lived, for one person, and used once."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import sessions
from fettle.identity.models import User
from fettle.identity.models_sign_in import Passkey, RecoveryCode, SignInChallenge, TotpFactor
from fettle.identity.sessions import Origin, Proof, Started
from fettle.identity.sign_in_policy import SECOND_FACTORS
from fettle.identity.tokens import hash_secret
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Unauthenticated

LIFETIME: Final = timedelta(minutes=5)
_PREFIX: Final = "ftc_"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What stands between the first half of a sign-in and a session.

    Attributes:
        token: Names the half that is done; of use to nobody without the other half.
        methods: How the other half can be done.
        expires_in: Seconds until it must be begun anew.
    """

    token: str
    methods: tuple[str, ...]
    expires_in: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A challenge that is still good, and whose it is."""

    token_hash: bytes
    user: User
    proof: Proof


async def begin(session: AsyncSession, user: User, proof: Proof, origin: Origin) -> Started | Challenge:
    """Begin a session where enough is proved, and otherwise ask for the second half.

    An account that has a second factor is asked for it, whatever its tenants' policies say.
    """
    if SECOND_FACTORS.isdisjoint(proof.methods):
        methods = await methods_of(session, user)
        if methods:
            return await _issue(session, user, proof, methods)
    return await sessions.start(session, user, proof, origin)


async def methods_of(session: AsyncSession, user: User) -> tuple[str, ...]:
    """Return the second factors that a person has, ``recovery_code`` only beside another."""
    row = (
        await session.execute(
            select(
                exists().where(TotpFactor.user_id == user.id, TotpFactor.confirmed_at.is_not(None)),
                exists().where(Passkey.user_id == user.id),
                exists().where(RecoveryCode.user_id == user.id),
            )
        )
    ).one()
    has_totp, has_passkey, has_codes = row
    if not has_totp and not has_passkey:
        return ()
    present = {"totp": has_totp, "passkey": has_passkey, "recovery_code": has_codes}
    return tuple(method for method, is_there in present.items() if is_there)


async def look_up(session: AsyncSession, token: str) -> Pending:
    """Return a challenge that is still good, without using it.

    Raises:
        Unauthenticated: It is not, or the account was disabled or got another password meanwhile.
    """
    token_hash = hash_secret(token)
    found = (
        await session.execute(
            select(SignInChallenge, User)
            .join(User, User.id == SignInChallenge.user_id)
            .where(
                SignInChallenge.token_hash == token_hash,
                SignInChallenge.expires_at > utcnow(),
                User.disabled_at.is_(None),
            )
        )
    ).one_or_none()
    if found is None:
        raise over()
    challenge, user = found
    if "password" in challenge.methods and challenge.created_at < user.password_changed_at:
        raise over()
    return Pending(token_hash, user, Proof(tuple(challenge.methods), challenge.within_tenant))


async def finish(session: AsyncSession, pending: Pending, method: str, origin: Origin) -> Started:
    """Use a challenge up and begin its session; the caller's transaction is given up where another was faster.

    Raises:
        Unauthenticated: It was used meanwhile.
    """
    used = await session.scalar(
        delete(SignInChallenge)
        .where(SignInChallenge.token_hash == pending.token_hash)
        .returning(SignInChallenge.user_id)
    )
    if used is None:
        raise over()
    proof = Proof((*pending.proof.methods, method), pending.proof.within_tenant)
    return await sessions.start(session, pending.user, proof, origin)


def over() -> Unauthenticated:
    """Return the one answer to a challenge that is not good, for whichever reason."""
    return Unauthenticated("This sign-in took too long, or was finished already. Begin it again.")


async def _issue(session: AsyncSession, user: User, proof: Proof, methods: tuple[str, ...]) -> Challenge:
    token = _PREFIX + secrets.token_urlsafe(32)
    now = utcnow()
    session.add(
        SignInChallenge(
            token_hash=hash_secret(token),
            user_id=user.id,
            methods=list(proof.methods),
            within_tenant=proof.within_tenant,
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    await session.flush()
    return Challenge(token, methods, int(LIFETIME.total_seconds()))
