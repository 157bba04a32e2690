"""HTTP of stopping runs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from fettle.identity.access import Access, TenantSession, require
from fettle.kernel import context
from fettle.kernel.http.accepted import Accepted
from fettle.kernel.http.routes import StrictRoute
from fettle.tools.schemas import StopIn
from fettle.tools.stopping import stop_run

router = APIRouter(route_class=StrictRoute, tags=["runs"])

Runner = Annotated[Access, Depends(require("playbooks:run"))]


@router.post("/runs/{run_id}/cancel", status_code=202)
async def cancel_run(run_id: UUID, body: StopIn, access: Runner, session: TenantSession) -> Accepted:
    """Stop a run before its next step; what it did is undone as its playbook says, and a person takes over.

    The step that is under way comes to its end first. A run that has no step left to begin completes instead.
    """
    await stop_run(
        session,
        access.tenant_id,
        run_id,
        body.reason,
        actor=access.actor,
        request_id=context.request_id.get(),
    )
    return Accepted(id=run_id, href=f"/api/v1/runs/{run_id}")
