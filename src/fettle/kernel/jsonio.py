"""JSON at the boundary: read strictly, written compactly."""

import json
import re
from itertools import accumulate
from typing import Any
from uuid import UUID

import orjson

from fettle.kernel.errors import FieldError, Invalid, Malformed

MAX_DEPTH = 64
"""Deepest nesting accepted; far beyond what any sender means, far below what exhausts a reader."""

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_ANY_DIGIT = bytes.maketrans(b"123456789", b"000000000")
_LONG_DIGITS = b"0" * 19
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ESCAPED = re.compile(rb"\\.")
_NOT_STRUCTURE = bytes(code for code in range(256) if code not in {*_STEPS, ord('"'), ord("\\")})


def parse(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse one JSON document (RFC 8259) that is safe to store.

    Args:
        body: UTF-8 text, without a byte-order mark.
        max_depth: Deepest nesting of arrays and objects accepted.

    Returns:
        The value, of dict, list, str, int (64 bits, signed), float, bool and None.

    Raises:
        Malformed: It is not JSON, or holds a lone surrogate, NaN or an infinity.
        Invalid: It is JSON, but nested too deeply, or holds U+0000 or an integer beyond 64 bits,
            which PostgreSQL cannot store or would not store exactly.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}. Send one JSON document in UTF-8.") from None
    suspicious = (b"\\" in body and b"\\u0000" in body) or _nesting(body) > max_depth
    if _LONG_DIGITS in body.translate(_ANY_DIGIT):
        # orjson turns an integer beyond 64 bits into a float without a word; the slow reader tells.
        value = json.loads(body, parse_int=_bounded_int)
        suspicious = True
    if suspicious:
        _inspect(value, max_depth)
    return value


def _nesting(body: bytes) -> int:
    """Return how deep a well-formed document is nested, or a figure above it that is still within the bound.

    Whatever this does is done to megabytes in one step of C: of the document only brackets, quotes and
    backslashes are kept, then the escapes go, then every other piece between quotes is the inside of a string.
    """
    kept = body.translate(None, _NOT_STRUCTURE)
    openers = kept.count(b"[") + kept.count(b"{")
    if openers <= MAX_DEPTH:
        return openers
    if b"\\" in kept:
        kept = _ESCAPED.sub(b"", body).translate(None, _NOT_STRUCTURE)
    # Strings that held nothing of the kind are gone with their quotes; if another quote is left, none was such.
    brackets = kept.replace(b'""', b"")
    if b'"' in brackets:
        brackets = b"".join(kept.split(b'"')[::2])
    peeled = _peel(brackets)
    if peeled is not None:
        return peeled
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _peel(brackets: bytes) -> int | None:
    """Take the innermost pairs away until none is left; each turn takes one level or two.

    Returns:
        No less than the depth, None where it may be beyond the bound.
    """
    for turn in range(MAX_DEPTH // 2 + 1):
        if not brackets:
            return 2 * turn
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return None


def is_storable(text: str) -> bool:
    """Say whether PostgreSQL can hold a text that another reader than `parse` made: no U+0000, no half character."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def dumps(value: Any) -> bytes:
    """Serialise to compact JSON; UUIDs and aware datetimes become strings.

    Raises:
        TypeError: The value holds something that JSON has no form for.
    """
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z)


def dumps_str(value: Any) -> str:
    """Serialise to compact JSON text, as `dumps` does."""
    return dumps(value).decode()


def _plain(value: Any) -> str:
    """Write the database driver's own kind of UUID, which the serialiser takes for something else."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"JSON has no form for {type(value).__name__}")


def _bounded_int(digits: str) -> int:
    if len(digits) > 20 or not _INT64_MIN <= (number := int(digits)) <= _INT64_MAX:  # noqa: PLR2004 - sign and 19 digits
        raise Invalid(
            "The body holds an integer beyond 64 bits, which cannot be stored exactly. Send it as a string.",
            errors=[FieldError("", "an integer lies outside -2^63 to 2^63-1")],
        )
    return number


def _inspect(value: Any, max_depth: int) -> None:
    pending: list[tuple[Any, str, int]] = [(value, "", 1)]
    while pending:
        item, pointer, depth = pending.pop()
        if isinstance(item, str):
            _refuse_nul(item, pointer)
            continue
        if not isinstance(item, dict | list):
            continue
        if depth > max_depth:
            raise Invalid(
                f"The body is nested more than {max_depth} levels deep. Send a flatter document.",
                errors=[FieldError(pointer[:200], f"nested deeper than {max_depth} levels")],
            )
        if isinstance(item, dict):
            for key, child in item.items():
                _refuse_nul(key, pointer)
                pending.append((child, f"{pointer}/{escape_pointer(key)}", depth + 1))
        else:
            pending.extend((child, f"{pointer}/{index}", depth + 1) for index, child in enumerate(item))


def escape_pointer(key: str) -> str:
    """Return one reference token of a JSON pointer (RFC 6901, section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def _refuse_nul(text: str, pointer: str) -> None:
    if "\x00" in text:
        raise Invalid(
            "The body holds the character U+0000, which cannot be stored. Remove it.",
            errors=[FieldError(pointer[:200], "holds U+0000")],
        )
