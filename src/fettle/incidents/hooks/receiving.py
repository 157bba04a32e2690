"""The door of webhooks: whose a request is, before anything of it is believed, and then what becomes of it.

The order is: the source, the token where there is one, the size, the signature over the raw body, the form, and
only then the database, or the disk while the database is away. A request that proves nothing is answered the
same whether there is such a source or not.
"""

import asyncio
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from starlette.requests import ClientDisconnect, Request

from fettle.identity.access import address_of
from fettle.incidents.hooks import sns
from fettle.incidents.hooks.deliveries import Delivery, take
from fettle.incidents.hooks.envelopes import MAX_BODY, message_of, open_body, shown_headers
from fettle.incidents.hooks.signatures import (
    WITH_TOKEN,
    Headers,
    Proof,
    Unproven,
    check_token,
    prove,
    token_of,
)
from fettle.incidents.hooks.standing import Source, bound_to, box, sources_of
from fettle.incidents.hooks.tally import tally_of
from fettle.incidents.hooks.waiting import is_away, waiting_of
from fettle.kernel import context, metrics
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict, Forbidden, Invalid, Malformed, Problem, TooLarge
from fettle.kernel.http.idempotency import checked_key
from fettle.kernel.http.problems import UnsupportedMediaType
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.ratelimit import limit_tenant, limiter_of

_PATIENCE_SECONDS: Final = 3.0
_MOST_HELD: Final = 10

_HOLD = """
INSERT INTO hook_subscriptions (id, tenant_id, source_id, topic, sealed_address)
SELECT $1, $2, $3, $4, $5 WHERE (
  SELECT count(*) FROM hook_subscriptions WHERE tenant_id = $2 AND source_id = $3 AND state = 'held') < $6
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sender is told.

    Attributes:
        status: ``accepted``, ``passed_over``, ``repeated``, ``waiting`` (on the disk, while the database is
            away) or ``held`` (until a person allows it).
    """

    id: UUID
    status: str
    exceptions: list[UUID]


async def receive(platform: Platform, source_id: UUID, request: Request, path_token: str | None) -> Answer:
    """Take what was sent to a source.

    Raises:
        Forbidden: Nothing proves that the sender is the source's; strangers learn no more.
        Problem: It is proved, and cannot be taken.
    """
    source = await sources_of(platform).find(source_id)
    headers = headers_of(request)
    if source is None or not source.enabled:
        metrics.HOOKS_REFUSED.labels("unknown_source").inc()
        await _count_stranger(platform, request)
        raise _unproven()
    try:
        answer = await _receive(platform, source, request, headers, path_token)
    except Unproven as verdict:
        metrics.HOOKS_REFUSED.labels("unproven").inc()
        tally_of(platform).refused(source, verdict.reason)
        await _count_stranger(platform, request)
        raise _unproven() from None
    except Problem as problem:
        metrics.HOOKS_REFUSED.labels(problem.slug).inc()
        if isinstance(problem, Malformed | TooLarge | UnsupportedMediaType):
            tally_of(platform).refused(source, problem.detail)
        raise
    metrics.HOOKS_ANSWERED.labels(answer.status).inc()
    return answer


async def _receive(
    platform: Platform, source: Source, request: Request, headers: Headers, path_token: str | None
) -> Answer:
    proof = _check_token(source, headers, path_token)
    body = await _body(request)
    context.tenant_id.set(str(source.tenant_id))
    context.actor.set(f"source:{source.id}")
    if source.authentication == "sns":
        message = await sns.prove(platform, source.tenant_id, source.topic or "", body, utcnow())
        await limit_tenant(platform, source.tenant_id)
        if message.type == sns.ASKS:
            return await _hold(platform, source, message)
        delivery = _delivery(source, headers, body, message_of(message.document), message.key)
    else:
        if proof is None:
            now = utcnow()
            proof = prove(source.authentication, source.secret_values(now), headers, body, now)
        await limit_tenant(platform, source.tenant_id)
        try:
            opened = await asyncio.to_thread(open_body, source.format, headers, body)
        except Invalid as problem:
            tally_of(platform).refused(source, problem.detail)
            raise
        key = proof.key or opened.key or _own_key(headers)
        delivery = _delivery(source, headers, body, opened.payload, key)
    return await _take(platform, source, delivery)


async def _take(platform: Platform, source: Source, delivery: Delivery) -> Answer:
    waiting = waiting_of(platform)
    if not waiting.has_some():
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                taken = await take(platform, source, delivery)
            return Answer(delivery.id, taken.outcome, taken.exceptions)
        except Exception as error:
            if not is_away(error):
                raise
    # Whatever was begun is done once: the key is the same when it is taken off the disk.
    await waiting.add(delivery)
    return Answer(delivery.id, "waiting", [])


def headers_of(request: Request) -> Headers:
    """Return every value of each header of a request, by its name in lower case."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers.raw:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _check_token(source: Source, headers: Headers, path_token: str | None) -> Proof | None:
    """Check a token before the body is read; None where the proof lies in the body."""
    if source.authentication not in WITH_TOKEN:
        if path_token is not None:
            raise Unproven("It came to an address with a token, and the source's senders sign instead.")
        return None
    if source.authentication == "path_token":
        token = path_token or ""
    elif path_token is not None:
        raise Unproven("Its token stands in the address, and the source wants it in a header.")
    else:
        token = token_of(headers)
    check_token(token, source.token_hashes(utcnow()))
    return Proof()


async def _body(request: Request) -> bytes:
    """Read the body as it came, as far as it may go."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body uncompressed.")
    too_large = TooLarge(f"The body may have at most {MAX_BODY} bytes. Send fewer at once.")
    if int(request.headers.get("content-length", "0") or 0) > MAX_BODY:
        raise too_large
    pieces, size = [], 0
    try:
        async for piece in request.stream():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY:
                raise too_large
    except ClientDisconnect:
        raise Malformed("The connection was closed before the body was read.") from None
    return b"".join(pieces)


def _own_key(headers: Headers) -> str | None:
    key = checked_key(list(headers.get("idempotency-key", ())))
    return f"own:{key}" if key is not None else None


def _delivery(source: Source, headers: Headers, body: bytes, payload: object, key: str | None) -> Delivery:
    return Delivery(
        id=new_id(),
        tenant_id=source.tenant_id,
        source_id=source.id,
        received_at=utcnow(),
        key=key,
        headers=shown_headers(headers),
        payload=payload,
        size=len(body),
        request_id=context.request_id.get(),
    )


async def _hold(platform: Platform, source: Source, message: sns.Message) -> Answer:
    """Keep a topic's wish to send here until a person decides about it."""
    address = sns.confirmation_address(message.document)
    sealed = box(platform).encrypt(address.encode(), bound_to(source.id))
    held_id = new_id()
    async with platform.database.raw_tenant(source.tenant_id) as connection:
        held = await connection.fetchval(
            _HOLD, held_id, source.tenant_id, source.id, message.document["TopicArn"], sealed, _MOST_HELD
        )
    if held is None:
        raise Conflict(f"{_MOST_HELD} wishes to send wait already. Decide about them first.")
    return Answer(held_id, "held", [])


async def _count_stranger(platform: Platform, request: Request) -> None:
    """Let a stranger's request count for their address, whatever credential it pretended to have."""
    if "authorization" in request.headers:
        await limiter_of(platform).take(f"address:{address_of(request) or 'unknown'}")


def _unproven() -> Forbidden:
    return Forbidden(
        "Nothing proves that this comes from a source of this installation. Look at the address, the secret and "
        "the clock of whoever sends; the source says more to those who may see it."
    )
