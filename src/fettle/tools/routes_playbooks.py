"""HTTP of playbooks: those of packs and the tenant's own, written, checked, tried and restored."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.incidents import queries
from fettle.kernel.errors import Invalid
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.packs.schema import domain_pack_schema
from fettle.packs.yaml_writer import write_yaml
from fettle.tools import own_playbooks, service
from fettle.tools.drafts import accepted, check_playbook
from fettle.tools.own_playbooks import Library, OwnPlaybook, library_of, surroundings
from fettle.tools.playbook_reader import load
from fettle.tools.playbooks import Fault, PlaybookError, collect
from fettle.tools.preview import PreviewStep
from fettle.tools.schemas import (
    DraftProblem,
    FaultOut,
    PastPlaybookOut,
    PlaybookAccepted,
    PlaybookChange,
    PlaybookCheck,
    PlaybookDraftDryRunIn,
    PlaybookDryRunIn,
    PlaybookDryRunOut,
    PlaybookDryRunStep,
    PlaybookHistory,
    PlaybookId,
    PlaybookIn,
    PlaybookItem,
    PlaybookList,
    PlaybookOut,
    PlaybookRestore,
    StoredVersion,
)

router = APIRouter(route_class=StrictRoute, tags=["playbooks"])

Reader = Annotated[Access, Depends(require("playbooks:read"))]
Runner = Annotated[Access, Depends(require("playbooks:run"))]
Writer = Annotated[Access, Depends(require("playbooks:write"))]
NamedPlaybook = Annotated[PlaybookId, Path(description="A playbook's id.")]

_OF_PACKS = frozenset({"pack_id", "pack_version"})


@router.get("/playbooks")
async def list_playbooks(platform: CurrentPlatform, access: Reader, session: TenantSession) -> PlaybookList:
    """List the playbooks that the tenant can run: those of its active packs and its own."""
    library = await library_of(platform, session, access.tenant_id)
    return PlaybookList(items=[_item(library, name) for name in sorted(library.documents)])


@router.post("/playbooks", status_code=202)
async def create_playbook(
    body: PlaybookIn, platform: CurrentPlatform, access: Writer, session: TenantSession, who: CurrentWho
) -> PlaybookAccepted:
    """Add a playbook of the tenant's own; with the id of a pack's playbook it takes that one's place."""
    made = await own_playbooks.create(platform, session, access.tenant_id, body.yaml, actor=access.actor)
    await _audit(session, access, who, "playbook.created", made.id, after=made)
    return _accepted(made)


@router.get("/playbooks/schema")
async def show_playbook_schema(access: Reader) -> dict[str, Any]:  # noqa: ARG001 - asked for its permission
    """Show the JSON Schema of a playbook."""
    definitions = domain_pack_schema()["$defs"]
    kept = {name: definitions[name] for name in ("step", "tool_call")}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **definitions["playbook"],
        "$defs": kept,
    }


@router.post("/playbooks/check")
async def check_draft(
    body: PlaybookIn, platform: CurrentPlatform, access: Reader, session: TenantSession
) -> PlaybookCheck:
    """Say everything that is wrong with a playbook, each with its line; stores nothing."""
    library = await library_of(platform, session, access.tenant_id)
    draft = check_playbook(body.yaml, surroundings(platform, library))
    return PlaybookCheck(
        valid=draft.document is not None and not draft.errors,
        problems=[DraftProblem.model_validate(problem.document()) for problem in draft.problems],
        definition=draft.document,
    )


@router.post("/playbooks/dry-run")
async def try_draft(
    body: PlaybookDraftDryRunIn, platform: CurrentPlatform, access: Runner, session: TenantSession
) -> PlaybookDryRunOut:
    """Show what a playbook that is not stored yet would do for an incident; does nothing."""
    library = await library_of(platform, session, access.tenant_id)
    document = accepted(body.yaml, surroundings(platform, library))
    return await _tried(platform, access, session, document, library, body)


@router.get("/playbooks/{playbook_id}")
async def show_playbook(
    playbook_id: NamedPlaybook, platform: CurrentPlatform, access: Reader, session: TenantSession
) -> PlaybookOut:
    """Show a playbook in full, and what is wrong with it."""
    library = await library_of(platform, session, access.tenant_id)
    document = library.find(playbook_id)
    faults: tuple[Fault, ...] = ()
    try:
        load(collect(document, library.documents))
    except PlaybookError as error:
        faults = error.faults
    own = library.own.get(playbook_id)
    plain = {name: value for name, value in document.items() if name not in _OF_PACKS}
    return PlaybookOut(
        **_item(library, playbook_id).model_dump(),
        definition=dict(document),
        yaml=own.source if own is not None else write_yaml(plain),
        faults=[FaultOut(path=fault.path, detail=fault.detail) for fault in faults],
    )


