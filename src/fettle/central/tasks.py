"""What Central Command does on a schedule: lost jobs are handed over again, and what is over is forgotten."""

from fettle.central.celery import publish_job
from fettle.kernel.http.idempotency import forget_expired
from fettle.kernel.jobs import Schedule, late_jobs
from fettle.kernel.platform import Platform


async def hand_over_late_jobs(platform: Platform) -> None:
    """Hand jobs over again that nobody took, or whose worker died."""
    for tenant_id, job_id in await late_jobs(platform):
        await publish_job(platform.parts["celery"], tenant_id, job_id)


async def forget_idempotency_keys(platform: Platform) -> None:
    """Delete the idempotency keys that have had their 24 hours."""
    async with platform.database.system() as session:
        await forget_expired(session)


async def forget_finished(platform: Platform) -> None:
    """Delete jobs that ended a month ago, and readers of events that have not been seen for a day."""
    async with platform.database.raw_system() as connection:
        await connection.execute("DELETE FROM jobs WHERE finished_at < now() - interval '30 days'")
        await connection.execute("DELETE FROM consumer_members WHERE seen_at < now() - interval '1 day'")


SCHEDULE = [
    Schedule("central.hand_over_late_jobs", every_seconds=15, run=hand_over_late_jobs),
    Schedule("central.forget_idempotency_keys", every_seconds=3600, run=forget_idempotency_keys),
    Schedule("central.forget_finished", every_seconds=3600, run=forget_finished),
]
