"""A person's second factors: an authenticator app, recovery codes, and what a code of theirs is good for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import attempts, audit, challenges, sessions, step_up, totp
from fettle.identity.audit import Who
from fettle.identity.authentication import Access, Caller, authenticator
from fettle.identity.mailing import FACTORS_RESET, queue_for_account
from fettle.identity.members import held_role
from fettle.identity.models import Membership, RefreshSession, User
from fettle.identity.models_people import PartnerMember
from fettle.identity.models_sign_in import Passkey, RecoveryCode, SignInChallenge, TotpFactor
from fettle.identity.partners import check_platform_admin
from fettle.identity.sessions import Origin, SignedIn
from fettle.identity.sign_in_policy import SECOND_FACTORS
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, Unauthenticated
from fettle.kernel.platform import Platform
from fettle.kernel.secrets import SecretBox

CodeMethod = Literal["totp", "recovery_code"]

_HELD: Final = tuple(sorted(SECOND_FACTORS - {"oidc_mfa"}))


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret at the one moment when it is shown.

    Attributes:
        secret: For typing into an authenticator app.
        uri: For its camera.
    """

    secret: str
    uri: str


@dataclass(frozen=True, slots=True)
class Security:
    """How an account signs in."""

    totp_enabled_at: datetime | None
    recovery_codes_left: int
    passkeys: Sequence[Passkey]
    password_changed_at: datetime
    has_password: bool


async def answer_challenge(
    platform: Platform, token: str, method: CodeMethod, code: str, origin: Origin
) -> SignedIn:
    """Finish a sign-in by a code.

    Raises:
        Unauthenticated: The challenge is not good, or not any more.
        Invalid: The code is not good; the challenge still is.
        RateLimited: There were too many codes for this account, in whichever sign-in.
    """
    async with platform.database.system() as session:
        pending = await challenges.look_up(session, token)
    user = pending.user
    subject = attempts.at_second_factor(user.id)
    await attempts.count(platform, subject)
    async with platform.database.system() as session:
        right = await take_code(platform, session, user.id, method, code)
        if right:
            await attempts.forget(session, subject)
            started = await challenges.finish(session, pending, method, origin)
        else:
            await _refused(session, Who(f"user:{user.id}", origin.address), user.id, method)
    if not right:
        raise wrong_code()
    return await sessions.hand_out(platform, user, started)


async def take_code(
    platform: Platform, session: AsyncSession, user_id: UUID, method: CodeMethod, code: str
) -> bool:
    """Use a code up, in the caller's transaction; of two that race with one code, one wins."""
    if method == "recovery_code":
        code_hash = totp.recovery_code_hash(user_id, code)
        used = await session.scalar(
            delete(RecoveryCode)
            .where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == code_hash)
            .returning(RecoveryCode.user_id)
        )
        return used is not None
    return await _take_totp(platform, session, user_id, code, confirmed=True)


async def confirm(
    platform: Platform, caller: Caller, *, password: str, code: str | None, address: str | None
) -> None:
    """Prove again who one is, for the changes that need a recent sign-in.

    Raises:
        Invalid: The password or the code is wrong, or a code is needed.
        RateLimited: There were too many attempts.
    """
    step_up.person(caller)
    await step_up.check_password(platform, caller, password)
    async with platform.database.system() as session:
        user = (await session.scalars(select(User).where(User.id == caller.user_id))).one()
        methods = await challenges.methods_of(session, user)
    if methods:
        await check_code(platform, user.id, code, address=address)
    async with platform.database.system() as session:
        await step_up.note_recent(session, caller)
        await audit.record(
            session, Who(caller.actor, address), "session.confirmed", tenant_id=None,
            target=("session", caller.session_id),
        )  # fmt: skip


