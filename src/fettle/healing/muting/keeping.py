"""What the pipeline asks: which incidents keep still before they are decided, which plans wait, who is told now."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.deciding import Decision
from fettle.healing.muting import ledger
from fettle.healing.muting.current import current_mutes, inhibitor_of
from fettle.healing.muting.ledger import Muted
from fettle.healing.muting.matching import labels_of
from fettle.healing.muting.mutes import Mute, hold_of, mute_of
from fettle.incidents import service as incidents
from fettle.incidents.states import State
from fettle.kernel.bus import TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.events import Event
from fettle.kernel.platform import Platform

APPROVED: Final = "plan.approved"
_KNOWN: Final = """
SELECT id, check_type, host, site, severity, platform, source, labels FROM incidents
WHERE tenant_id = $1 AND id = ANY($2)
"""


async def read_mutes(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    found: Sequence[Mapping[str, Any]],
    now: datetime,
) -> Mapping[UUID, Mute]:
    """Return which of some incidents are muted now, and why.

    Nothing is read where nothing is set, and one statement where something inhibits.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: The owner.
        found: Incidents or their rows: their ids, and what they are known by.
        now: The moment.
    """
    mutes = await current_mutes(platform, session, tenant_id)
    if mutes.is_empty or not found:
        return {}
    inhibitor = await inhibitor_of(session, tenant_id, mutes, now)
    muted: dict[UUID, Mute] = {}
    for incident in found:
        incident_id = UUID(str(incident["id"]))
        mute = mute_of(mutes, inhibitor, incident_id, labels_of(incident), now)
        if mute is not None:
            muted[incident_id] = mute
    return muted


async def may_notify(
    platform: Platform, session: AsyncSession, tenant_id: UUID, incident_ids: Collection[UUID], now: datetime
) -> Mapping[UUID, Mute]:
    """Return of which incidents nobody is told now that they fire, and why; of the others somebody is.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: The owner.
        incident_ids: About which somebody would be told.
        now: The moment.
    """
    mutes = await current_mutes(platform, session, tenant_id)
    if mutes.is_empty or not incident_ids:
        return {}
    connection = await driver(session)
    rows = await connection.fetch(_KNOWN, tenant_id, list(incident_ids))
    return await read_mutes(platform, session, tenant_id, [dict(row) for row in rows], now)


async def keep_still(batch: TenantBatch, triaged: list[Event]) -> list[Event]:
    """Let those of a batch of triaged incidents keep still that are muted; returns the others."""
    now = utcnow()
    found = [event.data["incident"] for event in triaged]
    muted = await read_mutes(batch.platform, batch.session, batch.tenant_id, found, now)
    if not muted:
        return triaged
    still = [
        (event, Muted(event.stream_id, muted[event.stream_id], State.TRIAGED))
        for event in triaged
        if event.stream_id in muted
    ]
    await incidents.transition(
        batch.session, batch.tenant_id, [one.transition(event.id) for event, one in still]
    )
    await ledger.note(await driver(batch.session), batch.tenant_id, [one for _, one in still], now)
    return [event for event in triaged if event.stream_id not in muted]


async def hold_back(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    decided: Sequence[tuple[Mapping[str, Any], Decision]],
    runbooks: Mapping[str, Mapping[str, Any]],
) -> None:
    """Let plans wait that would act by themselves in a time in which nothing acts, or disturb outside of theirs.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: The owner.
        decided: Each incident with its decision, which is changed in place.
        runbooks: The packs' runbooks by id.
    """
    mutes = await current_mutes(platform, session, tenant_id)
    if mutes.is_empty:
        return
    now = utcnow()
    held = []
    for incident, decision in decided:
        last = decision.transitions[-1] if decision.transitions else None
        if last is None or last.type != APPROVED:
            continue
        disturbs = is_disruptive(last.data.get("plan"), runbooks)
        mute = hold_of(mutes, labels_of(incident), now, is_disruptive=disturbs)
        if mute is None:
            continue
        one = Muted(last.incident_id, mute, State.TRIAGED, is_disruptive=disturbs)
        decision.transitions[-1] = one.transition(last.causation_id)
        held.append(one)
    await ledger.note(await driver(session), tenant_id, held, now)


async def nudge(batch: TenantBatch) -> None:
    """Let a tenant be looked at again soon whose incidents mute each other, because some of them changed."""
    mutes = await current_mutes(batch.platform, batch.session, batch.tenant_id)
    if mutes.inhibits:
        await ledger.look_at(await driver(batch.session), batch.tenant_id, utcnow())


def is_disruptive(plan: Any, runbooks: Mapping[str, Mapping[str, Any]]) -> bool:
    """Say whether a plan names a runbook that disturbs people at work."""
    if isinstance(plan, str):
        return runbooks.get(plan, {}).get("disruptive") is True
    if isinstance(plan, Mapping):
        return any(is_disruptive(value, runbooks) for value in plan.values())
    return isinstance(plan, Sequence) and any(is_disruptive(value, runbooks) for value in plan)
