"""The hot route of exceptions: a small ASGI application in front of the rest, with the same words and answers."""

from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from fettle.identity.authentication import authenticate_token
from fettle.incidents.accepting import HREF, acceptor
from fettle.incidents.schemas import ExceptionBatchIn, ExceptionIn
from fettle.kernel import context
from fettle.kernel.errors import FieldError, Invalid, Malformed, Problem, TooLarge, Unauthenticated
from fettle.kernel.http.idempotency import checked_key
from fettle.kernel.http.stack import ROUTE
from fettle.kernel.jsonio import dumps, escape_pointer, parse
from fettle.kernel.platform import Platform

PATH_SINGLE = "/api/v1/exceptions"
PATH_BATCH = "/api/v1/exceptions/batch"

_SINGLE = TypeAdapter(ExceptionIn)
_BATCH = TypeAdapter(ExceptionBatchIn)
_JSON = [(b"content-type", b"application/json")]
_PROBLEM = b"application/problem+json"
_ONCE = (b"authorization", b"x-tenant-id", b"idempotency-key", b"content-type")


class IngestApp:
    """Answers POST on the two hot paths and passes everything else on.

    Args:
        platform: The process's parts.
        following: The application that answers everything else.
    """

    def __init__(self, platform: Platform, following: ASGIApp) -> None:
        self._platform = platform
        self._following = following

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        hot = (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and scope["path"] in {PATH_SINGLE, PATH_BATCH}
        )
        if not hot:
            await self._following(scope, receive, send)
            return
        scope[ROUTE] = scope["path"]
        try:
            status, body, headers = 202, await self._accept(scope, receive), _JSON
        except Problem as problem:
            status, body = problem.status, dumps(problem.document(context.request_id.get() or ""))
            headers = [(b"content-type", _PROBLEM)]
            headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        headers = [*headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _accept(self, scope: Scope, receive: Receive) -> bytes:
        headers = _unambiguous(scope["headers"])
        token = bearer(headers.get(b"authorization"))
        tenant = headers.get(b"x-tenant-id")
        named = tenant.decode("latin-1") if tenant is not None else None
        access = await authenticate_token(self._platform, token, named)
        access.check("exceptions:write")
        kind = headers.get(b"content-type", b"application/json").split(b";", 1)[0].strip().lower()
        if kind != b"application/json":
            raise Invalid("Send the exception as application/json.", errors=[FieldError("", "Content-Type")])
        body = await _read(receive, self._platform.settings.max_body_bytes)
        single = scope["path"] == PATH_SINGLE
        exceptions = validate(parse(body), single=single)
        keys = [value.decode("latin-1") for name, value in scope["headers"] if name == b"idempotency-key"]
        ids = await acceptor(self._platform).accept(
            access.tenant_id,
            exceptions,
            actor=access.actor,
            request_id=context.request_id.get(),
            idempotency_key=checked_key(keys),
            body=body,
        )
        accepted = [{"id": value, "status": "accepted", "href": f"{HREF}{value}"} for value in ids]
        return dumps(accepted[0] if single else {"items": accepted})


def _unambiguous(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by name; one that says who or what, sent twice, could be read in two ways."""
    found = dict(headers)
    if len(found) != len(headers):
        names = [name for name, _ in headers]
        for name in _ONCE:
            if names.count(name) > 1:
                raise Malformed(f"The header {name.decode()} was sent more than once. Send it once.")
    return found


def bearer(header: bytes | None) -> str:
    """Return the token of an Authorization header.

    Raises:
        Unauthenticated: There is none, or it is of another scheme.
    """
    scheme, _, token = (header or b"").partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        raise Unauthenticated("Send an API key or an access token as 'Authorization: Bearer ...'.")
    return token.strip().decode("latin-1")


def validate(value: Any, *, single: bool) -> list[ExceptionIn]:
    """Validate one exception or a batch of them.

    Raises:
        Invalid: Naming each field at fault, at most 20 of them.
    """
    try:
        return [_SINGLE.validate_python(value)] if single else _BATCH.validate_python(value).items
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)[:20]
        raise Invalid(
            "The exception is not valid; see errors for the fields at fault.",
            errors=[
                FieldError("".join(f"/{escape_pointer(str(part))}" for part in fault["loc"]), fault["msg"])
                for fault in faults
            ],
        ) from None


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("The connection was closed before the body was read.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body may have at most {limit} bytes. Send fewer exceptions in one batch.")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks) if len(chunks) > 1 else chunk
