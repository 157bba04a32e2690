"""The functions of the language: pure, few, and each paying for what it reads and makes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fettle.kernel.expressions import patterns
from fettle.kernel.expressions.errors import ExpressionError
from fettle.kernel.expressions.values import (
    BOOLEAN,
    KINDS,
    LIST,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    Budget,
    article,
    as_text,
    bounded,
    check_size,
    equal,
    kind_of,
    to_json,
)

_ROUND_DIGITS: Final = 15
_LONGEST_NUMBER: Final = 40
_DECIMAL: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_UPPER_GROWTH: Final = 3


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language.

    Attributes:
        parameters: The kinds that each argument may have.
        required: How many arguments must be given.
        result: The kinds that it may return.
        call: What it does, with the budget that it pays from.
    """

    parameters: tuple[frozenset[str], ...]
    required: int
    result: frozenset[str]
    call: Callable[..., Any]


def _one(kind: str) -> frozenset[str]:
    return frozenset({kind})


_SIZED: Final = frozenset({TEXT, LIST, OBJECT})
_SCALAR: Final = frozenset({TEXT, NUMBER, BOOLEAN})
_COMPARABLE: Final = frozenset({NUMBER, TEXT})


def _lower(budget: Budget, text: str) -> str:
    budget.spend_text(len(text))
    return text.lower()


def _upper(budget: Budget, text: str) -> str:
    budget.spend_text(len(text) * _UPPER_GROWTH)
    return text.upper()


def _trim(budget: Budget, text: str) -> str:
    budget.spend_text(len(text))
    return text.strip()


def _length(budget: Budget, value: Any) -> int:
    budget.spend(1)
    return len(value)


def contains(budget: Budget, container: Any, item: Any) -> bool:
    """Say whether a text, list or object holds an item; `item in container` is the same.

    Raises:
        ExpressionError: They do not go together, or it takes too much.
    """
    kind = kind_of(container)
    if kind == LIST:
        budget.spend_items(len(container))
        return any(equal(candidate, item, budget) for candidate in container)
    if kind_of(item) != TEXT:
        raise ExpressionError(
            f"{article(kind)} holds only texts, not {article(kind_of(item))}", "convert it with text(...)"
        )
    if kind == TEXT:
        budget.spend_text(len(container) + len(item))
    return item in container


def _starts_with(budget: Budget, text: str, start: str) -> bool:
    budget.spend_text(len(start))
    return text.startswith(start)


def _ends_with(budget: Budget, text: str, end: str) -> bool:
    budget.spend_text(len(end))
    return text.endswith(end)


def _matches(budget: Budget, text: str, pattern: str) -> bool:
    budget.spend_text(len(text) + len(pattern))
    return patterns.found(text, pattern)


def _join(budget: Budget, items: list[Any], separator: str = "") -> str:
    budget.spend_items(len(items))
    size = len(separator) * len(items)
    parts: list[str] = []
    for item in items:
        part = as_text(item)
        size += len(part)
        budget.spend_text(len(part) + len(separator))
        parts.append(part)
    budget.spend_text(size)
    return separator.join(parts)


def _split(budget: Budget, text: str, separator: str) -> list[str]:
    if not separator:
        raise ExpressionError("a text cannot be split at nothing", "give a separator such as ','")
    budget.spend_text(len(text))
    budget.spend(text.count(separator))
    return text.split(separator)


def _replace(budget: Budget, text: str, old: str, new: str) -> str:
    if not old:
        raise ExpressionError("nothing cannot be replaced", "give the text to look for")
    budget.spend_text(len(text))
    budget.spend_text(len(text) + text.count(old) * max(0, len(new) - len(old)))
    return text.replace(old, new)


def _first(budget: Budget, items: list[Any]) -> Any:
    budget.spend(1)
    return items[0] if items else None


def _last(budget: Budget, items: list[Any]) -> Any:
    budget.spend(1)
    return items[-1] if items else None


def _default(budget: Budget, value: Any, otherwise: Any) -> Any:
    budget.spend(1)
    return otherwise if value is None else value


def _extreme(budget: Budget, items: list[Any], choose: Callable[[list[Any]], Any]) -> Any:
    budget.spend_items(len(items))
    kinds = {kind_of(item) for item in items}
    if not items:
        return None
    if kinds not in ({NUMBER}, {TEXT}):
        raise ExpressionError("these cannot be put in order", "give only numbers, or only texts")
    budget.spend(len(items))
    return choose(items)


def _min(budget: Budget, *values: Any) -> Any:
    return _extreme(budget, _spread(values), min)


