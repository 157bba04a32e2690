"""Answers made of rows as they were read: what the database holds was checked when it was written."""

from collections.abc import Sequence
from typing import Any

import asyncpg
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


def documents_of(rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """Return rows of one query as documents; its names are asked for once, which takes half as long as by row."""
    names = tuple(rows[0].keys()) if rows else ()
    return [dict(zip(names, row, strict=True)) for row in rows]
