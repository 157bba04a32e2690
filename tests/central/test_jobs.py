"""Jobs leave with the commit that asked for them, none is lost, and one worker alone runs each."""

import asyncio
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from fettle.central.celery import RUN_JOB, broker_url, make_celery, publish_job, run_scheduled
from fettle.central.consumers import CONSUMERS
from fettle.central.tasks import hand_over_late_jobs
from fettle.kernel import jobs
from fettle.kernel.bus import run_consumers
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.jobs import JobSpec, Schedule


async def count(job):
    return {"ran": job.arguments.get("ran", 0) + 1}


async def refuse(job):
    raise Conflict("The moon is full.")


async def stumble(job):
    raise ZeroDivisionError("secret: 42")


SPECS = {
    name: JobSpec(name, run) for name, run in (("count", count), ("refuse", refuse), ("stumble", stumble))
}


async def queued(platform, tenant, name="count", arguments=None):
    async with platform.database.tenant(tenant) as session:
        return await jobs.submit(session, tenant, name, arguments or {}, actor="system:test")


async def status(platform, tenant, job_id):
    async with platform.database.tenant(tenant) as session:
        return await jobs.status(session, tenant, job_id)


async def test_a_job_runs_once_however_often_it_is_handed_over(platform, tenant):
    job_id = await queued(platform, tenant)
    ran = await asyncio.gather(*(jobs.run_job(platform, tenant, job_id, SPECS) for _ in range(8)))
    assert ran.count(True) == 1
    done = await status(platform, tenant, job_id)
    assert (done.state, done.progress, done.result) == ("succeeded", 1.0, {"ran": 1})


async def test_a_rolled_back_transaction_leaves_neither_row_nor_event(platform, tenant):
    async with platform.database.tenant(tenant) as session:
        job_id = await jobs.submit(session, tenant, "count", {}, actor="system:test")
        await session.rollback()
    with pytest.raises(NotFound):
        await status(platform, tenant, job_id)


async def test_a_failure_says_why_and_an_unexpected_one_says_no_data(platform, tenant):
    refused = await queued(platform, tenant, "refuse")
    stumbled = await queued(platform, tenant, "stumble")
    nobody = await queued(platform, tenant, "nobody-knows")
    for job_id in (refused, stumbled, nobody):
        assert await jobs.run_job(platform, tenant, job_id, SPECS)
    assert (await status(platform, tenant, refused)).error == "The moon is full."
    assert (await status(platform, tenant, stumbled)).error == "ZeroDivisionError"
    assert (await status(platform, tenant, nobody)).error == "No worker knows the job nobody-knows."


async def test_who_asked_when_it_ran_and_where_the_result_is_are_shown(api):
    async def make(job):
        await job.report(0.5)
        return {"href": "/api/v1/things/1", "rows": 3}

    ids = [await queued(api.platform, api.alder.id, "make") for _ in range(3)]
    await jobs.run_job(api.platform, api.alder.id, ids[0], {"make": JobSpec("make", make)})
    headers = api.alder.headers("viewer")
    done = (await api.client.get(f"/api/v1/jobs/{ids[0]}", headers=headers)).json()
    assert (done["state"], done["progress"], done["result_href"]) == ("succeeded", 1.0, "/api/v1/things/1")
    assert done["requested_by"] == "system:test"
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    assert (await api.client.get(f"/api/v1/jobs/{ids[0]}", headers=api.birch.headers())).status_code == 404
    first = (await api.client.get("/api/v1/jobs?name=make&limit=2", headers=headers)).json()
    cursor = first["next_cursor"]
    rest = (await api.client.get(f"/api/v1/jobs?name=make&limit=2&cursor={cursor}", headers=headers)).json()
    listed = [item["id"] for item in first["items"] + rest["items"]]
    assert listed == [str(job_id) for job_id in reversed(ids)]
    unfinished = await api.client.get("/api/v1/jobs?state=queued&state=running", headers=headers)
    assert len(unfinished.json()["items"]) == 2
    assert (await api.client.get("/api/v1/jobs", headers=api.birch.headers())).json()["items"] == []
    assert (await api.client.get("/api/v1/jobs", headers=api.alder.headers("agent"))).status_code == 403


