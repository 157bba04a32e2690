"""Live streams over server-sent events and WebSocket: what a reader missed, then what comes, while it may."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import asyncpg
import structlog
from fastapi import APIRouter, WebSocket
from redis.exceptions import RedisError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fettle.central.stream_hub import Reader, live_hub
from fettle.central.stream_messages import LiveMessage, platform_status
from fettle.identity.access import Access
from fettle.identity.authentication import authenticate_token, authenticator
from fettle.kernel import jsonio
from fettle.kernel.errors import FieldError, Invalid, Problem
from fettle.kernel.platform import Platform

HEARTBEAT_SECONDS: Final = 10.0
RECHECK_SECONDS: Final = 3.0
SEND_SECONDS: Final = 15.0
_LARGEST_POSITION: Final = 2**63 - 1
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)

log = structlog.get_logger("fettle.live")

Write = Callable[[list[LiveMessage]], Awaitable[None]]


class End(Enum):
    """Why a stream ended."""

    LEFT = "its reader left"
    REVOKED = "its reader may not watch any more"
    OVERTAKEN = "its reader did not keep up"
    STALLED = "its reader's connection took nothing"
    CLOSING = "this process is closing its streams"
    FAILED = "its messages could not be read"


@dataclass(frozen=True, slots=True)
class Watch:
    """One reader's claim to a tenant's messages.

    Attributes:
        access: Who reads, and which tenant.
        token: The credential, asked about again while the stream is open.
        tenant_header: The tenant as the reader named it.
        after: The last position that the reader knows; None for from now on.
    """

    platform: Platform
    access: Access
    token: str
    tenant_header: str | None
    after: int | None

    async def begin(self) -> int:
        """Return the position after which this stream tells everything; asked before it is said to be open.

        A position that this store has not reached came from another, and says nothing.
        """
        hub = live_hub(self.platform)
        if self.after is None or await hub.is_ahead(self.after):
            return await hub.settled()
        return self.after

    async def carry(
        self, reader: Reader, position: int, write: Write, left: Callable[[], Awaitable[None]]
    ) -> End:
        """Write messages until the stream must end; an empty list is a sign of life.

        Args:
            reader: As it was admitted.
            position: Where the stream begins.
            write: Sends messages to the reader.
            left: Returns when the reader has left.
        """
        sending = asyncio.create_task(self._send(reader, position, write))
        leaving = asyncio.ensure_future(left())
        ending = asyncio.create_task(self._until_end(reader))
        tasks: set[asyncio.Future[Any]] = {sending, leaving, ending}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _put_away(tasks)
        if not ending.cancelled():
            return _told_by(ending.exception()) if ending.exception() is not None else ending.result()
        return End.LEFT if sending.cancelled() else _told_by(sending.exception())

    async def _send(self, reader: Reader, position: int, write: Write) -> None:
        async with contextlib.aclosing(self._messages(reader, position)) as pages:
            async for page in pages:
                async with asyncio.timeout(SEND_SECONDS):
                    await write(page)

    async def _messages(self, reader: Reader, position: int) -> AsyncGenerator[list[LiveMessage], None]:
        hub, tenant_id = live_hub(self.platform), self.access.tenant_id
        yield [platform_status(tenant_id, position, hub.status)]
        # Most of what was missed comes before the reader has a queue, which could overflow meanwhile.
        async for page in hub.missed(tenant_id, position, await hub.settled()):
            yield page
            position = page[-1].position if page else position
        async with hub.reading(tenant_id, reader) as joined_at:
            async for page in hub.missed(tenant_id, position, joined_at):
                yield page
            known = max(position, joined_at)
            while not reader.ended.is_set():
                taken = await reader.take(HEARTBEAT_SECONDS)
                yield [self._placed(message, known) for message in taken if _is_news(message, known)]

    def _placed(self, message: LiveMessage, known: int) -> LiveMessage:
        """Return a message whose position is no step back: where the reader is ahead of us, it stays so."""
        if message.position >= known:
            return message
        return platform_status(self.access.tenant_id, known, live_hub(self.platform).status)

    async def _until_end(self, reader: Reader) -> End:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECHECK_SECONDS):
                    await reader.ended.wait()
                return End.OVERTAKEN if reader.overtaken else End.CLOSING
            try:
                if not await self._is_allowed():
                    return End.REVOKED
            except (OSError, RedisError, asyncpg.PostgresError, asyncpg.InterfaceError):
                # Who cannot be asked about gets nothing more, and may come back.
                return End.CLOSING

    async def _is_allowed(self) -> bool:
        try:
            access = await authenticator(self.platform).access(self.token, self.tenant_header)
            access.check("incidents:read")
        except Problem:
            return False
        return True


class EventStream(Response):
    """A response that goes on until its reader leaves, falls behind or loses its right to it."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        watch, writing = self._watch, False

        async def write(messages: list[LiveMessage]) -> None:
            nonlocal writing
            body = b"".join(map(_framed, messages)) or b": alive\n\n"
            writing = True
            await send({"type": "http.response.body", "body": body, "more_body": True})
            writing = False

        async def left() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        with live_hub(watch.platform).admitted(watch.access.actor) as reader:
            # First of all: where the store cannot be read, the answer is a problem and not an empty stream.
            position = await watch.begin()
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await send({"type": "http.response.body", "body": b"retry: 1000\n\n", "more_body": True})
            end = await watch.carry(reader, position, write, left)
        log.info("live.ended", why=end.value)
        if end is not End.LEFT and not writing:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def position_of(last_event_id: str | None) -> int | None:
    """Return the position that a reader resumes after.

    Raises:
        Invalid: It is no position.
    """
    if last_event_id is None or not last_event_id.strip():
        return None
    if last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id[:20]) <= _LARGEST_POSITION:
        return int(last_event_id)
    raise Invalid(
        "Last-Event-ID is the id of a message of this stream, a number. Leave it out to begin now.",
        errors=[FieldError("/header/last-event-id", "is no position")],
    )


