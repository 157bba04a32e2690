"""Invitations into a tenant or a partner: made, mailed anew, revoked; who accepts one is in `accepting`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit, links, mailing
from fettle.identity.audit import Who
from fettle.identity.authentication import Access, Caller
from fettle.identity.models import Membership, User
from fettle.identity.models_people import Invitation, LinkToken, OutgoingMail, Partner, PartnerMember
from fettle.identity.partners import check_at, check_role
from fettle.identity.passwords import normal_email
from fettle.identity.roles import check_may_give, check_within, lock_role
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound, RateLimited
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

LIFETIME: Final = timedelta(days=mailing.INVITATION_DAYS)
A_DAY_AT_MOST: Final = 200
"""How many people one tenant, or one partner, may invite in a day."""

MAILS_AN_HOUR: Final = 5
"""How many mails one invitation may send."""

_HOUR_SECONDS: Final = 3600
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is invited to: one of the two."""

    tenant_id: UUID | None = None
    partner_id: UUID | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        """Return what holds for the invitations into this place."""
        if self.tenant_id is not None:
            return Invitation.tenant_id == self.tenant_id
        return and_(Invitation.partner_id == self.partner_id, Invitation.tenant_id.is_(None))


@dataclass(frozen=True, slots=True)
class Shown:
    """An invitation as those see it who may invite.

    Attributes:
        delivery: How its last mail fared: ``queued``, ``sent``, ``failed``, or ``none`` where none was sent.
        delivery_error: Why it failed, or why it is tried again.
    """

    id: UUID
    email: str
    name: str | None
    role: str
    invited_by: str
    created_at: datetime
    expires_at: datetime
    delivery: str
    delivery_error: str | None


@dataclass(frozen=True, slots=True)
class Issued:
    """An invitation that was just made or renewed; with its link where nothing could be mailed."""

    invitation: Shown
    mailed: bool
    link: str | None


async def list_invitations(
    session: AsyncSession, place: Place, *, after: UUID | None, limit: int
) -> list[Shown]:
    """Return the invitations into a place that wait for an answer, newest first.

    Args:
        session: With the tenant bound, or of the system for a partner.
        place: Where to.
        after: The last id of the page before.
        limit: How many at most.
    """
    return await _read(session, place, after=after, limit=limit)


class Host(ABC):
    """Somebody who may invite into a place, and what they may there.

    Attributes:
        place: Where to.
    """

    place: Place

    @abstractmethod
    async def check_may_give(self, session: AsyncSession, role: str) -> None:
        """Refuse a role that is not there, or that can do what the host cannot.

        Raises:
            Invalid: There is no such role.
            Forbidden: It holds more than the host does.
        """

    @abstractmethod
    async def check_may_revoke(self, session: AsyncSession, role: str) -> None:
        """Refuse to touch an invitation to a role that can do what the host cannot.

        Raises:
            Forbidden: It holds more than the host does.
        """

    @abstractmethod
    async def check_is_new(self, session: AsyncSession, email: str) -> None:
        """Refuse to invite somebody who is there already.

        Raises:
            NotFound: There is no such place for the host.
            Conflict: They are.
        """


class OfTenant(Host):
    """A caller in their tenant."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.place = Place(tenant_id=access.tenant_id)

    async def check_may_give(self, session: AsyncSession, role: str) -> None:
        """Refuse it by the tenant's roles, which stay what they are until the transaction has ended."""
        await lock_role(session, self._access.tenant_id, role)
        await check_may_give(session, self._access, role)

    async def check_may_revoke(self, session: AsyncSession, role: str) -> None:
        """Refuse it by the tenant's roles; one that is gone stands in nobody's way."""
        await check_within(session, self._access, role)

    async def check_is_new(self, session: AsyncSession, email: str) -> None:
        """Refuse a member of the tenant.

        Raises:
            Conflict: They are one.
        """
        member = select(User.id).join(Membership, Membership.user_id == User.id)
        member = member.where(Membership.tenant_id == self._access.tenant_id, User.email == email)
        if await session.scalar(member) is not None:
            raise Conflict("They are a member of this tenant already. Change their role instead.")


