"""How uvicorn serves us: limits on headers that it does not have itself, and its own log lines off."""

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fettle.kernel.http.tls import server_context
from fettle.kernel.settings import Settings

HEADER_SECONDS: Final = 10.0
"""How long a sender may take for a request's line and headers."""

HEADER_BYTES: Final = 32_768
"""How long a request's line and headers may be together."""

ENDLESS: Final = "fettle.endless"
"""Key in the ASGI scope of a request whose answer goes on until its reader leaves."""

_MOST_HEADERS: Final = 100
_FAREWELL_SECONDS: Final = 2.0


class JoinedWrites:
    """A transport that writes once what is written to it within one turn of the event loop.

    uvicorn writes an answer's head and body one after the other, which is two system calls for the sender and for
    its reader, and most of what a small answer costs.

    Args:
        transport: Where to; whatever else is asked is asked of it.
        loop: Whose turns they are.
    """

    __slots__ = ("_loop", "_transport", "_waiting")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Take a piece; it is on its way when this turn of the loop has ended."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Take some pieces."""
        self.write(b"".join(pieces))

    def close(self) -> None:
        """Write what waits, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._transport.write(data)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to slow, long and ambiguous request heads."""

    header_seconds = HEADER_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unfinished_bytes = 0
        self._head_fields = 0
        self._head_is_due = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Begin to wait for the first request."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]  # it is used as one
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head goes on and on without an end."""
        super().data_received(data)
        if not self._head_is_due:
            self._drop_trailers()
            return
        # Most heads come whole: a timer for each would cost more than to read them.
        if self._head_timer is None:
            self._await_head()
        self._unfinished_bytes += len(data)
        if self._unfinished_bytes > HEADER_BYTES:
            self._give_up()

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        super().on_message_begin()
        self._stop_waiting()
        self._head_is_due = True

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is too long or its target has another form than a path."""
        self._stop_waiting()
        self._head_fields = len(self.headers)
        # Added up here and not as they come: a head that goes on is ended by `data_received`.
        if self._head_fields > _MOST_HEADERS:
            raise ValueError("too many headers")
        if len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers]) > HEADER_BYTES:
            raise ValueError("the request head is too long")
        if not self.url.startswith(b"/"):
            raise ValueError("the request target is not a path")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the body."""
        self._drop_trailers()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Let the answer be finished, unless it has no end: its reader comes back to another process."""
        super().shutdown()
        if self.cycle is not None and ENDLESS in self.cycle.scope:
            self.transport.close()

    def _drop_trailers(self) -> None:
        """Forget fields after the body (RFC 9110, section 6.5.1): uvicorn would take them for the head's own."""
        if len(self.headers) > self._head_fields:
            del self.headers[self._head_fields :]

    def _await_head(self) -> None:
        self._head_is_due = True
        self._head_timer = self.loop.call_later(self.header_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        self._head_is_due = False
        self._unfinished_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server, with an end to slow handshakes: uvicorn has none of its own, asyncio's is a minute."""

    handshake_seconds = HEADER_SECONDS

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        context = self.config.ssl
        if context is None:
            await super().startup(sockets)
            return
        await super().startup([])
        for listener in sockets or [self.config.bind_socket()]:
            server = await asyncio.get_running_loop().create_server(
                self._protocol,
                sock=listener,
                ssl=context,
                backlog=self.config.backlog,
                ssl_handshake_timeout=self.handshake_seconds,
                ssl_shutdown_timeout=_FAREWELL_SECONDS,
            )
            self.servers.append(server)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # each kind of it takes them
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def server_config(app: ASGIApp, settings: Settings, **overrides: Any) -> uvicorn.Config:
    """Return how to serve an application that `wrap` made.

    Args:
        app: The outermost application.
        settings: Where to listen.
        **overrides: Options of `uvicorn.Config` that win over ours.

    Raises:
        SettingsError: The port cannot be served with the certificate that the settings name.
    """
    context = server_context(settings)
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "http": GuardedProtocol,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "timeout_keep_alive": 30,
        "ws_max_size": 65_536,
        "ws_per_message_deflate": False,
        "ssl_context_factory": None if context is None else lambda _config, _default: context,
    }
    return uvicorn.Config(app, **{**options, **overrides})
