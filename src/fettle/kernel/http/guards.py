"""Headers that tell browsers to load nothing from elsewhere, guess nothing and be framed by nobody."""

from typing import Any, Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Charts set styles on elements as they draw, so styles may stand inline; scripts never."""

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_OF_PAGES: Final = (
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_DATA: Final = frozenset({b"application/json", b"application/problem+json"})
_POLICY_OF_DATA: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_POLICY: Final = (b"content-security-policy", CONTENT_SECURITY_POLICY.encode())
_TRANSPORT: Final = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
_NO_STORE: Final = (b"cache-control", b"no-store")


def guard(headers: list[Any], *, is_https: bool, is_api: bool) -> None:
    """Add the headers to a response's own; what a route chose for itself stays.

    JSON is no page: it needs none of what restrains pages, and a policy under which nothing at all is loaded (OWASP,
    REST Security Cheat Sheet, "Security Headers").

    Args:
        headers: The response's ASGI headers.
        is_https: Browsers are told to come by HTTPS only from now on.
        is_api: What the API answers is kept by no cache, unless its route says otherwise.
    """
    has_policy, is_data, is_cached = False, False, not is_api
    for name, value in headers:
        if name == b"content-type":
            is_data = value in _DATA
        elif name == b"content-security-policy":
            has_policy = True
        elif name == b"cache-control":
            is_cached = True
    headers += _ALWAYS
    if not is_data:
        headers += _OF_PAGES
    if not has_policy:
        headers.append(_POLICY_OF_DATA if is_data else _POLICY)
    if is_https:
        headers.append(_TRANSPORT)
    if not is_cached:
        headers.append(_NO_STORE)
