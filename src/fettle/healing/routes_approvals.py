"""HTTP of approvals: what waits for a person, and what the person says."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Query, Response

from fettle.healing import approval_decisions, approvals
from fettle.healing.approval_decisions import Verdict, may_decide
from fettle.healing.brakes import delegations
from fettle.healing.brakes.delegations import Authority
from fettle.healing.schemas_approvals import (
    ApprovalAccepted,
    ApprovalOut,
    ApprovalPage,
    ApprovalState,
    VerdictIn,
)
from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.kernel.clock import utcnow
from fettle.kernel.http.answers import answer_of
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute)

IncidentReader = Annotated[Access, Depends(require("incidents:read"))]
Decider = Annotated[Access, Depends(require("approvals:decide"))]


@router.get("/approvals", tags=["approvals"], response_model=ApprovalPage)
async def list_approvals(
    access: IncidentReader,
    platform: CurrentPlatform,
    paging: Paging,
    state: Annotated[list[ApprovalState] | None, Query(description="Any of these states.")] = None,
    incident_id: Annotated[UUID | None, Query(description="Of this incident.")] = None,
) -> Response:
    """List plans that wait, or waited, for a person, newest first."""
    rows = await approvals.listed(
        platform.database,
        access.tenant_id,
        states=state,
        incident_id=incident_id,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: [row["id"]])
    # Most plans of a list ask for the same few roles.
    asked = {tuple(row["approvers"]) for row in page}
    allowed = {roles for roles in asked if _may_decide(roles, access)}
    deputed: list[Authority] = []
    if asked - allowed and access.user_id is not None and "approvals:decide" in access.permissions:
        async with platform.database.tenant(access.tenant_id) as session:
            deputed = await delegations.authorities(session, access.tenant_id, access.actor, utcnow())
    items = [
        _approval(
            row,
            may_decide_it=tuple(row["approvers"]) in allowed or approval_decisions.is_deputed(row, deputed),
        )
        for row in page
    ]
    return answer_of({"items": items, "next_cursor": cursor})


@router.get("/approvals/{approval_id}", tags=["approvals"])
async def show_approval(approval_id: UUID, access: IncidentReader, session: TenantSession) -> ApprovalOut:
    """Show one approval with its plan in full."""
    row = await approvals.read(session, access.tenant_id, approval_id)
    allowed = _may_decide(row["approvers"], access)
    if not allowed and "approvals:decide" in access.permissions:
        deputed = await delegations.authorities(session, access.tenant_id, access.actor, utcnow())
        allowed = approval_decisions.is_deputed(row, deputed)
    return ApprovalOut.model_validate(_approval(row, may_decide_it=allowed))


@router.post("/approvals/{approval_id}/approve", status_code=202, tags=["approvals"])
async def approve(
    approval_id: UUID, body: VerdictIn, access: Decider, session: TenantSession
) -> ApprovalAccepted:
    """Approve the plan of this hash; it starts once as many people did as the policy wants. A second time is 409."""
    left = await approval_decisions.approve(session, access.tenant_id, approval_id, _verdict(body, access))
    return ApprovalAccepted(id=approval_id, href=f"/api/v1/approvals/{approval_id}", left=left)


@router.post("/approvals/{approval_id}/reject", status_code=202, tags=["approvals"])
async def reject(
    approval_id: UUID, body: VerdictIn, access: Decider, session: TenantSession
) -> ApprovalAccepted:
    """Reject the plan of this hash; its incident goes to a person."""
    await approval_decisions.reject(session, access.tenant_id, approval_id, _verdict(body, access))
    return ApprovalAccepted(id=approval_id, href=f"/api/v1/approvals/{approval_id}")


def _verdict(body: VerdictIn, access: Access) -> Verdict:
    return Verdict(body.plan_hash, body.reason, access.actor, access.permissions)


def _may_decide(approvers: Sequence[str], access: Access) -> bool:
    return "approvals:decide" in access.permissions and may_decide(approvers, access.permissions)


def _approval(row: asyncpg.Record, *, may_decide_it: bool) -> dict[str, Any]:
    """Return what `ApprovalOut` describes."""
    values = dict(row)
    values["incident_number"] = values.pop("number")
    values["incident_title"] = values.pop("title")
    values["may_decide"] = may_decide_it
    return values
