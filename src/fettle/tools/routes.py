"""HTTP of tools, playbooks, runs and secrets."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.incidents import queries
from fettle.incidents.models import Incident
from fettle.kernel.errors import Invalid, NotFound
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.packs.service import active_packs
from fettle.tools import service
from fettle.tools.catalogue import registry_of
from fettle.tools.playbook_reader import load
from fettle.tools.playbooks import Fault, PlaybookError, collect
from fettle.tools.routes_runs import router as run_router
from fettle.tools.schemas import (
    Changed,
    DryRunIn,
    DryRunOut,
    DryRunStep,
    FaultOut,
    PlaybookId,
    PlaybookItem,
    PlaybookList,
    PlaybookOut,
    RunItem,
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
)

router = APIRouter(route_class=StrictRoute)
router.include_router(run_router)

ToolReader = Annotated[Access, Depends(require("tools:read"))]
ToolWriter = Annotated[Access, Depends(require("tools:write"))]
Reader = Annotated[Access, Depends(require("playbooks:read"))]
Runner = Annotated[Access, Depends(require("playbooks:run"))]
_INCIDENT_FIELDS = (
    "number", "title", "check_type", "host", "site", "platform", "source", "summary", "severity", "pack_id",
    "fingerprint", "labels", "details",
)  # fmt: skip
NamedPlaybook = Annotated[PlaybookId, Path(description="A playbook's id.")]


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


@router.get("/playbooks", tags=["playbooks"])
async def list_playbooks(platform: CurrentPlatform, access: Reader) -> PlaybookList:
    """List the playbooks of the tenant's active packs."""
    packs = await active_packs(platform, access.tenant_id)
    return PlaybookList(items=[_playbook(packs.playbooks[name]) for name in sorted(packs.playbooks)])


@router.get("/playbooks/{playbook_id}", tags=["playbooks"])
async def show_playbook(playbook_id: NamedPlaybook, platform: CurrentPlatform, access: Reader) -> PlaybookOut:
    """Show a playbook in full, and what is wrong with it."""
    packs = await active_packs(platform, access.tenant_id)
    document = packs.playbooks.get(playbook_id)
    if document is None:
        raise NotFound(f"No active pack has a playbook {playbook_id}.")
    faults: tuple[Fault, ...] = ()
    try:
        load(collect(document, packs.playbooks))
    except PlaybookError as error:
        faults = error.faults
    item = _playbook(document)
    return PlaybookOut(
        **item.model_dump(),
        definition=dict(document),
        faults=[FaultOut(path=fault.path, detail=fault.detail) for fault in faults],
    )


@router.post("/playbooks/{playbook_id}/dry-run", tags=["playbooks"])
async def try_playbook(
    playbook_id: NamedPlaybook,
    body: DryRunIn,
    platform: CurrentPlatform,
    access: Runner,
    session: TenantSession,
) -> DryRunOut:
    """Show what a playbook would do for an incident; does nothing."""
    if body.incident_id is not None and body.incident is not None:
        raise Invalid("Give an incident_id or an incident, not both.")
    incident: dict[str, Any] = dict(body.incident or {})
    if body.incident_id is not None:
        incident = _incident(await queries.one(session, access.tenant_id, body.incident_id))
    version, steps = await service.dry_run(platform, access.tenant_id, playbook_id, body.parameters, incident)
    shown = [DryRunStep.model_validate(asdict(step)) for step in steps]
    return DryRunOut(playbook_id=playbook_id, version=version, steps=shown)


@router.get("/runs", tags=["runs"])
async def list_runs(
    access: Reader,
    session: TenantSession,
    paging: Paging,
    incident_id: Annotated[UUID | None, Query(description="Of this incident.")] = None,
    state: Annotated[list[RunState] | None, Query(description="In any of these states.")] = None,
    outcome: Annotated[list[RunOutcome] | None, Query(description="With any of these outcomes.")] = None,
) -> RunPage:
    """List runs, newest first."""
    after = paging.after(UUID)
    rows = await service.list_runs(
        session,
        access.tenant_id,
        incident_id=incident_id,
        states=state,
        outcomes=outcome,
        before=after[0] if after else None,
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: [row["id"]])
    return RunPage(items=[RunItem.model_validate(dict(row)) for row in page], next_cursor=cursor)


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


def _playbook(document: Mapping[str, Any]) -> PlaybookItem:
    steps = list(_steps(document.get("steps") or ()))
    calls = [
        *steps,
        *(step["rollback"] for step in steps if "rollback" in step),
        document.get("verify") or {},
    ]
    return PlaybookItem(
        id=document["id"],
        version=document.get("version", 1),
        title=document.get("title", document["id"]),
        description=document.get("description"),
        pack_id=document.get("pack_id"),
        pack_version=document.get("pack_version"),
        parameters=dict(document.get("parameters") or {}),
        steps=len(steps),
        tools=sorted({call["tool"] for call in calls if "tool" in call}),
        verifies="verify" in document,
    )


def _steps(steps: Any) -> Iterator[Mapping[str, Any]]:
    for step in steps:
        yield step
        yield from _steps(step.get("parallel") or ())


def _incident(found: Incident) -> dict[str, Any]:
    """Return an incident as playbooks see it."""
    fields = {name: getattr(found, name) for name in _INCIDENT_FIELDS}
    return {"id": str(found.id), **{name: value for name, value in fields.items() if value is not None}}
