"""API keys: made with a secret that is shown once, within what their maker may do, changed, rotated, revoked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Access, authenticator
from fettle.identity.models import ApiKey
from fettle.identity.permissions import KEY_SCOPES
from fettle.identity.tokens import new_api_key
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

EXPIRES_SOON: Final = timedelta(days=14)
"""So long before a key expires its tenant is warned."""


class KeyState(StrEnum):
    """Whether a key works."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key at the one moment when its text is known."""

    key: ApiKey
    text: str


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys are looked for; without a state, all that are not revoked.

    Attributes:
        words: Part of the name.
    """

    state: KeyState | None = None
    words: str | None = None


def state_of(key: ApiKey) -> KeyState:
    """Return whether a key works now."""
    now = utcnow()
    if key.revoked_at is not None:
        return KeyState.REVOKED
    if key.expires_at is None or key.expires_at > now + EXPIRES_SOON:
        return KeyState.ACTIVE
    return KeyState.EXPIRING if key.expires_at > now else KeyState.EXPIRED


async def create_api_key(
    session: AsyncSession,
    access: Access,
    who: Who,
    *,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> IssuedKey:
    """Make a key in the caller's tenant.

    Args:
        session: With the caller's tenant bound.
        access: The caller, who can give no more than they have.
        who: The caller, for the audit.
        name: What it is for.
        scopes: Its permissions.
        expires_at: When it stops working; None for never.

    Raises:
        Invalid: A scope is unknown, or the expiry is past.
        Forbidden: The caller does not hold a scope.
    """
    now = utcnow()
    if expires_at is not None and expires_at <= now:
        raise Invalid(
            "The expiry is past. Choose a later one.", errors=[FieldError("/expires_at", "is past")]
        )
    _check_scopes(access, scopes)
    new = new_api_key()
    key = ApiKey(
        id=new_id(),
        tenant_id=access.tenant_id,
        name=name,
        prefix=new.prefix,
        secret_hash=new.secret_hash,
        scopes=sorted(set(scopes)),
        created_by=access.actor,
        created_at=now,
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
        rotated_at=None,
        old_until=None,
    )
    session.add(key)
    await session.flush()
    await audit.record(
        session,
        who,
        "api_key.created",
        tenant_id=access.tenant_id,
        target=("api_key", key.id),
        after={**_told(key), "expires_at": None if expires_at is None else rfc3339(expires_at)},
    )
    return IssuedKey(key, new.text)


async def list_api_keys(
    session: AsyncSession, tenant_id: UUID, wanted: KeyFilter, *, after: UUID | None, limit: int
) -> Sequence[ApiKey]:
    """Return a tenant's keys, newest first.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        wanted: Which of them.
        after: The last id of the page before.
        limit: How many at most.
    """
    query = select(ApiKey).where(ApiKey.tenant_id == tenant_id, _in_state(wanted.state))
    if wanted.words is not None:
        query = query.where(func.strpos(func.lower(ApiKey.name), wanted.words.lower()) > 0)
    if after is not None:
        query = query.where(ApiKey.id < after)
    return (await session.scalars(query.order_by(ApiKey.id.desc()).limit(limit))).all()


async def change_api_key(
    platform: Platform,
    access: Access,
    who: Who,
    key_id: UUID,
    *,
    name: str | None,
    scopes: Sequence[str] | None,
) -> ApiKey:
    """Give a key another name or other scopes, in every process at once.

    Raises:
        Invalid: A scope is unknown.
        Forbidden: The key, before or after, can do what the caller cannot.
        NotFound: The tenant has no such key, or not any more.
    """
    if scopes is not None:
        _check_scopes(access, scopes)
    async with platform.database.tenant(access.tenant_id) as session:
        key = await _own_key(session, access, key_id)
        before = _told(key)
        key.name = key.name if name is None else name
        key.scopes = key.scopes if scopes is None else sorted(set(scopes))
        await session.flush()
        target = ("api_key", key_id)
        await audit.record(
            session, who, "api_key.changed", tenant_id=access.tenant_id, target=target, before=before, after=_told(key)
        )  # fmt: skip
    await authenticator(platform).revoke(f"key:{key_id}")
    return key


async def rotate_api_key(
    platform: Platform, access: Access, who: Who, key_id: UUID, *, overlap: timedelta
) -> IssuedKey:
    """Give a key a new secret; the old one works until the overlap ends.

    Raises:
        Forbidden: The key can do what the caller cannot, who would come to hold it.
        NotFound: The tenant has no such key, or not any more.
        Conflict: It has expired, so there is nothing to go on with.
    """
    now = utcnow()
    new = new_api_key()
    async with platform.database.tenant(access.tenant_id) as session:
        key = await _own_key(session, access, key_id)
        if state_of(key) is KeyState.EXPIRED:
            raise Conflict("The key has expired. Make a new one.")
        # The application's role cannot read a secret's hash, not even to move it: the database does that.
        await session.execute(
            update(ApiKey)
            .where(ApiKey.id == key_id, ApiKey.tenant_id == access.tenant_id)
            .values(prefix=new.prefix, secret_hash=new.secret_hash, rotated_at=now, old_until=now + overlap)
        )
        await session.refresh(key, ["prefix", "rotated_at", "old_until"])
        await audit.record(
            session,
            who,
            "api_key.rotated",
            tenant_id=access.tenant_id,
            target=("api_key", key_id),
            after={"name": key.name, "old_secret_until": rfc3339(now + overlap)},
        )
    await authenticator(platform).revoke(f"key:{key_id}")
    return IssuedKey(key, new.text)


async def revoke_api_key(platform: Platform, access: Access, key_id: UUID, who: Who) -> None:
    """Revoke a key for good, in every process at once.

    Raises:
        NotFound: The tenant has no such key, or not any more.
    """
    tenant_id = access.tenant_id
    async with platform.database.tenant(tenant_id) as session:
        name = await session.scalar(
            update(ApiKey)
            .where(ApiKey.id == key_id, ApiKey.tenant_id == tenant_id, ApiKey.revoked_at.is_(None))
            .values(revoked_at=utcnow())
            .returning(ApiKey.name)
        )
        if name is None:
            raise NotFound("There is no such API key.")
        await audit.record(
            session,
            who,
            "api_key.revoked",
            tenant_id=tenant_id,
            target=("api_key", key_id),
            before={"name": name},
        )
    await authenticator(platform).revoke(f"key:{key_id}")


async def warn_of_expiry(platform: Platform) -> int:
    """Tell the audit, and whoever follows the tenant's events, of keys that expire soon; once for each key."""
    now = utcnow()
    async with platform.database.system() as session:
        due = await session.execute(
            update(ApiKey)
            .where(
                ApiKey.revoked_at.is_(None),
                ApiKey.warned_at.is_(None),
                ApiKey.expires_at.between(now, now + EXPIRES_SOON),
            )
            .values(warned_at=now)
            .returning(ApiKey.id, ApiKey.tenant_id, ApiKey.name, ApiKey.expires_at)
        )
        rows = due.all()
        for key_id, tenant_id, name, expires_at in rows:
            await audit.record(
                session,
                Who("system:schedule"),
                "api_key.expires_soon",
                tenant_id=tenant_id,
                target=("api_key", key_id),
                after={"name": name, "expires_at": None if expires_at is None else rfc3339(expires_at)},
            )
    return len(rows)


