"""Lets the clocks strike: whoever a step names is looked up at that moment, and a message to each is queued."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.escalation import contacts
from fettle.healing.escalation.documents import policy_of, schedule_of
from fettle.healing.escalation.policies import Due, Policy, Target, due
from fettle.healing.escalation.schedules import on_call
from fettle.healing.muting.keeping import may_notify
from fettle.healing.muting.mutes import Mute
from fettle.kernel import events
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver, is_unreachable
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.platform import Platform

ACTOR: Final = "system:escalation"

log = structlog.get_logger("fettle.escalation")

_TENANTS: Final = """
SELECT DISTINCT tenant_id FROM escalations
WHERE (due_at IS NOT NULL OR update_at IS NOT NULL) AND least(due_at, update_at) <= now()
"""
_DUE: Final = """
SELECT id, incident_id, policy, state, severity, position, due_at, update_at, handed_to, members, storm_id,
       paused
FROM escalations
WHERE tenant_id = $1 AND (due_at IS NOT NULL OR update_at IS NOT NULL) AND least(due_at, update_at) <= now()
ORDER BY least(due_at, update_at) LIMIT 200 FOR UPDATE SKIP LOCKED
"""
_QUEUE: Final = """
INSERT INTO escalation_deliveries (id, tenant_id, escalation_id, incident_id, channel_id, channel_kind, recipient,
                                   lane, kind, step)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'firing', $9)
"""
_TELL_AGAIN: Final = """
INSERT INTO escalation_deliveries (id, tenant_id, escalation_id, incident_id, channel_id, channel_kind, recipient,
                                   lane, kind, step)
SELECT gen_random_uuid(), $1, d.escalation_id, d.incident_id, d.channel_id, d.channel_kind, d.recipient, d.lane,
       'firing', d.step
FROM (
  SELECT DISTINCT ON (lane) * FROM escalation_deliveries
  WHERE tenant_id = $1 AND escalation_id = $2 AND kind = 'firing' AND state = 'delivered' ORDER BY lane, position DESC
) d
"""


_MEMBERS: Final = """
SELECT storm_id, incident_id FROM escalations
WHERE tenant_id = $1 AND storm_id = ANY($2) AND state = 'grouped'
"""
_PAUSE: Final = """
UPDATE escalations SET paused = true, paused_why = $4::text::jsonb,
  due_at = CASE WHEN due_at IS NOT NULL THEN $3::timestamptz END,
  update_at = CASE WHEN update_at IS NOT NULL THEN greatest(update_at, $3::timestamptz) END
