"""HTTP of sources: set up, listed, changed, given secrets, and what was received."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.incidents.hooks import mapping, schemas, service, sns
from fettle.incidents.hooks.models import HookSource
from fettle.incidents.hooks.standing import sources_of
from fettle.incidents.hooks.tally import tally_of
from fettle.kernel.errors import FieldError, Invalid
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

router = APIRouter(route_class=StrictRoute, tags=["webhooks"])

Reader = Annotated[Access, Depends(require("sources:read"))]
Writer = Annotated[Access, Depends(require("sources:write"))]


@router.get("/hook-sources/kinds")
async def list_kinds(access: Reader, platform: CurrentPlatform) -> schemas.SourceKindList:
    """List the programs that the active packs can read, with what to do in each."""
    packs = await active_packs(platform, access.tenant_id)
    ordered = sorted(packs.sources.values(), key=lambda kind: str(kind["title"]).lower())
    return schemas.SourceKindList(items=[_kind(kind) for kind in ordered])


@router.get("/hook-sources")
async def list_sources(
    access: Reader,
    session: TenantSession,
    platform: CurrentPlatform,
    paging: Paging,
    q: Annotated[str | None, Query(max_length=100, description="Part of the name.")] = None,
    kind: Annotated[str | None, Query(max_length=63, description="Of this kind only.")] = None,
) -> schemas.SourcePage:
    """List sources, oldest first, with what came of what was sent to them."""
    await tally_of(platform).write()
    rows = await service.listed(
        session, access.tenant_id, q=q, kind=kind, after=paging.last_id(), limit=paging.limit + 1
    )
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    return schemas.SourcePage(items=await _shown(platform, session, page), next_cursor=cursor)


@router.post("/hook-sources", status_code=201)
async def create_source(
    body: schemas.SourceIn,
    access: Writer,
    session: TenantSession,
    platform: CurrentPlatform,
    who: CurrentWho,
) -> schemas.SourceIssued:
    """Set up a source; its secret is shown here alone."""
    kind = mapping.known_kind(await active_packs(platform, access.tenant_id), body.kind)
    ways = kind["authentication"]
    way = body.authentication or ways[0]
    if way not in ways:
        raise Invalid(
            f"{kind['title']} cannot prove itself in this way.",
            errors=[FieldError("/authentication", f"is not one of {', '.join(ways)}")],
        )
    _check_topic(way, body.topic)
    fields = {
        "name": body.name, "kind": body.kind, "authentication": way, "format": kind["format"],
        "topic": body.topic, "keep_days": body.keep_days, "updated_by": access.actor,
    }  # fmt: skip
    source = await service.create(session, access.tenant_id, fields)
    secret = None
    if way != "sns" and kind.get("secret_from", "fettle") == "fettle":
        secret = await service.give_secret(
            platform, session, source, given=None, overlap=timedelta(0), actor=access.actor
        )
    await record(session, who, "source.created", tenant_id=access.tenant_id, target=("source", source.id),
                 after=fields)  # fmt: skip
    return await _issued(platform, session, source, secret)


@router.get("/hook-sources/{source_id}")
async def show_source(
    source_id: UUID, access: Reader, session: TenantSession, platform: CurrentPlatform
) -> schemas.SourceOut:
    """Show one source."""
    await tally_of(platform).write()
    [shown] = await _shown(platform, session, [await service.find(session, access.tenant_id, source_id)])
    return shown


@router.patch("/hook-sources/{source_id}")
async def change_source(
    source_id: UUID,
    body: schemas.SourceChange,
    access: Writer,
    session: TenantSession,
    platform: CurrentPlatform,
    who: CurrentWho,
) -> schemas.SourceOut:
    """Give a source another name, switch it off or on, or keep its payloads for another time."""
    source = await service.find(session, access.tenant_id, source_id)
    fields = body.model_dump(exclude_unset=True, exclude={"version"})
    fields = {name: value for name, value in fields.items() if value is not None}
    if "topic" in fields:
        _check_topic(source.authentication, fields["topic"])
    before = {name: getattr(source, name) for name in fields}
    changed = await service.change(session, source, fields, version=body.version, actor=access.actor)
    await record(session, who, "source.changed", tenant_id=access.tenant_id, target=("source", source_id),
                 before=before, after=fields)  # fmt: skip
    sources_of(platform).forget(source_id)
    [shown] = await _shown(platform, session, [changed])
    return shown


@router.delete("/hook-sources/{source_id}", status_code=204)
async def delete_source(
    source_id: UUID, access: Writer, session: TenantSession, platform: CurrentPlatform, who: CurrentWho
) -> None:
    """Delete a source with its secrets and what it received; incidents that it opened stay."""
    source = await service.find(session, access.tenant_id, source_id)
    before = {"name": source.name, "kind": source.kind}
    await service.remove(session, source)
    await record(session, who, "source.deleted", tenant_id=access.tenant_id, target=("source", source_id),
                 before=before)  # fmt: skip
    sources_of(platform).forget(source_id)


@router.post("/hook-sources/{source_id}/secret")
async def give_secret(
    source_id: UUID,
    body: schemas.SourceSecretIn,
    access: Writer,
    session: TenantSession,
    platform: CurrentPlatform,
    who: CurrentWho,
) -> schemas.SourceIssued:
    """Give a source a new secret, shown here alone; those before hold until the overlap ends."""
    source = await service.find(session, access.tenant_id, source_id)
    secret = await service.give_secret(
        platform, session, source, given=body.secret, overlap=timedelta(hours=body.overlap_hours),
        actor=access.actor,
    )  # fmt: skip
    await record(session, who, "source.secret_changed", tenant_id=access.tenant_id, target=("source", source_id),
                 after={"overlap_hours": body.overlap_hours})  # fmt: skip
    sources_of(platform).forget(source_id)
    return await _issued(platform, session, source, secret if body.secret is None else None)


@router.get("/hook-sources/{source_id}/payloads")
async def list_payloads(
    source_id: UUID,
    access: Reader,
    session: TenantSession,
    paging: Paging,
    outcome: Annotated[schemas.Outcome | None, Query(description="With this outcome only.")] = None,
) -> schemas.PayloadPage:
    """List what was received last, newest first, redacted; at most fifty are kept."""
    source = await service.find(session, access.tenant_id, source_id)
    rows = await service.payloads(
        session, source, outcome=outcome, before=paging.last_id(), limit=paging.limit + 1
    )
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    items = [schemas.PayloadOut.model_validate(row) for row in page]
    return schemas.PayloadPage(items=items, next_cursor=cursor)


@router.get("/hook-sources/{source_id}/subscriptions")
async def list_subscriptions(
    source_id: UUID, access: Reader, session: TenantSession, paging: Paging
) -> schemas.SubscriptionPage:
    """List topics' wishes to send here, newest first."""
    source = await service.find(session, access.tenant_id, source_id)
    rows = await service.subscriptions(session, source, before=paging.last_id(), limit=paging.limit + 1)
    page, cursor = paging.cut(rows, lambda row: (row.id,))
    items = [schemas.SubscriptionOut.model_validate(row) for row in page]
    return schemas.SubscriptionPage(items=items, next_cursor=cursor)