async def test_another_tenant_neither_sees_nor_runs_it(platform, tenant, other_tenant):
    job_id = await queued(platform, tenant)
    with pytest.raises(NotFound):
        await status(platform, other_tenant, job_id)
    assert not await jobs.run_job(platform, other_tenant, job_id, SPECS)


async def test_a_job_whose_worker_died_is_late_and_runs_again(platform, tenant):
    job_id = await queued(platform, tenant)
    async with platform.database.raw_tenant(tenant) as connection:
        await connection.execute(
            "UPDATE jobs SET state = 'running', owner = $2, lease_until = now() WHERE id = $1",
            job_id, uuid4(),
        )  # fmt: skip
    assert (tenant, job_id) in await jobs.late_jobs(platform)
    assert await jobs.run_job(platform, tenant, job_id, SPECS)
    assert (tenant, job_id) not in await jobs.late_jobs(platform)


async def test_whoever_loses_the_lease_stops_and_writes_nothing(platform, tenant):
    started = asyncio.Event()

    async def slow(job):
        started.set()
        await asyncio.Event().wait()

    job_id = await queued(platform, tenant, "slow")
    quick = platform.settings.model_copy(update={"lease_seconds": 0.3})
    impatient = type(platform)(settings=quick, database=platform.database, redis=platform.redis)
    running = asyncio.create_task(jobs.run_job(impatient, tenant, job_id, {"slow": JobSpec("slow", slow)}))
    await started.wait()
    async with platform.database.raw_tenant(tenant) as connection:
        await connection.execute("UPDATE jobs SET owner = $2 WHERE id = $1", job_id, uuid4())
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await status(platform, tenant, job_id)).state == "running"


async def test_the_bus_hands_a_queued_job_to_redis_and_the_sweep_hands_a_lost_one_over(platform, tenant):
    celery = make_celery(platform.settings)
    platform.parts["celery"] = celery
    job_id = await queued(platform, tenant)
    consuming = asyncio.create_task(run_consumers(platform, CONSUMERS))
    try:
        async with asyncio.timeout(60):
            await message_of(platform.redis, job_id)
    finally:
        consuming.cancel()
    async with platform.database.raw_tenant(tenant) as connection:
        await connection.execute(
            "UPDATE jobs SET created_at = now() - interval '1 minute' WHERE id = $1", job_id
        )
    await hand_over_late_jobs(platform)
    async with asyncio.timeout(60):
        await message_of(platform.redis, job_id)


async def test_a_message_carries_ids_alone(platform, tenant):
    celery = make_celery(platform.settings)
    job_id = uuid4()
    await publish_job(celery, tenant, job_id)
    message = await message_of(platform.redis, job_id)
    assert RUN_JOB in message
    assert "pickle" not in message


async def test_a_schedule_is_run_by_one_worker_at_a_time(platform):
    entered, leave = asyncio.Event(), asyncio.Event()

    async def linger(_platform):
        entered.set()
        await leave.wait()

    entry = Schedule("test.linger", 60, linger)
    first = asyncio.create_task(run_scheduled(platform, entry))
    await entered.wait()
    assert not await run_scheduled(platform, entry)
    leave.set()
    assert await first
    assert await run_scheduled(platform, entry)


@pytest.mark.parametrize(
    ("redis", "broker"),
    [
        ("unix:///var/run/redis.sock?db=0", "redis+socket:///var/run/redis.sock?virtual_host=0"),
        ("redis://cache.example:6379/1", "redis://cache.example:6379/1"),
    ],
)
def test_celery_finds_the_same_redis(redis, broker):
    assert broker_url(redis) == broker


async def message_of(redis: Redis, job_id: UUID) -> str:
    """Take messages off the queue until the one of a job."""
    message = b""
    while str(job_id).encode() not in message:
        _, message = await redis.blpop(["fettle"])
    return message.decode()
