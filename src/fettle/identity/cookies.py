"""The refresh token's cookie, and the check that a page of ours sent it and no other."""

from typing import Final

from fastapi import Request, Response

from fettle.identity.sessions import SignedIn
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Forbidden
from fettle.kernel.http.targets import is_same_origin
from fettle.kernel.settings import Settings

REFRESH_COOKIE: Final = "fettle_refresh"
_PATH: Final = "/api/v1/auth"


def set_refresh_cookie(request: Request, response: Response, settings: Settings, signed_in: SignedIn) -> None:
    """Hand the refresh token to the browser, where no script can read it and no other site can send it."""
    response.set_cookie(
        REFRESH_COOKIE,
        signed_in.refresh_token,
        max_age=max(0, int((signed_in.refresh_expires_at - utcnow()).total_seconds())),
        path=_PATH,
        secure=is_secure(request, settings),
        httponly=True,
        samesite="strict",
    )


def clear_refresh_cookie(request: Request, response: Response, settings: Settings) -> None:
    """Take the refresh token back."""
    response.delete_cookie(
        REFRESH_COOKIE,
        path=_PATH,
        secure=is_secure(request, settings),
        httponly=True,
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
    return request.url.scheme == "https" or (settings.public_url or "").startswith("https://")
