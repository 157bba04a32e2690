"""A tenant's sources: set up, changed, given secrets, taken away; and what topics wish to send here."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents.hooks.models import (
    HookFigures,
    HookPayload,
    HookSecret,
    HookSource,
    HookSubscription,
)
from fettle.incidents.hooks.signatures import (
    LEAST_SECRET,
    TOKEN_PREFIX,
    WITH_TOKEN,
    standard_key,
    token_hash,
)
from fettle.incidents.hooks.standing import bound_to, box
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

MOST: Final = 200
"""Most sources of a tenant."""

_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Standing:
    """What a list says of a source besides its row."""

    secrets: int
    secret_changed_at: Any
    held: int
    figures: HookFigures


async def listed(
    session: AsyncSession, tenant_id: UUID, *, q: str | None, kind: str | None, after: UUID | None, limit: int
) -> Sequence[HookSource]:
    """Return a tenant's sources, oldest first."""
    query = select(HookSource).where(HookSource.tenant_id == tenant_id).order_by(HookSource.id).limit(limit)
    if q:
        query = query.where(HookSource.name.icontains(q, autoescape=True))
    if kind:
        query = query.where(HookSource.kind == kind)
    return (await session.scalars(query if after is None else query.where(HookSource.id > after))).all()


async def find(session: AsyncSession, tenant_id: UUID, source_id: UUID) -> HookSource:
    """Return one.

    Raises:
        NotFound: The tenant has none of this id.
    """
    found = await session.scalar(
        select(HookSource)
        .where(HookSource.tenant_id == tenant_id, HookSource.id == source_id)
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("There is no such source.")
    return found


async def standings(session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """Return what lists say of sources besides their rows."""
    holds = HookSecret.ends_at.is_(None) | (HookSecret.ends_at > func.now())
    of_secrets = await session.execute(
        select(HookSecret.source_id, func.count(), func.max(HookSecret.created_at))
        .where(HookSecret.tenant_id == tenant_id, HookSecret.source_id.in_(ids), holds)
        .group_by(HookSecret.source_id)
    )
    secret_of = {row[0]: (row[1], row[2]) for row in of_secrets}
    of_wishes = await session.execute(
        select(HookSubscription.source_id, func.count())
        .where(
            HookSubscription.tenant_id == tenant_id,
            HookSubscription.source_id.in_(ids),
            HookSubscription.state == "held",
        )
        .group_by(HookSubscription.source_id)
    )
    held = {row[0]: row[1] for row in of_wishes}
    of_figures = await session.scalars(
        select(HookFigures)
        .where(HookFigures.tenant_id == tenant_id, HookFigures.source_id.in_(ids))
        .execution_options(populate_existing=True)
    )
    figures = {row.source_id: row for row in of_figures}
    found = {}
    for one in ids:
        secrets_held, changed_at = secret_of.get(one, (0, None))
        found[one] = Standing(secrets_held, changed_at, held.get(one, 0), figures[one])
    return found


async def create(session: AsyncSession, tenant_id: UUID, fields: Mapping[str, Any]) -> HookSource:
    """Add one.

    Raises:
        Conflict: The tenant has one of that name, or too many.
    """
    await hold_lock(await driver(session), "hook_sources", tenant_id)
    held = await session.scalar(
        select(func.count()).select_from(HookSource).where(HookSource.tenant_id == tenant_id)
    )
    if (held or 0) >= MOST:
        raise Conflict(f"A tenant has at most {MOST} sources. Delete some first.")
    source = HookSource(id=new_id(), tenant_id=tenant_id, origin=fields["name"], **fields)
    try:
        async with session.begin_nested():
            session.add(source)
            await session.flush()
            session.add(HookFigures(tenant_id=tenant_id, source_id=source.id))
            await session.flush()
    except IntegrityError:
        raise Conflict(
            "There is a source of this name, or there was one by which exceptions are known. Choose another name."
        ) from None
    return await find(session, tenant_id, source.id)


async def change(
    session: AsyncSession, source: HookSource, fields: Mapping[str, Any], *, version: int, actor: str
) -> HookSource:
    """Change some fields.

    Raises:
        Conflict: It has another version by now, or another one has the name.
    """
    wanted = (
        update(HookSource)
        .where(
            HookSource.tenant_id == source.tenant_id,
            HookSource.id == source.id,
            HookSource.version == version,
        )
        .values(version=version + 1, updated_at=func.now(), updated_by=actor, **fields)
        .returning(HookSource.id)
    )
    try:
        async with session.begin_nested():
            done = await session.scalar(wanted)
    except IntegrityError:
        raise Conflict("There is a source of this name already.") from None
    if done is None:
        raise Conflict("The source was changed meanwhile. Look at it again.")
    return await find(session, source.tenant_id, source.id)


async def remove(session: AsyncSession, source: HookSource) -> None:
    """Take one away, with its secrets, its mappings and what it received."""
    await session.execute(
        delete(HookSource).where(HookSource.tenant_id == source.tenant_id, HookSource.id == source.id)
    )


async def give_secret(
    platform: Platform,
    session: AsyncSession,
    source: HookSource,
    *,
    given: str | None,
    overlap: timedelta,
    actor: str,
) -> str:
    """Give a source a secret; the ones before hold until the overlap ends.

    Args:
        platform: The process's parts.
        session: Of the tenant.
        source: Whose it is.
        given: What the sender made; None has one made.
        overlap: For how long the ones before hold as well.
        actor: Whose change it is.

    Returns:
        The secret, to be shown once.

    Raises:
        Invalid: The source's senders have no secret, or this one is none for them.
    """
    way = source.authentication
    if way == "sns":
        raise Invalid("What comes through Amazon SNS is signed by Amazon; there is no secret to set.")
    if given is not None and way in WITH_TOKEN:
        raise Invalid(
            "A token is made here, so that nobody can guess it.",
            errors=[FieldError("/secret", "leave it out")],
        )
    text = given or _made(way)
    _check(way, text)
    until = utcnow() + overlap
    await session.execute(
        update(HookSecret)
        .where(
            HookSecret.tenant_id == source.tenant_id,
            HookSecret.source_id == source.id,
            HookSecret.ends_at.is_(None) | (HookSecret.ends_at > until),
        )
        .values(ends_at=until)
    )
    kept: dict[str, bytes] = (
        {"token_hash": token_hash(text)}
        if way in WITH_TOKEN
        else {"sealed": box(platform).encrypt(text.encode(), bound_to(source.id))}
    )
    session.add(
        HookSecret(
            id=new_id(), tenant_id=source.tenant_id, source_id=source.id, created_by=actor,
            created_at=utcnow(), **kept,
        )
    )  # fmt: skip
    await session.flush()
    return text


async def payloads(
    session: AsyncSession, source: HookSource, *, outcome: str | None, before: UUID | None, limit: int
) -> Sequence[HookPayload]:
    """Return what was received last, newest first."""
    query = (
        select(HookPayload)
        .where(HookPayload.tenant_id == source.tenant_id, HookPayload.source_id == source.id)
        .order_by(HookPayload.id.desc())
        .limit(limit)
    )
    if outcome is not None:
        query = query.where(HookPayload.outcome == outcome)
    return (await session.scalars(query if before is None else query.where(HookPayload.id < before))).all()


async def subscriptions(
    session: AsyncSession, source: HookSource, *, before: UUID | None, limit: int
) -> Sequence[HookSubscription]:
    """Return topics' wishes to send here, newest first."""
    query = (
        select(HookSubscription)
        .where(HookSubscription.tenant_id == source.tenant_id, HookSubscription.source_id == source.id)
        .order_by(HookSubscription.id.desc())
        .limit(limit)
    )
    return (
        await session.scalars(query if before is None else query.where(HookSubscription.id < before))
    ).all()


async def reject(session: AsyncSession, source: HookSource, wish_id: UUID, *, actor: str) -> HookSubscription:
    """Turn a topic's wish to send here away.

    Raises:
        NotFound: There is no such wish.
        Conflict: It was decided before.
    """
    wish = await _wish(session, source, wish_id)
    _refuse_decided(wish)
    return await _decided(session, wish, "rejected", None, actor)


async def address_to_tell(
    platform: Platform, session: AsyncSession, source: HookSource, wish_id: UUID
) -> str:
    """Return where Amazon is told that a topic may send here; that is done outside of any transaction.

    Raises:
        NotFound: There is no such wish.
        Conflict: It was decided before.
    """
    wish = await _wish(session, source, wish_id)
    _refuse_decided(wish)
    return box(platform).decrypt(wish.sealed_address, bound_to(source.id)).decode()


async def told(
    session: AsyncSession, source: HookSource, wish_id: UUID, fault: str | None, *, actor: str
) -> HookSubscription:
    """Note that Amazon was told that a topic may send here, or why it could not be.

    Where somebody turned the wish away meanwhile, what Amazon took stands: the topic does send.

    Raises:
        NotFound: There is no such wish any more.
        Conflict: It could not be told, and somebody decided otherwise meanwhile.
    """
    wish = await _wish(session, source, wish_id)
    if fault is not None:
        _refuse_decided(wish)
    return await _decided(session, wish, "failed" if fault else "confirmed", fault, actor)


async def _wish(session: AsyncSession, source: HookSource, wish_id: UUID) -> HookSubscription:
    wish = await session.scalar(
        select(HookSubscription)
        .where(
            HookSubscription.tenant_id == source.tenant_id,
            HookSubscription.source_id == source.id,
            HookSubscription.id == wish_id,
        )
        .with_for_update()
    )
    if wish is None:
        raise NotFound("There is no such wish to send.")
    return wish


def _refuse_decided(wish: HookSubscription) -> None:
    if wish.state not in {"held", "failed"}:
        raise Conflict(f"This was decided before: {wish.state}.")


async def _decided(
    session: AsyncSession, wish: HookSubscription, state: str, detail: str | None, actor: str
) -> HookSubscription:
    wish.state, wish.detail, wish.decided_at, wish.decided_by = state, detail, utcnow(), actor
    await session.flush()
    return wish


def _made(way: str) -> str:
    random = secrets.token_bytes(_SECRET_BYTES)
    if way == "standard_webhooks":
        return "whsec_" + base64.b64encode(random).decode()
    text = base64.urlsafe_b64encode(random).decode().rstrip("=")
    return TOKEN_PREFIX + text if way in WITH_TOKEN else text


def _check(way: str, text: str) -> None:
    if way == "standard_webhooks":
        try:
            standard_key(text)
        except ValueError as error:
            raise Invalid(
                f"This is no secret of Standard Webhooks: {error}.",
                errors=[FieldError("/secret", str(error))],
            ) from None
    elif len(text.strip()) < LEAST_SECRET or not text.isprintable():
        raise Invalid(
            "The secret is too short, or holds what cannot be printed.",
            errors=[FieldError("/secret", f"give at least {LEAST_SECRET} printable characters")],
        )