async def _own_key(session: AsyncSession, access: Access, key_id: UUID) -> ApiKey:
    key = await session.scalar(
        select(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.tenant_id == access.tenant_id, ApiKey.revoked_at.is_(None))
        .with_for_update()
    )
    if key is None:
        raise NotFound("There is no such API key.")
    beyond = sorted(set(key.scopes) - access.permissions)
    if beyond:
        raise Forbidden(f"The key can do what you cannot: {', '.join(beyond)}. Ask somebody who can.")
    return key


def _check_scopes(access: Access, scopes: Sequence[str]) -> None:
    unknown = [FieldError(f"/scopes/{i}", "is no scope") for i, s in enumerate(scopes) if s not in KEY_SCOPES]
    if unknown:
        raise Invalid(f"A key's scopes are of: {', '.join(sorted(KEY_SCOPES))}.", errors=unknown)
    beyond = sorted(set(scopes) - access.permissions)
    if beyond:
        raise Forbidden(f"You cannot give what you do not have: {', '.join(beyond)}.")


def _in_state(state: KeyState | None) -> ColumnElement[bool]:
    now, soon = utcnow(), utcnow() + EXPIRES_SOON
    kept = ApiKey.revoked_at.is_(None)
    match state:
        case None:
            return kept
        case KeyState.REVOKED:
            return ApiKey.revoked_at.is_not(None)
        case KeyState.ACTIVE:
            return and_(kept, or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > soon))
        case KeyState.EXPIRING:
            return and_(kept, ApiKey.expires_at > now, ApiKey.expires_at <= soon)
        case KeyState.EXPIRED:
            return and_(kept, ApiKey.expires_at <= now)


def _told(key: ApiKey) -> dict[str, object]:
    return {"name": key.name, "scopes": list(key.scopes)}