async def check_code(platform: Platform, user_id: UUID, code: str | None, *, address: str | None) -> None:
    """Refuse a code that is neither of the person's app nor one of their recovery codes; a good one is used up.

    Raises:
        Invalid: It is missing or wrong.
        RateLimited: There were too many.
    """
    if code is None:
        raise Invalid(
            "This account has a second factor. Send a code of it, or a recovery code.",
            errors=[FieldError("/code", "is needed")],
        )
    subject = attempts.at_second_factor(user_id)
    await attempts.count(platform, subject)
    async with platform.database.system() as session:
        right = await take_code(platform, session, user_id, "totp", code) or await take_code(
            platform, session, user_id, "recovery_code", code
        )
        if right:
            await attempts.forget(session, subject)
        else:
            await _refused(session, Who(f"user:{user_id}", address), user_id, "code")
    if not right:
        raise wrong_code()


async def begin_totp(platform: Platform, caller: Caller, *, password: str | None) -> Enrolment:
    """Give a person a secret for their authenticator app; it counts for nothing until a code confirms it.

    Raises:
        Conflict: There is an app already.
        Forbidden: The caller cannot change how the account signs in.
    """
    step_up.person(caller)
    await step_up.refuse_stale(platform, caller, password)
    secret = totp.new_secret()
    sealed = SecretBox(platform.settings).encrypt(secret.encode(), _bound_to(_id_of(caller)))
    fresh = {"sealed_secret": sealed, "created_at": utcnow(), "last_step": 0}
    async with platform.database.system() as session:
        email = await session.scalar(select(User.email).where(User.id == caller.user_id))
        stored = await session.scalar(
            insert(TotpFactor)
            .values(user_id=caller.user_id, **fresh)
            .on_conflict_do_update(
                index_elements=["user_id"], set_=fresh, where=TotpFactor.confirmed_at.is_(None)
            )
            .returning(TotpFactor.user_id)
        )
        if stored is None:
            raise Conflict("This account has an authenticator app. Remove it first to add another.")
    return Enrolment(secret, totp.enrolment_uri(secret, email or ""))


async def confirm_totp(platform: Platform, caller: Caller, code: str, *, address: str | None) -> list[str]:
    """Turn the authenticator app on by a code of it, and return fresh recovery codes.

    Raises:
        Conflict: None waits to be confirmed.
        Invalid: The code is wrong.
        RateLimited: There were too many codes.
    """
    step_up.person(caller)
    user_id = _id_of(caller)
    subject = attempts.at_second_factor(user_id)
    await attempts.count(platform, subject)
    async with platform.database.system() as session:
        waits = await session.scalar(
            select(TotpFactor.user_id).where(TotpFactor.user_id == user_id, TotpFactor.confirmed_at.is_(None))
        )
        if waits is None:
            raise Conflict("No authenticator app waits for its code. Begin with POST /api/v1/me/totp.")
        if not await _take_totp(platform, session, user_id, code, confirmed=False):
            raise wrong_code()
        await session.execute(
            update(TotpFactor).where(TotpFactor.user_id == user_id).values(confirmed_at=utcnow())
        )
        await attempts.forget(session, subject)
        codes = await renew_codes(session, user_id)
        await proved(session, caller, "totp")
        who = Who(caller.actor, address)
        await audit.record(session, who, "totp.enabled", tenant_id=None, target=("user", user_id))
        ended = await end_unproved(session, caller)
    await authenticator(platform).revoke(*(f"session:{one}" for one in (caller.session_id, *ended)))
    return codes


async def disable_totp(
    platform: Platform, caller: Caller, *, password: str | None, code: str, address: str | None
) -> None:
    """Remove the authenticator app, by a code of it or a recovery code.

    Raises:
        NotFound: There is none.
        Invalid: The code or the password is wrong.
    """
    step_up.person(caller)
    await step_up.refuse_stale(platform, caller, password)
    user_id = _id_of(caller)
    await check_code(platform, user_id, code, address=address)
    async with platform.database.system() as session:
        removed = await session.scalar(
            delete(TotpFactor).where(TotpFactor.user_id == user_id).returning(TotpFactor.user_id)
        )
        if removed is None:
            raise NotFound("This account has no authenticator app.")
        who = Who(caller.actor, address)
        await audit.record(session, who, "totp.disabled", tenant_id=None, target=("user", user_id))
        await forget_proof(session, user_id)
    await authenticator(platform).revoke(f"user:{user_id}")