def _max(budget: Budget, *values: Any) -> Any:
    return _extreme(budget, _spread(values), max)


def _spread(values: tuple[Any, ...]) -> list[Any]:
    if len(values) == 1 and kind_of(values[0]) == LIST:
        items: list[Any] = values[0]
        return items
    return list(values)


def _sum(budget: Budget, items: list[Any]) -> float:
    budget.spend(len(items))
    total: float = 0
    for item in items:
        if kind_of(item) != NUMBER:
            raise ExpressionError(f"{article(kind_of(item))} cannot be added up", "give a list of numbers")
        total = bounded(total + item)
    return total


def _round(budget: Budget, number: float, digits: float = 0) -> float:
    budget.spend(1)
    if not isinstance(digits, int) or not 0 <= digits <= _ROUND_DIGITS:
        raise ExpressionError("that many digits cannot be kept", f"give 0 to {_ROUND_DIGITS}")
    if digits == 0:
        return bounded(round(bounded(number)))
    return bounded(round(number, digits))


def _abs(budget: Budget, number: float) -> float:
    budget.spend(1)
    return bounded(abs(number))


def _keys(budget: Budget, value: dict[str, Any]) -> list[str]:
    budget.spend(len(value))
    return list(value)


def _values(budget: Budget, value: dict[str, Any]) -> list[Any]:
    budget.spend(len(value))
    return list(value.values())


def _text(budget: Budget, value: Any) -> str:
    text = as_text(value)
    budget.spend_text(len(text))
    return text


def _number(budget: Budget, value: Any) -> Any:
    budget.spend(1)
    if kind_of(value) == NUMBER:
        return value
    text = value.strip()
    if len(text) > _LONGEST_NUMBER or not _DECIMAL.fullmatch(text):
        raise ExpressionError("this text is no number", "check it with matches(...) first")
    return bounded(int(text) if text.lstrip("+-").isdecimal() else float(text))


def _to_json(budget: Budget, value: Any) -> str:
    check_size(value, min(budget.size, max(budget.steps, 0) * 64))
    text = to_json(value)
    budget.spend_text(len(text))
    return text


_TEXT, _NUMBER_KIND, _LIST, _OBJECT = _one(TEXT), _one(NUMBER), _one(LIST), _one(OBJECT)
_TRUTH = _one(BOOLEAN)
_MANY: Final = 16

FUNCTIONS: Final[dict[str, Function]] = {
    "lower": Function((_TEXT,), 1, _TEXT, _lower),
    "upper": Function((_TEXT,), 1, _TEXT, _upper),
    "trim": Function((_TEXT,), 1, _TEXT, _trim),
    "length": Function((_SIZED,), 1, _NUMBER_KIND, _length),
    "contains": Function((_SIZED, KINDS), 2, _TRUTH, contains),
    "starts_with": Function((_TEXT, _TEXT), 2, _TRUTH, _starts_with),
    "ends_with": Function((_TEXT, _TEXT), 2, _TRUTH, _ends_with),
    "matches": Function((_TEXT, _TEXT), 2, _TRUTH, _matches),
    "join": Function((_LIST, _TEXT), 1, _TEXT, _join),
    "split": Function((_TEXT, _TEXT), 2, _LIST, _split),
    "replace": Function((_TEXT, _TEXT, _TEXT), 3, _TEXT, _replace),
    "first": Function((_LIST,), 1, KINDS, _first),
    "last": Function((_LIST,), 1, KINDS, _last),
    "default": Function((KINDS, KINDS), 2, KINDS, _default),
    "min": Function((_COMPARABLE | _LIST,) + (_COMPARABLE,) * _MANY, 1, _COMPARABLE | {NULL}, _min),
    "max": Function((_COMPARABLE | _LIST,) + (_COMPARABLE,) * _MANY, 1, _COMPARABLE | {NULL}, _max),
    "sum": Function((_LIST,), 1, _NUMBER_KIND, _sum),
    "round": Function((_NUMBER_KIND, _NUMBER_KIND), 1, _NUMBER_KIND, _round),
    "abs": Function((_NUMBER_KIND,), 1, _NUMBER_KIND, _abs),
    "keys": Function((_OBJECT,), 1, _LIST, _keys),
    "values": Function((_OBJECT,), 1, _LIST, _values),
    "text": Function((_SCALAR,), 1, _TEXT, _text),
    "number": Function((_COMPARABLE,), 1, _NUMBER_KIND, _number),
    "to_json": Function((KINDS,), 1, _TEXT, _to_json),
}
