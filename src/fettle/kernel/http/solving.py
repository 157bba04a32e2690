"""Calls a route with what its dependencies give: planned once, where FastAPI goes through them for each request.

FastAPI looks at a dependency anew wherever it stands, at its kind, its cache and its parameters, which costs a
small route more than all of its work. What a route needs is known when it is made: here each dependency is one
step of a plan, in order, and a request only takes the steps. Parameters and bodies are read and validated by
FastAPI's own functions, so that they mean the same.
"""

import inspect
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Final, TypeVar

from fastapi._compat import field_annotation_is_sequence
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import (
    _get_param_aliases,
    _get_param_model,
    _is_json_field,
    request_body_to_args,
    request_params_to_args,
)
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

_MISSING: Final = object()
_OF_QUERY_ALONE: Final = "_fettle_of_query_alone"
_UNCHANGING: Final = (str, int, float, bool, tuple, NoneType)
_MOST_REMEMBERED: Final = 500
_LONGEST_REMEMBERED: Final = 500
_STACKS: Final = {"function": "fastapi_function_astack", None: "fastapi_inner_astack"}


Read = TypeVar("Read", bound=Callable[..., Any])


def of_query_alone(dependency: Read) -> Read:
    """Say of a dependency that the query's own text decides what it returns, which nobody changes afterwards.

    What many ask for in the same words is then read and validated once.
    """
    dependency.__dict__[_OF_QUERY_ALONE] = True
    return dependency


@dataclass(slots=True)
class _Step:
    """One dependency: what it is given, how it is called, and where its result goes.

    Attributes:
        remembered: Of what the query alone decides: the results, by the query's text.
    """

    call: Callable[..., Any]
    stack: str | None
    remembered: dict[bytes, Any] | None = None
    takes: list[tuple[str, int]] = field(default_factory=list)
    request_as: str | None = None
    dependant: Dependant | None = None
    reads_body: bool = False
    path: "list[_Parameter] | None" = None
    query: "list[_Parameter] | None" = None
    header: "list[_Parameter] | None" = None


@dataclass(slots=True)
class _Parameter:
    """One value of a path, a query or the headers; FastAPI finds out anew for each request what it is made of."""

    name: str
    alias: str
    place: tuple[str, str]
    validate: Callable[..., tuple[Any, list[Any]]]
    is_list: bool
    default: Any

    def read(self, received: Any, given: dict[str, Any], errors: list[Any]) -> bool:
        """Take the value out of what came; False where only FastAPI can say what its absence means."""
        if self.alias not in received:
            if self.default is _MISSING:
                return False
            given[self.name] = self.default
            return True
        value = received.getlist(self.alias) if self.is_list else received[self.alias]
        read, wrong = self.validate(value, given, loc=self.place)
        if wrong:
            errors += wrong
        else:
            given[self.name] = read
        return True


class UnplannableError(TypeError):
    """A route asks for something that only FastAPI itself gives."""


class Plan:
    """The steps of one route; the last is the endpoint, whose arguments are what `solve` returns.

    Args:
        dependant: FastAPI's description of the endpoint.
        embed: Whether FastAPI expects several bodies by name.

    Raises:
        UnplannableError: A dependency is no coroutine, or asks for the response, background tasks or scopes.
    """

    def __init__(self, dependant: Dependant, *, embed: bool) -> None:
        self._steps: list[_Step] = []
        self._known: dict[Any, int] = {}
        self._endpoint = dependant
        self._embed = embed
        self._add(dependant)
        self._last = self._steps.pop()

    @property
    def lends(self) -> bool:
        """Whether a dependency lends something that is taken back after the route."""
        return any(step.stack is not None for step in self._steps)

    async def solve(self, request: Request, body: Any) -> dict[str, Any]:
        """Return the endpoint's arguments.

        Args:
            request: The request, in FastAPI's exit stacks.
            body: Its body as JSON, or what FastAPI puts in the place of none.

        Raises:
            RequestValidationError: Naming every parameter at fault.
        """
        errors: list[Any] = []
        results: list[Any] = []
        query: bytes = request.scope["query_string"]
        for step in self._steps:
            known = step.remembered
            if known is not None and query in known:
                results.append(known[query])
                continue
            given = _given(step, request, results, errors)
            if step.reads_body:
                given = await self._with_body(step, given, body, errors)
            result = _MISSING if given is None else await _taken(step, request, given)
            if known is not None and result is not _MISSING:
                _remember(known, query, result)
            results.append(result)
        arguments = _given(self._last, request, results, errors)
        if self._last.reads_body:
            arguments = await self._with_body(self._last, arguments, body, errors)
        if errors or arguments is None:
            raise RequestValidationError(errors, body=body)
        return arguments

    def _add(self, dependant: Dependant) -> int:
        if dependant.use_cache and (known := self._known.get(dependant.call)) is not None:
            return known
        takes = [(sub.name, self._add(sub)) for sub in dependant.dependencies]
        step = _step_of(dependant)
        step.takes = [(name or "", index) for name, index in takes]
        self._steps.append(step)
        self._known[dependant.call] = len(self._steps) - 1
        return self._known[dependant.call]

    async def _with_body(
        self, step: _Step, given: dict[str, Any] | None, body: Any, errors: list[Any]
    ) -> dict[str, Any] | None:
        """Add what a step takes from the body; its faults are named also where other parameters are at fault."""
        if step.dependant is None:
            return given
        values, wrong = await request_body_to_args(
            body_fields=step.dependant.body_params, received_body=body, embed_body_fields=self._embed
        )
        errors += wrong
        return None if given is None or wrong else {**given, **values}


