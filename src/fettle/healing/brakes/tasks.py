"""What brakes forget in time: flaps, admissions and breakers that count no more."""

from typing import Final
from uuid import UUID

from fettle.healing.brakes import breakers
from fettle.healing.brakes.breakers import ACTOR, Name
from fettle.healing.brakes.breaking import Circuit
from fettle.kernel import events
from fettle.kernel.database import driver
from fettle.kernel.jobs import Schedule
from fettle.kernel.per_tenant import contain_failure
from fettle.kernel.platform import Platform

_FORGET: Final = (
    # No window is longer than a week.
    "DELETE FROM flap_counts WHERE last_at < now() - interval '8 days'",
    "DELETE FROM action_admissions WHERE admitted_at < now() - interval '2 days'",
    "DELETE FROM circuit_breakers WHERE state = 'closed' AND changed_at < now() - interval '8 days'",
    """DELETE FROM held_runs h WHERE EXISTS (SELECT FROM playbook_runs r
         WHERE r.tenant_id = h.tenant_id AND r.id = h.run_id AND r.state = 'finished')""",
    "DELETE FROM flap_suppressions WHERE cleared_at < now() - interval '90 days'",
)
# Of a host that is gone nobody tries whether it is well again. What a person opened stays until a person resets it.
_UNASKED: Final = """
state <> 'closed' AND open_until IS NOT NULL
AND greatest(changed_at, open_until, probe_until) < now() - interval '30 days'
"""
_CLOSE: Final = f"""
DELETE FROM circuit_breakers WHERE tenant_id = $1 AND (kind, key) IN (
  SELECT kind, key FROM circuit_breakers WHERE tenant_id = $1 AND {_UNASKED} ORDER BY kind, key FOR UPDATE
) RETURNING kind, key
"""  # noqa: S608 - a constant


async def forget_old(platform: Platform) -> None:
    """Delete what no limit asks for any more."""
    async with platform.database.raw_system() as connection:
        for statement in _FORGET:
            await connection.execute(statement)
        unasked = await connection.fetch(
            f"SELECT DISTINCT tenant_id FROM circuit_breakers WHERE {_UNASKED}"  # noqa: S608 - a constant
        )
    for row in unasked:
        tenant_id = UUID(int=row["tenant_id"].int)
        await contain_failure(tenant_id, "brakes.forget_old", _close_unasked(platform, tenant_id))


async def _close_unasked(platform: Platform, tenant_id: UUID) -> int:
    """Close, and forget, breakers that opened long ago and that nothing asked since."""
    why = "Nothing has asked for it for 30 days."
    async with platform.database.tenant(tenant_id) as session:
        connection = await driver(session)
        rows = await connection.fetch(_CLOSE, tenant_id)
        names: list[Name] = [(row["kind"], row["key"]) for row in rows]
        told = [breakers.changed(tenant_id, name, Circuit(), why, ACTOR) for name in names]
        await events.append(session, tenant_id, told)
    return len(told)


SCHEDULE: Final = [Schedule("brakes.forget_old", 3_600.0, forget_old)]
