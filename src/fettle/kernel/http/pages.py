"""Keyset pages: an opaque cursor says where the last page ended, so page 1,000 costs what page 1 does."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, Protocol, TypeVar
from uuid import UUID

import orjson
from fastapi import Depends, Query
from pydantic import BaseModel

from fettle.kernel.clock import rfc3339
from fettle.kernel.errors import FieldError, Invalid
from fettle.kernel.http.solving import of_query_alone

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 200
LONGEST_CURSOR: Final = 1024

_VERSION: Final = 1
_INT64: Final = 2**63

Item = TypeVar("Item")
Row = TypeVar("Row")


class HasId(Protocol):
    """A row with an id."""

    @property
    def id(self) -> UUID:
        """The id."""
        ...


Named = TypeVar("Named", bound=HasId)


class Page(BaseModel, Generic[Item]):
    """One page of a list.

    Attributes:
        items: In the list's order.
        next_cursor: What to pass as `cursor` for the page that follows; None on the last.
    """

    items: list[Item]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class PageParams:
    """The two query parameters of every list; use it as `Paging` in a route's signature."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    def after(self, *kinds: type) -> tuple[Any, ...] | None:
        """Return where the last page ended, or None on the first page.

        Args:
            *kinds: The types of the position's values: UUID, datetime, int, str.

        Raises:
            Invalid: The cursor is not one of ours.
        """
        return None if self.cursor is None else tuple(decode_cursor(self.cursor, *kinds))

    def cut(
        self, rows: Sequence[Row], position: Callable[[Row], Sequence[object]]
    ) -> tuple[Sequence[Row], str | None]:
        """Cut rows of a query with ``LIMIT limit + 1`` to a page and the cursor of the next.

        Args:
            rows: At most one more than the limit, in the list's order.
            position: The values by which a row stands in the order.
        """
        if len(rows) <= self.limit:
            return rows, None
        page = rows[: self.limit]
        return page, encode_cursor(position(page[-1]))

    def last_id(self) -> UUID | None:
        """Return the id that the page before ended with, of a list in the order of ids.

        Raises:
            Invalid: The cursor is not one of ours.
        """
        position = self.after(UUID)
        return None if position is None else position[0]

    def by_id(self, rows: Sequence[Named], shown: Callable[[Named], Item]) -> "Page[Item]":
        """Return a page of a list in the order of ids.

        Args:
            rows: At most one more than the limit, as `cut` takes them.
            shown: What one looks like to the caller.
        """
        page, cursor = self.cut(rows, lambda row: (row.id,))
        return Page(items=[shown(row) for row in page], next_cursor=cursor)


@of_query_alone
async def page_params(
    limit: Annotated[
        int, Query(ge=1, le=LARGEST_LIMIT, description="Items on a page, at most 200.", examples=[50])
    ] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=LONGEST_CURSOR,
            description="`next_cursor` of the page before, unchanged.",
        ),
    ] = None,
) -> PageParams:
    """Read the parameters; a coroutine, for what is none is called in a thread of its own."""
    return PageParams(limit, cursor)


Paging = Annotated[PageParams, Depends(page_params)]


def encode_cursor(values: Sequence[object]) -> str:
    """Return a position in an order as opaque text.

    Args:
        values: UUIDs, aware datetimes, integers, strings.
    """
    plain = [_plain(value) for value in values]
    return base64.urlsafe_b64encode(orjson.dumps([_VERSION, *plain])).rstrip(b"=").decode()


def decode_cursor(cursor: str, *kinds: type) -> list[Any]:
    """Return the position that `encode_cursor` made opaque.

    Args:
        cursor: As the caller sent it.
        *kinds: The types that the values must have: UUID, datetime, int, str. Without any, the plain JSON
            values are returned as they are.

    Raises:
        Invalid: It was not made here, was changed, or belongs to another list.
    """
    try:
        return _read(cursor, kinds)
    except (ValueError, TypeError, OverflowError):
        raise Invalid(
            "The cursor is not one of this list. Pass next_cursor of the page before unchanged, or none.",
            errors=[FieldError("/query/cursor", "is not a cursor of this list")],
        ) from None


def _read(cursor: str, kinds: Sequence[type]) -> list[Any]:
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    version, *values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    if version != _VERSION or any(isinstance(value, list | dict) for value in values):
        raise ValueError("not one of ours")
    if not kinds:
        return list(values)
    return [_as_kind(value, kind) for value, kind in zip(values, kinds, strict=True)]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return rfc3339(value)
    # The driver's UUIDs are of a subclass, which orjson does not take.
    return str(value) if isinstance(value, UUID) else value


def _as_kind(value: object, kind: type) -> object:
    if kind is int:
        if type(value) is not int or not -_INT64 <= value < _INT64:
            raise ValueError("not a 64-bit integer")
        return value
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("not text that can be stored")
    if kind is UUID:
        return UUID(value)
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("names no moment")
        return moment
    return value