async def new_codes(
    platform: Platform, caller: Caller, *, password: str | None, address: str | None
) -> list[str]:
    """Replace the recovery codes.

    Raises:
        Conflict: There is no second factor that they would stand in for.
    """
    step_up.person(caller)
    await step_up.refuse_stale(platform, caller, password)
    user_id = _id_of(caller)
    async with platform.database.system() as session:
        user = (await session.scalars(select(User).where(User.id == user_id))).one()
        if not await challenges.methods_of(session, user):
            raise Conflict("Recovery codes stand in for a second factor. Add an app or a passkey first.")
        codes = await renew_codes(session, user_id)
        who = Who(caller.actor, address)
        await audit.record(session, who, "recovery_codes.renewed", tenant_id=None, target=("user", user_id))
    return codes


async def security_of(platform: Platform, caller: Caller) -> Security:
    """Return how the caller's account signs in.

    Raises:
        Forbidden: The caller is a program, or sees one tenant alone.
    """
    step_up.person(caller)
    async with platform.database.system() as session:
        user = (await session.scalars(select(User).where(User.id == caller.user_id))).one()
        enabled_at = await session.scalar(
            select(TotpFactor.confirmed_at).where(TotpFactor.user_id == caller.user_id)
        )
        codes = await session.scalar(
            select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == caller.user_id)
        )
        passkeys = (
            await session.scalars(
                select(Passkey).where(Passkey.user_id == caller.user_id).order_by(Passkey.id)
            )
        ).all()
    return Security(enabled_at, codes or 0, passkeys, user.password_changed_at, bool(user.password_hash))


async def reset(platform: Platform, access: Access, who: Who, user_id: UUID, *, reason: str) -> None:
    """Take every second factor from a member who has lost them, end the account's sessions, and tell them by mail.

    A tenant's administrator may do so where the account acts in this tenant alone: elsewhere it is not theirs.

    Args:
        platform: The process's parts.
        access: Whose wish it is, and in which tenant.
        who: The same, for the audit.
        user_id: The member.
        reason: Why, for the audit.

    Raises:
        NotFound: The tenant has no such member.
        Forbidden: It is the caller's own account, one that can do what the caller cannot, or one that acts
            elsewhere, too.
    """
    if user_id == access.user_id:
        raise Forbidden("Remove your own second factors under Security; it asks for a code of theirs.")
    async with platform.database.system() as session:
        await held_role(session, access, user_id)
        # Whoever makes it a member elsewhere meanwhile waits: a membership refers to the row.
        user = (await session.scalars(select(User).where(User.id == user_id).with_for_update())).one()
        if "platform:admin" not in access.permissions and await _acts_elsewhere(session, access, user):
            raise Forbidden(
                "This account does not act in this tenant alone. Ask a platform administrator to reset it."
            )
        await _take_away(session, user_id)
        await queue_for_account(session, FACTORS_RESET, user.email)
        await audit.record(
            session, who, "second_factor.reset", tenant_id=access.tenant_id, target=("user", user_id),
            after={"reason": reason},
        )  # fmt: skip
    await authenticator(platform).revoke(f"user:{user_id}")


async def reset_of_account(platform: Platform, caller: Caller, who: Who, account_id: UUID) -> None:
    """Take every second factor from an account whose owner has lost them, whether or not it has a tenant.

    Raises:
        Forbidden: The caller is no platform administrator.
        NotFound: There is no such account.
    """
    check_platform_admin(caller)
    async with platform.database.system() as session:
        email = await session.scalar(select(User.email).where(User.id == account_id))
        if email is None:
            raise NotFound("There is no such account.")
        await _take_away(session, account_id)
        await queue_for_account(session, FACTORS_RESET, email)
        await audit.record(session, who, "second_factor.reset", tenant_id=None, target=("user", account_id))
    await authenticator(platform).revoke(f"user:{account_id}")


