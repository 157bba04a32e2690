"""Attempts on secrets, counted in the database before the secret is looked at."""

import hashlib
import math
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.lockout import Attempts, count_attempt
from fettle.identity.models import LoginAttempt
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import RateLimited
from fettle.kernel.platform import Platform


def at_password(email: str) -> bytes:
    """Return under what attempts on the password of an address are counted.

    Args:
        email: In its normal form; what is typed by mistake may be a password, so only its hash is stored.
    """
    return hashlib.sha256(email.encode()).digest()


def at_second_factor(user_id: UUID) -> bytes:
    """Return under what attempts on a person's codes are counted, whichever sign-in they belong to."""
    return hashlib.sha256(b"second factor\0" + user_id.bytes).digest()


async def count(platform: Platform, subject: bytes) -> None:
    """Count an attempt, in a transaction of its own that commits before the secret is looked at.

    Raises:
        RateLimited: There were too many; this one is not made.
    """
    now = utcnow()
    async with platform.database.system() as session:
        # Insert or lock in one statement: a right attempt beside this one may delete the row at any moment.
        own = insert(LoginAttempt).values(subject=subject)
        row = (
            await session.scalars(
                own.on_conflict_do_update(
                    index_elements=["subject"], set_={"failures": LoginAttempt.failures}
                ).returning(LoginAttempt)
            )
        ).one()
        counted, wait = count_attempt(Attempts(row.failures, row.last_at, row.locked_until), now)
        row.failures, row.last_at, row.locked_until = counted.failures, counted.last_at, counted.locked_until
        await session.flush()
    if wait is not None:
        raise _too_often(wait)


async def forget(session: AsyncSession, subject: bytes) -> None:
    """Forget the attempts: the last one was right."""
    await session.execute(delete(LoginAttempt).where(LoginAttempt.subject == subject))


def _too_often(wait: timedelta) -> RateLimited:
    seconds = math.ceil(wait.total_seconds())
    return RateLimited(
        f"There were too many attempts on this address. Try again in {seconds} seconds.",
        retry_after_seconds=seconds,
    )
