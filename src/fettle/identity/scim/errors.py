"""Errors in the form of RFC 7644, section 3.12."""

from typing import Final

from fettle.kernel.errors import Problem

MEDIA_TYPE: Final = "application/scim+json"
ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"


class ScimProblem(Problem):
    """A request that SCIM has an error of its own for.

    Args:
        status: HTTP status.
        detail: What is wrong and what to do.
        kind: SCIM's word for it, ``scimType``.
    """

    slug = "scim"

    def __init__(self, status: int, detail: str, kind: str | None = None) -> None:
        super().__init__(detail)
        self.status = status  # type: ignore[misc]  # each of these has its own
        self.kind = kind


def invalid_value(detail: str) -> ScimProblem:
    """Return the error of a value that cannot be taken."""
    return ScimProblem(400, detail, "invalidValue")


def document(problem: Problem) -> dict[str, object]:
    """Return a problem as SCIM tells it."""
    told: dict[str, object] = {
        "schemas": [ERROR],
        "status": str(problem.status),
        "detail": problem.detail,
    }
    kind = getattr(problem, "kind", None)
    return told | ({"scimType": kind} if kind else {})
