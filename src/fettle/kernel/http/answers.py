"""Answers made of rows as they were read: what the database holds was checked when it was written."""

from collections.abc import Sequence
from typing import Any, get_args
from uuid import UUID

import asyncpg
from pydantic import BaseModel
from starlette.responses import Response

from fettle.kernel import jsonio


class JsonAnswer(Response):
    """An answer of JSON, whose headers need no looking through."""

    media_type = "application/json"

    def init_headers(self, _headers: Any = None) -> None:
        """Name the type and the length."""
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
        ]


def answer_of(document: Any) -> Response:
    """Return a document as an answer, written once.

    A route that returns this names its ``response_model`` for the documentation; nothing is validated again, so
    the document must be of that shape: a test of the route holds it against the model.

    Args:
        document: Of dict, list, str, numbers, bool, None, UUIDs and aware datetimes.
    """
    return JsonAnswer(jsonio.dumps(document))


def as_shown(model: type[BaseModel], prefix: str = "") -> str:
    """Return the columns of a model's fields as a query selects them for `documents_of`.

    UUIDs come as text: the driver's own kind takes Python a call each to be written.

    Args:
        model: Its fields are named as the columns are.
        prefix: The table's alias with a dot, where the query needs one.
    """
    return ", ".join(
        f"{prefix}{name}::text AS {name}" if _is_uuid(field.annotation) else f"{prefix}{name}"
        for name, field in model.model_fields.items()
    )


def _is_uuid(annotation: Any) -> bool:
    return annotation is UUID or UUID in get_args(annotation)


def documents_of(rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """Return rows of one query as documents; its names are asked for once, which takes half as long as by row."""
    names = tuple(rows[0].keys()) if rows else ()
    return [dict(zip(names, row, strict=True)) for row in rows]
