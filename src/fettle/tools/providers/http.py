"""The tools `http.request` and `http.get`: one HTTP call to a place that is allowed, with secrets by reference."""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from fettle.kernel import jsonio
from fettle.kernel.egress import (
    EgressFailed,
    EgressRefused,
    Outgoing,
    Reply,
    client_tls,
    egress_of,
)
from fettle.kernel.errors import Problem
from fettle.tools.registry import OutcomeUnknown, Tool, ToolCall, ToolError, ToolRegistry, object_schema

SHOWN_BYTES: Final = 16_000
"""How much of an answer a run keeps; JSON that is longer is not shown as JSON."""

_MOST_BYTES: Final = 1_000_000
_DEFAULT_SECONDS: Final = 20
_SHOWN_HEADERS: Final = frozenset({"content-type", "etag", "last-modified", "retry-after", "x-request-id"})
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_GATEWAY_LOST_IT: Final = frozenset({408, 500, 502, 504})
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


def _text(description: str, longest: int = 8192) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest, "description": description}


_READING: Final[dict[str, Any]] = {
    "url": {
        "type": "string",
        "minLength": 8,
        "maxLength": 4096,
        "description": "https:// or http:// address, without credentials. Its host must be allowed.",
    },
    "query": {
        "type": "object",
        "description": "Parameters that are added to the url.",
        "maxProperties": 50,
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    },
    "headers": {
        "type": "object",
        "description": "Headers; a value may be a secret.",
        "maxProperties": 30,
        "additionalProperties": {"type": "string", "maxLength": 8192},
    },
    "auth": {
        "description": "Who the call is made as; name secrets, do not write them.",
        "oneOf": [
            object_schema({"bearer": _text("Bearer token.")}, ("bearer",)),
            object_schema(
                {
                    "basic": object_schema(
                        {"username": _text("User."), "password": _text("Password.")},
                        ("username", "password"),
                    )
                },
                ("basic",),
            ),
        ],
    },
    "tls": object_schema(
        {
            "ca": _text("PEM of the one authority to trust instead of the system's.", 65_536),
            "certificate": _text("PEM of the client's certificate, with its chain.", 65_536),
            "key": _text("PEM of its key, as a secret.", 65_536),
        }
    ),
    "expect_status": {
        "type": "array",
        "description": "Statuses that count as success; every 2xx when left out.",
        "minItems": 1,
        "maxItems": 20,
        "items": {"type": "integer", "minimum": 200, "maximum": 599},
    },
    "timeout_seconds": {"type": "number", "minimum": 0.1, "maximum": 60, "default": _DEFAULT_SECONDS},
}
_WRITING: Final[dict[str, Any]] = {
    "method": {"enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], "default": "GET"},
    "json": {"description": "Body, sent as application/json."},
    "body": _text("Body as text, with a Content-Type in headers.", 262_144),
    "idempotency_header": {
        "type": "string",
        "pattern": "^[A-Za-z][A-Za-z0-9-]{0,63}$",
        "description": "Header that carries this step's idempotency key, where the other side honours one.",
    },
}
_OUTPUT: Final = object_schema(
    {
        "status": {"type": "integer", "description": "HTTP status; 0 in a dry run."},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "json": {"description": "The answer, where it is JSON and not too long."},
        "text": {"type": "string", "description": "The answer as text, where it is no JSON."},
        "is_cut_off": {"type": "boolean", "description": "Whether the answer was longer than is shown."},
        "origin": {"type": "string", "description": "Scheme, host and port that answered."},
        "would": {"type": "string", "description": "In a dry run: what would be sent, and where to."},
    },
    ("status", "origin"),
)


def register(registry: ToolRegistry) -> None:
    """Add the two tools."""
    registry.register(
        Tool(
            name="http.request",
            version="1",
            title="HTTP request",
            description=(
                "Sends one HTTP request. It is not repeated when nobody can say whether it arrived, unless its "
                "method is repeatable or the other side honours the idempotency header."
            ),
            input_schema={
                **object_schema({**_WRITING, **_READING}, ("url",)),
                "not": {"required": ["json", "body"]},
            },
            output_schema=_OUTPUT,
            idempotent=False,
            call=request,
            supports_dry_run=True,
        )
    )
    registry.register(
        Tool(
            name="http.get",
            version="1",
            title="HTTP read",
            description="Reads one address over HTTP; for checks and for looking things up.",
            input_schema=object_schema(_READING, ("url",)),
            output_schema=_OUTPUT,
            idempotent=True,
            call=request,
            supports_dry_run=True,
        )
    )


async def request(call: ToolCall) -> dict[str, Any]:
    """Send what a call asks for and return what came back.

    Raises:
        ToolError: It was refused, or failed without having taken effect, or was answered otherwise.
        OutcomeUnknown: It may have arrived, and must not be repeated.
    """
    egress = egress_of(call.platform)
    try:
        outgoing = _outgoing(call)
        if call.dry_run:
            place = await egress.check(outgoing.url, tenant_id=call.tenant_id)
            origin = f"{place.scheme}://{place.authority}"
            return {"status": 0, "origin": origin, "would": f"{outgoing.method} {origin}{_path_of(outgoing)}"}
        reply = await egress.send(outgoing, tenant_id=call.tenant_id)
    except EgressRefused as refused:
        raise ToolError("refused", str(refused)) from None
    except EgressFailed as failed:
        if failed.may_have_arrived and not _is_repeatable(call):
            raise OutcomeUnknown(f"{failed.message}; look on the other side whether it took effect") from None
        raise ToolError(failed.code, failed.message, retryable=failed.code != "too_large") from None
    _check_status(call, reply)
    return _output(reply)


def _outgoing(call: ToolCall) -> Outgoing:
    asked = call.input
    headers = dict(asked.get("headers", {}))
    body = b""
    if "json" in asked:
        body = jsonio.dumps(asked["json"])
        headers.setdefault("Content-Type", "application/json")
    elif "body" in asked:
        body = str(asked["body"]).encode()
    if (name := asked.get("idempotency_header")) is not None:
        headers[name] = call.idempotency_key
    if (auth := asked.get("auth")) is not None:
        headers["Authorization"] = _authorization(auth)
    tls = asked.get("tls")
    return Outgoing(
        url=_with_query(asked["url"], asked.get("query", {})),
        method=asked.get("method", "GET"),
        headers=headers,
        body=body,
        tls=client_tls(**tls) if tls else None,
        most_bytes=_MOST_BYTES,
        timeout_seconds=float(asked.get("timeout_seconds", _DEFAULT_SECONDS)),
    )


def _authorization(auth: Mapping[str, Any]) -> str:
    if "bearer" in auth:
        token = str(auth["bearer"]).strip()
        if _TOKEN.fullmatch(token) is None:
            raise ToolError("input", "the bearer token holds what no token may hold")
        return f"Bearer {token}"
    basic = auth["basic"]
    pair = f"{basic['username']}:{basic['password']}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _with_query(url: str, query: Mapping[str, Any]) -> str:
    if not query:
        return url
    url = url.partition("#")[0]
    plain = {name: _as_text(value) for name, value in query.items()}
    return f"{url}{'&' if '?' in url else '?'}{urlencode(plain)}"


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _path_of(outgoing: Outgoing) -> str:
    """Return the path alone: a query may hold a secret."""
    return urlsplit(outgoing.url).path or "/"


def _is_repeatable(call: ToolCall) -> bool:
    return call.input.get("method", "GET") in _REPEATABLE or "idempotency_header" in call.input


def _check_status(call: ToolCall, reply: Reply) -> None:
    expected = call.input.get("expect_status")
    if reply.status in expected if expected else 200 <= reply.status < 300:  # noqa: PLR2004 - success in HTTP
        return
    message = f"{reply.place.authority} answered {reply.status}"
    if reply.status in _GATEWAY_LOST_IT and not _is_repeatable(call):
        raise OutcomeUnknown(f"{message}; look on the other side whether it took effect")
    raise ToolError("status", message, retryable=reply.status in _TRY_AGAIN)


def _output(reply: Reply) -> dict[str, Any]:
    output: dict[str, Any] = {
        "status": reply.status,
        "origin": f"{reply.place.scheme}://{reply.place.authority}",
        "headers": {name: value for name, value in reply.headers.items() if name in _SHOWN_HEADERS},
        "is_cut_off": len(reply.body) > SHOWN_BYTES,
    }
    if "json" in reply.headers.get("content-type", "") and not output["is_cut_off"]:
        try:
            return {**output, "json": jsonio.parse(reply.body)}
        except Problem:
            pass
    text = reply.body[:SHOWN_BYTES].decode(errors="replace").replace("\x00", "\ufffd")
    return {**output, "text": text}
