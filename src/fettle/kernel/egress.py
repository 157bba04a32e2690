"""The one way out for HTTP: each place is resolved once, checked, and connected to at the very address checked."""

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import certifi
import httpcore

from fettle.kernel.egress_rules import Address, Allowed, EgressRefused, Place, read_url
from fettle.kernel.platform import Platform
from fettle.kernel.settings import Settings, SettingsError

__all__ = [
    "Egress",
    "EgressFailed",
    "EgressRefused",
    "Outgoing",
    "Reply",
    "Resolver",
    "client_tls",
    "egress_of",
]

MOST_REDIRECTS: Final = 5
MOST_ADDRESSES: Final = 4
CONNECT_SECONDS: Final = 5.0

_PART: Final = "kernel.egress"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAFE: Final = frozenset({"GET", "HEAD"})
_KEPT_ACROSS_ORIGINS: Final = frozenset({"accept", "accept-language", "user-agent"})
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")
_SENT: Final = ".send_request_headers.started"


class EgressFailed(Exception):  # noqa: N818 - it is an answer
    """A request that was allowed and did not come back well.

    Args:
        code: Stable word: ``unreachable``, ``tls``, ``timeout``, ``too_large``, ``redirect``, ``protocol``.
        message: What happened; it never holds a path, a query, a header's value or a body.
        may_have_arrived: The other side may have received it, and acted.
    """

    def __init__(self, code: str, message: str, *, may_have_arrived: bool) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.may_have_arrived = may_have_arrived


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def resolve(self, name: str) -> Sequence[Address]:
        """Return all addresses of a name, none when it has none."""


