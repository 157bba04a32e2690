"""Calendar feeds: unguessable addresses that a person's calendar program asks, made, revoked, and answered.

Who knows the address may read it, so it is short of everything else: it reads alone, one person's view of one
tenant, as long as that person may see who is on call there. Of its secret the digest alone is kept.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.escalation import calendars, service
from fettle.healing.escalation.calendars import Part
from fettle.healing.escalation.models import OnCallFeed, OnCallSchedule
from fettle.identity.names import names_of, permissions_of_person
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.ratelimit import limiter_of

MOST: Final = 20
"""Most addresses of one person in one tenant."""

PER_MINUTE: Final = 60
"""How often one address may be asked."""

STRANGERS_PER_MINUTE: Final = 600
"""How often one machine may ask for addresses, whether there are such or not."""

BACK: Final = timedelta(days=7)
AHEAD: Final = timedelta(days=84)

_PREFIX: Final = "ftl_cal_"
_LOOK_UP: Final = """
SELECT f.id, f.tenant_id, f.user_id, f.whole, u.is_platform_admin FROM oncall_feeds f
JOIN users u ON u.id = f.user_id AND u.disabled_at IS NULL WHERE f.digest = $1
"""
_USED: Final = """
UPDATE oncall_feeds SET last_used_at = now()
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '5 minutes')
"""


@dataclass(frozen=True, slots=True)
class Made:
    """A new feed, and its secret, which is not kept."""

    feed: OnCallFeed
    secret: str


async def listed(
    session: AsyncSession, tenant_id: UUID, user_id: UUID | None, *, before: UUID | None, limit: int
) -> Sequence[OnCallFeed]:
    """Return feeds, newest first: one person's, or everybody's where no person is given."""
    query = select(OnCallFeed).where(OnCallFeed.tenant_id == tenant_id)
    if user_id is not None:
        query = query.where(OnCallFeed.user_id == user_id)
    if before is not None:
        query = query.where(OnCallFeed.id < before)
    return (await session.scalars(query.order_by(OnCallFeed.id.desc()).limit(limit))).all()


async def make(session: AsyncSession, tenant_id: UUID, user_id: UUID, name: str, *, whole: bool) -> Made:
    """Make a feed for a person.

    Raises:
        Conflict: The person has too many.
    """
    await hold_lock(await driver(session), "oncall_feeds", tenant_id, user_id)
    mine = (OnCallFeed.tenant_id == tenant_id, OnCallFeed.user_id == user_id)
    if (await session.scalar(select(func.count()).select_from(OnCallFeed).where(*mine)) or 0) >= MOST:
        raise Conflict(f"A person has at most {MOST} calendar addresses. Revoke one first.")
    secret = _PREFIX + secrets.token_urlsafe(32)
    values = {
        "id": new_id(),
        "tenant_id": tenant_id,
        "user_id": user_id,
        "name": name,
        "whole": whole,
        "digest": digest_of(secret),
    }
    feed = await session.scalar(insert(OnCallFeed).values(values).returning(OnCallFeed))
    assert feed is not None  # an insert returns its row
    return Made(feed, secret)


async def revoke(session: AsyncSession, tenant_id: UUID, feed_id: UUID, user_id: UUID | None) -> str:
    """End a feed at once, and return its name.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        feed_id: The feed.
        user_id: Whose it must be; anybody's where none is given.

    Raises:
        NotFound: There is no such feed, or it is somebody else's.
    """
    gone = delete(OnCallFeed).where(OnCallFeed.tenant_id == tenant_id, OnCallFeed.id == feed_id)
    if user_id is not None:
        gone = gone.where(OnCallFeed.user_id == user_id)
    name: str | None = await session.scalar(gone.returning(OnCallFeed.name))
    if name is None:
        raise NotFound("There is no such calendar address of yours.")
    return name


async def read(platform: Platform, secret: str, address: str | None) -> bytes:
    """Return the calendar that an address is for.

    Args:
        platform: The process's parts.
        secret: What stands in the address.
        address: Who asks, as far as is known.

    Raises:
        NotFound: There is no such address any more, or its person may no longer see who is on call.
        RateLimited: It is asked for too often.
    """
    digest = digest_of(secret)
    limiter = limiter_of(platform)
    await limiter.take(f"calendar-from:{address}", per_minute=STRANGERS_PER_MINUTE)
    async with platform.database.raw_system() as connection:
        row = await connection.fetchrow(_LOOK_UP, digest)
    if row is None:
        raise _unknown()
    await limiter.take(f"calendar:{row['id']}", per_minute=PER_MINUTE)
    tenant_id, user_id = UUID(int=row["tenant_id"].int), UUID(int=row["user_id"].int)
    async with platform.database.tenant(tenant_id) as session:
        may = await permissions_of_person(session, tenant_id, user_id)
        if "escalation:read" not in may and not row["is_platform_admin"]:
            raise _unknown()
        parts = await _parts(session, tenant_id, None if row["whole"] else user_id)
        wanted = {f"user:{span.person}" for part in parts for span in part.spans if span.person}
        names = await names_of(session, tenant_id, wanted)
    async with platform.database.raw_system() as connection:
        await connection.execute(_USED, row["id"])
    people = {UUID(actor.removeprefix("user:")): name for actor, name in names.items()}
    return calendars.write("On call", parts, people, utcnow())


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret; it is random, so that one round is enough."""
    return hashlib.sha256(secret.encode()).digest()


async def _parts(session: AsyncSession, tenant_id: UUID, person: UUID | None) -> list[Part]:
    """Return who is on call when by every schedule, or when one person is."""
    rows = await service.listed(session, OnCallSchedule, tenant_id, after=None, limit=service.MOST)
    now = utcnow().replace(second=0, microsecond=0)
    parts = []
    for row in rows:
        spans = service.looked_ahead(row.document, now - BACK, now + AHEAD)
        kept = spans if person is None else [span for span in spans if span.person == person]
        parts.append(Part(row.id, row.name, kept))
    return parts


def _unknown() -> NotFound:
    # The same whether it never was, was revoked, or its person has left: strangers learn nothing.
    return NotFound("There is no such calendar. It may have been revoked; make another one in the console.")