async def renew_codes(session: AsyncSession, user_id: UUID) -> list[str]:
    """Replace a person's recovery codes in the caller's transaction, and return their texts."""
    codes = totp.new_recovery_codes()
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.add_all(
        RecoveryCode(code_hash=totp.recovery_code_hash(user_id, code), user_id=user_id) for code in codes
    )
    await session.flush()
    return codes


async def proved(session: AsyncSession, caller: Caller, method: str) -> None:
    """Note that the caller's session has shown a second factor by now."""
    await session.execute(
        update(RefreshSession)
        .where(RefreshSession.id == caller.session_id, ~RefreshSession.methods.contains([method]))
        .values(methods=func.array_append(RefreshSession.methods, method))
    )


async def end_unproved(session: AsyncSession, caller: Caller) -> Sequence[UUID]:
    """End the person's other sessions that showed no second factor: they began before there was one."""
    return await sessions.end_all(
        session,
        RefreshSession.user_id == caller.user_id,
        RefreshSession.id != caller.session_id,
        RefreshSession.within_tenant.is_(None),
        ~RefreshSession.methods.overlap(list(SECOND_FACTORS)),
        because="a second factor was added",
    )


async def forget_proof(session: AsyncSession, user_id: UUID) -> None:
    """Where no second factor is left, let no session go on as if it had one, and keep no recovery code."""
    user = (await session.scalars(select(User).where(User.id == user_id))).one()
    if await challenges.methods_of(session, user):
        return
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    methods = RefreshSession.methods
    for held in _HELD:
        await session.execute(
            update(RefreshSession)
            .where(RefreshSession.user_id == user_id, methods.contains([held]))
            .values(methods=func.array_remove(methods, held))
        )


async def _acts_elsewhere(session: AsyncSession, access: Access, user: User) -> bool:
    elsewhere = select(Membership.user_id).where(
        Membership.user_id == user.id, Membership.tenant_id != access.tenant_id
    )
    at_partner = select(PartnerMember.user_id).where(PartnerMember.user_id == user.id)
    found = await session.scalar(select(or_(elsewhere.exists(), at_partner.exists())))
    return user.is_platform_admin or bool(found)


async def _take_away(session: AsyncSession, user_id: UUID) -> None:
    for table in (TotpFactor, RecoveryCode, Passkey, SignInChallenge):
        await session.execute(delete(table).where(table.user_id == user_id))
    await sessions.end_all(
        session, RefreshSession.user_id == user_id, because="the second factors were reset"
    )


def wrong_code() -> Invalid:
    """Return the answer to a code that is not good, for whichever reason."""
    return Invalid(
        "The code is wrong, or was used already. Wait for the next one.",
        errors=[FieldError("/code", "is not good now")],
    )


async def _take_totp(
    platform: Platform, session: AsyncSession, user_id: UUID, code: str, *, confirmed: bool
) -> bool:
    state = TotpFactor.confirmed_at.is_not(None) if confirmed else TotpFactor.confirmed_at.is_(None)
    sealed = await session.scalar(
        select(TotpFactor.sealed_secret).where(TotpFactor.user_id == user_id, state)
    )
    if sealed is None:
        return False
    secret = SecretBox(platform.settings).decrypt(sealed, _bound_to(user_id)).decode()
    step = totp.step_of(code, secret, utcnow())
    if step is None:
        return False
    # A step is good once: the database decides between two codes of it that race.
    taken = await session.scalar(
        update(TotpFactor)
        .where(TotpFactor.user_id == user_id, state, TotpFactor.last_step < step)
        .values(last_step=step)
        .returning(TotpFactor.user_id)
    )
    return taken is not None


async def _refused(session: AsyncSession, who: Who, user_id: UUID, method: str) -> None:
    await audit.record(
        session,
        who,
        "second_factor.refused",
        tenant_id=None,
        target=("user", user_id),
        after={"method": method},
    )


def _bound_to(user_id: UUID) -> bytes:
    return f"totp_factors:{user_id}".encode()


def _id_of(caller: Caller) -> UUID:
    if caller.user_id is None:
        raise Unauthenticated("Sign in as a person.")
    return caller.user_id