@router.put("/playbooks/{playbook_id}", status_code=202)
async def change_playbook(
    playbook_id: NamedPlaybook,
    body: PlaybookChange,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> PlaybookAccepted:
    """Replace a playbook of the tenant's own, unless somebody changed it meanwhile."""
    before = await own_playbooks.read_own(session, access.tenant_id, playbook_id)
    made = await own_playbooks.change(
        platform, session, access.tenant_id, playbook_id, body.yaml, version=body.version, actor=access.actor
    )
    await _audit(session, access, who, "playbook.changed", playbook_id, before=before, after=made)
    return _accepted(made)


@router.delete("/playbooks/{playbook_id}", status_code=202)
async def delete_playbook(
    playbook_id: NamedPlaybook,
    version: Annotated[StoredVersion, Query(description="The version that was read; another is refused.")],
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> PlaybookAccepted:
    """Delete a playbook of the tenant's own; the pack's of the same id, if any, holds again."""
    before = await own_playbooks.read_own(session, access.tenant_id, playbook_id)
    await own_playbooks.delete(session, access.tenant_id, playbook_id, version=version, actor=access.actor)
    await _audit(session, access, who, "playbook.deleted", playbook_id, before=before)
    return PlaybookAccepted(id=playbook_id, href=f"/api/v1/playbooks/{playbook_id}")


@router.get("/playbooks/{playbook_id}/history")
async def list_playbook_versions(
    playbook_id: NamedPlaybook,
    platform: CurrentPlatform,
    access: Reader,
    session: TenantSession,
    paging: Paging,
) -> PlaybookHistory:
    """List what a playbook of the tenant's own was, newest first; empty for one that only packs have."""
    after = paging.after(int)
    rows = await own_playbooks.history(
        session, access.tenant_id, playbook_id, before=after[0] if after else None, limit=paging.limit + 1
    )
    if not rows and after is None:
        (await library_of(platform, session, access.tenant_id)).find(playbook_id)
    page, cursor = paging.cut(rows, lambda row: [row.version])
    items = [
        PastPlaybookOut(
            version=row.version,
            yaml=row.source,
            before=row.before,
            changed_by=row.changed_by,
            changed_at=row.changed_at,
        )
        for row in page
    ]
    return PlaybookHistory(items=items, next_cursor=cursor)


@router.post("/playbooks/{playbook_id}/restore", status_code=202)
async def restore_playbook(
    playbook_id: NamedPlaybook,
    body: PlaybookRestore,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> PlaybookAccepted:
    """Let a playbook be again what it was in a version, as a new version."""
    made = await own_playbooks.restore(
        platform,
        session,
        access.tenant_id,
        playbook_id,
        to=body.to,
        version=body.version,
        actor=access.actor,
    )
    await _audit(session, access, who, "playbook.restored", playbook_id, after=made)
    return _accepted(made)


@router.post("/playbooks/{playbook_id}/dry-run")
async def try_playbook(
    playbook_id: NamedPlaybook,
    body: PlaybookDryRunIn,
    platform: CurrentPlatform,
    access: Runner,
    session: TenantSession,
) -> PlaybookDryRunOut:
    """Show what a playbook would do for an incident; does nothing."""
    library = await library_of(platform, session, access.tenant_id)
    return await _tried(platform, access, session, library.find(playbook_id), library, body)


async def _tried(
    platform: CurrentPlatform,
    access: Access,
    session: TenantSession,
    document: Mapping[str, Any],
    library: Library,
    body: PlaybookDryRunIn,
) -> PlaybookDryRunOut:
    if body.incident_id is not None and body.incident is not None:
        raise Invalid("Give an incident_id or an incident, not both.")
    incident: dict[str, Any] = dict(body.incident or {})
    if body.incident_id is not None:
        incident = service.incident_for_playbooks(
            await queries.one(session, access.tenant_id, body.incident_id)
        )
    version, steps = await service.dry_run(
        platform, access.tenant_id, document, library.documents, body.parameters, incident
    )
    return PlaybookDryRunOut(
        playbook_id=document["id"], version=version, steps=[_shown(step) for step in steps]
    )


def _shown(step: PreviewStep) -> PlaybookDryRunStep:
    return PlaybookDryRunStep.model_validate(asdict(step))


async def _audit(
    session: TenantSession,
    access: Access,
    who: CurrentWho,
    action: str,
    playbook_id: str,
    *,
    before: OwnPlaybook | None = None,
    after: OwnPlaybook | None = None,
) -> None:
    await record(
        session,
        who,
        action,
        tenant_id=access.tenant_id,
        target=("playbook", playbook_id),
        before=None if before is None else {"version": before.version, "yaml": before.source},
        after=None if after is None else {"version": after.version, "yaml": after.source},
    )


def _accepted(made: OwnPlaybook) -> PlaybookAccepted:
    return PlaybookAccepted(id=made.id, href=f"/api/v1/playbooks/{made.id}", version=made.version)


def _item(library: Library, playbook_id: str) -> PlaybookItem:
    document = library.documents[playbook_id]
    own = library.own.get(playbook_id)
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
        source="pack" if own is None else "tenant",
        replaces_pack=own is not None and playbook_id in library.packs.playbooks,
        updated_at=None if own is None else own.updated_at,
        updated_by=None if own is None else own.updated_by,
    )


def _steps(steps: Any) -> Iterator[Mapping[str, Any]]:
    for step in steps:
        yield step
        yield from _steps(step.get("parallel") or ())
