"""The refresh token's cookie, the one that tells of its changes, and the check that a page of ours sent it."""

import secrets
from typing import Final

from fastapi import Request, Response

from fettle.identity.sessions import SignedIn
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Forbidden
from fettle.kernel.http.targets import is_same_origin
from fettle.kernel.settings import Settings

REFRESH_COOKIE: Final = "fettle_refresh"
# Says nothing but "another answer came"; a page reads it, so it lies outside the refresh token's path.
ROTATION_COOKIE: Final = "fettle_rotation"
_PATH: Final = "/api/v1/auth"
_ROTATION_BYTES: Final = 9


def set_refresh_cookie(request: Request, response: Response, settings: Settings, signed_in: SignedIn) -> None:
    """Hand the refresh token to the browser, where no script can read it and no other site can send it.

    A page that goes while it exchanges its token never reads the answer, but the browser keeps its cookies. The
    rotation cookie, a random value and no secret, comes in the same answer: by its change the next page sees
    that the browser holds the new token, and does not send the old one a second time, which would end the session.
    """
    lasts_seconds = max(0, int((signed_in.refresh_expires_at - utcnow()).total_seconds()))
    response.set_cookie(
        REFRESH_COOKIE,
        signed_in.refresh_token,
        max_age=lasts_seconds,
        path=_PATH,
        secure=is_secure(request, settings),
        httponly=True,
        samesite="strict",
    )
    set_rotation_cookie(request, response, settings, max_age=lasts_seconds)


def set_rotation_cookie(
    request: Request, response: Response, settings: Settings, *, max_age: int | None = None
) -> None:
    """Tell the browser's pages that an exchange was answered.

    Args:
        request: The exchange.
        response: Its answer.
        settings: Say whether cookies go by HTTPS alone.
        max_age: For how many seconds; until the browser is closed where nothing is said.
    """
    response.set_cookie(
        ROTATION_COOKIE,
        secrets.token_urlsafe(_ROTATION_BYTES),
        max_age=max_age,
        path="/",
        secure=is_secure(request, settings),
        httponly=False,
        samesite="strict",
    )


def clear_refresh_cookie(request: Request, response: Response, settings: Settings) -> None:
    """Take the refresh token back, and what told of it."""
    for name, path in ((REFRESH_COOKIE, _PATH), (ROTATION_COOKIE, "/")):
        response.delete_cookie(
            name,
            path=path,
            secure=is_secure(request, settings),
            httponly=name == REFRESH_COOKIE,
            samesite="strict",
        )


def refuse_foreign_page(request: Request, settings: Settings) -> None:
    """Refuse a request that a browser sends on behalf of another page.

    Browsers name the page's origin on every POST; a program that is no browser names none and holds no
    cookie of somebody else.

    Raises:
        Forbidden: The origin is ``null``, another host's, or there is more than one.
    """
    origins = request.headers.getlist("origin")
    own = frozenset(
        origin.lower() for origin in (*settings.cors_origins, settings.public_url or "") if origin
    )
    if not origins and request.headers.get("sec-fetch-site", "none") in {"same-origin", "none"}:
        return
    host = request.headers.get("host", "").lower()
    if len(origins) == 1 and is_same_origin(origins[0].encode("latin-1"), host, own):
        return
    raise Forbidden("This request comes from another page than Fettle's own. Open the console and repeat it.")


def is_secure(request: Request, settings: Settings) -> bool:
    """Tell whether cookies of this request go back by HTTPS alone."""
    return settings.is_https or request.url.scheme == "https"
