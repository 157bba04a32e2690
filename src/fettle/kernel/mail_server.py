"""Where mail is handed in, read from one setting: over TLS, and never with a password in the clear."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

Tls = Literal["smtps", "required", "offered", "none"]

_PORTS: Final = {"smtp": 587, "smtps": 465}
_FORM: Final = "must be smtp://user:password@host:587 or smtps://user:password@host:465"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, and how.

    Attributes:
        tls: ``smtps`` from the first byte; ``required`` and ``offered`` by STARTTLS, the latter only on this
            machine itself; ``none`` without.
        ca_file: Certificates to trust in place of the system's.
    """

    host: str
    port: int
    tls: Tls
    username: str | None
    password: str | None
    ca_file: Path | None


def read_mail_server(text: str) -> MailServer:
    """Read ``FETTLE_SMTP_URL``.

    Raises:
        ValueError: It cannot be used, or would send a password in the clear; it never quotes the text.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise ValueError(_FORM) from None
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    if url.scheme not in _PORTS or not host or port == 0 or url.path.strip("/"):
        raise ValueError(_FORM)
    if options.keys() - {"starttls", "cafile"}:
        raise ValueError("has another option than starttls and cafile")
    server = MailServer(
        host=host,
        port=port or _PORTS[url.scheme],
        tls=_tls(url.scheme, options.get("starttls"), local=is_loopback(host)),
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        ca_file=Path(options["cafile"]) if options.get("cafile") else None,
    )
    if server.username is not None and server.tls == "none" and not is_loopback(host):
        raise ValueError("would send its password in the clear; leave starttls=none out")
    return server


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself, so that nobody listens on the way."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _tls(scheme: str, wanted: str | None, *, local: bool) -> Tls:
    if scheme == "smtps":
        if wanted is not None:
            raise ValueError("is smtps, which needs no starttls")
        return "smtps"
    match wanted:
        case None:
            return "offered" if local else "required"
        case "required" | "none":
            return wanted
        case _:
            raise ValueError("has another starttls than required or none")
