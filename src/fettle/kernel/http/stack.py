"""What stands around the application, once, as pure ASGI: ids, checks, limits, headers, log, figures, problems."""

import asyncio
import re
import time
from typing import IO, Final

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fettle.kernel import context, metrics
from fettle.kernel.errors import Forbidden, Problem, TooLarge, Unavailable
from fettle.kernel.http.access_log import AccessLog
from fettle.kernel.http.deadlines import Deadlines
from fettle.kernel.http.guards import guard
from fettle.kernel.http.problems import ANSWERED, SlowRequest, as_problem, send_problem
from fettle.kernel.http.serving import ENDLESS
from fettle.kernel.http.targets import HostCheck, check_path, check_query, is_same_origin
from fettle.kernel.ids import new_id_text
from fettle.kernel.platform import Platform
from fettle.kernel.ratelimit import RateLimiter, limiter_of
from fettle.kernel.settings import Settings, SettingsError

ROUTE: Final = "fettle.route"
"""Key in the ASGI scope by which an app that is not FastAPI names its route for the figures."""

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")
_SMALLEST_GZIP: Final = 1000
_GZIP_LEVEL: Final = 5
_REFUSED: Final = 1008
_CLIENT_LEFT: Final = 499
_DRAINED_BYTES: Final = 16_000_000
_DRAINED_SECONDS: Final = 5.0

log = structlog.get_logger("fettle.http")


def wrap(app: ASGIApp, platform: Platform, *, log_stream: IO[str] | None = None) -> ASGIApp:
    """Return an application with everything around it that each request needs.

    Args:
        app: FastAPI's, or a hot route before it.
        platform: Its settings say the limits; its Redis holds them for all processes. A request with a
            credential counts for its tenant instead (`ratelimit.limit_tenant`, once the caller is known).
        log_stream: Where the access log goes; standard error unless a test asks otherwise.

    Raises:
        SettingsError: ``cors_origins`` lets in any page at all.
    """
    return Edge(
        _with_cors(app, platform.settings),
        platform.settings,
        limiter=limiter_of(platform),
        access_log=AccessLog(platform.settings, log_stream),
    )


def _with_cors(app: ASGIApp, settings: Settings) -> ASGIApp:
    origins = settings.cors_origins
    if not origins:
        return app
    for origin in origins:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?", origin):
            raise SettingsError(
                f"FETTLE_CORS_ORIGINS: {origin!r} is not an origin such as https://console.example.com "
                "(lower case, no path; neither * nor null may call with a cookie)."
            )
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID", "X-Tenant-ID"],
        expose_headers=["X-Request-ID", "X-Process-Time-Ms", "Retry-After"],
    )


class Edge:
    """The outermost application.

    Args:
        app: What answers.
        settings: The limits.
        limiter: Counts requests without a credential by their address.
        access_log: Where each answered request is noted.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, *, limiter: RateLimiter, access_log: AccessLog
    ) -> None:
        self._app = app
        self._with_gzip = GZipMiddleware(app, minimum_size=_SMALLEST_GZIP, compresslevel=_GZIP_LEVEL)
        self._hosts = HostCheck(settings)
        self._limiter = limiter
        self._origins = frozenset(origin.lower() for origin in settings.cors_origins)
        self._public_https = settings.is_https
        self.access_log = access_log
        self.max_body_bytes = settings.max_body_bytes
        self.timeout_seconds = settings.request_timeout_seconds
        self.deadlines = Deadlines(self.timeout_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, connection or life span."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _Headers(scope["headers"])
        exchange = _Exchange(self, scope, receive, send, headers)
        tokens = [
            (context.request_id, context.request_id.set(headers.request_id)),
            (context.tenant_id, context.tenant_id.set(None)),
            (context.actor, context.actor.set(None)),
        ]
        try:
            await self._answer_in_time(scope, headers, exchange)
        finally:
            exchange.note()
            for variable, token in tokens:
                variable.reset(token)

    async def _answer_in_time(self, scope: Scope, headers: "_Headers", exchange: "_Exchange") -> None:
        try:
            async with asyncio.timeout(None) as deadline:
                exchange.deadline = deadline
                self.deadlines.watch(deadline)
                try:
                    self._check(scope, headers)
                    exchange.is_https = self._public_https or scope["scheme"] == "https"
                    if not headers.has_credential:
                        await self._limiter.take(f"address:{_client(scope) or 'unknown'}")
                    is_read = scope["method"] == "GET" and headers.accepts_gzip
                    await (self._with_gzip if is_read else self._app)(scope, exchange.receive, exchange.send)
                finally:
                    self.deadlines.forget(deadline)
        except TimeoutError as error:
            await exchange.fail(exchange.too_slow() if deadline.expired() else error)
        except Exception as error:  # noqa: BLE001 - the last place where any error can become an answer
            await exchange.fail(error)

    def _check(self, scope: Scope, headers: "_Headers") -> str:
        path: str = scope["path"]
        check_path(scope.get("raw_path") or path.encode(), path)
        check_query(scope["query_string"])
        host = self._hosts.check(headers.hosts, scope)
        length = headers.length
        if length and (_LENGTH.fullmatch(length) is None or int(length) > self.max_body_bytes):
            raise too_large(self.max_body_bytes)
        return host

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _Headers(scope["headers"])
        tokens = [(context.request_id, context.request_id.set(headers.request_id))]
        try:
            host = self._check(scope, headers)
            if headers.origin is not None and not is_same_origin(headers.origin, host, self._origins):
                raise Forbidden("A page of another origin may not open this connection.")
        except Problem as problem:
            log.info("connection refused", reason=problem.detail)
            await receive()
            await send({"type": "websocket.close", "code": _REFUSED, "reason": problem.title})
        else:
            await self._app(scope, receive, send)
        finally:
            for variable, token in tokens:
                variable.reset(token)


class _Headers:
    """What the stack itself needs of a request's headers, read in one pass."""

    __slots__ = ("accepts_gzip", "expects", "has_credential", "hosts", "length", "origin", "request_id")

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.hosts: list[bytes] = []
        self.length: bytes | None = None
        self.origin: bytes | None = None
        self.has_credential = self.accepts_gzip = self.expects = False
        given = b""
        for name, value in headers:
            if name == b"host":
                self.hosts.append(value)
            elif name == b"authorization":
                self.has_credential = True
            elif name == b"content-length":
                self.length = value
            elif name == b"accept-encoding":
                self.accepts_gzip = b"gzip" in value
            elif name == b"x-request-id":
                given = given or value
            elif name == b"origin":
                self.origin = value
            elif name == b"expect":
                self.expects = True
        self.request_id = given.decode() if _SANE_ID.fullmatch(given) is not None else new_id_text()


