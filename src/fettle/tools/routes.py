"""HTTP of tools, playbooks, runs and secrets."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.kernel.errors import NotFound
from fettle.kernel.http.answers import answer_of, documents_of
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.tools import routes_playbooks, service, trying
from fettle.tools.catalogue import registry_of
from fettle.tools.routes_runs import router as run_router
from fettle.tools.schemas import (
    Changed,
    PlaybookId,
    RunOut,
    RunOutcome,
    RunPage,
    RunState,
    SecretIn,
    SecretItem,
    SecretList,
    SecretName,
    StepOut,
    ToolChange,
    ToolList,
    ToolName,
    ToolOut,
    ToolTestIn,
    ToolTestOut,
)

router = APIRouter(route_class=StrictRoute)
router.include_router(run_router)
router.include_router(routes_playbooks.router)

ToolReader = Annotated[Access, Depends(require("tools:read"))]
ToolWriter = Annotated[Access, Depends(require("tools:write"))]
Reader = Annotated[Access, Depends(require("playbooks:read"))]
Runner = Annotated[Access, Depends(require("playbooks:run"))]


@router.get("/tools", tags=["tools"])
async def list_tools(platform: CurrentPlatform, access: ToolReader, session: TenantSession) -> ToolList:
    """List every tool with its schemas, and whether the tenant lets it be called."""
    off = await service.disabled(session, access.tenant_id)
    return ToolList(
        items=[
            ToolOut(
                name=tool.name,
                version=tool.version,
                title=tool.title,
                description=tool.description,
                input_schema=tool.input_schema,
                output_schema=tool.output_schema,
                idempotent=tool.idempotent,
                supports_dry_run=tool.supports_dry_run,
                enabled=tool.name not in off,
            )
            for tool in registry_of(platform)
        ]
    )


@router.patch("/tools/{name}", status_code=202, tags=["tools"])
async def change_tool(
    name: ToolName, body: ToolChange, platform: CurrentPlatform, access: ToolWriter, session: TenantSession
) -> Changed:
    """Switch a tool on or off for the tenant; runs see it within a second."""
    if all(tool.name != name for tool in registry_of(platform)):
        raise NotFound(f"There is no tool {name}.")
    await service.set_enabled(session, access.tenant_id, name, enabled=body.enabled, actor=access.actor)
    return Changed(id=name, href="/api/v1/tools")


@router.post("/tools/{name}/test", tags=["tools"])
async def try_tool(
    name: ToolName,
    body: ToolTestIn,
    platform: CurrentPlatform,
    access: Runner,
    session: TenantSession,
    who: CurrentWho,
) -> ToolTestOut:
    """Call a tool to see what it does: only for show, unless the body says otherwise and the caller may write."""
    if not body.dry_run:
        access.check("tools:write")
    wanted = trying.Wanted(name, body.input, dry_run=body.dry_run, timeout_seconds=body.timeout_seconds)
    tried = await trying.try_tool(platform, session, access.tenant_id, wanted, who)
    return ToolTestOut.model_validate(asdict(tried))


@router.get("/runs", tags=["runs"], response_model=RunPage)
async def list_runs(
    access: Reader,
    platform: CurrentPlatform,
    paging: Paging,
    incident_id: Annotated[UUID | None, Query(description="Of this incident.")] = None,
    state: Annotated[list[RunState] | None, Query(description="In any of these states.")] = None,
    outcome: Annotated[list[RunOutcome] | None, Query(description="With any of these outcomes.")] = None,
    playbook_id: Annotated[PlaybookId | None, Query(description="Of this playbook.")] = None,
) -> Response:
    """List runs, newest first."""
    rows = await service.list_runs(
        platform.database,
        access.tenant_id,
        incident_id=incident_id,
        states=state,
        outcomes=outcome,
        playbook_id=playbook_id,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: [row["id"]])
    return answer_of({"items": documents_of(page), "next_cursor": cursor})


@router.get("/runs/{run_id}", tags=["runs"])
async def show_run(run_id: UUID, access: Reader, session: TenantSession) -> RunOut:
    """Show a run with its steps: input, output, state, attempts and times."""
    run, steps = await service.read_run(session, access.tenant_id, run_id)
    return RunOut.model_validate({**run, "steps": [StepOut.model_validate(dict(step)) for step in steps]})


@router.get("/secrets", tags=["tools"])
async def list_secrets(
    access: Annotated[Access, Depends(require("tools:read", reads="secrets.listed"))], session: TenantSession
) -> SecretList:
    """List the names of the tenant's secrets; their values never come back out."""
    found = await service.list_secrets(session, access.tenant_id)
    return SecretList(items=[SecretItem(name=n, updated_by=by, updated_at=at) for n, by, at in found])


@router.put("/secrets/{name}", status_code=202, tags=["tools"])
async def put_secret(
    name: SecretName, body: SecretIn, platform: CurrentPlatform, access: ToolWriter, session: TenantSession
) -> Changed:
    """Store a secret, in place of what had its name; playbooks use it as {"$secret": "name"}."""
    await service.put_secret(platform, session, access.tenant_id, name, body.value, actor=access.actor)
    return Changed(id=name, href="/api/v1/secrets")


@router.delete("/secrets/{name}", status_code=202, tags=["tools"])
async def delete_secret(name: SecretName, access: ToolWriter, session: TenantSession) -> Changed:
    """Delete a secret; what names it fails from now on."""
    await service.delete_secret(session, access.tenant_id, name)
    return Changed(id=name, href="/api/v1/secrets")
