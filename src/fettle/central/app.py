"""Central Command over HTTP: every module's routes, the hot ingest, health, docs and the console in one app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from fastapi import APIRouter, FastAPI, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from fettle.central import health, openapi
from fettle.central.features import FEATURES
from fettle.central.gate import Gate
from fettle.central.static import Console
from fettle.central.stream_hub import live_hub
from fettle.central.stream_publisher import publish_live
from fettle.central.streams import socket_router
from fettle.identity.authentication import authenticator
from fettle.identity.routes_sign_in import token_keys
from fettle.incidents.hooks.waiting import waiting_of
from fettle.incidents.ingest import IngestApp
from fettle.kernel import jsonio, metrics
from fettle.kernel.background import Background
from fettle.kernel.http.direct_reads import DirectReads
from fettle.kernel.http.problems import problem_handlers
from fettle.kernel.http.stack import wrap
from fettle.kernel.http.table import RouteTable
from fettle.kernel.platform import Platform

API: Final = "/api/v1"
_NOT_CONSOLE: Final = ("/api", "/health", "/metrics", "/ws", "/.well-known")


def create_app(platform: Platform) -> ASGIApp:
    """Return the application that serves an installation.

    Args:
        platform: The process's parts, which the caller closes after the application has ended.
    """
    api = create_api(platform)
    reads = DirectReads(api, api.state.table)
    return wrap(IngestApp(platform, _Front(Gate(reads, platform), Console())), platform)


def create_api(platform: Platform) -> FastAPI:
    """Return the API alone, without the hot ingest, the console and what stands around them.

    Args:
        platform: The process's parts.
    """
    publishing = Background()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Beside its readers: the workers' loops are full just when there is much to tell.
        publishing.begin(partial(publish_live, platform))
        live_hub(platform).start()
        waiting_of(platform).start()
        yield
        await publishing.end()
        await waiting_of(platform).close()
        await live_hub(platform).close()
        await authenticator(platform).close()

    # A redirect to the path without its slash would name whatever host the request named.
    api = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Figures and logs are the kernel's own; nothing of a request is for a collector.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    api.state.platform = platform
    api.state.health = health.HealthCheck(platform)
    problem_handlers(api)
    api.router.routes.extend(_feature_routes())
    api.include_router(health.router)
    api.include_router(socket_router)
    _add_well_known(api)
    _add_descriptions(api)
    api.state.table = RouteTable(api.routes)
    api.router.routes.insert(0, api.state.table)
    return api


@cache
def _feature_routes() -> list[BaseRoute]:
    """Return the features' routes below the API's path, made once: FastAPI looks at each parameter of each."""
    room = APIRouter()
    for router in feature_routers():
        room.include_router(router, prefix=API)
    return room.routes


def feature_routers() -> list[APIRouter]:
    """Return the router of each feature's ``routes.py``."""
    names = [f"fettle.{feature}.routes" for feature in FEATURES]
    rooms = [import_module(name) for name in names if find_spec(name) is not None]
    return [room.router for room in rooms]


def _add_well_known(api: FastAPI) -> None:
    # Programs look for the keys beside the console, too, where it is without a version.
    api.add_api_route("/.well-known/jwks.json", token_keys, include_in_schema=False)


def _add_descriptions(api: FastAPI) -> None:
    @cache
    def described() -> tuple[bytes, bytes]:
        document = openapi.describe(api)
        return jsonio.dumps(document), openapi.listing(document)

    @api.get(f"{API}/openapi.json", include_in_schema=False)
    async def openapi_json() -> Response:
        return Response(described()[0], media_type="application/json", headers={"Cache-Control": "no-cache"})

    @api.get("/api/docs", include_in_schema=False)
    async def docs() -> Response:
        headers = {"Content-Security-Policy": openapi.DOCS_POLICY}
        return Response(described()[1], media_type="text/html", headers=headers)

    @api.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        measured = await api.state.health.figures()
        return Response(metrics.render(measured), media_type=metrics.CONTENT_TYPE)


class _Front:
    """Sends each request to the API or to the console, by its path."""

    def __init__(self, api: ASGIApp, console: ASGIApp) -> None:
        self._api = api
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        of_api = any(path == prefix or path.startswith(f"{prefix}/") for prefix in _NOT_CONSOLE)
        chosen = self._api if of_api or scope["type"] != "http" else self._console
        await chosen(scope, receive, send)
