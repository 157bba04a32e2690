"""How this machine reaches its own port: the address, and a connection to ask whether it answers."""

import ssl
from http.client import HTTPConnection, HTTPSConnection
from typing import Final

from fettle.kernel.settings import Settings

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - these are looked up, not bound


def own_host(settings: Settings) -> str:
    """Return the host by which this machine reaches its own port."""
    return _LOOPBACK.get(settings.host, settings.host)


def own_url(settings: Settings) -> str:
    """Return the address by which this machine reaches its own port."""
    host = own_host(settings)
    return f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def own_connection(settings: Settings, *, timeout_seconds: float) -> HTTPConnection:
    """Return a connection to our own port, for what is no secret: any certificate will do."""
    host = own_host(settings)
    if settings.scheme == "http":
        return HTTPConnection(host, settings.port, timeout=timeout_seconds)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, settings.port, timeout=timeout_seconds, context=context)