class OfPartner(Host):
    """A caller at a partner, whose people have one role in each of its tenants.

    Raises:
        NotFound: There is no such partner for the caller.
        Forbidden: The caller may not invite there.
    """

    def __init__(self, caller: Caller, partner_id: UUID) -> None:
        self._held = check_at(caller, partner_id, "users:write")
        self._partner_id = partner_id
        self.place = Place(partner_id=partner_id)

    async def check_may_give(self, session: AsyncSession, role: str) -> None:  # noqa: ARG002 - the roles are built in
        """Refuse it by the built-in roles, of which alone the people of a partner have one."""
        check_role(self._held, role)

    async def check_may_revoke(self, session: AsyncSession, role: str) -> None:  # noqa: ARG002 - likewise
        """Refuse it likewise."""
        check_role(self._held, role)

    async def check_is_new(self, session: AsyncSession, email: str) -> None:
        """Refuse one of the partner's people.

        Raises:
            NotFound: The partner is gone.
            Conflict: They are one.
        """
        if await session.scalar(select(Partner.id).where(Partner.id == self._partner_id)) is None:
            raise NotFound("There is no such partner for this account.")
        member = select(User.id).join(PartnerMember, PartnerMember.user_id == User.id)
        member = member.where(PartnerMember.partner_id == self._partner_id, User.email == email)
        if await session.scalar(member) is not None:
            raise Conflict("They belong to this partner already. Change their role instead.")


async def invite(
    platform: Platform, host: Host, who: Who, *, email: str, name: str | None, role: str
) -> Issued:
    """Ask somebody to come; whether they have an account is not told.

    Raises:
        NotFound: There is no such place for the host.
        Invalid: There is no such role.
        Forbidden: The role can do what the host cannot.
        Conflict: They are there already, or invited already.
        RateLimited: Too many were invited today.
    """
    async with platform.database.system() as session:
        # One at a time, so that none is invited beyond what a day allows.
        await hold_lock(
            await driver(session), "invitations", str(host.place.tenant_id or host.place.partner_id)
        )
        await host.check_may_give(session, role)
        await host.check_is_new(session, normal_email(email))
        return await _invite(platform, session, host.place, who, email=email, name=name, role=role)


async def resend(platform: Platform, host: Host, who: Who, invitation_id: UUID) -> Issued:
    """Send a new link in place of those before, good for the whole time again.

    Raises:
        NotFound: The place has no such invitation that waits.
        Forbidden: Its role can do what the host cannot.
        RateLimited: It was sent too often within the hour.
    """
    async with platform.database.system() as session:
        found = await _pending(session, host.place, invitation_id)
        await host.check_may_give(session, found.role)
        return await _renew(platform, session, found, who)


async def revoke(platform: Platform, host: Host, who: Who, invitation_id: UUID) -> None:
    """Take an invitation back; its links are no longer good.

    Raises:
        NotFound: The place has no such invitation that waits.
        Forbidden: Its role can do what the host cannot.
    """
    async with platform.database.system() as session:
        found = await _pending(session, host.place, invitation_id)
        await host.check_may_revoke(session, found.role)
        await _revoke(session, found, who)


