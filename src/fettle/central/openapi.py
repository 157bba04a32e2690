"""The API's own description: OpenAPI with the problem documents of every operation, and a page that lists it."""

import html
from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from fettle import __version__
from fettle.identity.access import TENANT_HEADER, RequiredPermission, bearer_token, current_access
from fettle.kernel import jsonio

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_DESCRIPTION: Final = """\
Something is out of order: it arrives as an **exception**, becomes an **incident**, and is healed by the
cheapest level that can. Sign in with `POST /api/v1/auth/login` or send an API key; say which tenant with the
header `X-Tenant-ID` where you have several. Every error is a problem document (RFC 9457).
"""
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457: what went wrong, where, and what to do.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:fettle:problem:not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request id."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901 pointer to the field at fault."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_PROBLEM_RESPONSES: Final = {
    "400": "The request could not be read.",
    "401": "Nobody is signed in.",
    "403": "Not allowed.",
    "404": "No such object for this tenant.",
    "409": "It is not in the state that was assumed.",
    "422": "The input is not valid.",
    "default": "Another problem; 429 and 503 carry `Retry-After`.",
}


def operations_of(app: FastAPI) -> Iterator[RouteContext]:
    """Return the application's HTTP operations, those of included routers with their whole path."""
    return (found for found in iter_route_contexts(app.routes) if isinstance(found.original_route, APIRoute))


def permissions_needed(route: RouteContext) -> list[str]:
    """Return the permissions that a route demands."""
    calls = (dependant.call for dependant in _dependants(route.dependant))
    return sorted({call.permission for call in calls if isinstance(call, RequiredPermission)})


def needs_token(route: RouteContext) -> bool:
    """Tell whether a route asks who is calling."""
    asking = (bearer_token, current_access)
    return any(dependant.call in asking for dependant in _dependants(route.dependant))


def needs_tenant(route: RouteContext) -> bool:
    """Tell whether a route is about one tenant."""
    return any(dependant.call is current_access for dependant in _dependants(route.dependant))


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application."""
    document = get_openapi(
        title="Fettle",
        version=__version__,
        summary="A self-healing operations platform that can prove what it did.",
        description=_DESCRIPTION,
        routes=app.routes,
    )
    document["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    by_path = {
        (found.path_format, method.lower()): found
        for found in operations_of(app)
        for method in found.methods or ()
    }
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                _complete(item[method], by_path[path, method])
    return document


def listing(document: dict[str, Any]) -> bytes:
    """Return a page that lists every operation, of plain HTML that loads nothing."""
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                groups.setdefault(item[method].get("tags", ["other"])[0], []).append(
                    _entry(method, path, item[method])
                )
    body = "".join(f"<h2>{html.escape(tag)}</h2>{''.join(entries)}" for tag, entries in groups.items())
    return (_PAGE_HEAD + body + "</main></body></html>").encode()


def _dependants(root: Dependant) -> Iterator[Dependant]:
    for dependant in root.dependencies:
        yield dependant
        yield from _dependants(dependant)


def _complete(operation: dict[str, Any], route: RouteContext) -> None:
    responses = operation["responses"]
    wanted = {"400", "default"}
    if needs_token(route):
        wanted |= {"401", "403"}
    if route.path_format and "{" in route.path_format:
        wanted |= {"404"}
    if operation.get("parameters") or "requestBody" in operation or needs_tenant(route):
        wanted |= {"422"}
    if "requestBody" in operation:
        wanted |= {"409"}
    for status in sorted(wanted):
        if status == "422" or status not in responses:
            responses[status] = _problem_response(_PROBLEM_RESPONSES[status])
    permissions = permissions_needed(route)
    if permissions:
        operation["x-permission"] = permissions[0] if len(permissions) == 1 else permissions
        needs = " and ".join(f"`{permission}`" for permission in permissions)
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds {needs}.".strip()
    if needs_tenant(route):
        operation.setdefault("parameters", []).append(
            {
                "name": TENANT_HEADER,
                "in": "header",
                "required": False,
                "description": "Which tenant; needed by an account that belongs to several.",
                "schema": {"type": "string", "format": "uuid"},
            }
        )


def _problem_response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _entry(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{html.escape(p['name'])}</code> ({p['in']}) {html.escape(p.get('description', ''))}</li>"
        for p in operation.get("parameters", ())
    )
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = html.escape(jsonio.dumps_str(content["schema"])) if "schema" in content else ""
    answers = ", ".join(html.escape(status) for status in operation["responses"])
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{html.escape(path)}</code> "
        f"{html.escape(operation.get('summary', ''))}</summary>"
        f"<p>{html.escape(operation.get('description', ''))}</p>"
        + (f"<ul>{parameters}</ul>" if parameters else "")
        + (f"<p>Body: <code>{body}</code></p>" if body else "")
        + f"<p>Answers: {answers}</p></details>"
    )


_PAGE_HEAD: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Fettle API</title><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}
summary{cursor:pointer;padding:.3rem 0}b{display:inline-block;min-width:4.5rem}code{overflow-wrap:anywhere}
</style></head><body><main><h1>Fettle API</h1>
<p>The whole description, for programs: <a href="/api/v1/openapi.json">/api/v1/openapi.json</a></p>"""

DOCS_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
"""The listing's Content-Security-Policy: no script runs in it."""
