"""API keys: made with a secret that is shown once, limited to what their maker may do, revoked at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import Access, authenticator
from fettle.identity.models import ApiKey
from fettle.identity.permissions import KEY_SCOPES
from fettle.identity.tokens import new_api_key
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.errors import FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key at the one moment when its text is known."""

    key: ApiKey
    text: str


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
    unknown = [FieldError(f"/scopes/{i}", "is no scope") for i, s in enumerate(scopes) if s not in KEY_SCOPES]
    if unknown:
        raise Invalid(f"A key's scopes are of: {', '.join(sorted(KEY_SCOPES))}.", errors=unknown)
    beyond = sorted(set(scopes) - access.permissions)
    if beyond:
        raise Forbidden(f"You cannot give what you do not have: {', '.join(beyond)}.")
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
    )
    session.add(key)
    await session.flush()
    await audit.record(
        session,
        who,
        "api_key.created",
        tenant_id=access.tenant_id,
        target=("api_key", key.id),
        after={
            "name": name,
            "scopes": key.scopes,
            "expires_at": None if expires_at is None else rfc3339(expires_at),
        },
    )
    return IssuedKey(key, new.text)


async def list_api_keys(
    session: AsyncSession, tenant_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[ApiKey]:
    """Return a tenant's keys that are not revoked, newest first.

    Args:
        session: With the tenant bound.
        tenant_id: The tenant.
        after: The last id of the page before.
        limit: How many at most.
    """
    wanted = select(ApiKey).where(ApiKey.tenant_id == tenant_id, ApiKey.revoked_at.is_(None))
    if after is not None:
        wanted = wanted.where(ApiKey.id < after)
    return (await session.scalars(wanted.order_by(ApiKey.id.desc()).limit(limit))).all()


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
