"""Where a request says that it goes: refused where a router and a check could read it in two ways."""

import ipaddress
import re
import socket
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from fettle.kernel.errors import Malformed, NotFound, Problem
from fettle.kernel.settings import Settings

_PLAIN_PATH: Final = re.compile(rb"(?:/[A-Za-z0-9_~@:+,=-][A-Za-z0-9._~@:+,=-]*)*/?")
_PATH_BYTES: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:@/%-]*")
_AMBIGUOUS: Final = re.compile(rb"%(?:2e|2f|5c|25|00|0a|0d|7f)|%(?![0-9a-f]{2})|//", re.IGNORECASE)
_NUL_IN_QUERY: Final = re.compile(rb"%00|[^\x21-\x7e]")
_HOST: Final = re.compile(r"([a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?")
_LOOPBACK_NAMES: Final = frozenset({"localhost", "ip6-localhost"})
_HIGHEST_PORT: Final = 65535


class MisdirectedHost(Problem):
    """The request names a host that this installation does not answer for."""

    status = 400
    slug = "unknown-host"
    title = "The Host header names another host"


def check_path(raw_path: bytes, path: str) -> None:
    """Refuse a path that two readers could take for two paths.

    Args:
        raw_path: As it was sent.
        path: As the router reads it.

    Raises:
        NotFound: It holds a dot segment, an empty segment or an encoded separator; nothing is there.
        Malformed: It is not an absolute path, or not UTF-8.
    """
    if _PLAIN_PATH.fullmatch(raw_path) is not None and path.isascii():
        if path.encode() != raw_path:
            raise Malformed("The path is read in two ways. Send it plainly.")
        return
    if not raw_path.startswith(b"/") or _PATH_BYTES.fullmatch(raw_path) is None:
        raise Malformed("The path must begin with / and hold none but the characters of RFC 3986.")
    if _AMBIGUOUS.search(raw_path) is not None or not {b".", b".."}.isdisjoint(raw_path.split(b"/")):
        raise NotFound("There is nothing at this address: it holds an encoded or empty part, or a dot part.")
    decoded = unquote(raw_path.decode("ascii"), errors="replace")
    if decoded != path or "\ufffd" in decoded or not decoded.isprintable():
        raise Malformed("The path must be UTF-8 text, percent-encoded once.")


def check_query(query: bytes) -> None:
    """Refuse a query that holds what no text can.

    Raises:
        Malformed: It holds U+0000 or a raw byte outside of ASCII.
    """
    if query and _NUL_IN_QUERY.search(query) is not None:
        raise Malformed("The query must be percent-encoded text without the character U+0000.")


class HostCheck:
    """The host names that this installation answers for.

    Loopback, the address that a request came in by, this machine's name, the listening host, the host of
    ``public_url`` and everything in ``allowed_hosts``, where ``*.example.com`` covers each name below it.
    A page elsewhere that points its own name at us is thereby refused (DNS rebinding).
    """

    def __init__(self, settings: Settings) -> None:
        names = {socket.gethostname().lower(), settings.host.lower()}
        if settings.public_url is not None:
            names.add((urlsplit(settings.public_url).hostname or "").lower())
        listed = [name.lower().rstrip(".") for name in settings.allowed_hosts]
        self._below = tuple(name[1:] for name in listed if name.startswith("*."))
        self._names = (names | {name for name in listed if not name.startswith("*")} | _LOOPBACK_NAMES) - {""}
        self._known: dict[str, bool] = {}

    def check(self, hosts: list[bytes], scope: Any) -> str:
        """Return the host that a request names.

        Args:
            hosts: The values of its Host headers.
            scope: Its ASGI scope, which knows the address that it came in by.

        Raises:
            MisdirectedHost: There is not exactly one Host header, or it names another host.
        """
        if len(hosts) != 1:
            raise MisdirectedHost("Send exactly one Host header.")
        host = hosts[0].decode("latin-1").lower()
        if self._known.get(host):
            return host
        match = _HOST.fullmatch(host)
        if match is None or int(match[2] or 0) > _HIGHEST_PORT:
            raise MisdirectedHost("The Host header is not a host name with an optional port.")
        name = match[1].strip("[]").rstrip(".")
        if name in self._names or name.endswith(self._below):
            self._known[host] = len(self._known) < 1000  # noqa: PLR2004 - callers invent ports, we remember few
            return host
        if not _is_own_address(name, scope):
            raise MisdirectedHost(
                "This installation does not answer for that host. Its operator lists names in "
                "FETTLE_ALLOWED_HOSTS."
            )
        return host


def _is_own_address(name: str, scope: Any) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    if address.is_loopback:
        return True
    server = scope.get("server")
    try:
        return server is not None and ipaddress.ip_address(str(server[0])) == address
    except ValueError:
        return False


def is_same_origin(origin: bytes, host: str, others: frozenset[str]) -> bool:
    """Say whether a page may open a connection that a browser does not hold to its same-origin policy.

    Args:
        origin: The Origin header.
        host: The checked Host header.
        others: Origins that the operator listed, in lower case.
    """
    text = origin.decode("latin-1").lower()
    if text in others:
        return True
    scheme, separator, named = text.partition("://")
    return bool(separator) and scheme in {"http", "https"} and named == host
