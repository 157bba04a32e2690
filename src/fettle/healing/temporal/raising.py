"""What a rule over time found becomes an exception like any other, in the transaction that found it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.temporal.keeping import Limit
from fettle.healing.temporal.matching import named
from fettle.healing.temporal.moments import from_ms
from fettle.healing.temporal.raised import body_of
from fettle.healing.temporal.rules import MILLIONTHS
from fettle.healing.temporal.service import RULES
from fettle.healing.temporal.simulation import Firing
from fettle.kernel import events, metrics
from fettle.kernel.clock import rfc3339
from fettle.kernel.database import driver
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str

ACTOR: Final = "system:temporal"
"""Whose exceptions no rule over time sees, so that none leads to another; a sender cannot call itself so."""

_KNOWN: Final = """
SELECT exception_id, incident_id FROM incident_exceptions
WHERE tenant_id = $1 AND exception_id = ANY($2) AND incident_id IS NOT NULL
"""
_NOTE: Final = """
INSERT INTO temporal_firings (id, tenant_id, rule_id, key, is_over, at, count, total, exception_ids, is_linked,
                              fired_at)
SELECT n.id, $1, n.rule_id, n.key::jsonb, n.is_over, n.at, n.count, n.total, n.exception_ids::uuid[], n.is_linked, $11
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bool[], $6::timestamptz[], $7::int[], $8::float8[], $9::text[],
            $10::bool[]) AS n(id, rule_id, key, is_over, at, count, total, exception_ids, is_linked)
"""


async def raise_all(
    session: AsyncSession, tenant_id: UUID, found: Sequence[Firing], limits: Sequence[Limit], now: datetime
) -> None:
    """Raise what rules found, and tell of limits that they met.

    Args:
        session: With the tenant bound, in the transaction that changes what is remembered.
        tenant_id: The owner.
        found: In the order in which it was found.
        limits: Of which nobody was told lately.
        now: The present.
    """
    told = [_limit_event(tenant_id, limit) for limit in limits]
    if found:
        connection = await driver(session)
        incidents = await _incidents(connection, tenant_id, found)
        ids = [new_id() for _ in found]
        told += [
            _exception_event(id_, firing, incidents, now) for id_, firing in zip(ids, found, strict=True)
        ]
        rows = [_row(id_, firing) for id_, firing in zip(ids, found, strict=True)]
        await connection.execute(_NOTE, tenant_id, *map(list, zip(*rows, strict=True)), now)
    await events.append(session, tenant_id, told)
    metrics.after_commit(session, lambda: _count(found, limits))


async def _incidents(
    connection: asyncpg.Connection, tenant_id: UUID, found: Sequence[Firing]
) -> dict[str, str]:
    ids = [UUID(id_) for firing in found for id_ in firing.fired.ids]
    rows = await connection.fetch(_KNOWN, tenant_id, ids) if ids else []
    return {str(row["exception_id"]): str(row["incident_id"]) for row in rows}


def _exception_event(
    exception_id: UUID, firing: Firing, incidents: Mapping[str, str], now: datetime
) -> NewEvent:
    return NewEvent(
        id=exception_id,
        stream_type="exception",
        stream_id=exception_id,
        type="exception.ingested",
        data={"exception": body_of(firing, incidents), "received_at": rfc3339(now)},
        actor=ACTOR,
        occurred_at=now,
    )


def _row(exception_id: UUID, firing: Firing) -> tuple[Any, ...]:
    fired = firing.fired
    total = None if fired.total is None else fired.total / MILLIONTHS
    key = dumps_str(named(firing.rule, firing.key.values))
    ids = "{" + ",".join(fired.ids) + "}"
    return (
        *(exception_id, firing.rule.id, key, fired.is_over, from_ms(fired.at), fired.count, total, ids),
        fired.is_over or not fired.ids,
    )


def _limit_event(tenant_id: UUID, limit: Limit) -> NewEvent:
    return NewEvent(
        stream_type="temporal_rule",
        stream_id=RULES.kept.stream(tenant_id, limit.rule.id),
        type="temporal_rule.limit_reached",
        data={
            "temporal_rule_id": limit.rule.id,
            "did": limit.did,
            "keys": limit.keys,
            "most_keys": limit.most,
        },
        actor=ACTOR,
    )


def _count(found: Sequence[Firing], limits: Sequence[Limit]) -> None:
    for firing in found:
        metrics.TEMPORAL_FIRINGS.labels(firing.rule.kind).inc()
    for limit in limits:
        metrics.TEMPORAL_LIMITS.labels(limit.did).inc(limit.keys)
