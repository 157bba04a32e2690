"""Finds a request's route by the parts of its path, where FastAPI asks every route in turn whether it is meant."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from fettle.kernel.http.routes import Handler, direct_read

_FOUND: Final = "fettle.found"


@dataclass(slots=True)
class _Branch:
    """Where the paths that begin alike part; `anything` is where a parameter stands, `rest` one of any many parts."""

    literal: dict[str, "_Branch"] = field(default_factory=dict)
    anything: "_Branch | None" = None
    ends: list[tuple[int, RouteContext]] = field(default_factory=list)
    rest: list[tuple[int, RouteContext]] = field(default_factory=list)


class RouteTable(BaseRoute):
    """The first of an application's routes; it takes what those behind it would have taken.

    It only leaves out routes that cannot match; which of the others does is asked of themselves, in their
    order. They stay in the application, which documents them and answers what is no route of an API.

    Args:
        routes: Those that the application has when it is complete.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._root = _Branch()
        self._direct: dict[int, Handler | None] = {}
        self._literal: dict[str, tuple[RouteContext, Handler]] = {}
        found = [route for route in iter_route_contexts(routes) if isinstance(route.original_route, APIRoute)]
        for order, route in enumerate(found):
            branch = self._root
            for part in str(route.path).split("/"):
                if ":path}" in part:
                    branch.rest.append((order, route))
                    break
                branch = _next(branch, part)
            else:
                branch.ends.append((order, route))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Find the route; a partial match is one whose methods are others."""
        if scope["type"] != "http":
            return Match.NONE, {}
        partial: tuple[Match, Scope] = (Match.NONE, {})
        for route in self._candidates(scope["path"]):
            match, child = route.matches(scope)
            if match is Match.FULL:
                return match, {**child, _FOUND: route}
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = (match, {**child, _FOUND: route})
        return partial

    def direct(self, scope: Scope) -> Handler | None:
        """Return the handler of a read that needs nothing around it, and note its route; None for all else."""
        known = self._literal.get(scope["path"])
        if known is not None:
            route, handler = known
            scope["endpoint"], scope["path_params"] = route.endpoint, {}
            _note(scope, route)
            return handler
        match, child = self.matches(scope)
        if match is not Match.FULL:
            return None
        return self._direct_of(child[_FOUND], scope, child)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route answer, with what FastAPI would have told it."""
        route: RouteContext = scope[_FOUND]
        _note(scope, route)
        await route.original_route.handle(scope, receive, send)

    def _direct_of(self, route: RouteContext, scope: Scope, child: Scope) -> Handler | None:
        if id(route) not in self._direct:
            self._direct[id(route)] = direct_read(route)
        handler = self._direct[id(route)]
        if handler is None:
            return None
        if not child["path_params"]:
            # It has no parameter, so the path alone says all that its own matching would find out.
            self._literal[scope["path"]] = (route, handler)
        scope.update(child)
        _note(scope, route)
        return handler

    def _candidates(self, path: str) -> list[Any]:
        """Return the routes with the path's number of parts, or of any, and its literal parts, in their order."""
        branches = [self._root]
        rest: list[tuple[int, RouteContext]] = []
        for part in path.split("/"):
            following = []
            for branch in branches:
                rest += branch.rest
                if (literal := branch.literal.get(part)) is not None:
                    following.append(literal)
                if branch.anything is not None:
                    following.append(branch.anything)
            branches = following
        if not rest and len(branches) == 1 and len(branches[0].ends) == 1:
            return [branches[0].ends[0][1]]
        rest += (end for branch in branches for end in branch.ends)
        return [route for _, route in sorted(rest, key=_order)]


def _note(scope: Scope, route: RouteContext) -> None:
    """Tell what FastAPI would have told of the route."""
    scope.setdefault("fastapi", {})["effective_route_context"] = route
    scope["route"] = route.original_route


def _next(branch: _Branch, part: str) -> _Branch:
    if "{" not in part:
        return branch.literal.setdefault(part, _Branch())
    if branch.anything is None:
        branch.anything = _Branch()
    return branch.anything


def _order(end: tuple[int, RouteContext]) -> int:
    return end[0]
