"""Rows as files that are streamed: CSV that no spreadsheet takes for formulas, and JSON."""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from fettle.kernel.jsonio import dumps, dumps_str

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


async def as_csv(rows: AsyncIterator[Mapping[str, Any]], columns: Sequence[str]) -> AsyncIterator[bytes]:
    """Write rows as CSV (RFC 4180) with a head line, which stands there without any row, too.

    A text that a spreadsheet would take for a formula gets an apostrophe in front (CWE-1236).

    Args:
        rows: Each has at least the columns.
        columns: What is written of each, in this order.
    """
    yield _line(columns)
    async for row in rows:
        yield _line([_cell(row[name]) for name in columns])


async def as_json(rows: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    """Write rows as one JSON array."""
    separator = b"["
    async for row in rows:
        yield separator + dumps(row)
        separator = b",\n"
    yield b"]" if separator != b"[" else b"[]"


def _line(cells: Sequence[Any]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return dumps_str(value)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value.isoformat() if hasattr(value, "isoformat") else value
