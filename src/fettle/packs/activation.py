"""Which version of which pack a tenant works with: chosen, switched off, or the installation's default."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.packs.active import PackSet
from fettle.packs.catalogue import Effective, load_version, pack_stream
from fettle.packs.models import PackActivation, PackVersion

Kind = Literal["activate", "deactivate", "rollback"]

EFFECTIVE = """
SELECT v.pack_id, v.version, v.digest, v.origin, a.version IS NOT NULL AS chosen
FROM pack_versions v
LEFT JOIN pack_activations a ON a.tenant_id = $1 AND a.pack_id = v.pack_id AND a.is_current
WHERE CASE coalesce(a.mode, 'default') WHEN 'version' THEN v.version = a.version
                                       WHEN 'default' THEN v.is_default ELSE false END
ORDER BY v.pack_id
"""
"""What a tenant ($1) works with; one row for each pack."""


@dataclass(frozen=True, slots=True)
class _Choice:
    pack_id: str
    mode: str
    version: str | None
    kind: Kind
    replaces: UUID | None


async def effective(session: AsyncSession, tenant_id: UUID) -> list[Effective]:
    """Return what a tenant works with now, by pack."""
    connection = await driver(session)
    return [Effective(**dict(row)) for row in await connection.fetch(EFFECTIVE, tenant_id)]


async def history(session: AsyncSession, tenant_id: UUID, pack_id: str) -> Sequence[PackActivation]:
    """Return a tenant's choices for a pack, newest first."""
    wanted = (
        select(PackActivation)
        .where(PackActivation.tenant_id == tenant_id, PackActivation.pack_id == pack_id)
        .order_by(PackActivation.id.desc())
        .limit(200)
    )
    return (await session.scalars(wanted)).all()


async def activate(
    session: AsyncSession,
    tenant_id: UUID,
    pack_id: str,
    version: str,
    *,
    actor: str,
    request_id: str | None = None,
) -> UUID:
    """Let a tenant work with a version from the end of this transaction on.

    Returns:
        The activation's id; that of the present one when nothing changes.

    Raises:
        NotFound: The version is not installed.
        Conflict: It defines something that another active pack defines.
    """
    await _lock(session, tenant_id)
    current = await _current(session, tenant_id, pack_id)
    if current is not None and current.version == version:
        return current.id
    choice = _Choice(pack_id, "version", version, "activate", current.id if current else None)
    return await _change(session, tenant_id, choice, actor, request_id)


async def deactivate(
    session: AsyncSession, tenant_id: UUID, pack_id: str, *, actor: str, request_id: str | None = None
) -> UUID:
    """Let a tenant work without a pack.

    Raises:
        NotFound: No version of the pack is installed.
    """
    await _refuse_unknown(session, pack_id)
    await _lock(session, tenant_id)
    current = await _current(session, tenant_id, pack_id)
    if current is not None and current.mode == "off":
        return current.id
    choice = _Choice(pack_id, "off", None, "deactivate", current.id if current else None)
    return await _change(session, tenant_id, choice, actor, request_id)


async def rollback(
    session: AsyncSession, tenant_id: UUID, pack_id: str, *, actor: str, request_id: str | None = None
) -> UUID:
    """Go back to what the tenant worked with before its last choice; again, one step further back.

    Raises:
        NotFound: No version of the pack is installed.
        Conflict: The tenant has chosen nothing that could be undone.
    """
    await _refuse_unknown(session, pack_id)
    await _lock(session, tenant_id)
    current = await _current(session, tenant_id, pack_id)
    if current is None or (current.mode == "default" and current.replaces is None):
        raise Conflict(f"Nothing was chosen for {pack_id} that could be rolled back.")
    before = await session.get(PackActivation, current.replaces) if current.replaces is not None else None
    choice = _Choice(
        pack_id,
        before.mode if before else "default",
        before.version if before else None,
        "rollback",
        before.replaces if before else None,
    )
    return await _change(session, tenant_id, choice, actor, request_id)


async def _refuse_unknown(session: AsyncSession, pack_id: str) -> None:
    known = await session.scalar(select(PackVersion.pack_id).where(PackVersion.pack_id == pack_id).limit(1))
    if known is None:
        raise NotFound(f"There is no pack {pack_id}.")


async def _lock(session: AsyncSession, tenant_id: UUID) -> None:
    await hold_lock(await driver(session), "packs", tenant_id)


async def _current(session: AsyncSession, tenant_id: UUID, pack_id: str) -> PackActivation | None:
    return await session.scalar(
        select(PackActivation).where(
            PackActivation.tenant_id == tenant_id,
            PackActivation.pack_id == pack_id,
            PackActivation.is_current,
        )
    )


async def _change(
    session: AsyncSession, tenant_id: UUID, choice: _Choice, actor: str, request_id: str | None
) -> UUID:
    if choice.version is not None:
        await load_version(session, choice.pack_id, choice.version)
    before = await _of(session, tenant_id, choice.pack_id)
    await session.execute(
        update(PackActivation)
        .where(
            PackActivation.tenant_id == tenant_id,
            PackActivation.pack_id == choice.pack_id,
            PackActivation.is_current,
        )
        .values(is_current=False)
    )
    chosen = PackActivation(
        id=new_id(), tenant_id=tenant_id, is_current=True, actor=actor, **dataclasses.asdict(choice)
    )
    session.add(chosen)
    await session.flush()
    await _refuse_conflicts(session, chosen)
    after = await _of(session, tenant_id, choice.pack_id)
    await events.append(session, tenant_id, [_event(chosen, before, after, request_id)])
    return chosen.id


async def _of(session: AsyncSession, tenant_id: UUID, pack_id: str) -> Effective | None:
    found = await effective(session, tenant_id)
    return next((item for item in found if item.pack_id == pack_id), None)


async def _refuse_conflicts(session: AsyncSession, wanted: PackActivation) -> None:
    items = await effective(session, wanted.tenant_id)
    merged = PackSet([await load_version(session, item.pack_id, item.version) for item in items])
    if merged.conflicts:
        raise Conflict(
            f"{wanted.pack_id} does not fit beside the other active packs: {merged.conflicts[0]}. "
            "Rename it in one of them, or deactivate the other pack first.",
            errors=[FieldError("", str(conflict)) for conflict in merged.conflicts[:50]],
        )


def _event(
    wanted: PackActivation, before: Effective | None, after: Effective | None, request_id: str | None
) -> NewEvent:
    data: Mapping[str, Any] = {
        "activation_id": wanted.id,
        "pack_id": wanted.pack_id,
        "version": after.version if after else None,
        "digest": after.digest if after else None,
        "previous_version": before.version if before else None,
    }
    types: Mapping[str, str] = {
        "activate": "pack.activated",
        "deactivate": "pack.deactivated",
        "rollback": "pack.rolled_back",
    }
    return NewEvent(
        stream_type="pack",
        stream_id=pack_stream(wanted.pack_id),
        type=types[wanted.kind],
        data=data,
        actor=wanted.actor,
        request_id=request_id,
    )
