"""HTTP of packs."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request

from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.kernel import context, events
from fettle.kernel.errors import NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.http.routes import StrictRoute
from fettle.packs import activation, catalogue, routes_policy, test_results
from fettle.packs.catalogue import Effective, load_version, pack_stream, versions
from fettle.packs.diff import diff
from fettle.packs.loading import DomainPack
from fettle.packs.models import PackVersion
from fettle.packs.schema import SECTIONS
from fettle.packs.schemas import (
    Activation,
    ActivationItem,
    Counts,
    PackAccepted,
    PackDiffOut,
    PackId,
    PackItem,
    PackList,
    PackOut,
    TestReport,
    TestRunItem,
    TestRunList,
    Version,
    VersionItem,
    VersionList,
)
from fettle.packs.testing import run_tests

router = APIRouter(route_class=StrictRoute, tags=["packs"])
router.include_router(routes_policy.router)

Reader = Annotated[Access, Depends(require("packs:read"))]
Writer = Annotated[Access, Depends(require("packs:write"))]
Installer = Annotated[Access, Depends(require("platform:admin"))]
InPath = Annotated[PackId, Path(description="Id of the pack.")]
WantedVersion = Annotated[Version | None, Query(description="Absent: the active one, else the newest.")]

_ARCHIVES = {
    media_type: {"schema": {"type": "string", "format": "binary"}}
    for media_type in ("application/zip", "application/gzip", "application/x-tar")
}


@router.get("/packs")
async def list_packs(access: Reader, session: TenantSession) -> PackList:
    """List the installed packs."""
    active = {item.pack_id: item for item in await activation.effective(session, access.tenant_id)}
    newest: dict[str, PackVersion] = {}
    for row in await versions(session):
        newest.setdefault(row.pack_id, row)
    items = [
        _item(await _shown(session, row, active.get(pack_id)), row, active.get(pack_id))
        for pack_id, row in newest.items()
    ]
    return PackList(items=items)


@router.get("/packs/{pack_id}")
async def show_pack(
    pack_id: InPath, access: Reader, session: TenantSession, version: WantedVersion = None
) -> PackOut:
    """Show a pack with everything that one version of it holds."""
    newest, active = await _find(session, access.tenant_id, pack_id)
    pack = await load_version(session, pack_id, version) if version else await _shown(session, newest, active)
    item = _item(pack, newest, active)
    return PackOut(**item.model_dump(), version=pack.version, digest=pack.digest, content=dict(pack.content))


@router.get("/packs/{pack_id}/versions")
async def list_versions(pack_id: InPath, access: Reader, session: TenantSession) -> VersionList:
    """List a pack's versions, and what the tenant chose when."""
    _, active = await _find(session, access.tenant_id, pack_id)
    rows = await versions(session, pack_id)
    choices = await activation.history(session, access.tenant_id, pack_id)
    return VersionList(
        items=[
            VersionItem(
                version=row.version,
                title=row.title,
                origin=row.origin,
                digest=row.digest,
                key_id=(row.signature or {}).get("key_id"),
                active=active is not None and active.version == row.version,
                is_default=row.is_default,
                installed_by=row.installed_by,
                installed_at=row.installed_at,
            )
            for row in rows
        ],
        history=[
            ActivationItem(
                id=row.id,
                kind=row.kind,
                mode=row.mode,
                version=row.version,
                current=row.is_current,
                actor=row.actor,
                activated_at=row.activated_at,
            )
            for row in choices
        ],
    )


@router.post(
    "/packs",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": _ARCHIVES}},
)
async def install_pack(
    request: Request,
    platform: CurrentPlatform,
    access: Installer,
    session: TenantSession,  # noqa: ARG001 - the audit and the answer of an idempotency key are kept in it
) -> PackAccepted:
    """Install a version of a pack: the body is a zip, tar or tar.gz, told by its first bytes.

    It has to carry the signature of a key that the operator trusts (`FETTLE_PACKS_TRUSTED_KEYS`).
    """
    chosen = platform.settings
    pack, signature = await catalogue.read_upload(
        await request.body(), chosen.packs_trusted_keys, allow_unsigned=chosen.packs_allow_unsigned
    )
    # Only the system role may write to what every tenant sees.
    async with platform.database.system() as system:
        if await catalogue.install(
            system,
            pack,
            origin="uploaded" if signature else "local",
            actor=access.actor,
            signature=signature,
        ):
            await events.append(system, access.tenant_id, [_installed(pack, signature, access)])
    return PackAccepted(
        id=f"{pack.id}@{pack.version}", href=f"/api/v1/packs/{pack.id}?version={pack.version}"
    )


@router.post("/packs/{pack_id}/activate", status_code=202)
async def activate_pack(
    pack_id: InPath, body: Activation, access: Writer, session: TenantSession, who: CurrentWho
) -> PackAccepted:
    """Work with a version of a pack from now on; everything in it changes at once."""
    before = await _version(session, access.tenant_id, pack_id)
    choice = await activation.activate(
        session, access.tenant_id, pack_id, body.version, actor=access.actor, request_id=_request_id()
    )
    await _audit(session, access, who, "pack.activated", pack_id, before)
    return _chosen(pack_id, choice)


