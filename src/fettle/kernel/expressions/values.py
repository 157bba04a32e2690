"""What values are: JSON's six kinds, their names, and the bounds that keep every result small."""

import math
from dataclasses import dataclass
from typing import Any, Final

import orjson

from fettle.kernel.expressions.errors import ExpressionError
from fettle.kernel.expressions.tokens import INT_MAX, INT_MIN

NULL, BOOLEAN, NUMBER, TEXT, LIST, OBJECT = "null", "boolean", "number", "text", "list", "object"
KINDS: Final = frozenset({NULL, BOOLEAN, NUMBER, TEXT, LIST, OBJECT})

_KIND_OF: Final[dict[type, str]] = {
    type(None): NULL, bool: BOOLEAN, int: NUMBER, float: NUMBER, str: TEXT, list: LIST, dict: OBJECT,
}  # fmt: skip
_DEEPEST: Final = 64
_CHARACTERS_PER_STEP: Final = 64
_ITEMS_PER_STEP: Final = 8


@dataclass(slots=True)
class Budget:
    """What one evaluation may still spend; every operation pays for the size of what it reads or makes.

    Attributes:
        steps: Operations left.
        size: Largest result, in characters and eight for each value.
    """

    steps: int
    size: int

    def spend(self, steps: int) -> None:
        """Pay for work before doing it.

        Raises:
            ExpressionError: Not enough is left.
        """
        self.steps -= steps
        if self.steps < 0:
            raise ExpressionError("this takes too many steps", "work on less data, or split it over steps")

    def spend_text(self, characters: int) -> None:
        """Pay for reading or making a text.

        Raises:
            ExpressionError: It is longer than what is made may be, or not enough is left.
        """
        if characters > self.size:
            raise ExpressionError("the text becomes too long", "work on less data")
        self.spend(1 + characters // _CHARACTERS_PER_STEP)

    def spend_items(self, count: int) -> None:
        """Pay for reading or making a list.

        Raises:
            ExpressionError: Not enough is left.
        """
        self.spend(1 + count // _ITEMS_PER_STEP)


def kind_of(value: Any) -> str:
    """Return the kind of a value.

    Raises:
        ExpressionError: It is no JSON value, so the language does not know it.
    """
    kind = _KIND_OF.get(type(value))
    if kind is None:
        raise ExpressionError("this is no JSON data", "give the environment parsed JSON only")
    return kind


def bounded(number: float) -> float:
    """Return a number that JSON and PostgreSQL can hold.

    Raises:
        ExpressionError: It is beyond 64 bits, infinite or not a number.
    """
    if isinstance(number, int):
        if INT_MIN <= number <= INT_MAX:
            return number
    elif math.isfinite(number):
        return number
    raise ExpressionError("the number becomes too large", "work with smaller numbers")


def equal(left: Any, right: Any, budget: Budget) -> bool:
    """Say whether two values are of one kind and equal, through and through."""
    pending = [(left, right)]
    while pending:
        one, other = pending.pop()
        budget.spend(1)
        kind = kind_of(one)
        if kind != kind_of(other):
            return False
        if kind == LIST:
            if len(one) != len(other):
                return False
            budget.spend_items(len(one))
            pending.extend(zip(one, other, strict=True))
        elif kind == OBJECT:
            if len(one) != len(other) or any(key not in other for key in one):
                return False
            budget.spend_items(len(one))
            pending.extend((one[key], other[key]) for key in one)
        elif one != other:
            return False
    return True


def check_size(value: Any, limit: int) -> None:
    """Refuse a value that is larger or deeper than a result may be, in time bounded by the limit.

    Raises:
        ExpressionError: It is too large, too deep, or holds what JSON does not.
    """
    pending: list[tuple[Any, int]] = [(value, 1)]
    size = 0
    while pending:
        item, depth = pending.pop()
        kind = kind_of(item)
        size += 8
        if kind == TEXT:
            size += len(item)
        elif kind == LIST:
            size += 8 * len(item)
        elif kind == OBJECT:
            size += 8 * len(item) + sum(len(key) for key in _text_keys(item))
        if size > limit or depth > _DEEPEST:
            raise ExpressionError("the result is too large or too deep", "select the part that is needed")
        if kind == LIST:
            pending.extend((child, depth + 1) for child in item)
        elif kind == OBJECT:
            pending.extend((child, depth + 1) for child in item.values())


def _text_keys(item: dict[Any, Any]) -> list[str]:
    if any(type(key) is not str for key in item):
        raise ExpressionError("an object has a key that is no text", "give the environment parsed JSON only")
    return list(item)


def as_text(value: Any) -> str:
    """Return a text, number or truth value as it stands inside a longer text.

    Raises:
        ExpressionError: It is null, a list or an object, of which no text follows by itself.
    """
    kind = kind_of(value)
    if kind == TEXT:
        return str(value)
    if kind in (NUMBER, BOOLEAN):
        return to_json(value)
    if kind == NULL:
        raise ExpressionError("there is no value (null) to put into the text", 'use default(..., "")')
    raise ExpressionError(
        f"{article(kind)} cannot be put into a text as it is", "use to_json(...) or join(...)"
    )


def to_json(value: Any) -> str:
    """Return compact JSON with sorted keys.

    Raises:
        ExpressionError: The value cannot be written as JSON.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, RecursionError):
        raise ExpressionError(
            "this cannot be written as JSON", "give the environment parsed JSON only"
        ) from None


def article(kind: str) -> str:
    """Return a kind with its article, for messages."""
    if kind == NULL:
        return "null"
    return f"an {kind}" if kind == OBJECT else f"a {kind}"
