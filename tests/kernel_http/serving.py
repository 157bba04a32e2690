"""Serves an application on loopback the way the platform does, and speaks to it byte by byte."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.types import ASGIApp

from fettle.kernel.http import server_config
from fettle.kernel.http.serving import Server
from fettle.kernel.settings import Settings


@contextlib.asynccontextmanager
async def serve(
    app: ASGIApp, settings: Settings, *, server: type[Server] = Server, **overrides: Any
) -> AsyncIterator[str]:
    """Serve an application on a free port and yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = server(server_config(app, settings, lifespan="off", **overrides))
    task = asyncio.create_task(running.serve(sockets=[listener]))
    try:
        yield f"{settings.scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        running.should_exit = True
        running.force_exit = True
        await task
        listener.close()


async def speak(address: str, *pieces: bytes, until: Callable[[bytes], bool] | None = None) -> bytes:
    """Send raw bytes and return what comes back until the server closes, or until it is enough."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        heard = b""
        while chunk := await reader.read(65_536):
            heard += chunk
            if until is not None and until(heard):
                break
        return heard
    finally:
        writer.close()