class _Exchange:
    """One request and its answer, as the application sees them through the limits."""

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send, headers: _Headers) -> None:
        self._edge, self._scope, self._receive, self._send = edge, scope, receive, send
        self._headers = headers
        self._begun = time.perf_counter()
        self._status = 0
        self._read = 0
        self._body_is_due = True
        self._is_reading = False
        self.is_https = False
        self.deadline: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        """Pass on a piece of the body, and count it: what Content-Length said is not believed."""
        self._is_reading = self._body_is_due
        message = await self._receive()
        self._is_reading = False
        if message["type"] == "http.request":
            self._body_is_due = message.get("more_body", False)
            self._read += len(message.get("body", b""))
            if self._read > self._edge.max_body_bytes:
                raise too_large(self._edge.max_body_bytes)
        return message

    async def send(self, message: Message) -> None:
        """Pass on a piece of the answer; each piece that the reader takes gives it the full time again."""
        if message["type"] == "http.response.start":
            self._start(message)
        elif (
            message.get("more_body")
            and self.deadline is not None
            and self._edge.deadlines.is_watched(self.deadline)
        ):
            self._edge.deadlines.watch(self.deadline)
        await self._send(message)

    def _start(self, message: Message) -> None:
        headers = message["headers"] = list(message.get("headers", ()))
        self._status = message["status"]
        if self.deadline is not None and any(
            name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
        ):
            self._edge.deadlines.forget(self.deadline)
            self._scope[ENDLESS] = True
        elapsed = (time.perf_counter() - self._begun) * 1000
        headers.append((b"x-request-id", self._headers.request_id.encode()))
        headers.append((b"x-process-time-ms", b"%.2f" % elapsed))
        guard(headers, is_https=self.is_https, is_api=self._scope["path"].startswith("/api/"))

    async def fail(self, error: BaseException) -> None:
        """Answer with the problem that an exception is told as, unless an answer has begun."""
        self.deadline = None
        if self._scope.get(ANSWERED) is error:
            return
        problem = as_problem(error)
        if self._status:
            log.warning("answer cut off", error=type(error).__name__)
            return
        if isinstance(problem, TooLarge) and not await self._drain():
            problem.headers["Connection"] = "close"
        await send_problem(self.send, problem)

    def too_slow(self) -> Problem:
        """Return the problem of a request whose time is up: its sender's, or ours."""
        seconds = f"{self._edge.timeout_seconds:g} s"
        if self._is_reading:
            return SlowRequest(
                f"The body did not arrive within {seconds}. Send it again, faster or in parts."
            )
        return Unavailable(f"The answer was not ready within {seconds}. Repeat the request in a moment.")

    async def _drain(self) -> bool:
        """Read a body that is too large to its end, where that is near: a sender reads no answer before."""
        declared = self._headers.length
        if self._headers.expects or (declared and int(declared) > _DRAINED_BYTES):
            return False
        try:
            async with asyncio.timeout(_DRAINED_SECONDS):
                while self._read <= _DRAINED_BYTES:
                    message = await self._receive()
                    self._read += len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return True
        except TimeoutError:
            pass
        return False

    def note(self) -> None:
        """Write the log line and count the request."""
        seconds = time.perf_counter() - self._begun
        method = self._scope["method"]
        status = self._status or _CLIENT_LEFT
        metrics.count_request(method, _route_of(self._scope), status, seconds)
        self._edge.access_log.write(
            method=method,
            path=self._scope["path"],
            status=status,
            milliseconds=seconds * 1000,
            request_id=self._headers.request_id,
            tenant_id=context.tenant_id.get(),
            actor=context.actor.get(),
            client=_client(self._scope),
        )


def too_large(most: int) -> TooLarge:
    """Return the problem of a body beyond the limit."""
    return TooLarge(f"The body is larger than {most} bytes. Send less at a time.")


def _client(scope: Scope) -> str | None:
    client = scope.get("client")
    return None if client is None else str(client[0])


def _route_of(scope: Scope) -> str:
    """Return the template of the route that answered, whose number has a bound, unlike paths."""
    named = scope.get(ROUTE)
    if named is None:
        routed = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
        named = getattr(routed, "path", None)
    return str(named) if named else "unmatched"