class SystemResolver:
    """Asks whatever this machine asks."""

    async def resolve(self, name: str) -> Sequence[Address]:
        """Return all addresses of a name."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError):
            return []
        return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request that is to be sent.

    Attributes:
        tls: Trust and client certificate, from `client_tls`; the system's trust when None.
        most_bytes: Longest answer read.
        timeout_seconds: For everything: names, connections, redirects, the answer.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    tls: ssl.SSLContext | None = None
    most_bytes: int = 1_000_000
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    place: Place


@dataclass(slots=True)
class _Progress:
    sent: bool = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        if event.endswith(_SENT):
            self.sent = True


class Egress:
    """Sends requests to places that are allowed.

    Proxies from the environment are not used: a proxy would resolve the name anew.

    Args:
        settings: ``egress_allow`` lists places; while ``sovereign`` is true, every place must be listed.
        resolver: Who is asked for addresses.

    Raises:
        SettingsError: ``egress_allow`` holds something that cannot be read.
    """

    def __init__(self, settings: Settings, resolver: Resolver | None = None) -> None:
        try:
            self._allowed = Allowed(settings.egress_allow, only_listed=settings.sovereign)
        except ValueError as error:
            raise SettingsError(f"{error}. Mend it in the environment or in .env.") from None
        self._resolver = resolver or SystemResolver()
        self._own_ports = _own_ports(settings)

    async def send(self, outgoing: Outgoing, *, tenant_id: UUID | None) -> Reply:
        """Send a request, follow its redirects, and return the last answer.

        GET and HEAD follow any redirect; another method only 307 and 308 to the same origin. What goes to
        another origin goes without the caller's headers and client certificate.

        Args:
            outgoing: What to send.
            tenant_id: For whom.

        Raises:
            EgressRefused: It may not be sent there, or not on to where it was redirected.
            EgressFailed: It was sent, or tried, in vain.
        """
        progress = _Progress()
        try:
            async with asyncio.timeout(outgoing.timeout_seconds):
                return await self._follow(outgoing, tenant_id, progress)
        except TimeoutError:
            message = f"no whole answer within {outgoing.timeout_seconds:g} s"
            raise EgressFailed("timeout", message, may_have_arrived=progress.sent) from None

    async def check(self, url: str, *, tenant_id: UUID | None) -> Place:
        """Return where a request would go, without sending it.

        Raises:
            EgressRefused: It may not be sent there.
            EgressFailed: The name has no address.
        """
        place = read_url(url)
        await self._addresses(place, tenant_id)
        return place

    async def _follow(self, outgoing: Outgoing, tenant_id: UUID | None, progress: _Progress) -> Reply:
        _check_headers(outgoing.headers)
        place = read_url(outgoing.url)
        for _ in range(MOST_REDIRECTS + 1):
            reply = await self._exchange(outgoing, place, tenant_id, progress)
            location = reply.headers.get("location")
            if reply.status not in _REDIRECTS or location is None:
                return reply
            place, outgoing = _redirected(outgoing, reply, location)
        raise EgressFailed("redirect", f"more than {MOST_REDIRECTS} redirects", may_have_arrived=True)

    async def _exchange(
        self, outgoing: Outgoing, place: Place, tenant_id: UUID | None, progress: _Progress
    ) -> Reply:
        addresses = await self._addresses(place, tenant_id)
        headers = [("Host", place.authority), ("Accept-Encoding", "identity"), ("Connection", "close")]
        headers += list(outgoing.headers.items())
        if outgoing.body or outgoing.method not in _SAFE:
            headers.append(("Content-Length", str(len(outgoing.body))))
        request = httpcore.Request(
            outgoing.method,
            httpcore.URL(
                scheme=place.scheme.encode(),
                host=place.host.encode(),
                port=place.port,
                target=place.target.encode(),
            ),
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in headers],
            content=outgoing.body,
            extensions={"trace": progress.trace, "timeout": {"connect": CONNECT_SECONDS}},
        )
        async with httpcore.AsyncConnectionPool(
            ssl_context=outgoing.tls or system_tls(),
            max_connections=1,
            network_backend=_Pinned(place, addresses),
        ) as pool:
            with _told(place, progress):
                response = await pool.handle_async_request(request)
                try:
                    body = await _read(response, outgoing.most_bytes)
                finally:
                    await response.aclose()
        return Reply(response.status, _decoded(response.headers), body, place)

    async def _addresses(self, place: Place, tenant_id: UUID | None) -> Sequence[Address]:
        """Return the addresses of a place, every one of them checked."""
        self._allowed.check_name(place, tenant_id)
        addresses = [place.address] if place.address else await self._resolver.resolve(place.host)
        if not addresses:
            raise EgressFailed("unreachable", f"{place.host} has no address", may_have_arrived=False)
        for address in addresses:
            self._allowed.check_address(place, address, tenant_id)
            if place.port in self._own_ports and _is_this_machine(address):
                raise EgressRefused(f"{place.authority} is a port of this installation itself")
        return addresses[:MOST_ADDRESSES]


def egress_of(platform: Platform) -> Egress:
    """Return the process's one way out."""
    found = platform.parts.get(_PART)
    if not isinstance(found, Egress):
        found = platform.parts[_PART] = Egress(platform.settings)
    return found


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, whatever the name may resolve to by now."""

    def __init__(self, place: Place, addresses: Sequence[Address]) -> None:
        self._place = place
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers."""
        if (host, port) != (self._place.host, self._place.port):
            raise EgressRefused("a connection was asked for to another place than was checked")
        failure: Exception = httpcore.ConnectError("no address")
        for address in self._addresses:
            try:
                return await self._network.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, *_args: Any, **_options: Any) -> httpcore.AsyncNetworkStream:
        """Refuse: the database and Redis listen on such sockets."""
        raise EgressRefused("no Unix socket is reached by HTTP")

    async def sleep(self, seconds: float) -> None:
        """Wait, as the pool asks between tries."""
        await asyncio.sleep(seconds)


@contextlib.contextmanager
def _told(place: Place, progress: _Progress) -> Iterator[None]:
    """Tell the library's errors as ours, which name the place and nothing that was sent."""
    try:
        yield
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        cause = str(error)
        if "SSL" in cause or "certificate" in cause.lower():
            message = f"{place.authority}: the TLS handshake failed: {cause}"
            raise EgressFailed("tls", message, may_have_arrived=False) from None
        message = f"{place.authority} does not answer"
        raise EgressFailed("unreachable", message, may_have_arrived=False) from None
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        message = f"{place.authority}: the connection broke ({type(error).__name__})"
        raise EgressFailed("protocol", message, may_have_arrived=progress.sent) from None