@router.post("/packs/{pack_id}/deactivate", status_code=202)
async def deactivate_pack(
    pack_id: InPath, access: Writer, session: TenantSession, who: CurrentWho
) -> PackAccepted:
    """Work without a pack from now on."""
    before = await _version(session, access.tenant_id, pack_id)
    choice = await activation.deactivate(
        session, access.tenant_id, pack_id, actor=access.actor, request_id=_request_id()
    )
    await _audit(session, access, who, "pack.deactivated", pack_id, before)
    return _chosen(pack_id, choice)


@router.post("/packs/{pack_id}/rollback", status_code=202)
async def roll_back_pack(
    pack_id: InPath, access: Writer, session: TenantSession, who: CurrentWho
) -> PackAccepted:
    """Go back to what held before the tenant's last choice; again, one step further back."""
    before = await _version(session, access.tenant_id, pack_id)
    choice = await activation.rollback(
        session, access.tenant_id, pack_id, actor=access.actor, request_id=_request_id()
    )
    await _audit(session, access, who, "pack.rolled_back", pack_id, before)
    return _chosen(pack_id, choice)


@router.post("/packs/{pack_id}/test")
async def run_pack_tests(
    pack_id: InPath, access: Reader, session: TenantSession, version: WantedVersion = None
) -> TestReport:
    """Run a version's own test cases and keep how they came out; nothing else is changed by it."""
    newest, active = await _find(session, access.tenant_id, pack_id)
    pack = await load_version(session, pack_id, version) if version else await _shown(session, newest, active)
    report = await asyncio.to_thread(run_tests, pack)
    await test_results.keep(session, access.tenant_id, pack, report, actor=access.actor)
    return TestReport(version=pack.version, **report.document())


@router.get("/packs/{pack_id}/tests")
async def list_pack_tests(
    pack_id: InPath,
    access: Reader,
    session: TenantSession,
    version: Annotated[Version | None, Query(description="Of this version.")] = None,
) -> TestRunList:
    """List how a pack's own test cases came out for this tenant, newest first."""
    await _find(session, access.tenant_id, pack_id)
    rows = await test_results.listed(session, access.tenant_id, pack_id, version)
    return TestRunList(
        items=[
            TestRunItem(
                id=row.id,
                version=row.version,
                digest=row.digest,
                ran_by=row.ran_by,
                ran_at=row.ran_at,
                **row.report,
            )
            for row in rows
        ]
    )


@router.get("/packs/{pack_id}/diff")
async def compare_versions(
    pack_id: InPath,
    access: Reader,  # noqa: ARG001 - asked for its permission
    session: TenantSession,
    before: Annotated[Version, Query(alias="from")],
    after: Annotated[Version, Query(alias="to")],
) -> PackDiffOut:
    """Say what differs between two versions, by rule, playbook, exception type and field."""
    compared = diff(await load_version(session, pack_id, before), await load_version(session, pack_id, after))
    return PackDiffOut.model_validate(compared.document())


async def _version(session: TenantSession, tenant_id: UUID, pack_id: str) -> str | None:
    found = await activation.effective(session, tenant_id)
    return next((item.version for item in found if item.pack_id == pack_id), None)


async def _audit(
    session: TenantSession, access: Access, who: CurrentWho, action: str, pack_id: str, before: str | None
) -> None:
    after = await _version(session, access.tenant_id, pack_id)
    await record(
        session,
        who,
        action,
        tenant_id=access.tenant_id,
        target=("pack", pack_id),
        before={"version": before},
        after={"version": after},
    )


def _request_id() -> str | None:
    return context.request_id.get()


async def _find(
    session: TenantSession, tenant_id: UUID, pack_id: str
) -> tuple[PackVersion, Effective | None]:
    rows = await versions(session, pack_id)
    if not rows:
        raise NotFound(f"There is no pack {pack_id}.")
    found = await activation.effective(session, tenant_id)
    return rows[0], next((item for item in found if item.pack_id == pack_id), None)


async def _shown(session: TenantSession, newest: PackVersion, active: Effective | None) -> DomainPack:
    return await load_version(session, newest.pack_id, active.version if active else newest.version)


def _item(pack: DomainPack, newest: PackVersion, active: Effective | None) -> PackItem:
    return PackItem(
        id=pack.id,
        title=pack.title,
        description=str(pack.content["description"]),
        active_version=active.version if active else None,
        chosen=active is not None and active.chosen,
        latest_version=newest.version,
        origin=active.origin if active else newest.origin,
        counts=Counts(**{section: len(pack.section(section)) for section in SECTIONS}),
    )


def _installed(pack: DomainPack, signature: Mapping[str, Any] | None, access: Access) -> NewEvent:
    return NewEvent(
        stream_type="pack",
        stream_id=pack_stream(pack.id),
        type="pack.installed",
        data={
            "pack_id": pack.id,
            "version": pack.version,
            "digest": pack.digest,
            "key_id": signature["key_id"] if signature else None,
        },
        actor=access.actor,
        request_id=_request_id(),
    )


def _chosen(pack_id: str, choice: UUID) -> PackAccepted:
    return PackAccepted(id=str(choice), href=f"/api/v1/packs/{pack_id}")
