"""Mails to people: queued in the transaction that wants them, sent after its commit, tried again until they go.

A row says what a mail is about and for whom, never what it says: the token of a link is made at the moment of
sending, and only its hash is kept. Tenants' jobs are not used: a mail about an account is no tenant's to see.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit, letters, links
from fettle.identity.audit import Who
from fettle.identity.letters import Letter
from fettle.identity.models import Tenant, User
from fettle.identity.models_people import Invitation, OutgoingMail, Partner
from fettle.kernel import mail
from fettle.kernel.clock import utcnow
from fettle.kernel.database import DATABASE_TROUBLE
from fettle.kernel.ids import new_id
from fettle.kernel.mail import MailRefused
from fettle.kernel.platform import Platform

INVITATION: Final = "invitation"
PASSWORD_RESET: Final = "password_reset"  # noqa: S105 - a kind of mail
PASSWORD_CHANGED: Final = "password_changed"  # noqa: S105 - as above
FACTORS_RESET: Final = "second_factors_reset"

INVITATION_DAYS: Final = 7
RESET_LIFETIME: Final = timedelta(minutes=30)
RESETS_PER_HOUR: Final = 3

_BATCH: Final = 20
_LEASE_SECONDS: Final = 120
_POLL_SECONDS: Final = 1.0
_WAITS: Final = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 3600, 7200, 14400))
_SENDER: Final = Who("system:mail")

# A row for nobody is taken and forgotten here: nothing else tells it from one for somebody.
_TAKE: Final = """
WITH due AS (
  SELECT id FROM outgoing_mails WHERE state = 'queued' AND due_at <= now() ORDER BY due_at LIMIT $2
  FOR UPDATE SKIP LOCKED
), nobodys AS (
  DELETE FROM outgoing_mails m USING due WHERE m.id = due.id AND m.user_id IS NULL AND m.invitation_id IS NULL
)
UPDATE outgoing_mails m SET owner = $1, attempts = attempts + 1, due_at = now() + make_interval(secs => $3)
FROM due WHERE m.id = due.id AND (m.user_id IS NOT NULL OR m.invitation_id IS NOT NULL)
RETURNING m.id, m.kind, m.invitation_id, m.user_id, m.attempts, m.created_at
"""
_FINISH: Final = (
    "UPDATE outgoing_mails SET state = $3, error = $4, finished_at = now(), owner = NULL "
    "WHERE id = $1 AND owner = $2 AND state = 'queued'"
)
_AGAIN: Final = "UPDATE outgoing_mails SET due_at = $3, error = $4, owner = NULL WHERE id = $1 AND owner = $2"

log = structlog.get_logger("fettle.mail")


@dataclass(frozen=True, slots=True)
class Taken:
    """A queued mail that this process has taken."""

    id: UUID
    kind: str
    invitation_id: UUID | None
    user_id: UUID | None
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Ready:
    """A mail as it is sent now, and the token in it."""

    to: str
    letter: Letter
    token: str | None


async def queue_invitation(session: AsyncSession, invitation_id: UUID) -> None:
    """Queue the mail of an invitation in the caller's transaction, of the system."""
    await session.execute(
        insert(OutgoingMail).values(id=new_id(), kind=INVITATION, invitation_id=invitation_id)
    )


async def queue_for_account(session: AsyncSession, kind: str, email: str) -> None:
    """Queue a mail to the account of an address in the caller's transaction, of the system.

    One statement, which does the same where there is no such account: the row is then nobody's.
    """
    account = select(User.id).where(User.email == email, User.disabled_at.is_(None)).scalar_subquery()
    await session.execute(
        insert(OutgoingMail).from_select(
            ["id", "kind", "user_id"], select(literal(new_id()), literal(kind), account)
        )
    )


