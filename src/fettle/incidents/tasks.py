"""Scheduled work of incidents."""

from datetime import timedelta
from uuid import UUID

from fettle.incidents import bulk, bulk_running
from fettle.incidents.service import Transition, transition
from fettle.incidents.states import State
from fettle.kernel.clock import utcnow
from fettle.kernel.jobs import JobSpec, Schedule
from fettle.kernel.per_tenant import contain_failure
from fettle.kernel.platform import Platform

_BATCH = 500

_QUIET = """
SELECT tenant_id, array_agg(id) AS ids FROM (
  SELECT tenant_id, id FROM incidents WHERE state = 'resolved' AND last_seen_at < $1 AND resolved_at < $1
  ORDER BY last_seen_at LIMIT $2) AS quiet
GROUP BY tenant_id
"""


async def close_quiet(platform: Platform) -> int:
    """Close resolved incidents that stayed quiet for the time that the settings say; returns how many."""
    before = utcnow() - timedelta(hours=platform.settings.quiet_close_hours)
    closed = 0
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(_QUIET, before, _BATCH)
    for row in rows:
        tenant_id = row["tenant_id"]
        closed += await contain_failure(
            tenant_id, "incidents.close_quiet", _close(platform, tenant_id, row["ids"])
        )
    return closed


async def _close(platform: Platform, tenant_id: UUID, incident_ids: list[UUID]) -> int:
    moves = [
        Transition(
            incident_id=incident_id,
            to=State.CLOSED,
            type="incident.closed",
            data={"resolution": "Quiet since it was resolved"},
            actor="system:schedule",
        )
        for incident_id in incident_ids
    ]
    async with platform.database.tenant(tenant_id) as session:
        return len(await transition(session, tenant_id, moves, if_allowed=True))


async def _close_quiet(platform: Platform) -> None:
    await close_quiet(platform)


async def _forget_bulk(platform: Platform) -> None:
    async with platform.database.raw_system() as connection:
        await bulk.forget_old(connection)


SCHEDULE = [
    Schedule("incidents.close_quiet", 300.0, _close_quiet),
    Schedule("incidents.forget_bulk", 3_600.0, _forget_bulk),
]

JOBS = [
    JobSpec(bulk.RUN_JOB, bulk_running.run_job),
    JobSpec(bulk.UNDO_JOB, bulk_running.run_back_job),
]