def _framed(message: LiveMessage) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (message.position, message.type.encode(), message.body)


def _is_news(message: LiveMessage, known: int) -> bool:
    return message.position > known or message.type == "platform_status"


def _told_by(error: BaseException | None) -> End:
    """Say why a stream ended whose sending ended first."""
    if error is None or isinstance(error, WebSocketDisconnect | RuntimeError):
        return End.LEFT
    if isinstance(error, TimeoutError):
        return End.STALLED
    log.warning("live.failed", error=type(error).__name__)
    return End.FAILED


async def _put_away(tasks: "set[asyncio.Future[Any]]") -> None:
    """Cancel tasks and see them end, so that nothing of a stream outlives it; what they raised was its end."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


socket_router = APIRouter()

_FIRST_MESSAGE_SECONDS: Final = 5.0
_PROTOCOL: Final = "fettle.bearer."
_UNAUTHENTICATED: Final = 4401
_BAD_REQUEST: Final = 4400
_CODES_OF_PROBLEMS: Final = {401: _UNAUTHENTICATED, 403: 4403, 404: 4403, 429: 4429, 503: 1013}
_CODES: Final = {
    End.REVOKED: _UNAUTHENTICATED,
    End.OVERTAKEN: 4408,
    End.STALLED: 4408,
    End.CLOSING: 1001,
    End.FAILED: 1011,
}


@socket_router.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    """Follow the tenant's live messages over a WebSocket.

    The token comes as the sub-protocol ``fettle.bearer.<token>`` or in the first message,
    ``{"token": ..., "tenant_id": ..., "last_event_id": ...}``; in the address only where the operator
    allows it, since addresses end up in logs.
    """
    platform: Platform = websocket.app.state.platform
    offered = next((p for p in websocket.scope.get("subprotocols", ()) if p.startswith(_PROTOCOL)), None)
    await websocket.accept(subprotocol=offered)
    try:
        with live_hub(platform).greeting():
            hello = await _hello(websocket, platform, offered)
            access = await authenticate_token(platform, hello["token"], hello.get("tenant_id"))
        access.check("incidents:read")
        after = position_of(hello.get("last_event_id"))
        watch = Watch(platform, access, hello["token"], hello.get("tenant_id"), after)
        with live_hub(platform).admitted(access.actor) as reader:
            end = await _carry(websocket, watch, reader)
    except (TimeoutError, WebSocketDisconnect):
        await _end(websocket, _UNAUTHENTICATED, "no token came")
    except Problem as problem:
        await _end(websocket, _CODES_OF_PROBLEMS.get(problem.status, _BAD_REQUEST), problem.title)
    else:
        log.info("live.ended", why=end.value)
        if end is not End.LEFT:
            await _end(websocket, _CODES[end], f"{end.value}; connect again with last_event_id")


async def _carry(websocket: WebSocket, watch: Watch, reader: Reader) -> End:
    async def write(messages: list[LiveMessage]) -> None:
        for message in messages:
            await websocket.send_text(message.body.decode())

    async def left() -> None:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass

    return await watch.carry(reader, await watch.begin(), write, left)


async def _hello(websocket: WebSocket, platform: Platform, offered: str | None) -> dict[str, str]:
    asked = websocket.query_params
    if offered is not None:
        return {"token": offered.removeprefix(_PROTOCOL), **_given(asked, ("tenant_id", "last_event_id"))}
    if platform.settings.ws_query_token and "token" in asked:
        return _given(asked, ("token", "tenant_id", "last_event_id"))
    async with asyncio.timeout(_FIRST_MESSAGE_SECONDS):
        first = await websocket.receive()
    if first["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(first.get("code", 1005))
    value = jsonio.parse((first.get("text") or "").encode() or first.get("bytes") or b"")
    if not isinstance(value, dict) or not isinstance(value.get("token"), str):
        raise Invalid("The first message is an object with a token.")
    return {
        name: str(value[name])
        for name in ("token", "tenant_id", "last_event_id")
        if value.get(name) is not None
    }


def _given(source: Any, names: tuple[str, ...]) -> dict[str, str]:
    return {name: source[name] for name in names if name in source}


async def _end(websocket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
        await websocket.close(code, reason)