async def _read(response: httpcore.Response, most: int) -> bytes:
    declared = _decoded(response.headers).get("content-length", "")
    size = 0
    pieces: list[bytes] = []
    if not (declared.isdigit() and int(declared[:19]) > most):
        async for piece in response.aiter_stream():
            pieces.append(piece)
            size += len(piece)
            if size > most:
                break
        else:
            return b"".join(pieces)
    raise EgressFailed("too_large", f"the answer is larger than {most} bytes", may_have_arrived=True)


def _redirected(outgoing: Outgoing, reply: Reply, location: str) -> tuple[Place, Outgoing]:
    """Return where a redirect leads and what may be sent there."""
    before = reply.place
    base = f"{before.scheme}://{before.authority}{before.target}"
    try:
        target = urljoin(base, location)
    except ValueError:
        raise EgressRefused("it redirects to what is no address") from None
    place = read_url(urlsplit(target)._replace(fragment="").geturl())
    if before.scheme == "https" and place.scheme == "http":
        raise EgressRefused(f"{before.authority} redirects from https to http")
    same_origin = place.origin == before.origin
    if outgoing.method not in _SAFE and not (same_origin and reply.status in {307, 308}):
        raise EgressFailed(
            "redirect",
            f"{before.authority} redirects a {outgoing.method} to {place.authority}; name that address itself",
            may_have_arrived=True,
        )
    if same_origin:
        return place, outgoing
    kept = {name: value for name, value in outgoing.headers.items() if name.lower() in _KEPT_ACROSS_ORIGINS}
    return place, replace(outgoing, headers=kept, body=b"", tls=None)


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if _HEADER_NAME.fullmatch(name) is None or name.lower() in _OURS:
            raise EgressRefused(f"the header {name[:100]!r} is not one that may be set")
        if _HEADER_VALUE.fullmatch(value) is None:
            raise EgressRefused(f"the value of the header {name} holds what no header may hold")


def _decoded(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("ascii").lower(): value.decode("latin-1") for name, value in headers}


def _own_ports(settings: Settings) -> frozenset[int]:
    """Return the ports that belong to this installation, which nothing reaches even when listed."""
    ports = {settings.port}
    for url, default in ((settings.database_url, 5432), (settings.redis_url, 6379)):
        parts = urlsplit(url.get_secret_value()) if url is not None else None
        if parts is not None and parts.scheme != "unix" and parts.hostname:
            ports.add(parts.port or default)
    return frozenset(ports)


def _is_this_machine(address: Address) -> bool:
    """Say whether packets to an address would come back here: then they leave from that very address."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - the protocol's version
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ipaddress.ip_address(probe.getsockname()[0]) == address or address.is_loopback


@cache
def system_tls() -> ssl.SSLContext:
    """Return the trust of this machine and of Mozilla's list, without a client certificate."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def client_tls(
    *, ca: str | None = None, certificate: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """Return trust in one authority and a client's certificate, for mutual TLS.

    Args:
        ca: PEM of the only authority to trust; this machine's trust when None.
        certificate: PEM of the client's certificate and what leads to its authority.
        key: PEM of its private key, when it does not stand in `certificate`.

    Raises:
        EgressRefused: One of them cannot be read; the text holds nothing of it.
    """
    try:
        context = ssl.create_default_context(cadata=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca is None:
            context.load_verify_locations(certifi.where())
        if certificate is not None:
            _load_certificate(context, f"{certificate}\n{key or ''}")
    except (ssl.SSLError, ValueError, OSError):
        raise EgressRefused(
            "the certificate, its key or the authority is no PEM that fits together"
        ) from None
    return context


def _load_certificate(context: ssl.SSLContext, pem: str) -> None:
    # OpenSSL reads a client's key from a file only. Ours lives in a folder of our own for this moment.
    with tempfile.TemporaryDirectory(prefix="fettle-tls-") as folder:
        file = Path(folder) / "client.pem"
        file.touch(mode=0o600)
        file.write_text(pem, encoding="ascii")
        # An encrypted key would make OpenSSL ask at the terminal; it gets an empty password instead.
        context.load_cert_chain(file, password=lambda: b"")
