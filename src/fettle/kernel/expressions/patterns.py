"""Regular expressions of users: RE2, so that matching takes linear time whatever the text."""

from functools import lru_cache
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from fettle.kernel.expressions.errors import ExpressionError

_LONGEST_PATTERN: Final = 1_000
_MEMORY_BYTES: Final = 2**20


@lru_cache(maxsize=256)
def pattern(text: str) -> Any:
    """Compile a pattern.

    Raises:
        ExpressionError: It is no pattern that RE2 takes.
    """
    if len(text) > _LONGEST_PATTERN:
        raise ExpressionError("the pattern is too long", f"use at most {_LONGEST_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MEMORY_BYTES
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeError):
        raise ExpressionError(
            "this is no regular expression of linear time (RE2)",
            "use no look-around and no back-references, and close every bracket",
        ) from None


def found(text: str, expression: str) -> bool:
    """Say whether a pattern matches anywhere in a text."""
    return pattern(expression).search(text.encode("utf-8", "replace")) is not None
