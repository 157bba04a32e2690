"""Routes whose bodies are read strictly, refused before pydantic sees a trap, and whose POSTs are done once."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi.datastructures import DefaultPlaceholder
from fastapi.params import Form
from fastapi.routing import APIRoute, serialize_response
from pydantic_core import PydanticUndefined as Undefined
from starlette.requests import Request
from starlette.responses import Response

from fettle.kernel import jsonio
from fettle.kernel.http.idempotency import Endpoint, once_only
from fettle.kernel.http.problems import UnsupportedMediaType
from fettle.kernel.http.solving import Plan, UnplannableError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_OK: Final = 200
_BODIES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class StrictRequest(Request):
    """A request whose JSON is read by `jsonio.parse`."""

    async def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Malformed: It is not JSON.
            Invalid: It is JSON that cannot be stored: too deep, U+0000, an integer beyond 64 bits.
        """
        if not hasattr(self, "_json"):
            self._json = jsonio.parse(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """The route class of every router: ``APIRouter(route_class=StrictRoute)``."""

    def __init__(self, path: str, endpoint: Endpoint, **chosen: Any) -> None:
        if "POST" in (chosen.get("methods") or ()):
            endpoint = once_only(endpoint)
        super().__init__(path, endpoint, **chosen)

    def get_route_handler(self) -> Handler:
        """Return the handler: strict reading, then a plan where FastAPI's own way is not needed."""
        by_fastapi = super().get_route_handler()
        handle: Handler | None = None

        async def strictly(request: Request) -> Response:
            nonlocal handle
            if self.body_field is not None and request.method in _BODIES:
                _refuse_other_formats(request)
            if handle is None:
                # The route as it stands below the routers that include it is known to its requests only.
                found = request.scope.get("fastapi", {}).get("effective_route_context")
                handle = _planned(found or self) or by_fastapi
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


def direct_read(route: Any) -> Handler | None:
    """Return the handler of a route that only reads and is lent nothing; None for any other.

    It needs nothing of what FastAPI puts around a route, and its errors go up as they are.

    Args:
        route: As it stands below the routers that include it.
    """
    is_read = "GET" in (route.methods or ()) and isinstance(route.original_route, StrictRoute)
    return _planned(route, lends=False) if is_read and route.body_field is None else None


def _planned(route: Any, *, lends: bool = True) -> Handler | None:
    """Return a handler that does what FastAPI's does for a route of JSON in and JSON out; None for any other.

    Args:
        route: The route.
        lends: Whether a dependency may lend something, for which FastAPI's exit stacks must stand.
    """
    answer, call = route.response_field, route.dependant.call
    if (
        answer is None
        or not isinstance(route.response_class, DefaultPlaceholder)
        or route.stream_item_field is not None
        or isinstance(route.body_field and route.body_field.field_info, Form)
    ):
        return None
    try:
        plan = Plan(route.dependant, embed=route._embed_body_fields)  # noqa: SLF001 - what FastAPI's handler is given
    except UnplannableError:
        return None
    if plan.lends and not lends:
        return None
    reads_body = route.body_field is not None
    status_code = route.status_code or _OK
    shape = {
        "include": route.response_model_include,
        "exclude": route.response_model_exclude,
        "by_alias": route.response_model_by_alias,
        "exclude_unset": route.response_model_exclude_unset,
        "exclude_defaults": route.response_model_exclude_defaults,
        "exclude_none": route.response_model_exclude_none,
    }

    async def handle(request: Request) -> Response:
        body = await request.json() if reads_body and await request.body() else Undefined
        result = await call(**await plan.solve(request, body))
        if isinstance(result, Response):
            return result
        content = await serialize_response(field=answer, response_content=result, dump_json=True, **shape)
        return Response(content, status_code, media_type="application/json")

    return handle


def _refuse_other_formats(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type and request.headers.get("content-length", "0") == "0":
        return
    if media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        return
    raise UnsupportedMediaType("Send the body as application/json.")
