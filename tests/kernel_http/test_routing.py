"""Routes are found by the parts of their paths and planned once, and mean what FastAPI alone would make of them."""

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import Match

from fettle.central.app import API, feature_routers
from fettle.central.openapi import operations_of
from fettle.kernel.http.table import RouteTable


@pytest.fixture(scope="module")
def api() -> FastAPI:
    application = FastAPI(redirect_slashes=False)
    for router in feature_routers():
        application.include_router(router, prefix=API)
    return application


def scope_of(method: str, path: str) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}


def meant_by(routes: Iterable[Any], path: str) -> list[Any]:
    """Return the routes that the path fits, for some method."""
    return [route for route in routes if route.matches(scope_of("GET", path))[0] is not Match.NONE]


def by_search(routes: Iterable[Any], method: str, path: str) -> tuple[Match, Any]:
    """Return what asking each route in turn finds."""
    partial: tuple[Match, Any] = (Match.NONE, None)
    for route in routes:
        match, child = route.matches(scope_of(method, path))
        if match is Match.FULL:
            return match, child["endpoint"]
        if match is Match.PARTIAL and partial[0] is Match.NONE:
            partial = (match, child["endpoint"])
    return partial


def test_the_table_finds_the_route_that_a_search_through_all_finds(api: FastAPI) -> None:
    table = RouteTable(api.routes)
    routes = list(operations_of(api))
    paths = {str(operation.path) for operation in routes}
    concrete = {path.replace("{", "").replace("}", "") for path in paths}
    strange = (
        {f"{path}/" for path in concrete} | {f"{path}/more" for path in concrete} | {"/", "", "//api/v1"}
    )
    for path in sorted(concrete | strange):
        meant = meant_by(routes, path)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
            match, child = table.matches(scope_of(method, path))
            assert (match, child.get("endpoint")) == by_search(meant, method, path), (method, path)


def dependants(dependant: Any) -> Iterator[Any]:
    for below in dependant.dependencies:
        yield below
        yield from dependants(below)


def test_no_dependency_is_called_in_a_thread_of_its_own(api: FastAPI) -> None:
    """A thread costs more than most routes; FastAPI takes one for whatever is no coroutine function."""
    in_threads = {
        below.call
        for operation in operations_of(api)
        for below in dependants(operation.dependant)
        if not any(
            kind(called)
            for called in (below.call, getattr(below.call, "__call__", None))  # noqa: B004 - its own kind is asked
            for kind in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        )
    }
    assert in_threads == set()
