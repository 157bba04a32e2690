"""HTTP of the doors: what Alertmanager posts with an API key, and what any source's program posts."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request

from fettle.identity.access import Access, CurrentPlatform, require
from fettle.incidents.accepting import HREF, acceptor
from fettle.incidents.hooks import receiving
from fettle.incidents.hooks.alertmanager import Notification, exceptions_of
from fettle.incidents.hooks.schemas import HookReceived
from fettle.incidents.schemas import AcceptedBatch
from fettle.kernel import context
from fettle.kernel.http.accepted import Accepted
from fettle.kernel.http.idempotency import IdempotencyKey
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform

router = APIRouter(route_class=StrictRoute, tags=["webhooks"])

Sender = Annotated[Access, Depends(require("exceptions:write"))]
Token = Annotated[str, Path(max_length=100, description="The source's token.")]

_ANY_BODY = {
    "requestBody": {
        "required": True,
        "description": "In the sender's own format.",
        "content": {
            name: {"schema": {}}
            for name in (
                *("application/json", "application/cloudevents+json", "application/cloudevents-batch+json"),
                *("text/plain", "message/rfc822"),
            )
        },
    }
}


@router.post("/hooks/alertmanager", status_code=202)
async def accept_alertmanager(
    body: Notification,
    request: Request,
    platform: CurrentPlatform,
    access: Sender,
    idempotency_key: IdempotencyKey,
) -> AcceptedBatch:
    """Accept a notification of Prometheus Alertmanager (webhook version 4).

    Give Alertmanager an API key with the scope `exceptions:write` as `http_config.authorization`; or set up a
    source of the kind `alertmanager`, whose mapping can be edited.
    """
    ids = await acceptor(platform).accept(
        access.tenant_id,
        exceptions_of(body),
        actor=access.actor,
        request_id=context.request_id.get(),
        idempotency_key=idempotency_key,
        body=await request.body(),
    )
    return AcceptedBatch(items=_accepted([UUID(value) for value in ids]))


@router.post("/hooks/{source_id}", status_code=202, openapi_extra=_ANY_BODY)
async def take_hook(
    source_id: UUID, request: Request, platform: CurrentPlatform, _key: IdempotencyKey
) -> HookReceived:
    """Take what a source's program sends, in its own format.

    The source says how its senders prove themselves: a signature over the body, or a token. Once it is answered
    it is not lost, also while the database is away for a moment.
    """
    return await _taken(platform, source_id, request, None)


@router.post("/hooks/{source_id}/{token}", status_code=202, openapi_extra=_ANY_BODY)
async def take_hook_with_token(
    source_id: UUID, token: Token, request: Request, platform: CurrentPlatform, _key: IdempotencyKey
) -> HookReceived:
    """Take what a program sends that can neither sign nor set a header: its token stands in the address."""
    return await _taken(platform, source_id, request, token)


async def _taken(platform: Platform, source_id: UUID, request: Request, token: str | None) -> HookReceived:
    answer = await receiving.receive(platform, source_id, request, token)
    return HookReceived.model_validate(
        {"id": answer.id, "status": answer.status, "items": _accepted(answer.exceptions)}
    )


def _accepted(ids: list[UUID]) -> list[Accepted]:
    return [Accepted(id=value, href=f"{HREF}{value}") for value in ids]