WHERE tenant_id = $1 AND id = $2
"""
_GO_ON: Final = "UPDATE escalations SET paused = false, paused_why = NULL WHERE tenant_id = $1 AND id = $2"
_PAUSED_AT_MOST: Final = timedelta(seconds=60)


async def strike(platform: Platform) -> int:
    """Do what is due for every tenant once; returns how many clocks struck."""
    async with platform.database.raw_system() as connection:
        tenants = [row["tenant_id"] for row in await connection.fetch(_TENANTS)]
    struck = 0
    for tenant_id in tenants:
        try:
            struck += await _strike_for(platform, tenant_id)
        except Exception as error:
            if is_unreachable(error):
                raise
            # Whatever breaks over one tenant's clocks, people of the others are still told.
            log.exception("escalation.strike_broke", tenant_id=str(tenant_id))
    return struck


async def quiet(
    platform: Platform, session: AsyncSession, tenant_id: UUID, rows: Sequence[asyncpg.Record]
) -> dict[UUID, Mute]:
    """Return which clocks stand still now, because all that they tell of is muted, and why.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: The owner.
        rows: Clocks, with `id`, `incident_id` and `storm_id`.
    """
    now = utcnow()
    muted = await may_notify(platform, session, tenant_id, {row["incident_id"] for row in rows}, now)
    still = {row["id"]: muted[row["incident_id"]] for row in rows if row["incident_id"] in muted}
    storms = [row["id"] for row in rows if row["id"] in still and row["storm_id"] == row["id"]]
    if storms:
        connection = await driver(session)
        members = await connection.fetch(_MEMBERS, tenant_id, storms)
        also = await may_notify(platform, session, tenant_id, {one["incident_id"] for one in members}, now)
        for storm_id in {one["storm_id"] for one in members if one["incident_id"] not in also}:
            still.pop(storm_id, None)
    return still


async def _strike_for(platform: Platform, tenant_id: UUID) -> int:
    async with platform.database.tenant(tenant_id) as session:
        connection = await driver(session)
        rows = await connection.fetch(_DUE, tenant_id)
        still = await quiet(platform, session, tenant_id, rows)
        told: list[NewEvent] = []
        for row in rows:
            if row["id"] in still:
                await _pause(connection, tenant_id, row["id"], still[row["id"]])
                continue
            told += await _strike(connection, tenant_id, row, utcnow())
        await events.append(session, tenant_id, told)
    return len(rows)


async def _pause(connection: asyncpg.Connection, tenant_id: UUID, escalation_id: UUID, mute: Mute) -> None:
    """Let a clock stand still until what mutes it ends; whoever ends that lets it go on at once."""
    again = utcnow() + _PAUSED_AT_MOST
    await connection.execute(
        _PAUSE, tenant_id, escalation_id, min(mute.until or again, again), dumps_str(mute.document())
    )


async def _strike(
    connection: asyncpg.Connection, tenant_id: UUID, row: asyncpg.Record, now: datetime
) -> list[NewEvent]:
    if row["paused"]:
        await connection.execute(_GO_ON, tenant_id, row["id"])
    if row["update_at"] is not None and row["update_at"] <= now:
        await connection.execute(_TELL_AGAIN, tenant_id, row["id"])
        await connection.execute(
            "UPDATE escalations SET update_at = NULL, told_members = members WHERE tenant_id = $1 AND id = $2",
            tenant_id, row["id"],
        )  # fmt: skip
    if row["due_at"] is None or row["due_at"] > now:
        return []
    policy = policy_of(row["policy"])
    if row["handed_to"] is not None:
        return await _tell_next_hand(connection, tenant_id, row, policy, now)
    step = due(policy, row["position"])
    if step is None:
        await _set(connection, tenant_id, row["id"], "exhausted", row["position"], None)
        return []
    queued = await _queue(connection, tenant_id, row, step.targets, row["position"], now)
    due_at: datetime | None = now + timedelta(seconds=step.wait_seconds if queued else 0)
    state = "active"
    if step.next_position is None and queued:
        state, due_at = "exhausted", None
    await _set(connection, tenant_id, row["id"], state, row["position"] + 1, due_at)
    return [_event(row, step, queued)]


async def _tell_next_hand(
    connection: asyncpg.Connection, tenant_id: UUID, row: asyncpg.Record, policy: Policy, now: datetime
) -> list[NewEvent]:
    step = due(policy, max(0, row["position"] - 1)) or due(policy, 0)
    assert step is not None  # a policy has a step
    channels = dict.fromkeys(target.channel_id for target in step.targets)
    targets = [Target(channel_id, user_id=row["handed_to"]) for channel_id in channels]
    queued = await _queue(connection, tenant_id, row, targets, row["position"], now)
    await connection.execute(
        "UPDATE escalations SET handed_to = NULL, due_at = $3 WHERE tenant_id = $1 AND id = $2",
        tenant_id, row["id"], now + timedelta(seconds=step.wait_seconds if queued else 0),
    )  # fmt: skip
    return [_event(row, step, queued)]


async def _queue(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    row: asyncpg.Record,
    targets: Sequence[Target],
    step: int,
    now: datetime,
) -> int:
    """Queue a message to each target; returns how many, fewer where nobody is on call or a channel is off."""
    channels = {
        one["id"]: one["kind"]
        for one in await connection.fetch(
            "SELECT id, kind FROM escalation_channels WHERE tenant_id = $1 AND id = ANY($2) AND enabled",
            tenant_id, [target.channel_id for target in targets],
        )
    }  # fmt: skip
    channels |= {UUID(own): place["kind"] for own, place in contacts.channels_of(row["policy"]).items()}
    lanes: dict[str, tuple[Any, ...]] = {}
    for target in targets:
        kind = channels.get(target.channel_id)
        recipient = await _recipient(connection, tenant_id, target, now)
        if kind is None or (target.schedule_id is not None and recipient is None):
            continue
        lane = f"{target.channel_id}:{recipient or ''}"
        lanes[lane] = (
            new_id(), tenant_id, row["id"], row["incident_id"], target.channel_id, kind, recipient, lane, step,
        )  # fmt: skip
    await connection.executemany(_QUEUE, list(lanes.values()))
    return len(lanes)


async def _recipient(
    connection: asyncpg.Connection, tenant_id: UUID, target: Target, now: datetime
) -> UUID | None:
    if target.schedule_id is None:
        return target.user_id
    document = await connection.fetchval(
        "SELECT document FROM oncall_schedules WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        target.schedule_id,
    )
    return None if document is None else on_call(schedule_of(document), now)


async def _set(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    escalation_id: UUID,
    state: str,
    position: int,
    due_at: datetime | None,
) -> None:
    await connection.execute(
        "UPDATE escalations SET state = $3, position = $4, due_at = $5, told_members = members "
        "WHERE tenant_id = $1 AND id = $2",
        tenant_id, escalation_id, state, position, due_at,
    )  # fmt: skip


def _event(row: asyncpg.Record, step: Due, queued: int) -> NewEvent:
    return NewEvent(
        stream_type="escalation",
        stream_id=row["id"],
        type="escalation.stepped",
        data={
            "incident_id": str(row["incident_id"]),
            "step": step.step,
            "turn": step.turn,
            "messages": queued,
        },
        actor=ACTOR,
        correlation_id=row["incident_id"],
    )
