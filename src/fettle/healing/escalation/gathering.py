"""Gathers what a message says at the moment at which it is sent, and takes out what must not leave."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.escalation.channels import Recipient
from fettle.healing.escalation.content import FIRING, Asked, Notice
from fettle.healing.escalation.deliveries import Delivery
from fettle.identity.names import names_of
from fettle.incidents import queries
from fettle.incidents.models import Incident
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

_MOST_RUNS: Final = 5
_SAID: Final = """
SELECT DISTINCT ON (type) type, data FROM events
WHERE tenant_id = $1 AND stream_type = 'incident' AND stream_id = $2
  AND type IN ('incident.escalated', 'plan.proposed', 'plan.rejected')
ORDER BY type, version DESC
"""


async def gather(
    platform: Platform, session: AsyncSession, delivery: Delivery, escalation: asyncpg.Record | None
) -> Notice:
    """Return what a message says.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        delivery: The message.
        escalation: Its row, None for a test.
    """
    connection = await driver(session)
    tenant_id = delivery.tenant_id
    tenant: str = await connection.fetchval("SELECT name FROM tenants WHERE id = $1", tenant_id)
    clean = (await active_packs(platform, tenant_id)).packs.redactor.redact_text
    if escalation is None or delivery.incident_id is None:
        return Notice(
            kind=delivery.kind,
            key=f"fettle-test-{delivery.channel_id}",
            message_id=delivery.id,
            tenant=tenant,
            title="This is only a test of the channel.",
            severity="info",
            moment=utcnow(),
            url=_console(platform, None),
            attempt=delivery.attempts,
        ).cleaned(clean)
    incident = await queries.one(session, tenant_id, delivery.incident_id)
    rows = await connection.fetch(_SAID, tenant_id, incident.id)
    said: dict[str, Mapping[str, Any]] = {row["type"]: row["data"] for row in rows}
    names = await names_of(session, tenant_id, [escalation["acknowledged_by"] or ""])
    by = escalation["acknowledged_by"]
    return Notice(
        kind=delivery.kind,
        key=f"fettle-{escalation['id']}",
        message_id=delivery.id,
        tenant=tenant,
        title=incident.title,
        severity=incident.severity,
        moment=incident.last_seen_at,
        incident_id=incident.id,
        number=incident.number,
        check_type=incident.check_type,
        host=incident.host,
        site=incident.site,
        members=escalation["members"],
        happened=_happened(incident, said.get("incident.escalated")),
        tried=await _tried(session, tenant_id, incident.id) if delivery.kind == FIRING else (),
        thinks=_thinks(said) if delivery.kind == FIRING else (),
        by=names.get(by, by) if by else None,
        url=_console(platform, incident.id),
        asked=await _asked(session, tenant_id, incident.id) if delivery.kind == FIRING else None,
        attempt=delivery.attempts,
    ).cleaned(clean)


async def recipient_of(session: AsyncSession, tenant_id: UUID, user_id: UUID | None) -> Recipient | None:
    """Return a person with how channels reach them, None where nobody or somebody who left is meant.

    Args:
        session: With the tenant bound: people of other tenants are not seen.
        tenant_id: The tenant.
        user_id: The person.
    """
    if user_id is None:
        return None
    connection = await driver(session)
    row = await connection.fetchrow(
        "SELECT u.name, u.email, c.document FROM users u LEFT JOIN oncall_contacts c ON c.tenant_id = $1 "
        "AND c.user_id = u.id WHERE u.id = $2 AND u.disabled_at IS NULL",
        tenant_id, user_id,
    )  # fmt: skip
    if row is None:
        return None
    return Recipient(user_id, row["name"], row["email"], row["document"] or {})


def _happened(incident: Incident, escalated: Mapping[str, Any] | None) -> tuple[str, ...]:
    where = ", ".join(part for part in (incident.host, incident.site) if part)
    lines = [f"{incident.check_type} on {where}" if where else incident.check_type]
    if incident.summary:
        lines.append(incident.summary)
    times = "once" if incident.occurrences == 1 else f"{incident.occurrences} times"
    lines.append(f"Reported {times}, first {incident.opened_at:%Y-%m-%d %H:%M} UTC.")
    if incident.resolution:
        lines.append(incident.resolution)
    elif escalated is not None:
        lines.append(str(escalated.get("detail") or escalated.get("reason") or "A person must decide."))
    return tuple(lines)


async def _tried(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> tuple[str, ...]:
    connection = await driver(session)
    runs = await connection.fetch(
        "SELECT playbook_id, state, outcome, reason FROM playbook_runs WHERE tenant_id = $1 AND incident_id = $2 "
        "ORDER BY id DESC LIMIT $3",
        tenant_id, incident_id, _MOST_RUNS,
    )  # fmt: skip
    lines = []
    for run in reversed(runs):
        came = run["outcome"] or run["state"]
        reason = f": {run['reason']}" if run["reason"] else ""
        lines.append(f"{run['playbook_id']} {came}{reason}")
    return tuple(lines)


def _thinks(said: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    plan = said.get("plan.proposed")
    if plan is None:
        return ()
    content = plan.get("plan") or {}
    playbook = (content.get("playbook") or {}).get("id") if isinstance(content, Mapping) else None
    lines = [
        f"{plan.get('level', 'L1')} would run {playbook}."
        if playbook
        else f"{plan.get('level', 'L1')} has a plan."
    ]
    lines += [str(plan[key]) for key in ("reasoning", "explanation") if plan.get(key)]
    if isinstance(plan.get("confidence"), int | float):
        lines.append(f"Confidence {plan['confidence']:.0%}.")
    return tuple(lines)


async def _asked(session: AsyncSession, tenant_id: UUID, incident_id: UUID) -> Asked | None:
    connection = await driver(session)
    found = await connection.fetchrow(
        "SELECT id, plan, plan_hash, reason FROM approvals WHERE tenant_id = $1 AND incident_id = $2 "
        "AND state = 'pending' AND expires_at > now() ORDER BY id DESC LIMIT 1",
        tenant_id, incident_id,
    )  # fmt: skip
    if found is None:
        return None
    playbook = (found["plan"] or {}).get("playbook") or {}
    title = playbook.get("title") or playbook.get("id") or found["reason"]
    return Asked(found["id"], found["plan_hash"], str(title))


def _console(platform: Platform, incident_id: UUID | None) -> str | None:
    base = platform.settings.public_url
    if base is None:
        return None
    return base if incident_id is None else f"{base}/incidents/{incident_id}"