async def deliver_mail(platform: Platform) -> None:
    """Send what is due until cancelled; several processes share the work."""
    while True:
        try:
            sent = await deliver_due(platform)
        except DATABASE_TROUBLE as error:
            log.warning("mail.interrupted", error=type(error).__name__)
            sent = 0
        except Exception:  # a queue that stops in silence is worse than any error that it could have
            log.exception("mail.delivery_failed")
            sent = 0
        if sent == 0:
            await asyncio.sleep(_POLL_SECONDS)


async def deliver_due(platform: Platform) -> int:
    """Send what is due now, at most a batch; returns how many mails were looked at."""
    owner = new_id()
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(_TAKE, owner, _BATCH, float(_LEASE_SECONDS))
    async with asyncio.TaskGroup() as group:
        for row in rows:
            group.create_task(_deliver(platform, owner, Taken(*row.values())))
    return len(rows)


async def _deliver(platform: Platform, owner: UUID, taken: Taken) -> None:
    try:
        await _send(platform, owner, taken)
    except DATABASE_TROUBLE:
        raise
    except Exception as error:  # one that cannot be written must not hold up the others
        log.exception("mail.broken", mail=str(taken.id), kind=taken.kind)
        refused = MailRefused(f"it could not be written: {type(error).__name__}", permanent=False)
        await _try_again(platform, owner, taken, None, refused)


async def _send(platform: Platform, owner: UUID, taken: Taken) -> None:
    async with platform.database.system() as session:
        ready = await _PREPARE[taken.kind](platform, session, taken)
    if ready is None or platform.settings.smtp_url is None:
        await _give_up(platform, owner, taken, ready)
        return
    letter = ready.letter
    try:
        await mail.send(
            platform.settings, mail.Mail(ready.to, letter.subject, letter.text, letter.html, str(taken.id))
        )
    except MailRefused as refused:
        await _try_again(platform, owner, taken, ready, refused)
        return
    async with platform.database.raw_system() as connection:
        await connection.execute(_FINISH, taken.id, owner, "sent", None)
    log.info("mail.sent", mail=str(taken.id), kind=taken.kind, attempt=taken.attempts)


async def _give_up(platform: Platform, owner: UUID, taken: Taken, ready: Ready | None) -> None:
    """Drop a mail that is not wanted any more, or that cannot be sent because no mail server is set."""
    if ready is not None:
        log.warning("mail.not_set_up", mail=str(taken.id), kind=taken.kind)
        await _forget_token(platform, ready)
    error = "it is not wanted any more" if ready is None else "no mail server is set up"
    async with platform.database.raw_system() as connection:
        await connection.execute(_FINISH, taken.id, owner, "failed", error)


async def _try_again(
    platform: Platform, owner: UUID, taken: Taken, ready: Ready | None, refused: MailRefused
) -> None:
    wait = _WAITS[taken.attempts - 1] if taken.attempts <= len(_WAITS) else None
    if (
        wait is not None
        and taken.kind == PASSWORD_RESET
        and utcnow() + wait > taken.created_at + RESET_LIFETIME
    ):
        wait = None
    log.warning(
        "mail.refused",
        mail=str(taken.id),
        kind=taken.kind,
        attempt=taken.attempts,
        reason=refused.reason,
        permanent=refused.permanent,
    )
    # Where the connection broke at the very end the mail may have gone; its link then says that it is not good.
    await _forget_token(platform, ready)
    if wait is not None and not refused.permanent:
        async with platform.database.raw_system() as connection:
            await connection.execute(_AGAIN, taken.id, owner, utcnow() + wait, refused.reason)
        return
    async with platform.database.raw_system() as connection:
        await connection.execute(_FINISH, taken.id, owner, "failed", refused.reason)
    async with platform.database.system() as session:
        await _record_failure(session, taken, refused.reason)


async def _record_failure(session: AsyncSession, taken: Taken, reason: str) -> None:
    tenant_id = None
    if taken.invitation_id is not None:
        tenant_id = await session.scalar(
            select(Invitation.tenant_id).where(Invitation.id == taken.invitation_id)
        )
    about = ("user", taken.user_id) if taken.invitation_id is None else ("invitation", taken.invitation_id)
    told = {"kind": taken.kind, "reason": reason, "attempts": taken.attempts}
    await audit.record(session, _SENDER, "mail.failed", tenant_id=tenant_id, target=about, after=told)


