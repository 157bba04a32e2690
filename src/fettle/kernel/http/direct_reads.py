"""Answers hot reads from their routes at once, past those parts of the framework that only other requests need."""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from fettle.kernel.http.routes import StrictRequest
from fettle.kernel.http.table import RouteTable


class DirectReads:
    """Sends a read that is lent nothing to its route, and everything else to the application.

    An error goes up as it is, to where `wrap` answers whatever is left; the answer is the one of the application's
    own handlers.

    Args:
        api: The application.
        table: Its routes.
    """

    def __init__(self, api: FastAPI, table: RouteTable) -> None:
        self._api: ASGIApp = api
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, connection or life span."""
        handler = None
        if scope["type"] == "http" and scope["method"] == "GET":
            handler = self._table.direct(scope)
        if handler is None:
            await self._api(scope, receive, send)
            return
        scope["app"] = self._api
        response = await handler(StrictRequest(scope, receive))
        await response(scope, receive, send)
