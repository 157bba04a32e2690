"""Which places on the network may be reached: what an address is, and what an operator has listed."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import idna

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS: Final = frozenset({80, 443})
"""Ports of a listed place without a port, and of public places where nothing needs to be listed."""

_LONGEST_URL: Final = 4096
_HIGHEST_PORT: Final = 65535
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_URL_CHARACTERS: Final = re.compile(r"[\x21-\x5b\x5d-\x7e\u00a0-\U0010ffff]+")
_NETLOC: Final = re.compile(r"(?:\[[0-9a-fA-F:.%]+\]|[^\[\]:@]+)(?::[0-9]{1,5})?")
_ENTRY: Final = re.compile(
    r"(?:\[(?P<six>[0-9a-f:./]+)\]|(?P<other>[^\s:@\[\]]+))(?::(?P<port>\d{1,5}))?(?:@(?P<tenant>[0-9a-f-]{36}))?"
)


class EgressRefused(Exception):  # noqa: N818 - it is an answer
    """A request may not be sent there.

    Args:
        reason: What is wrong with the place and what to do; it never holds a path, a query or a credential.
    """


class Reach(Enum):
    """Who may reach an address."""

    PUBLIC = "public"
    PRIVATE = "private"
    NEVER = "never"


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in text.split())


_METADATA: Final = _networks(
    "169.254.169.254/32 169.254.170.2/32 169.254.170.23/32 100.100.100.200/32 168.63.129.16/32 192.0.0.192/32 "
    "fd00:ec2::254/128 fd00:ec2::23/128 fd20:ce::254/128 fd00:42::42/128"
)
"""Where clouds hand out an instance's credentials; some lie in private or even public ranges."""

_PRIVATE: Final = _networks(
    "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 127.0.0.0/8 198.18.0.0/15 fc00::/7 ::1/128"
)
"""What an operator may open."""

_NEVER: Final = _networks(
    "0.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.51.100.0/24 203.0.113.0/24 "
    "224.0.0.0/4 240.0.0.0/4 "
    "::/96 ::ffff:0:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 "
    "5f00::/16 fe80::/10 fec0::/10 ff00::/8"
)
"""Unspecified, link-local, documentation, multicast, reserved; and IPv4 hidden in IPv6 by tunnels long retired."""

_MAPPED: Final = ipaddress.ip_network("::ffff:0:0/96")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


def true_address(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped or NAT64 address leads to, or the address itself."""
    if isinstance(address, ipaddress.IPv6Address) and (address in _MAPPED or address in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def reach_of(address: Address) -> Reach:
    """Say who may reach an address.

    Args:
        address: As it was resolved; what is hidden in it counts.
    """
    address = true_address(address)
    if _is_in(address, _METADATA):
        return Reach.NEVER
    if _is_in(address, _PRIVATE):
        return Reach.PRIVATE
    if _is_in(address, _NEVER) or address.is_multicast or address.is_reserved or address.is_unspecified:
        return Reach.NEVER
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_UNICAST
        or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
        or address.scope_id is not None
    ):
        return Reach.NEVER
    return Reach.PUBLIC if address.is_global else Reach.NEVER


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A name in ASCII and lower case, or an address in its one canonical form.
        port: Always given.
        target: Path and query, as sent.
        address: The address, where the host is one.
    """

    scheme: str
    host: str
    port: int
    target: str
    address: Address | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: two places with the same one may share credentials."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port as the Host header and logs write them; never path, query or credential."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == standard else f"{host}:{self.port}"


def read_url(url: str) -> Place:
    """Read an address strictly: whatever two readers could take for two places is refused.

    Raises:
        EgressRefused: It is no plain http or https address.
    """
    if len(url) > _LONGEST_URL or _URL_CHARACTERS.fullmatch(url) is None:
        raise EgressRefused("the url is too long, or holds a space, a backslash or a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise EgressRefused("the url cannot be read; write it as https://host:port/path") from None
    if parts.scheme not in {"http", "https"}:
        raise EgressRefused("the url must begin with https:// or http://")
    if "@" in parts.netloc:
        raise EgressRefused("the url holds credentials; name them as secrets in auth")
    if port == 0 or _NETLOC.fullmatch(parts.netloc) is None:
        raise EgressRefused("the url's host and port cannot be read; write them as host or host:port")
    host = parts.hostname or ""
    if "[" in parts.netloc:
        address: Address | None = _bracketed(host)
    else:
        host = _ascii_name(host)
        address = _dotted_quad(host)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii():
        raise EgressRefused("the url's path and query must be percent-encoded")
    return Place(
        scheme=parts.scheme,
        host=str(address) if address is not None else host,
        port=port or {"http": 80, "https": 443}[parts.scheme],
        target=target,
        address=address,
    )


def _bracketed(host: str) -> Address:
    if "%" in host:
        raise EgressRefused("the url names a zone; an address with a zone is link-local and out of reach")
    try:
        return ipaddress.IPv6Address(host)
    except ValueError:
        raise EgressRefused("the url's IPv6 address cannot be read") from None


def _ascii_name(host: str) -> str:
    name = host.removesuffix(".").lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True, std3_rules=True).decode().lower()
        except idna.IDNAError:
            raise EgressRefused("the url's host is not a name that IDNA allows") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - RFC 1035
        raise EgressRefused("the url's host is not a host name")
    return name


def _dotted_quad(name: str) -> Address | None:
    """Return the address that a numeric host is; every form but the canonical one is refused."""
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]) is None:
        return None
    try:
        return ipaddress.IPv4Address(name)
    except ValueError:
        raise EgressRefused(
            "the url's host is a number; write an IPv4 address as four decimal numbers"
        ) from None


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str | None
    network: Network | None
    ports: frozenset[int]
    tenant_id: UUID | None

    def covers(self, tenant_id: UUID | None, port: int) -> bool:
        return port in self.ports and self.tenant_id in {None, tenant_id}


