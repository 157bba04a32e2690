"""HTTP of the overviews: of one tenant, and of all that the caller looks after."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from fettle.identity.access import Access, CurrentPlatform, SignedInCaller, require
from fettle.identity.sign_in_policy import shut_to
from fettle.incidents.overview import Overview, TenantOverview, overview, overview_of_tenants
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["incidents"])

Reader = Annotated[Access, Depends(require("incidents:read"))]


@router.get("/overview")
async def show_overview(platform: CurrentPlatform, access: Reader) -> Overview:
    """Show what needs somebody now, and how healing goes."""
    minutes = platform.settings.minutes_per_incident
    return await overview(platform.database, access.tenant_id, minutes_per_incident=minutes)


@router.get("/overview/tenants")
async def list_overviews(
    platform: CurrentPlatform, paging: Paging, caller: SignedInCaller
) -> Page[TenantOverview]:
    """List the tenants whose incidents the caller may see, the neediest first.

    Critical incidents count before high ones, then what waits for a person, then what is open. The order is that
    of the moment: while pages are turned, a tenant may move. A tenant whose policy does not let this sign-in in,
    for want of a second factor say, is not among them.
    """
    caller.refuse_one_time_password()
    seen = [tenant for tenant, rights in caller.rights.items() if "incidents:read" in rights]
    after = paging.after(int, UUID)
    shut = await shut_to(
        platform, caller.methods, partners=caller.partners, is_admin=caller.is_platform_admin
    )
    rows = await overview_of_tenants(
        platform.database,
        None if caller.is_platform_admin else seen,
        after=(after[0], after[1]) if after else None,
        limit=paging.limit + 1,
        without=shut if caller.user_id is not None else (),
    )
    page, cursor = paging.cut(rows, lambda row: [row[0], row[1].tenant_id])
    return Page[TenantOverview](items=[item for _, item in page], next_cursor=cursor)