@router.post("/hook-sources/{source_id}/subscriptions/{subscription_id}/confirm")
async def confirm_subscription(
    source_id: UUID,
    subscription_id: UUID,
    access: Writer,
    platform: CurrentPlatform,
    who: CurrentWho,
) -> schemas.SubscriptionOut:
    """Let a topic send here: Amazon is told at the address that it signed."""
    async with platform.database.tenant(access.tenant_id) as session:
        source = await service.find(session, access.tenant_id, source_id)
        address = await service.address_to_tell(platform, session, source, subscription_id)
    # However long Amazon takes to answer, no transaction is open and nothing is locked.
    fault = await sns.confirm(platform, access.tenant_id, address)
    async with platform.database.tenant(access.tenant_id) as session:
        source = await service.find(session, access.tenant_id, source_id)
        wish = await service.told(session, source, subscription_id, fault, actor=access.actor)
        await record(session, who, f"subscription.{wish.state}", tenant_id=access.tenant_id,
                     target=("source", source_id), after={"topic": wish.topic, "detail": wish.detail})  # fmt: skip
        return schemas.SubscriptionOut.model_validate(wish)


@router.post("/hook-sources/{source_id}/subscriptions/{subscription_id}/reject")
async def reject_subscription(
    source_id: UUID,
    subscription_id: UUID,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.SubscriptionOut:
    """Turn a topic's wish away; Amazon forgets it after three days."""
    source = await service.find(session, access.tenant_id, source_id)
    wish = await service.reject(session, source, subscription_id, actor=access.actor)
    await record(session, who, "subscription.rejected", tenant_id=access.tenant_id, target=("source", source_id),
                 after={"topic": wish.topic})  # fmt: skip
    return schemas.SubscriptionOut.model_validate(wish)


async def _shown(
    platform: Platform, session: TenantSession, rows: Sequence[HookSource]
) -> list[schemas.SourceOut]:
    if not rows:
        return []
    tenant_id = rows[0].tenant_id
    packs = await active_packs(platform, tenant_id)
    standings = await service.standings(session, tenant_id, [row.id for row in rows])
    shown = []
    for row in rows:
        kind, standing = packs.sources.get(row.kind, {}), standings[row.id]
        own = {
            name: getattr(one, name)
            for one in (standing.figures, row)
            for name in schemas.SourceOut.model_fields
            if hasattr(one, name)
        }
        more = {
            "title": kind.get("title", row.kind),
            "address": address_of_source(platform, row),
            "secrets": standing.secrets,
            "secret_changed_at": standing.secret_changed_at,
            "is_own_mapping": row.mapping is not None,
            "held": standing.held,
        }
        shown.append(schemas.SourceOut(**{**own, **more}))
    return shown


async def _issued(
    platform: Platform, session: TenantSession, source: HookSource, secret: str | None
) -> schemas.SourceIssued:
    [shown] = await _shown(platform, session, [source])
    in_path = source.authentication == "path_token" and secret is not None
    url = f"{shown.address}/{secret}" if in_path else shown.address
    return schemas.SourceIssued(**shown.model_dump(), secret=secret, url=url)


def address_of_source(platform: Platform, source: HookSource) -> str:
    """Return where a source's program sends to, as far as this installation knows its own address."""
    return f"{(platform.settings.public_url or '').rstrip('/')}/api/v1/hooks/{source.id}"


def _check_topic(way: str, topic: str | None) -> None:
    if (way == "sns") is not (topic is not None):
        raise Invalid(
            "What comes through Amazon SNS names its topic, and nothing else does.",
            errors=[FieldError("/topic", "give the topic's ARN" if way == "sns" else "leave it out")],
        )


def _kind(kind: Any) -> schemas.SourceKind:
    return schemas.SourceKind(
        id=kind["id"],
        title=kind["title"],
        description=kind["description"],
        pack_id=kind["pack_id"],
        format=kind["format"],
        authentication=kind["authentication"],
        secret_from=kind.get("secret_from", "fettle"),
        setup=kind["setup"],
        example=kind["tests"][0]["payload"],
    )
