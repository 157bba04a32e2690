"""What Central Command does on a schedule: jobs that were handed over and lost are handed over again."""

from fettle.central.celery import publish_job
from fettle.kernel.jobs import Schedule, late_jobs
from fettle.kernel.platform import Platform


async def hand_over_late_jobs(platform: Platform) -> None:
    """Hand jobs over again that nobody took, or whose worker died."""
    for tenant_id, job_id in await late_jobs(platform):
        await publish_job(platform.parts["celery"], tenant_id, job_id)


SCHEDULE = [Schedule("central.hand_over_late_jobs", every_seconds=15, run=hand_over_late_jobs)]
