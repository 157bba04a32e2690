"""Reads what a program sends as exceptions, as a pack's mapping says; pure.

A mapping is data: expressions of `kernel.expressions` say where the items of a payload are, which of them are
meant, and what each becomes. What comes out is brought into bounds here, so that whatever a sender writes is
either an exception or an error with words.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from fettle.kernel.expressions import (
    ANY,
    MAX_SIZE,
    Budget,
    Expression,
    ExpressionError,
    Shape,
    Template,
    compile_condition,
    compile_expression,
    compile_template,
)
from fettle.kernel.jsonio import dumps, dumps_str
from fettle.packs.moments import moment_of
from fettle.packs.schema_terms import SEVERITIES

MAX_ITEMS: Final = 1_000
"""Most items of one payload; a sender with more sends them in several."""

MAX_STEPS: Final = 1_000_000
"""Most operations for all items of a payload together."""

_NAME: Final = 200
_TEXT: Final = 4_000
_KEY: Final = 500
_CHECK_TYPE: Final = 100
_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**63 - 1
_MOST_LABELS: Final = 100
_DETAILS_BYTES: Final = 40_000
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_.:/-]+")

_SEVERITY_WORDS: Final[Mapping[str, str]] = {
    **{word: word for word in SEVERITIES},
    **dict.fromkeys(("fatal", "emergency", "alert", "page", "disaster", "p1", "sev1", "blocker"), "critical"),
    **dict.fromkeys(("error", "err", "major", "p2", "sev2"), "high"),
    **dict.fromkeys(("warning", "warn", "average", "p3", "sev3", "moderate"), "medium"),
    **dict.fromkeys(("minor", "p4", "sev4", "notice"), "low"),
    **dict.fromkeys(("information", "informational", "debug", "none", "ok", "p5", "sev5"), "info"),
}
_OVER: Final = frozenset(
    ("resolved", "ok", "up", "recovered", "closed", "inactive", "normal", "cleared", "success")
)
_FIRING: Final = frozenset(("firing", "alerting", "problem", "open", "active", "down", "triggered"))


class MappingError(Exception):
    """A payload that a mapping cannot read.

    Args:
        place: JSON pointer to the mapping's field at fault, such as ``/set/host``.
        message: What is wrong, with words of the mapping and none of the payload.
    """

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a payload.

    Attributes:
        exceptions: As `POST /api/v1/exceptions` takes them; times are aware.
        passed_over: How many items the mapping does not mean.
    """

    exceptions: tuple[dict[str, Any], ...]
    passed_over: int


class SourceMapping:
    """A mapping, compiled.

    Args:
        document: ``each``, ``let``, ``when`` and ``set`` of a pack's source.

    Raises:
        ExpressionError: An expression does not compile; its pointer says which.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        known: dict[str, Shape] = {"payload": ANY, "headers": ANY}
        self._each = _expression(document["each"], "/each", known) if "each" in document else None
        known["item"] = ANY
        self._let: list[tuple[str, Expression]] = []
        for number, entry in enumerate(document.get("let", ())):
            expression = _expression(entry["value"], f"/let/{number}/value", known)
            self._let.append((entry["name"], expression))
            known[entry["name"]] = ANY
        self._when: Expression | None = None
        if "when" in document:
            with _at("/when"):
                self._when = compile_condition(document["when"], known)
        self._set: dict[str, Template] = {}
        for field, value in document["set"].items():
            with _at(f"/set/{field}"):
                self._set[field] = compile_template(value, known)

    def read(
        self, payload: Any, headers: Mapping[str, str], *, source: str, steps: int = MAX_STEPS
    ) -> Reading:
        """Return the exceptions that a payload tells of.

        Args:
            payload: Parsed JSON.
            headers: Of the request, names in lower case, without secrets.
            source: What the exceptions' ``source`` is where the mapping does not set it.
            steps: Operations allowed for all items together.

        Raises:
            MappingError: The payload does not fit, or there is too much in it.
        """
        environment: dict[str, Any] = {"payload": payload, "headers": dict(headers)}
        items = self._items(environment)
        # One budget for all of it: a bound for each expression would be multiplied by how many there are.
        budget = Budget(steps, MAX_SIZE)
        found: list[dict[str, Any]] = []
        for number, item in enumerate(items):
            mapped = self._one({**environment, "item": item}, number, budget)
            if mapped is not None:
                mapped.setdefault("source", source[:_NAME])
                found.append(mapped)
        return Reading(tuple(found), len(items) - len(found))

    def _items(self, environment: dict[str, Any]) -> Sequence[Any]:
        if self._each is None:
            return [environment["payload"]]
        try:
            items = self._each.evaluate(environment)
        except ExpressionError as error:
            raise MappingError("/each", str(error)) from None
        if items is None:
            return []
        if not isinstance(items, list):
            raise MappingError("/each", "this is no list here; name where the payload's list is")
        if len(items) > MAX_ITEMS:
            raise MappingError("/each", f"more than {MAX_ITEMS} items; let the sender send fewer at once")
        return items

    def _one(self, environment: dict[str, Any], number: int, budget: Budget) -> dict[str, Any] | None:
        where = f" (item {number})" if self._each is not None else ""
        for place, (name, expression) in enumerate(self._let):
            environment[name] = _evaluated(expression, environment, (f"/let/{place}/value", where), budget)
        if self._when is not None:
            meant = _evaluated(self._when, environment, ("/when", where), budget)
            if meant is not True:
                return None
        values: dict[str, Any] = {}
        for field, template in self._set.items():
            try:
                values[field] = template.within(environment, budget)
            except ExpressionError as error:
                raise MappingError(f"/set/{field}", f"{error}{where}") from None
        return _in_bounds(values, where)


@contextmanager
def _at(pointer: str) -> Iterator[None]:
    """Tell an expression's error with where in the mapping it stands."""
    try:
        yield
    except ExpressionError as error:
        raise error.within(f"{pointer}{error.where}") from None


