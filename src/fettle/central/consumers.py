"""Central Command's own consumer: it hands queued jobs to Celery after the commit that queued them."""

from fettle.central.celery import publish_job
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.jobs import JOB_QUEUED


async def hand_over_jobs(batch: TenantBatch) -> None:
    """Publish each job's id; when Redis is away the bus tries again."""
    for event in batch.events:
        await publish_job(batch.platform.parts["celery"], batch.tenant_id, event.stream_id)


CONSUMERS = [ConsumerSpec("central.jobs", frozenset({JOB_QUEUED}), hand_over_jobs)]
