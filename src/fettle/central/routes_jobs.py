"""HTTP of long work: what was asked for, how far it is, and where its result is to be had."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from fettle.identity.access import Access, TenantSession, require
from fettle.kernel import jobs
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.jobs import JobStatus

router = APIRouter(route_class=StrictRoute)

Reader = Annotated[Access, Depends(require("jobs:read"))]
JobState = Literal["queued", "running", "succeeded", "failed"]


class JobOut(BaseModel):
    """A job."""

    id: UUID
    name: Annotated[str, Field(description="What it does, `<module>.<what>`.")]
    state: JobState
    progress: Annotated[float, Field(ge=0, le=1, description="How much is done.")]
    result: dict[str, Any] | None
    result_href: Annotated[str | None, Field(description="Where the result is to be had, once there is one.")]
    error: Annotated[str | None, Field(description="Why it failed.")]
    requested_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@router.get("/jobs", tags=["jobs"])
async def list_jobs(
    paging: Paging,
    access: Reader,
    session: TenantSession,
    name: Annotated[str | None, Query(max_length=100, description="Of this kind.")] = None,
    state: Annotated[list[JobState] | None, Query(description="In any of these states.")] = None,
) -> Page[JobOut]:
    """List long work, newest first."""
    rows = await jobs.list_jobs(
        session,
        access.tenant_id,
        name=name,
        states=state or (),
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda job: [job.id])
    return Page[JobOut](items=[_shown(job) for job in page], next_cursor=cursor)


@router.get("/jobs/{job_id}", tags=["jobs"])
async def show_job(job_id: UUID, access: Reader, session: TenantSession) -> JobOut:
    """Show one job: ask again while it is `queued` or `running`."""
    return _shown(await jobs.status(session, access.tenant_id, job_id))


def _shown(job: JobStatus) -> JobOut:
    href = (job.result or {}).get("href")
    return JobOut(
        id=job.id,
        name=job.name,
        state=cast("JobState", job.state),
        progress=round(job.progress, 4),
        result=job.result,
        result_href=href if isinstance(href, str) else None,
        error=job.error,
        requested_by=job.requested_by,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