def _expression(source: str, pointer: str, known: Mapping[str, Shape]) -> Expression:
    with _at(pointer):
        return compile_expression(source, known)


def _evaluated(
    expression: Expression, environment: dict[str, Any], at: tuple[str, str], budget: Budget
) -> Any:
    try:
        return expression.within(environment, budget)
    except ExpressionError as error:
        raise MappingError(at[0], f"{error}{at[1]}") from None


def _in_bounds(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what a mapping made as an exception's fields; what is empty is left out."""
    check_type = _UNFIT.sub("_", _text(values.get("check_type"), _CHECK_TYPE)).strip("_")
    if not check_type:
        raise MappingError("/set/check_type", f"it is empty here; set a name of the check{where}")
    exception: dict[str, Any] = {"check_type": check_type}
    for field in ("host", "site", "platform", "source"):
        exception[field] = _text(values.get(field), _NAME)
    exception["summary"] = _text(values.get("summary"), _TEXT)
    exception["severity"] = _SEVERITY_WORDS.get(_text(values.get("severity"), _NAME).lower())
    exception["status"] = _status(values.get("status"), where)
    exception["dedup_key"] = _key(values.get("dedup_key"))
    exception["occurred_at"] = moment_of(values.get("occurred_at"))
    exception["labels"] = _labels(values.get("labels"))
    exception["details"] = _details(values.get("details"))
    return {name: value for name, value in exception.items() if value not in (None, "", {})}


def _text(value: Any, longest: int) -> str:
    if value is None or value is False:
        return ""
    if isinstance(value, dict | list):
        value = dumps_str(_storable(value))
    return clean(str(value))[:longest].strip()


def clean(text: str) -> str:
    """Return a text without what cannot be stored: U+0000 and halves of characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _status(value: Any, where: str) -> str:
    word = _text(value, _NAME).lower()
    if word in _OVER:
        return "resolved"
    if not word or word in _FIRING:
        return "firing"
    raise MappingError(
        "/set/status", f"it is neither firing nor resolved here; make it one of the two{where}"
    )


def _key(value: Any) -> str:
    """Return the sender's own key; a long one as its digest, so that two long ones stay two."""
    text = _text(value, 100_000)
    if len(text) <= _KEY:
        return text
    return f"{text[:_NAME]}~{hashlib.sha256(text.encode()).hexdigest()}"


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    pairs = [(clean(str(key))[:_NAME], child) for key, child in value.items() if child not in (None, "")]
    return {key: _text(child, _TEXT) for key, child in pairs[:_MOST_LABELS] if key}


def _details(value: Any) -> dict[str, Any]:
    """Return details that fit; of larger ones the largest members go, and their names stay."""
    if value is None:
        return {}
    details: dict[str, Any] = _storable(value if isinstance(value, dict) else {"value": value})
    details = {key: child for key, child in details.items() if child is not None}
    left_out: list[str] = []
    sizes = {key: len(dumps(child)) for key, child in details.items()}
    while sum(sizes.values()) + sum(map(len, sizes)) > _DETAILS_BYTES:
        largest = max(sizes, key=lambda key: sizes[key])
        left_out.append(largest[:_NAME])
        del details[largest], sizes[largest]
    return {**details, "left_out": left_out[:_MOST_LABELS]} if left_out else details


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _storable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_storable(child) for child in value]
    if isinstance(value, int) and not _LEAST_INTEGER <= value <= _MOST_INTEGER:
        return str(value)
    return value
