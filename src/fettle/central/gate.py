"""The door of the API: whoever is nobody is turned away before a body is read or a route is chosen."""

import re
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from fettle.identity.access import BEARER, token_of
from fettle.identity.authentication import authenticator
from fettle.kernel.platform import Platform

OPEN: Final = frozenset(
    {
        "/api/docs",
        "/api/v1/openapi.json",
        "/api/v1/auth/invitations/accept",
        "/api/v1/auth/invitations/look",
        "/api/v1/auth/.well-known/jwks.json",
        "/api/v1/auth/login",
        "/api/v1/auth/mfa",
        "/api/v1/auth/oidc/callback",
        "/api/v1/auth/passkeys/options",
        "/api/v1/auth/passkeys/verify",
        "/api/v1/auth/providers",
        "/api/v1/auth/password/forgot",
        "/api/v1/auth/password/reset",
        "/api/v1/auth/refresh",
        "/api/v1/auth/logout",
    }
)
"""The only paths below ``/api`` that nobody in particular may ask; compared whole, never by prefix."""

_OPEN_OF_ONE: Final = re.compile(
    r"/api/v1/(?:calendars/ftl_cal_[A-Za-z0-9_-]{43}/on-call\.ics|auth/oidc/[0-9a-fA-F-]{36}/start"
    r"|hooks/escalation/[0-9a-fA-F-]{36}/(?:slack|pagerduty)"
    r"|hooks/[0-9a-fA-F-]{36}(?:/ftl_src_[A-Za-z0-9_-]{43})?)"
)
"""Such paths that name something, compared whole, too; what channels and sources send proves itself."""


class Gate:
    """Asks for a good token on every path below ``/api`` that is not open.

    Each route asks again, for its own permission: a route that forgot to would still be closed to strangers.
    """

    def __init__(self, app: ASGIApp, platform: Platform) -> None:
        self._app = app
        self._platform = platform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and scope["path"].startswith("/api/") and not _is_open(scope["path"]):
            token = scope[BEARER] = token_of(Headers(scope=scope))
            await authenticator(self._platform).caller(token)
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in OPEN or _OPEN_OF_ONE.fullmatch(path) is not None
