"""Long work outside of requests: a row and an event in the caller's transaction, then run once by a worker.

`submit` writes both in the transaction of whoever asks, so a crash before the commit leaves nothing and one
after it loses nothing: a consumer of the event hands the job to Celery, a sweep hands it over again when that
was lost, and the row's state lets one worker alone run it however often it is handed over.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events
from fettle.kernel.context import tenant_id as tenant_context
from fettle.kernel.database import driver
from fettle.kernel.errors import NotFound, Problem
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.platform import Platform

JOB_QUEUED: Final = "job.queued"

_LATE_SECONDS: Final = 30.0
"""A job that nobody took for so long is handed over again."""

_LEASE_RENEWALS: Final = 3

_STATUS_COLUMNS: Final = (
    "id, name, state, progress, result, error, requested_by, created_at, started_at, finished_at"
)

log = structlog.get_logger("fettle.jobs")


@dataclass(frozen=True, slots=True)
class Job:
    """A job while it runs.

    Attributes:
        arguments: What `submit` was given.
    """

    platform: Platform
    id: UUID
    tenant_id: UUID
    arguments: Mapping[str, Any]
    owner: UUID

    async def report(self, progress: float) -> None:
        """Note how much is done, from 0 to 1."""
        async with self.platform.database.raw_tenant(self.tenant_id) as connection:
            await connection.execute(
                "UPDATE jobs SET progress = $4 WHERE tenant_id = $1 AND id = $2 AND owner = $3",
                self.tenant_id, self.id, self.owner, min(max(progress, 0.0), 1.0),
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A kind of job; features list theirs as ``JOBS`` in ``tasks.py``.

    Attributes:
        name: ``<module>.<what it does>``.
        run: Does it and returns its result as JSON. It may run again after a crash, so it is repeatable.
    """

    name: str
    run: Callable[[Job], Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Work that returns on its own; features list theirs as ``SCHEDULE`` in ``tasks.py``.

    Attributes:
        name: ``<module>.<what it does>``.
        every_seconds: Its period.
        run: Does it; one worker at a time, and it may be late or left out, so it looks at the clock itself.
    """

    name: str
    every_seconds: float
    run: Callable[[Platform], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What is known of a job.

    Attributes:
        progress: How much is done, from 0 to 1.
        result: What it came to; `href` in it says where that is to be had.
        error: Why it failed.
        requested_by: Who asked for it, as in events.
    """

    id: UUID
    name: str
    state: str
    progress: float
    result: dict[str, Any] | None
    error: str | None
    requested_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


async def submit(
    session: AsyncSession,
    tenant_id: UUID,
    name: str,
    arguments: Mapping[str, Any],
    *,
    actor: str,
    correlation_id: UUID | None = None,
) -> UUID:
    """Queue a job in the caller's transaction and return its id.

    Args:
        session: With the tenant bound.
        tenant_id: Whose job it is.
        name: A `JobSpec`'s name.
        arguments: JSON; never a secret.
        actor: Who asks, as in events.
        correlation_id: The incident that it belongs to.
    """
    job_id = new_id()
    connection = await driver(session)
    await connection.execute(
        "INSERT INTO jobs (id, tenant_id, name, arguments, requested_by) VALUES ($1, $2, $3, $4::text::jsonb, $5)",
        job_id, tenant_id, name, dumps_str(arguments), actor,
    )  # fmt: skip
    queued = NewEvent(
        stream_type="job",
        stream_id=job_id,
        type=JOB_QUEUED,
        data={"name": name},
        actor=actor,
        correlation_id=correlation_id,
    )
    await events.append(session, tenant_id, [queued], expected_version=0)
    return job_id


async def status(session: AsyncSession, tenant_id: UUID, job_id: UUID) -> JobStatus:
    """Read a job.

    Raises:
        NotFound: The tenant has no such job.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        f"SELECT {_STATUS_COLUMNS} FROM jobs WHERE tenant_id = $1 AND id = $2",  # noqa: S608 - a constant
        tenant_id, job_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("There is no such job.")
    return JobStatus(*row.values())


async def list_jobs(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    name: str | None = None,
    states: Sequence[str] = (),
    before: UUID | None,
    limit: int,
) -> list[JobStatus]:
    """Read jobs, newest first, from the one before the given id.

    Args:
        session: With the tenant bound.
        tenant_id: Whose jobs.
        name: Of this kind only.
        states: In any of these states only.
        before: The last id of the page before.
        limit: How many at most.
    """
    connection = await driver(session)
    rows = await connection.fetch(
        f"SELECT {_STATUS_COLUMNS} FROM jobs WHERE tenant_id = $1 "  # noqa: S608 - a constant
        "AND ($2::text IS NULL OR name = $2) AND ($3::text[] IS NULL OR state = ANY($3)) "
        "AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
        tenant_id, name, list(states) or None, before, limit,
    )  # fmt: skip
    return [JobStatus(*row.values()) for row in rows]


async def run_job(platform: Platform, tenant_id: UUID, job_id: UUID, specs: Mapping[str, JobSpec]) -> bool:
    """Run a job if nobody else does or did; returns whether it was ours to run."""
    owner = new_id()
    claimed = await _claim(platform, tenant_id, job_id, owner)
    if claimed is None:
        return False
    name, arguments = claimed
    token = tenant_context.set(str(tenant_id))
    try:
        job = Job(platform, job_id, tenant_id, arguments, owner)
        await _finish(job, *await _outcome(job, name, specs))
    finally:
        tenant_context.reset(token)
    return True


async def late_jobs(platform: Platform) -> list[tuple[UUID, UUID]]:
    """Return tenant and id of jobs that were handed over and lost, or whose worker died."""
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT tenant_id, id FROM jobs WHERE state IN ('queued', 'running') AND "
            "CASE state WHEN 'queued' THEN created_at < now() - make_interval(secs => $1) "
            "ELSE lease_until < now() END ORDER BY created_at LIMIT 1000",
            _LATE_SECONDS,
        )
    return [(row["tenant_id"], row["id"]) for row in rows]


async def _claim(
    platform: Platform, tenant_id: UUID, job_id: UUID, owner: UUID
) -> tuple[str, dict[str, Any]] | None:
    async with platform.database.raw_tenant(tenant_id) as connection:
        row = await connection.fetchrow(
            "UPDATE jobs SET state = 'running', owner = $3, lease_until = now() + make_interval(secs => $4), "
            "started_at = coalesce(started_at, now()) WHERE tenant_id = $1 AND id = $2 "
            "AND (state = 'queued' OR (state = 'running' AND lease_until < now())) RETURNING name, arguments",
            tenant_id, job_id, owner, platform.settings.lease_seconds,
        )  # fmt: skip
    return (row["name"], row["arguments"]) if row is not None else None


async def _outcome(
    job: Job, name: str, specs: Mapping[str, JobSpec]
) -> tuple[Mapping[str, Any] | None, str | None]:
    spec = specs.get(name)
    if spec is None:
        return None, f"No worker knows the job {name}."
    work = asyncio.ensure_future(spec.run(job))
    keeper = asyncio.create_task(_keep_lease(job, work))
    try:
        return await work, None
    except Problem as problem:
        return None, problem.detail
    except Exception as error:
        log.exception("job.failed", job=str(job.id), name=name)
        return None, type(error).__name__
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def _keep_lease(job: Job, work: "asyncio.Future[Any]") -> None:
    """Renew the lease while the job runs; whoever lost it stops, as another runs the job by now."""
    lease_seconds = job.platform.settings.lease_seconds
    while True:
        await asyncio.sleep(lease_seconds / _LEASE_RENEWALS)
        async with job.platform.database.raw_tenant(job.tenant_id) as connection:
            done = await connection.execute(
                "UPDATE jobs SET lease_until = now() + make_interval(secs => $4) "
                "WHERE tenant_id = $1 AND id = $2 AND owner = $3 AND state = 'running'",
                job.tenant_id, job.id, job.owner, lease_seconds,
            )  # fmt: skip
        if done != "UPDATE 1":
            work.cancel()
            return


async def _finish(job: Job, result: Mapping[str, Any] | None, error: str | None) -> None:
    async with job.platform.database.raw_tenant(job.tenant_id) as connection:
        await connection.execute(
            "UPDATE jobs SET state = $4, result = $5::text::jsonb, error = $6, finished_at = now(), "
            "lease_until = NULL, progress = CASE WHEN $6::text IS NULL THEN 1 ELSE progress END "
            "WHERE tenant_id = $1 AND id = $2 AND owner = $3 AND state = 'running'",
            job.tenant_id,
            job.id,
            job.owner,
            "succeeded" if error is None else "failed",
            dumps_str(dict(result)) if result is not None else None,
            error,
        )