class Allowed:
    """What an operator has listed.

    A name says who may be asked, a network says which private addresses may be reached: a private server
    with a name needs both, so that nobody who owns a name's DNS decides what it opens.

    Args:
        entries: ``name[:port][@tenant]``, ``*.name``, ``10.1.2.0/24``, ``[fd00::/64]``. Without a port, 80
            and 443.
        only_listed: Public places need to be listed, too.

    Raises:
        ValueError: An entry cannot be read; the text names it.
    """

    def __init__(self, entries: Sequence[str], *, only_listed: bool) -> None:
        self._entries = tuple(_read_entry(entry) for entry in entries)
        self._only_listed = only_listed

    def check_name(self, place: Place, tenant_id: UUID | None) -> None:
        """Refuse a place by its name and port, before anybody is asked for its addresses.

        Raises:
            EgressRefused: The place is not listed and had to be.
        """
        if place.address is not None:
            return
        listed = any(
            _name_matches(entry.name, place.host) and entry.covers(tenant_id, place.port)
            for entry in self._entries
        )
        if not listed and (self._only_listed or place.port not in DEFAULT_PORTS):
            raise EgressRefused(
                f"{place.host}:{place.port} is not listed; the operator lists it in FETTLE_EGRESS_ALLOW"
            )

    def check_address(self, place: Place, address: Address, tenant_id: UUID | None) -> None:
        """Refuse one of the addresses of a place.

        Raises:
            EgressRefused: Nobody may reach it, or the operator has not opened it.
        """
        reach = reach_of(address)
        where = place.host if place.address is not None else f"{place.host} at {address}"
        if reach is Reach.NEVER:
            raise EgressRefused(f"{where} is an address that may not be reached")
        true = true_address(address)
        listed = any(
            entry.network is not None
            and entry.network.version == true.version
            and true in entry.network
            and entry.covers(tenant_id, place.port)
            for entry in self._entries
        )
        if reach is Reach.PRIVATE and not listed:
            raise EgressRefused(
                f"{where} is a private address; the operator opens it and its port in FETTLE_EGRESS_ALLOW"
            )
        is_bare = place.address is not None
        if is_bare and not listed and (self._only_listed or place.port not in DEFAULT_PORTS):
            raise EgressRefused(
                f"{place.host}:{place.port} is not listed; the operator lists it in FETTLE_EGRESS_ALLOW"
            )


def _name_matches(listed: str | None, host: str) -> bool:
    if listed is None:
        return False
    return host.endswith(listed[1:]) if listed.startswith("*.") else host == listed


def _read_entry(text: str) -> _Entry:
    match = _ENTRY.fullmatch(text.strip().lower())
    if match is None:
        raise _unreadable(text, "not one of name, *.name, network, each with :port and @tenant")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 1 <= port <= _HIGHEST_PORT:
        raise _unreadable(text, "a port is a number from 1 to 65535")
    try:
        tenant_id = UUID(match["tenant"]) if match["tenant"] else None
        name, network = _name_or_network(match["six"] or match["other"])
    except ValueError as error:
        raise _unreadable(text, str(error)) from None
    return _Entry(name, network, DEFAULT_PORTS if port is None else frozenset({port}), tenant_id)


def _unreadable(text: str, reason: str) -> ValueError:
    return ValueError(f"FETTLE_EGRESS_ALLOW: {text!r}: {reason}")


def _name_or_network(text: str) -> tuple[str | None, Network | None]:
    if ":" in text or _NUMERIC_LABEL.fullmatch(text.partition("/")[0].rpartition(".")[2]):
        return None, ipaddress.ip_network(text)
    labels = text.removeprefix("*.").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or (text.startswith("*.") and len(labels) < 2):  # noqa: PLR2004 - a star, and a name below it
        raise ValueError("a name is labels with dots between; a * stands before a name of two labels or more")
    return text, None
