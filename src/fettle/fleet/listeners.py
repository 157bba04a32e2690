"""Who listens on a host, read from the kernel's own tables of sockets."""

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fettle.fleet.observation import HostView

_LISTENING: Final = {"tcp": "0A", "udp": "07"}
"""The state of a socket that takes what comes: TCP's LISTEN, and of UDP what is not connected."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket.

    Attributes:
        protocol: ``tcp`` or ``udp``.
        address: The address that it listens on.
        port: Its port.
        process: The program's name, where we may see it.
    """

    protocol: str
    address: str
    port: int
    process: str | None = None

    @property
    def service(self) -> str:
        """``tcp/22``."""
        return f"{self.protocol}/{self.port}"

    @property
    def loopback(self) -> bool:
        """Only this host itself reaches it."""
        address = ipaddress.ip_address(self.address)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"service": self.service, "address": self.address, "process": self.process}


def listeners(view: HostView) -> list[Listener] | None:
    """Return every listening socket, or None when the kernel's tables cannot be read."""
    tables = [
        (protocol, view.text(f"/proc/net/{protocol}{family}"))
        for protocol in _LISTENING
        for family in ("", "6")
    ]
    if all(text is None for _, text in tables):
        return None
    rows = [(protocol, *row) for protocol, text in tables for row in _rows(text or "", _LISTENING[protocol])]
    names = _socket_owners(view, {inode for _, _, inode in rows})
    found = {_listener(protocol, local, names.get(inode)) for protocol, local, inode in rows}
    return sorted(found, key=lambda item: (item.protocol, item.port, item.address))


def _rows(table: str, state: str) -> Iterator[tuple[str, str]]:
    """Yield the local address and the inode of each socket of a kernel's table that is in a state."""
    for line in table.splitlines()[1:]:
        words = line.split()
        # The fields of proc(5): number, local address, remote address, state, ..., inode.
        if len(words) > 9 and words[3] == state:  # noqa: PLR2004 - the columns of proc_net_tcp(5)
            yield words[1], words[9]


def _listener(protocol: str, local: str, process: str | None) -> Listener:
    number, _, port = local.partition(":")
    # The kernel prints each 32-bit word of the address in the machine's own byte order.
    words = [int(number[i : i + 8], 16) for i in range(0, len(number), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return Listener(protocol, str(ipaddress.ip_address(packed)), int(port, 16), process)


def _socket_owners(view: HostView, inodes: set[str]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for link in view.root.glob("proc/[0-9]*/fd/*"):
        try:
            inode = str(link.readlink()).removeprefix("socket:[").removesuffix("]")
            if inode in inodes:
                name = (link.parent.parent / "comm").read_text(encoding="utf-8").strip()
                owners.setdefault(inode, name)
        except OSError:  # it was closed meanwhile, or is somebody else's
            continue
    return owners
