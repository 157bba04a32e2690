"""Renders every error as one RFC 9457 problem document; a traceback never leaves."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from fettle.kernel import context
from fettle.kernel.database import is_contended, is_unreachable
from fettle.kernel.errors import (
    FieldError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Problem,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from fettle.kernel.jsonio import escape_pointer
from fettle.kernel.redaction import redact_text
from fettle.kernel.telemetry import report

PROBLEM_JSON: Final = "application/problem+json"

_MOST_FIELD_ERRORS: Final = 20
_LONGEST_POINTER: Final = 200
_DATA_EXCEPTION: Final = "22"

log = structlog.get_logger("fettle.http")


class Internal(Problem):
    """Something of ours failed; what it was stands in the log under the request id, and only there."""


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    status = 405
    slug = "method-not-allowed"
    title = "This method is not available here"


class UnsupportedMediaType(Problem):
    """The body is in a format that is not read here."""

    status = 415
    slug = "unsupported-media-type"
    title = "This format is not read here"


class SlowRequest(Problem):
    """The body did not arrive in time."""

    status = 408
    slug = "slow-request"
    title = "The request took too long to arrive"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers["Connection"] = "close"


class OtherStatus(Problem):
    """A status that the framework raised and that has no problem of its own."""

    slug = "http"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status  # type: ignore[misc]  # the one problem whose status is not its class's
        self.title = detail  # type: ignore[misc]  # likewise


def problem_handlers(app: FastAPI) -> None:
    """Make an application answer every error with a problem document."""
    for kind in (Problem, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _handle)


ANSWERED: Final = "fettle.answered"
"""Key in the ASGI scope: the exception that was answered here, and which the framework still raises on."""


async def _handle(request: Request, error: Exception) -> Response:
    problem = as_problem(error)
    request.scope[ANSWERED] = error
    return Response(
        orjson.dumps(problem.document(instance())),
        status_code=problem.status,
        headers=problem.headers,
        media_type=PROBLEM_JSON,
    )


async def send_problem(send: Send, problem: Problem) -> None:
    """Answer with a problem from below the framework."""
    body = orjson.dumps(problem.document(instance()))
    headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    headers += [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def instance() -> str:
    """Return the request id, by which an occurrence is found in the log."""
    return context.request_id.get() or ""


def as_problem(error: BaseException) -> Problem:
    """Return the problem that an exception is told as.

    Args:
        error: Anything that was raised while a request was answered.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        # FastAPI wraps whatever goes wrong while a body is read, a problem of ours included.
        return error.__cause__ if isinstance(error.__cause__, Problem) else _of_http_exception(error)
    if isinstance(error, RequestValidationError):
        return of_validation(error.errors())
    if _comes_back(error):
        log.warning("dependency unreachable", error=type(error).__name__, detail=str(error)[:500])
        return Unavailable("A part that this request needs does not answer. Repeat the request in a moment.")
    if _is_bad_data(error):
        log.warning("value refused by the database", error=type(error).__name__, detail=str(error)[:500])
        return Invalid(
            "A value in the request lies outside of what can be stored. Look at its size and form."
        )
    log.error("unexpected error", exc_info=error)
    report(error)
    return Internal("The request could not be answered. Report the instance id; the cause stands in the log.")


def of_validation(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the problem of input that pydantic refused.

    Args:
        errors: As `pydantic.ValidationError.errors` gives them, each `loc` beginning with the part of the
            request: body, query, path, header, cookie.
    """
    if any(error["type"] == "json_invalid" for error in errors):
        return Malformed("The body is not JSON. Send one JSON document in UTF-8.")
    fields = [FieldError(pointer_of(error["loc"]), redact_text(error["msg"])) for error in errors]
    shown = fields[:_MOST_FIELD_ERRORS]
    named = shown[0].pointer or "the body"
    more = f" and {len(fields) - 1} more" if len(fields) > 1 else ""
    return Invalid(f"{named}: {shown[0].detail}{more}. See errors for each field.", errors=shown)


def pointer_of(location: Sequence[str | int]) -> str:
    """Return a pydantic location as a JSON pointer: into the body, or ``/query/limit`` and its like."""
    parts = location[1:] if location and location[0] == "body" else location
    return "".join(f"/{escape_pointer(redact_text(str(part)))}" for part in parts)[:_LONGEST_POINTER]


def _of_http_exception(error: HTTPException) -> Problem:
    known: dict[int, Problem] = {
        400: Malformed("The request could not be read. Look at its syntax."),
        401: Unauthenticated("Sign in, and send the access token or an API key as a bearer token."),
        403: Forbidden("You may not do this."),
        404: NotFound("There is nothing at this address. Look at the path, or at /api/v1/openapi.json."),
        405: MethodNotAllowed("The method is not available at this address. See the Allow header."),
        413: TooLarge("The body is larger than is accepted here. Send less at a time."),
    }
    problem = known.get(error.status_code) or OtherStatus(
        error.status_code, redact_text(str(error.detail))[:_LONGEST_POINTER]
    )
    problem.headers.update(error.headers or {})
    return problem


def _comes_back(error: BaseException) -> bool:
    """Say whether the same request may well succeed in a moment."""
    return (
        is_unreachable(error)
        or is_contended(error)
        or isinstance(error, RedisConnectionError | RedisTimeoutError)
    )


def _is_bad_data(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return _is_bad_data(_driver_error(error))
    state = getattr(error, "sqlstate", None)
    return isinstance(error, asyncpg.DataError) or (isinstance(state, str) and state[:2] == _DATA_EXCEPTION)


def _driver_error(error: DBAPIError) -> BaseException:
    """Return asyncpg's own error, which SQLAlchemy's adapter wraps once more."""
    wrapped = error.orig
    if wrapped is None:
        return Exception()
    return wrapped.__cause__ or wrapped
