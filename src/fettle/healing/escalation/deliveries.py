"""Messages in the database: leased in order, sent under a fencing token, tried again, and given up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.healing.escalation.channels import DeliveryFailed
from fettle.kernel import events
from fettle.kernel.clock import utcnow
from fettle.kernel.database import Database, driver
from fettle.kernel.events import NewEvent
from fettle.kernel.jsonio import dumps_str

BACKOFF_SECONDS: Final = (5, 15, 45, 120, 300, 600)
"""How long each further attempt waits; after the last a message is given up."""

ACTOR: Final = "system:escalation"
MUTED: Final = "muted"
"""Why a message waits whose incident is muted."""

_LOOKED_AFTER: Final = timedelta(seconds=60)

# Shared out among tenants; within a lane, which is one place that an escalation is told to, in order. Of what
# somebody was sending whose lease lapsed, nobody knows whether it arrived.
_LEASE: Final = """
WITH RECURSIVE open_tenants AS (
  (SELECT tenant_id FROM escalation_deliveries WHERE state IN ('queued', 'sending') ORDER BY tenant_id LIMIT 1)
  UNION ALL
  SELECT (SELECT d.tenant_id FROM escalation_deliveries d WHERE d.state IN ('queued', 'sending')
          AND d.tenant_id > t.tenant_id ORDER BY d.tenant_id LIMIT 1)
  FROM open_tenants t WHERE t.tenant_id IS NOT NULL
), tenants AS (
  SELECT tenant_id FROM open_tenants WHERE tenant_id IS NOT NULL ORDER BY random()
), picked AS (
  SELECT p.id FROM tenants t CROSS JOIN LATERAL (
    SELECT d.id FROM escalation_deliveries d
    WHERE d.tenant_id = t.tenant_id AND d.state IN ('queued', 'sending') AND d.due_at <= now()
      AND NOT EXISTS (SELECT FROM escalation_deliveries e WHERE e.tenant_id = d.tenant_id
                      AND e.escalation_id = d.escalation_id AND e.lane = d.lane AND e.position < d.position
                      AND e.state IN ('queued', 'sending'))
    ORDER BY d.due_at LIMIT greatest(1, $2 / (SELECT count(*) FROM tenants)) FOR UPDATE SKIP LOCKED
  ) p LIMIT $2
)
UPDATE escalation_deliveries d SET state = 'sending', lease_owner = $1, fence = d.fence + 1,
  may_have_arrived = d.may_have_arrived OR d.state = 'sending', attempts = d.attempts + 1, due_at = now() + $3::interval
FROM picked WHERE d.id = picked.id
RETURNING d.id, d.tenant_id, d.escalation_id, d.incident_id, d.channel_id, d.channel_kind, d.recipient, d.lane,
          d.kind, d.step, d.attempts, d.fence
"""
_RENEW: Final = """
UPDATE escalation_deliveries d SET due_at = now() + $4::interval
FROM unnest($1::uuid[], $2::int[]) AS n(id, fence)
WHERE d.id = n.id AND d.fence = n.fence AND d.lease_owner = $3 AND d.state = 'sending'
"""
_RELEASE: Final = """
UPDATE escalation_deliveries d SET due_at = now()
FROM unnest($1::uuid[], $2::int[]) AS n(id, fence)
WHERE d.id = n.id AND d.fence = n.fence AND d.lease_owner = $3 AND d.state = 'sending'
"""
_FINISH: Final = """
UPDATE escalation_deliveries SET state = $4, may_have_arrived = may_have_arrived OR $5, due_at = $6,
  error_code = $7, error = $8, sent = $9::text::jsonb, lease_owner = NULL,
  attempts = attempts - CASE WHEN $7 = 'muted' THEN 1 ELSE 0 END,
  said = coalesce($10, said),
  history = CASE WHEN $7 = 'muted' THEN history ELSE history || jsonb_build_array($11::text::jsonb) END,
  ended_at = CASE WHEN $4 = 'queued' THEN NULL ELSE now() END
WHERE tenant_id = $1 AND id = $2 AND fence = $3 AND state = 'sending'
RETURNING may_have_arrived
"""
# Where nothing of a step went through, nobody was told: the next one does not wait.
_NEXT_STEP: Final = """
UPDATE escalations e SET due_at = now()
WHERE e.tenant_id = $1 AND e.id = $2 AND e.state = 'active' AND e.due_at > now() AND e.position = $3 + 1
  AND e.handed_to IS NULL
  AND NOT EXISTS (SELECT FROM escalation_deliveries d WHERE d.tenant_id = $1 AND d.escalation_id = $2
                  AND d.kind = 'firing' AND d.step = $3 AND d.state IN ('queued', 'sending', 'delivered'))
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A leased message.

    Attributes:
        fence: Counts the leases; what came of it is written under it.
    """

    id: UUID
    tenant_id: UUID
    escalation_id: UUID | None
    incident_id: UUID | None
    channel_id: UUID
    channel_kind: str
    recipient: UUID | None
    lane: str
    kind: str
    step: int | None
    attempts: int
    fence: int


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt.

    Attributes:
        state: Of the message: ``delivered``, ``skipped``, ``failed``, or ``queued`` to try again.
        due_at: When it is tried again.
        sent: What the other side calls it.
        said: What the message said, cleaned; None where nothing was sent.
    """

    state: str
    due_at: datetime
    code: str | None = None
    detail: str | None = None
    may_have_arrived: bool = False
    sent: dict[str, Any] | None = None
    said: str | None = None


