"""Answers made of rows as they were read: what the database holds was checked when it was written."""

from typing import Any

from starlette.responses import Response

from fettle.kernel import jsonio


def answer_of(document: Any) -> Response:
    """Return a document as an answer, written once.

    A route that returns this names its ``response_model`` for the documentation; nothing is validated again, so
    the document must be of that shape: a test of the route holds it against the model.

    Args:
        document: Of dict, list, str, numbers, bool, None, UUIDs and aware datetimes.
    """
    return Response(jsonio.dumps(document), media_type="application/json")