def _given(step: _Step, request: Request, results: list[Any], errors: list[Any]) -> dict[str, Any] | None:
    """Return a step's arguments but for its body's; None where one is at fault, or what it would be made of."""
    given: dict[str, Any] = {}
    for name, index in step.takes:
        if (value := results[index]) is _MISSING:
            return None
        if name:
            given[name] = value
    if step.request_as is not None:
        given[step.request_as] = request
    if step.dependant is not None:
        before = len(errors)
        _read_parameters(step, step.dependant, request, given, errors)
        if len(errors) > before:
            return None
    return given


def _read_parameters(
    step: _Step, dependant: Dependant, request: Request, given: dict[str, Any], errors: list[Any]
) -> None:
    if dependant.path_params:
        _take(dependant.path_params, step.path, request.path_params, given, errors)
    if dependant.query_params:
        _take(dependant.query_params, step.query, request.query_params, given, errors)
    if dependant.header_params:
        _take(dependant.header_params, step.header, request.headers, given, errors)
    if dependant.cookie_params:
        _take(dependant.cookie_params, None, request.cookies, given, errors)


def _remember(known: dict[bytes, Any], query: bytes, result: Any) -> None:
    if len(query) > _LONGEST_REMEMBERED:
        return
    if len(known) >= _MOST_REMEMBERED:
        known.clear()
    known[query] = result


def _step_of(dependant: Dependant) -> _Step:
    call: Any = dependant.call
    if call is None or any(
        (
            dependant.response_param_name,
            dependant.background_tasks_param_name,
            dependant.security_scopes_param_name,
            dependant.websocket_param_name,
            dependant.http_connection_param_name,
            dependant.own_oauth_scopes,
        )
    ):
        raise UnplannableError(f"{call} asks for more than a request holds")
    reads = [
        dependant.path_params, dependant.query_params, dependant.header_params, dependant.cookie_params,
        dependant.body_params,
    ]  # fmt: skip
    stack = None
    if inspect.isasyncgenfunction(call):
        call, stack = (
            asynccontextmanager(call),
            _STACKS[dependant.scope if dependant.scope == "function" else None],
        )
    elif not _is_coroutine(call):
        raise UnplannableError(f"{call} is not a coroutine function")
    is_of_query = getattr(call, _OF_QUERY_ALONE, False)
    if is_of_query and (
        stack
        or dependant.dependencies
        or dependant.request_param_name
        or any(fields for fields in reads if fields is not dependant.query_params)
    ):
        raise TypeError(f"{call} asks for more than the query")
    return _Step(
        call=call,
        stack=stack,
        remembered={} if is_of_query else None,
        request_as=dependant.request_param_name,
        dependant=dependant if any(reads) else None,
        reads_body=bool(dependant.body_params),
        path=_simple(dependant.path_params),
        query=_simple(dependant.query_params),
        header=_simple(dependant.header_params),
    )


def _take(
    fields: list[Any],
    simple: list[_Parameter] | None,
    received: Any,
    given: dict[str, Any],
    errors: list[Any],
) -> None:
    """Read parameters, by FastAPI wherever they are not simple ones."""
    for place, wanted in enumerate(fields):
        if simple is None or not simple[place].read(received, given, errors):
            values, wrong = request_params_to_args([wanted], received)
            given.update(values)
            errors += wrong


def _simple(fields: list[Any]) -> list[_Parameter] | None:
    """Return parameters that are each one value, or one list, under one name; None where one is anything else."""
    found = []
    for wanted in fields:
        aliases, info = _get_param_aliases(wanted), wanted.field_info
        if _get_param_model(wanted) is not None or _is_json_field(wanted) or len(set(sum(aliases, ()))) != 1:
            return None
        is_fixed = not (info.is_required() or info.validate_default or info.default_factory)
        default = wanted.default if is_fixed else _MISSING
        found.append(
            _Parameter(
                name=wanted.name,
                alias=aliases[0][1],
                place=(info.in_.value, aliases[0][1]),
                validate=wanted.validate,
                is_list=field_annotation_is_sequence(info.annotation),
                default=default if isinstance(default, _UNCHANGING) else _MISSING,
            )
        )
    return found


def _is_coroutine(call: Any) -> bool:
    called = call if inspect.isroutine(call) else getattr(call, "__call__", None)  # noqa: B004 - its own kind is asked
    return inspect.iscoroutinefunction(inspect.unwrap(called)) if called is not None else False


async def _taken(step: _Step, request: Request, given: dict[str, Any]) -> Any:
    if step.stack is None:
        return await step.call(**given)
    return await request.scope[step.stack].enter_async_context(step.call(**given))