async def lease(database: Database, owner: UUID, limit: int, lease_seconds: float) -> list[Delivery]:
    """Take messages that are due, no more of one tenant than of another."""
    async with database.raw_system() as connection:
        rows = await connection.fetch(_LEASE, owner, limit, timedelta(seconds=lease_seconds))
    return [Delivery(**{name: _plain(value) for name, value in row.items()}) for row in rows]


async def renew(database: Database, owner: UUID, held: list[Delivery], lease_seconds: float) -> None:
    """Keep messages for another lease."""
    async with database.raw_system() as connection:
        await connection.execute(
            _RENEW,
            [one.id for one in held],
            [one.fence for one in held],
            owner,
            timedelta(seconds=lease_seconds),
        )


async def release(database: Database, owner: UUID, held: list[Delivery]) -> None:
    """Give messages back that were not sent to their end, so that another process takes them at once."""
    async with database.raw_system() as connection:
        await connection.execute(_RELEASE, [one.id for one in held], [one.fence for one in held], owner)


def result_of(delivery: Delivery, failed: DeliveryFailed, now: datetime, said: str | None = None) -> Result:
    """Return what becomes of a message that was not taken: tried again later, or given up."""
    again = failed.again and delivery.attempts <= len(BACKOFF_SECONDS)
    if not again:
        return Result("failed", now, failed.code, failed.detail, failed.may_have_arrived, said=said)
    wait = max(BACKOFF_SECONDS[delivery.attempts - 1], failed.retry_after_seconds or 0.0)
    due_at = now + timedelta(seconds=wait)
    return Result("queued", due_at, failed.code, failed.detail, failed.may_have_arrived, said=said)


def held(until: datetime | None, detail: str, now: datetime) -> Result:
    """Return what becomes of a message whose incident is muted: it waits, and that is no attempt."""
    again = now + _LOOKED_AFTER
    return Result("queued", min(until or again, again), MUTED, detail)


async def finish(database: Database, delivery: Delivery, result: Result) -> bool:
    """Write down what came of an attempt; returns whether the message was still ours."""
    async with database.tenant(delivery.tenant_id) as session:
        connection = await driver(session)
        # Whoever ends the escalation holds its row while it looks at its messages.
        if delivery.escalation_id is not None:
            await connection.execute(
                "SELECT FROM escalations WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
                delivery.tenant_id, delivery.escalation_id,
            )  # fmt: skip
        held = await connection.fetchrow(
            _FINISH,
            delivery.tenant_id,
            delivery.id,
            delivery.fence,
            result.state,
            result.may_have_arrived,
            result.due_at,
            result.code,
            result.detail,
            None if result.sent is None else dumps_str(result.sent),
            result.said,
            dumps_str({"at": utcnow(), "state": result.state, "code": result.code, "detail": result.detail}),
        )
        if held is None:
            return False
        if result.state == "failed" and delivery.kind == "firing" and delivery.step is not None:
            await connection.execute(_NEXT_STEP, delivery.tenant_id, delivery.escalation_id, delivery.step)
        if result.state != "queued":
            await events.append(session, delivery.tenant_id, [_event(delivery, result)])
    return True


async def was_told(connection: asyncpg.Connection, delivery: Delivery) -> bool:
    """Say whether a place was told that it fires, or may have been."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM escalation_deliveries WHERE tenant_id = $1 AND escalation_id = $2 "
            "AND lane = $3 AND kind = 'firing' AND (state = 'delivered' OR may_have_arrived))",
            delivery.tenant_id, delivery.escalation_id, delivery.lane,
        )
    )  # fmt: skip


def _event(delivery: Delivery, result: Result) -> NewEvent:
    return NewEvent(
        stream_type="escalation",
        stream_id=delivery.escalation_id or delivery.id,
        type=f"message.{result.state}",
        data={
            "delivery_id": str(delivery.id),
            "channel_id": str(delivery.channel_id),
            "channel_kind": delivery.channel_kind,
            "kind": delivery.kind,
            "attempts": delivery.attempts,
            "code": result.code,
            "detail": result.detail,
        },
        actor=ACTOR,
        correlation_id=delivery.incident_id,
    )


def _plain(value: Any) -> Any:
    # The driver's own kind of UUID has no form in JSON.
    return UUID(int=value.int) if isinstance(value, UUID) else value