async def _forget_token(platform: Platform, ready: Ready | None) -> None:
    if ready is not None and ready.token is not None:
        async with platform.database.system() as session:
            await links.forget(session, ready.token)


async def _invitation(platform: Platform, session: AsyncSession, taken: Taken) -> Ready | None:
    row = (
        await session.execute(
            select(Invitation, func.coalesce(Tenant.name, Partner.name))
            .join(Tenant, Tenant.id == Invitation.tenant_id, isouter=True)
            .join(Partner, Partner.id == Invitation.partner_id, isouter=True)
            .where(
                Invitation.id == taken.invitation_id,
                Invitation.accepted_at.is_(None),
                Invitation.revoked_at.is_(None),
                Invitation.expires_at > utcnow(),
            )
            # It must not be revoked between the look at it and the token.
            .with_for_update(of=Invitation)
        )
    ).one_or_none()
    if row is None:
        return None
    invitation, place = row
    token = await links.mint(session, invitation_id=invitation.id, expires_at=invitation.expires_at)
    letter = letters.invitation(
        place=place,
        inviter=await _name_of(session, invitation.invited_by),
        role=invitation.role,
        link=links.address_of(platform.settings, "invitation", token),
        days=INVITATION_DAYS,
    )
    return Ready(invitation.email, letter, token)


async def _password_reset(platform: Platform, session: AsyncSession, taken: Taken) -> Ready | None:
    now = utcnow()
    user = await _account(session, taken)
    lately = await session.scalar(
        select(func.count()).where(
            OutgoingMail.user_id == taken.user_id,
            OutgoingMail.kind == PASSWORD_RESET,
            OutgoingMail.state == "sent",
            OutgoingMail.finished_at > now - timedelta(hours=1),
        )
    )
    too_late = now > taken.created_at + RESET_LIFETIME
    if user is None or too_late or (lately or 0) >= RESETS_PER_HOUR:
        return None
    token = await links.mint(session, user_id=user.id, expires_at=now + RESET_LIFETIME)
    if taken.attempts == 1:
        await audit.record(
            session, _SENDER, "password.reset_asked_for", tenant_id=None, target=("user", user.id)
        )
    link = links.address_of(platform.settings, "reset-password", token)
    minutes = int(RESET_LIFETIME.total_seconds()) // 60
    return Ready(user.email, letters.password_reset(link=link, minutes=minutes), token)


async def _password_changed(platform: Platform, session: AsyncSession, taken: Taken) -> Ready | None:
    user = await _account(session, taken)
    if user is None:
        return None
    letter = letters.password_changed(console=links.console_address(platform.settings))
    return Ready(user.email, letter, None)


async def _factors_reset(platform: Platform, session: AsyncSession, taken: Taken) -> Ready | None:
    user = await _account(session, taken)
    if user is None:
        return None
    letter = letters.second_factors_reset(console=links.console_address(platform.settings))
    return Ready(user.email, letter, None)


async def _account(session: AsyncSession, taken: Taken) -> User | None:
    return await session.scalar(
        select(User).where(User.id == taken.user_id, User.disabled_at.is_(None)).with_for_update()
    )


async def _name_of(session: AsyncSession, actor: str) -> str | None:
    kind, _, id_ = actor.partition(":")
    if kind != "user":
        return None
    name: str | None = await session.scalar(select(User.name).where(User.id == UUID(id_)))
    return name


_PREPARE: Final[dict[str, Callable[[Platform, AsyncSession, Taken], Coroutine[Any, Any, Ready | None]]]] = {
    INVITATION: _invitation,
    PASSWORD_RESET: _password_reset,
    PASSWORD_CHANGED: _password_changed,
    FACTORS_RESET: _factors_reset,
}
