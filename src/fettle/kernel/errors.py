"""Problems: errors that say what, where and what to do, with the status and type of their RFC 9457 document."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field at fault.

    Attributes:
        pointer: RFC 6901 JSON pointer into the input, ``""`` for the whole of it.
        detail: What is wrong with it and what would be right.
    """

    pointer: str
    detail: str


class Problem(Exception):  # noqa: N818 - RFC 9457's own word for it
    """An error whose text is meant for the caller.

    Args:
        detail: What happened here and what to do about it; never a secret.
        errors: The fields at fault, where the input was.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something failed on our side"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers: dict[str, str] = {}

    def document(self, instance: str) -> dict[str, Any]:
        """Return the ``application/problem+json`` document (RFC 9457, section 3).

        Args:
            instance: The request id, by which support finds this occurrence.
        """
        body: dict[str, Any] = {
            "type": f"urn:fettle:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            body["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in self.errors]
        return body


class Malformed(Problem):
    """The body could not be read at all."""

    status = 400
    slug = "malformed"
    title = "The request could not be read"


class Unauthenticated(Problem):
    """Nobody is signed in, or the credential is no longer good."""

    status = 401
    slug = "unauthenticated"
    title = "Sign in first"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers["WWW-Authenticate"] = "Bearer"


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status = 403
    slug = "forbidden"
    title = "Not allowed"


class NotFound(Problem):
    """No such object for this tenant; another tenant's object reads the same."""

    status = 404
    slug = "not-found"
    title = "Not found"


class Conflict(Problem):
    """The object is not in the state that the caller assumed."""

    status = 409
    slug = "conflict"
    title = "It has changed meanwhile"


class TooLarge(Problem):
    """The body is larger than is accepted here."""

    status = 413
    slug = "too-large"
    title = "Too large"


class Invalid(Problem):
    """The body was read and is not acceptable."""

    status = 422
    slug = "invalid"
    title = "The input is not valid"


class RateLimited(Problem):
    """Too many requests for now."""

    status = 429
    slug = "rate-limited"
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(max(1, retry_after_seconds))


class Unavailable(Problem):
    """A part that this request needs is down; the request may be repeated later."""

    status = 503
    slug = "unavailable"
    title = "Temporarily unavailable"

    def __init__(self, detail: str, *, retry_after_seconds: int = 5) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(max(1, retry_after_seconds))
