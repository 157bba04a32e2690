"""Gathers what explains an incident or a message: what mutes it, its clock, and what was sent."""

from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.muting import schemas, service
from fettle.healing.muting.explaining import Explained, Known, why_incident, why_message
from fettle.healing.muting.matching import labels_of
from fettle.healing.muting.mutes import Mute, mute_of
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import NotFound
from fettle.kernel.platform import Platform

_MOST: Final = 200
_INCIDENT: Final = """
SELECT id, state, rule_id, check_type, host, site, severity, platform, source, labels FROM incidents
WHERE tenant_id = $1 AND id = $2
"""
_MUTED: Final = "SELECT * FROM muted_incidents WHERE tenant_id = $1 AND incident_id = $2"
_CLOCK: Final = """
SELECT e.*, i.number FROM escalations e JOIN incidents i ON i.tenant_id = e.tenant_id AND i.id = e.incident_id
WHERE e.tenant_id = $1 AND (e.incident_id = $2 OR e.id = $3) ORDER BY e.opened_at DESC, e.id DESC LIMIT 1
"""
_MESSAGES: Final = """
SELECT d.*, (SELECT count(*) FROM escalation_deliveries b WHERE b.tenant_id = d.tenant_id
             AND b.escalation_id = d.escalation_id AND b.lane = d.lane AND b.kind = 'firing'
             AND b.position < d.position AND b.state = 'delivered') AS before,
       coalesce((SELECT members FROM escalations e WHERE e.tenant_id = d.tenant_id AND e.id = d.escalation_id), 1)
         AS members
FROM escalation_deliveries d WHERE d.tenant_id = $1 AND ($2::uuid IS NULL OR d.incident_id = $2)
  AND ($3::uuid IS NULL OR d.id = $3) ORDER BY d.position DESC LIMIT $4
"""


async def explain_incident(
    platform: Platform, session: AsyncSession, tenant_id: UUID, incident_id: UUID
) -> schemas.IncidentWhy:
    """Explain an incident and every message that told of it.

    Raises:
        NotFound: The tenant has no such incident.
    """
    connection = await driver(session)
    row = await connection.fetchrow(_INCIDENT, tenant_id, incident_id)
    if row is None:
        raise NotFound(f"There is no incident {incident_id}.")
    mute = await _mute(platform, session, tenant_id, dict(row))
    clock = await connection.fetchrow(_CLOCK, tenant_id, incident_id, None)
    leader = None
    if clock is not None and clock["storm_id"] not in {None, clock["id"]}:
        leader = await connection.fetchrow(_CLOCK, tenant_id, None, clock["storm_id"])
    of = leader["incident_id"] if leader is not None else incident_id
    messages = await connection.fetch(_MESSAGES, tenant_id, of, None, _MOST)
    policies = await connection.fetchval(
        "SELECT count(*) FROM escalation_policies WHERE tenant_id = $1 AND enabled", tenant_id
    )
    storm = await connection.fetchval(
        "SELECT count(*) FROM storm_members WHERE tenant_id = $1 AND incident_id = $2", tenant_id, incident_id
    )
    known = Known(
        state=row["state"],
        mute=mute,
        rule_id=row["rule_id"],
        clock=None if clock is None else dict(clock),
        leader=None if leader is None else dict(leader),
        leader_number=None if leader is None else leader["number"],
        policies=policies,
        told=sum(1 for one in messages if one["kind"] == "firing" and one["state"] == "delivered"),
        storm=storm,
    )
    found = why_incident(known, utcnow())
    return schemas.IncidentWhy.model_validate(
        {
            "incident_id": incident_id,
            "state": row["state"],
            **_explained(found),
            "messages": [_message(one) for one in messages],
        }
    )


async def explain_message(session: AsyncSession, tenant_id: UUID, message_id: UUID) -> schemas.MessageWhy:
    """Explain one message.

    Raises:
        NotFound: The tenant has no such message.
    """
    connection = await driver(session)
    row = await connection.fetchrow(_MESSAGES, tenant_id, None, message_id, 1)
    if row is None:
        raise NotFound(f"There is no message {message_id}.")
    return schemas.MessageWhy.model_validate(_message(row))


async def _mute(
    platform: Platform, session: AsyncSession, tenant_id: UUID, row: dict[str, Any]
) -> Mute | None:
    """Return what mutes an incident: as it is written down, else as it would be now."""
    connection = await driver(session)
    kept = await connection.fetchrow(_MUTED, tenant_id, row["id"])
    if kept is not None and row["state"] == "suppressed":
        return Mute(kept["reason"], kept["muted_by"], kept["title"], kept["until"], kept["source_id"])
    mutes, inhibitor = await service.everything(platform, session, tenant_id)
    return mute_of(mutes, inhibitor, row["id"], labels_of(row), utcnow())


def _message(row: asyncpg.Record) -> dict[str, Any]:
    found = why_message(dict(row), row["before"], row["members"])
    told = {name: row[name] for name in ("id", "kind", "channel_id", "channel_kind", "state")}
    return {**told, **_explained(found)}


def _explained(found: Explained) -> dict[str, Any]:
    reasons = [asdict(one) for one in found.reasons]
    return {"verdict": found.verdict, "reasons": reasons, "next_at": found.next_at}