async def _invite(
    platform: Platform,
    session: AsyncSession,
    place: Place,
    who: Who,
    *,
    email: str,
    name: str | None,
    role: str,
) -> Issued:
    now = utcnow()
    email = normal_email(email)
    lately = await session.scalar(
        select(func.count()).where(place.condition, Invitation.created_at > now - timedelta(days=1))
    )
    if (lately or 0) >= A_DAY_AT_MOST:
        raise RateLimited(
            f"At most {A_DAY_AT_MOST} people can be invited in a day. Invite the others tomorrow.",
            retry_after_seconds=_DAY_SECONDS,
        )
    # One whose time is over no longer stands in the way of the next.
    await session.execute(
        update(Invitation)
        .where(
            place.condition,
            Invitation.email == email,
            Invitation.expires_at <= now,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
    made: Invitation | None = await session.scalar(
        insert(Invitation)
        .values(
            id=new_id(),
            tenant_id=place.tenant_id,
            partner_id=place.partner_id,
            email=email,
            name=name,
            role=role,
            invited_by=who.actor,
            expires_at=now + LIFETIME,
        )
        .on_conflict_do_nothing()
        .returning(Invitation)
    )
    if made is None:
        raise Conflict("They are invited already. Send that invitation again, or revoke it first.")
    await audit.record(
        session,
        who,
        "invitation.created",
        tenant_id=place.tenant_id,
        target=("invitation", made.id),
        after=_audited(made),
    )
    return await _send(platform, session, made)


async def _renew(platform: Platform, session: AsyncSession, found: Invitation, who: Who) -> Issued:
    now = utcnow()
    lately = await session.scalar(
        select(func.count()).where(
            OutgoingMail.invitation_id == found.id, OutgoingMail.created_at > now - timedelta(hours=1)
        )
    )
    if (lately or 0) >= MAILS_AN_HOUR:
        raise RateLimited(
            f"This invitation was sent {MAILS_AN_HOUR} times within the hour. Try again later.",
            retry_after_seconds=_HOUR_SECONDS,
        )
    found.expires_at = now + LIFETIME
    # Whoever sends it vouches for it: later it is asked whether they still may.
    found.invited_by = who.actor
    await session.flush()
    await session.execute(delete(LinkToken).where(LinkToken.invitation_id == found.id))
    await audit.record(
        session,
        who,
        "invitation.sent_again",
        tenant_id=found.tenant_id,
        target=("invitation", found.id),
        after=_audited(found),
    )
    return await _send(platform, session, found)


async def _send(platform: Platform, session: AsyncSession, invitation: Invitation) -> Issued:
    """Queue the mail, or hand the link to who invites where no mail server is set up."""
    mailed = platform.settings.smtp_url is not None
    link = None
    if mailed:
        await mailing.queue_invitation(session, invitation.id)
    else:
        token = await links.mint(session, invitation_id=invitation.id, expires_at=invitation.expires_at)
        link = links.address_of(platform.settings, "invitation", token)
    place = Place(invitation.tenant_id, invitation.partner_id)
    [shown] = await _read(session, place, only=invitation.id)
    return Issued(shown, mailed, link)


async def _revoke(session: AsyncSession, found: Invitation, who: Who) -> None:
    found.revoked_at = utcnow()
    await session.flush()
    await session.execute(delete(LinkToken).where(LinkToken.invitation_id == found.id))
    await audit.record(
        session,
        who,
        "invitation.revoked",
        tenant_id=found.tenant_id,
        target=("invitation", found.id),
        before=_audited(found),
    )


async def _pending(session: AsyncSession, place: Place, invitation_id: UUID) -> Invitation:
    found = await session.scalar(
        select(Invitation)
        .where(
            place.condition,
            Invitation.id == invitation_id,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .with_for_update()
    )
    if found is None:
        raise NotFound("There is no such invitation, or it was answered or revoked already.")
    return found


async def _read(
    session: AsyncSession,
    place: Place,
    *,
    only: UUID | None = None,
    after: UUID | None = None,
    limit: int = 1,
) -> list[Shown]:
    values = {
        "tenant_id": place.tenant_id,
        "partner_id": place.partner_id,
        "only": only,
        "after": after,
        "limit": limit,
    }
    return [Shown(*row) for row in await session.execute(_LIST, values)]


def _audited(invitation: Invitation) -> dict[str, object]:
    partner = None if invitation.partner_id is None else str(invitation.partner_id)
    return {"role": invitation.role, "email": invitation.email, "partner_id": partner}


_LIST: Final = text("""
SELECT i.id, i.email, i.name, i.role, i.invited_by, i.created_at, i.expires_at,
       coalesce(m.state, 'none') AS delivery, m.error AS delivery_error
FROM invitations i LEFT JOIN LATERAL (
  SELECT state, error FROM outgoing_mails WHERE invitation_id = i.id ORDER BY id DESC LIMIT 1
) m ON true
WHERE (i.tenant_id = :tenant_id OR (cast(:tenant_id AS uuid) IS NULL AND i.partner_id = :partner_id))
  AND i.accepted_at IS NULL AND i.revoked_at IS NULL
  AND (cast(:only AS uuid) IS NULL OR i.id = :only)
  AND (cast(:after AS uuid) IS NULL OR i.id < :after)
ORDER BY i.id DESC LIMIT :limit
""")
