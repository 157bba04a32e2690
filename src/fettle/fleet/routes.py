"""HTTP of hosts."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from fettle.fleet import service
from fettle.fleet.schemas import HostAccepted, HostIn, HostOut, HostPage
from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["hosts"])

Reader = Annotated[Access, Depends(require("fleet:read"))]
Writer = Annotated[Access, Depends(require("fleet:write"))]


@router.get("/hosts")
async def list_hosts(access: Reader, session: TenantSession, paging: Paging) -> HostPage:
    """List hosts by name."""
    after = paging.after(str)
    rows = await service.list_hosts(
        session, access.tenant_id, after=after[0] if after else None, limit=paging.limit + 1
    )
    page, cursor = paging.cut(rows, lambda host: (host.name,))
    return HostPage(items=[HostOut.model_validate(host) for host in page], next_cursor=cursor)


@router.get("/hosts/{host_id}")
async def get_host(host_id: UUID, access: Reader, session: TenantSession) -> HostOut:
    """Show one host."""
    return HostOut.model_validate(await service.find_host(session, access.tenant_id, host_id))


@router.post("/hosts", status_code=202)
async def declare_host(
    body: HostIn, access: Writer, session: TenantSession, platform: CurrentPlatform
) -> HostAccepted:
    """Declare a host, or change the one of that name.

    The local executor and its sandbox reach into this very machine: only a platform administrator declares
    them.
    """
    if body.executor == "local" or body.sandbox_root is not None:
        access.check("platform:admin")
    host = await service.declare_host(
        session,
        access.tenant_id,
        name=body.name,
        platform=body.platform,
        executor=body.executor,
        sandbox_root=None if body.sandbox_root is None else Path(body.sandbox_root),
        settings=platform.settings,
        actor=access.actor,
    )
    return HostAccepted(id=host.id, href=f"/api/v1/hosts/{host.id}")
