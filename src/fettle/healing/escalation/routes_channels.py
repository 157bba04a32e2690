"""HTTP of channels: kept, tested, the log of their messages, and what they send back."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from fettle.healing.escalation import callbacks, schemas, schemas_channels, service
from fettle.healing.escalation.callbacks import Received
from fettle.healing.escalation.keeping import Keeping, Reader, Writer, page
from fettle.healing.escalation.models import EscalationChannel, EscalationDelivery
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, address_of
from fettle.identity.audit import record
from fettle.identity.names import names_of
from fettle.kernel.errors import Conflict
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["escalation"])


class Taken(BaseModel):
    """What came of what a channel sent back."""

    said: str


@router.get("/escalation/channels")
async def list_channels(
    access: Reader, session: TenantSession, paging: Paging
) -> Page[schemas_channels.ChannelOut]:
    """List channels; their secrets are named, never shown."""
    rows, cursor = await page(session, EscalationChannel, access.tenant_id, paging)
    return Page(items=[_channel(row) for row in rows], next_cursor=cursor)


@router.post("/escalation/channels", status_code=201)
async def create_channel(
    body: schemas_channels.ChannelBody, access: Writer, session: TenantSession, who: CurrentWho
) -> schemas_channels.ChannelOut:
    """Add a channel; put its secrets in by `PUT /api/v1/secrets/{name}`."""
    fields = {**_fields(body, access), "kind": body.settings.kind}
    return _channel(await Keeping(session, access.tenant_id, who).add(EscalationChannel, fields))


@router.get("/escalation/channels/{channel_id}")
async def show_channel(
    channel_id: UUID, access: Reader, session: TenantSession
) -> schemas_channels.ChannelOut:
    """Show one channel."""
    return _channel(await service.find(session, EscalationChannel, access.tenant_id, channel_id))


@router.put("/escalation/channels/{channel_id}")
async def change_channel(
    channel_id: UUID,
    body: schemas_channels.ChannelChange,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas_channels.ChannelOut:
    """Put other settings in the place of a channel's; messages that wait go by the new ones."""
    changes = Keeping(session, access.tenant_id, who)
    kept = await changes.find(EscalationChannel, channel_id)
    if kept.kind != body.settings.kind:
        raise Conflict(f"The channel is of the kind {kept.kind}. Make another one for {body.settings.kind}.")
    return _channel(await changes.replace(kept, _fields(body, access), version=body.version))


@router.delete("/escalation/channels/{channel_id}", status_code=204)
async def delete_channel(channel_id: UUID, access: Writer, session: TenantSession, who: CurrentWho) -> None:
    """Delete a channel that no policy names."""
    await Keeping(session, access.tenant_id, who).remove(EscalationChannel, channel_id)


@router.post("/escalation/channels/{channel_id}/test", status_code=202)
async def try_channel(
    channel_id: UUID, access: Writer, session: TenantSession, who: CurrentWho
) -> schemas.Commanded:
    """Send a message that says that it is a test; the log says what came of it."""
    channel = await service.find(session, EscalationChannel, access.tenant_id, channel_id)
    delivery_id = await service.queue_test(session, channel)
    await record(session, who, "channel.tested", tenant_id=access.tenant_id, target=("channel", channel_id))
    return schemas.Commanded(id=delivery_id, href=f"/api/v1/escalation/deliveries?channel_id={channel_id}")


@router.get("/escalation/deliveries")
async def list_deliveries(
    access: Reader,
    session: TenantSession,
    paging: Paging,
    incident_id: Annotated[UUID | None, Query(description="About this incident.")] = None,
    channel_id: Annotated[UUID | None, Query(description="By this channel.")] = None,
    state: Annotated[schemas.DeliveryState | None, Query(description="In this state.")] = None,
    kind: Annotated[schemas.DeliveryKind | None, Query(description="Of this kind.")] = None,
) -> Page[schemas.DeliveryOut]:
    """List messages, newest first: to whom, by what, how often tried, and what came of it."""
    after = paging.after(int)
    rows = await service.log(
        session,
        access.tenant_id,
        incident_id=incident_id,
        channel_id=channel_id,
        state=state,
        kind=kind,
        before=after[0] if after else None,
        limit=paging.limit + 1,
    )
    cut, cursor = paging.cut(rows, lambda row: (row.position,))
    return Page(items=await messages(session, access.tenant_id, cut), next_cursor=cursor)


@router.post("/hooks/escalation/{channel_id}/slack")
async def take_slack(channel_id: UUID, request: Request, platform: CurrentPlatform) -> Taken:
    """Take what was pressed in Slack: the request URL of the app's interactivity. Signed by the app's secret."""
    return Taken(said=await callbacks.take_slack(platform, await _received(channel_id, request)))


@router.post("/hooks/escalation/{channel_id}/pagerduty")
async def take_pagerduty(channel_id: UUID, request: Request, platform: CurrentPlatform) -> Taken:
    """Take what was done in PagerDuty: the address of a webhook subscription of version 3. Signed by its secret."""
    return Taken(said=await callbacks.take_pagerduty(platform, await _received(channel_id, request)))


async def messages(
    session: TenantSession, tenant_id: UUID, rows: Sequence[EscalationDelivery]
) -> list[schemas.DeliveryOut]:
    """Return messages as the API shows them, with the names of their channels and people."""
    channels = await service.channel_names(session, tenant_id, {row.channel_id for row in rows})
    people = await names_of(session, tenant_id, [f"user:{row.recipient}" for row in rows if row.recipient])
    shown = []
    for row in rows:
        one = schemas.DeliveryOut.model_validate(row)
        one.channel = channels.get(row.channel_id)
        if row.recipient is not None:
            one.person = schemas.PersonRef(id=row.recipient, name=people.get(f"user:{row.recipient}"))
        shown.append(one)
    return shown


async def _received(channel_id: UUID, request: Request) -> Received:
    return Received(channel_id, dict(request.headers), await request.body(), address_of(request))


def _fields(body: schemas_channels.ChannelBody, access: Access) -> dict[str, object]:
    document = body.settings.model_dump(mode="json", exclude={"kind"})
    return {"name": body.name, "enabled": body.enabled, "document": document, "updated_by": access.actor}


def _channel(row: EscalationChannel) -> schemas_channels.ChannelOut:
    shown = schemas_channels.ChannelOut.model_validate(row)
    if row.document.get("signing_secret" if row.kind == "slack" else "webhook_secret"):
        shown.callback = f"/api/v1/hooks/escalation/{row.id}/{row.kind}"
    return shown
