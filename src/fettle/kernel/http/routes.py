"""Routes whose bodies are read strictly, refused before pydantic sees a trap, and whose POSTs are done once."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from fettle.kernel import jsonio
from fettle.kernel.http.idempotency import Endpoint, once_only
from fettle.kernel.http.problems import UnsupportedMediaType

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

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
        """Return the handler with strict reading before it."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            if self.body_field is not None and request.method in _BODIES:
                _refuse_other_formats(request)
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


def _refuse_other_formats(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type and request.headers.get("content-length", "0") == "0":
        return
    if media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        return
    raise UnsupportedMediaType("Send the body as application/json.")
