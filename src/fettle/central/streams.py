"""Live streams over server-sent events and WebSocket: what a reader missed, then what comes, while it may."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

import structlog
from fastapi import APIRouter, WebSocket
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fettle.central.stream_hub import Message, Reader, live_hub
from fettle.identity.access import Access, authenticate_token
from fettle.kernel import jsonio
from fettle.kernel.errors import FieldError, Invalid, Problem
from fettle.kernel.platform import Platform

HEARTBEAT_SECONDS: Final = 10.0
RECHECK_SECONDS: Final = 3.0
SEND_SECONDS: Final = 15.0
_WRITE_MESSAGES: Final = 200
_LARGEST_POSITION: Final = 2**63 - 1
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)

log = structlog.get_logger("fettle.live")


class EventStream(Response):
    """A response that goes on until its reader leaves, falls behind or loses its right to it."""

    def __init__(
        self, platform: Platform, access: Access, token: str, tenant_header: str | None, after: int | None
    ) -> None:
        super().__init__()
        self._platform = platform
        self._access = access
        self._token = token
        self._tenant_header = tenant_header
        self._after = after

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        gone = asyncio.create_task(_until_gone(receive))
        try:
            async with live_hub(self._platform).reading(self._access.tenant_id, self._after) as (
                reader,
                missed,
            ):
                # Only now: where the store cannot be read, the answer is a problem and not an empty stream.
                await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
                await _write(send, "retry: 1000\n\n")
                source = follow(reader, missed, self._still_allowed, gone)
                async with contextlib.aclosing(source):
                    async for messages in source:
                        await _write(send, "".join(_framed(message) for message in messages) or ": alive\n\n")
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except _ReaderStalledError:
            log.info("live.reader_stalled")
        finally:
            await _put_away(gone)

    async def _still_allowed(self) -> bool:
        return await allowed(self._platform, self._token, self._tenant_header)


class _ReaderStalledError(Exception):
    """A reader's connection took nothing for too long."""


async def _write(send: Send, text: str) -> None:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
    except TimeoutError as error:
        raise _ReaderStalledError from error


async def _put_away(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and see it end, so that nothing of a stream outlives it; what it raised was its end."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def follow(
    reader: Reader,
    missed: list[Message],
    still_allowed: Callable[[], Awaitable[bool]],
    gone: "asyncio.Task[None]",
) -> AsyncGenerator[list[Message], None]:
    """Yield messages as they come, an empty list as a sign of life; ends when the stream must.

    Args:
        reader: The reader's queue.
        missed: What comes first.
        still_allowed: Asks whether the reader may go on; every few seconds.
        gone: Done when the reader has left.
    """
    for start in range(0, len(missed), _WRITE_MESSAGES):
        yield missed[start : start + _WRITE_MESSAGES]
    loop = asyncio.get_running_loop()
    checked = alive = loop.time()
    waiting = loop.create_task(reader.queue.get())
    try:
        while not gone.done() and not reader.overtaken.is_set():
            await asyncio.wait(
                {waiting, gone},
                timeout=min(RECHECK_SECONDS, HEARTBEAT_SECONDS),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if loop.time() - checked > RECHECK_SECONDS - 0.1:
                checked = loop.time()
                if not await still_allowed():
                    return
            if waiting.done():
                messages = [waiting.result(), *_queued(reader)]
                waiting = loop.create_task(reader.queue.get())
                alive = loop.time()
                yield messages
            elif loop.time() - alive >= HEARTBEAT_SECONDS - 0.1:
                alive = loop.time()
                yield []
    finally:
        await _put_away(waiting)


def _queued(reader: Reader) -> list[Message]:
    """Take what waits, at most one write's worth."""
    return [reader.queue.get_nowait() for _ in range(min(reader.queue.qsize(), _WRITE_MESSAGES - 1))]


async def allowed(platform: Platform, token: str, tenant_header: str | None) -> bool:
    """Say whether a token still opens the live stream."""
    try:
        access = await authenticate_token(platform, token, tenant_header)
        access.check("incidents:read")
    except Problem:
        return False
    return True


def _framed(message: Message) -> str:
    return f"id: {message['position']}\nevent: {message['type']}\ndata: {jsonio.dumps_str(message)}\n\n"


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


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


socket_router = APIRouter()

_FIRST_MESSAGE_SECONDS: Final = 5.0
_PROTOCOL: Final = "fettle.bearer."
_UNAUTHENTICATED: Final = 4401
_FORBIDDEN: Final = 4403
_OVERTAKEN: Final = 4408
_BAD_REQUEST: Final = 4400


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
        hello = await _hello(websocket, platform, offered)
        access = await authenticate_token(platform, hello["token"], hello.get("tenant_id"))
        access.check("incidents:read")
        after = position_of(hello.get("last_event_id"))
    except (TimeoutError, WebSocketDisconnect):
        await _end(websocket, _UNAUTHENTICATED, "no token came")
        return
    except Problem as problem:
        codes = {401: _UNAUTHENTICATED, 403: _FORBIDDEN, 404: _FORBIDDEN}
        await _end(websocket, codes.get(problem.status, _BAD_REQUEST), problem.title)
        return
    await _serve(websocket, platform, access, hello, after)


async def _serve(
    websocket: WebSocket, platform: Platform, access: Access, hello: dict[str, str], after: int | None
) -> None:
    async def still_allowed() -> bool:
        return await allowed(platform, hello["token"], hello.get("tenant_id"))

    gone = asyncio.create_task(_until_closed(websocket))
    code = _UNAUTHENTICATED
    try:
        async with live_hub(platform).reading(access.tenant_id, after) as (reader, missed):
            source = follow(reader, missed, still_allowed, gone)
            async with contextlib.aclosing(source):
                async for messages in source:
                    async with asyncio.timeout(SEND_SECONDS):
                        for message in messages:
                            await websocket.send_text(jsonio.dumps_str(message))
            if reader.overtaken.is_set():
                code = _OVERTAKEN
    except (WebSocketDisconnect, TimeoutError, RuntimeError):
        return
    finally:
        await _put_away(gone)
    await _end(websocket, code, "the stream ended; connect again with last_event_id")


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


async def _until_closed(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _end(websocket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
        await websocket.close(code, reason)
