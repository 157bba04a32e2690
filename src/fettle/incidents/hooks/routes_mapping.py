"""HTTP of a source's mapping: shown, tried, changed and undone."""

import asyncio
from uuid import UUID

from fastapi import APIRouter

from fettle.identity.access import CurrentPlatform, CurrentWho, TenantSession
from fettle.identity.audit import record
from fettle.incidents.hooks import mapping, schemas, service
from fettle.incidents.hooks.deliveries import KEPT_PAYLOADS, exceptions_of
from fettle.incidents.hooks.models import HookSource
from fettle.incidents.hooks.routes_sources import Reader, Writer
from fettle.incidents.hooks.standing import sources_of
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform
from fettle.packs.check_sources import mapping_of
from fettle.packs.schemas import FieldChangeOut
from fettle.packs.service import active_packs
from fettle.packs.sources import MappingError, SourceMapping

router = APIRouter(route_class=StrictRoute, tags=["webhooks"])


@router.get("/hook-sources/{source_id}/mapping")
async def show_mapping(
    source_id: UUID, access: Reader, session: TenantSession, platform: CurrentPlatform
) -> schemas.MappingOut:
    """Show a source's mapping, the pack's beside it, and what was changed when."""
    source = await service.find(session, access.tenant_id, source_id)
    return await _mapping(platform, session, source)


@router.put("/hook-sources/{source_id}/mapping")
async def put_mapping(
    source_id: UUID,
    body: schemas.MappingIn,
    access: Writer,
    session: TenantSession,
    platform: CurrentPlatform,
    who: CurrentWho,
) -> schemas.MappingOut:
    """Give a source another mapping from now on; what it opened before stays as it is."""
    if body.mapping is not None:
        mapping.checked(body.mapping)
    source = await service.find(session, access.tenant_id, source_id)
    changed = await mapping.put(
        session, source, body.mapping, looked_at=body.mapping_version, actor=access.actor
    )
    await record(session, who, "source.mapping_changed", tenant_id=access.tenant_id, target=("source", source_id),
                 after={"mapping_version": changed.mapping_version})  # fmt: skip
    sources_of(platform).forget(source_id)
    return await _mapping(platform, session, changed)


@router.post("/hook-sources/{source_id}/mapping/undo")
async def undo_mapping(
    source_id: UUID,
    body: schemas.MappingUndo,
    access: Writer,
    session: TenantSession,
    platform: CurrentPlatform,
    who: CurrentWho,
) -> schemas.MappingOut:
    """Go back to the mapping before the last change; again, one step further back."""
    source = await service.find(session, access.tenant_id, source_id)
    changed = await mapping.undo(session, source, looked_at=body.mapping_version, actor=access.actor)
    await record(session, who, "source.mapping_undone", tenant_id=access.tenant_id, target=("source", source_id),
                 after={"mapping_version": changed.mapping_version})  # fmt: skip
    sources_of(platform).forget(source_id)
    return await _mapping(platform, session, changed)


@router.post("/hook-sources/{source_id}/mapping/preview")
async def preview_mapping(
    source_id: UUID,
    body: schemas.MappingTry,
    access: Writer,
    session: TenantSession,
    platform: CurrentPlatform,
) -> schemas.MappingPreview:
    """Say what a mapping would have made of the payloads that are kept, and what differs; nothing is changed."""
    source = await service.find(session, access.tenant_id, source_id)
    after = await _compiled(platform, source, body.mapping)
    before = await _present(platform, source)
    received = [
        one
        for one in await service.payloads(session, source, outcome=None, before=None, limit=KEPT_PAYLOADS)
        if one.payload is not None
    ]
    items = [_previewed(tried) for tried in await mapping.preview(source, received, before, after)]
    return schemas.MappingPreview(
        items=items,
        changed=sum(bool(item.changes) or item.error_before != item.error_after for item in items),
        failing=sum(item.error_after is not None for item in items),
    )


@router.post("/hook-sources/{source_id}/test")
async def try_source(
    source_id: UUID,
    body: schemas.SourceTestIn,
    access: Writer,
    session: TenantSession,
    platform: CurrentPlatform,
) -> schemas.SourceTestOut:
    """Read something as if it had been sent, and say what would come of it; nothing is opened."""
    source = await service.find(session, access.tenant_id, source_id)
    packs = await active_packs(platform, access.tenant_id)
    payload, headers = mapping.example_of(packs.sources.get(source.kind))
    if "payload" in body.model_fields_set:
        payload, headers = body.payload, {name.lower(): value for name, value in body.headers.items()}
    try:
        present = await _compiled(platform, source, source.mapping)
        reading = await asyncio.to_thread(present.read, payload, headers, source=source.origin)
        exceptions_of(reading)
    except MappingError as error:
        return schemas.SourceTestOut(payload=payload, exceptions=[], passed_over=0, error=str(error))
    return schemas.SourceTestOut(
        payload=payload,
        exceptions=mapping.shown(reading.exceptions[: mapping.MOST_SHOWN]),
        passed_over=reading.passed_over,
        error=None,
    )


async def _mapping(platform: Platform, session: TenantSession, source: HookSource) -> schemas.MappingOut:
    packs = await active_packs(platform, source.tenant_id)
    steps = await mapping.history(session, source)
    return schemas.MappingOut(
        mapping=source.mapping,
        of_pack=mapping.of_pack(packs, source.kind),
        mapping_version=source.mapping_version,
        can_undo=bool(steps) and (steps[0].mapping is not None or steps[0].replaces != 0),
        history=[
            schemas.MappingStep(
                version=step.version,
                replaces=step.replaces,
                is_own=step.mapping is not None,
                changed_by=step.changed_by,
                changed_at=step.changed_at,
            )
            for step in steps
        ],
    )


async def _compiled(platform: Platform, source: HookSource, document: object) -> SourceMapping:
    if isinstance(document, dict):
        return mapping.checked(document)
    kind = mapping.known_kind(await active_packs(platform, source.tenant_id), source.kind)
    return SourceMapping(mapping_of(kind))


async def _present(platform: Platform, source: HookSource) -> SourceMapping | None:
    packs = await active_packs(platform, source.tenant_id)
    document = source.mapping if source.mapping is not None else mapping.of_pack(packs, source.kind)
    return SourceMapping(document) if document is not None else None


def _previewed(tried: mapping.Tried) -> schemas.PayloadPreview:
    return schemas.PayloadPreview(
        payload_id=tried.payload.id,
        received_at=tried.payload.received_at,
        changes=[FieldChangeOut.model_validate(change.document()) for change in tried.changes],
        after=tried.after[: mapping.MOST_SHOWN],
        exceptions_before=len(tried.before),
        exceptions_after=len(tried.after),
        error_before=tried.error_before,
        error_after=tried.error_after,
    )
