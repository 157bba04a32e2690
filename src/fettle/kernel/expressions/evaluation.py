"""Evaluates a tree on JSON data: always ends, touches nothing but the data, raises only `ExpressionError`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fettle.kernel.expressions.errors import ExpressionError
from fettle.kernel.expressions.functions import FUNCTIONS, contains
from fettle.kernel.expressions.syntax import (
    LOOPS,
    Binary,
    Call,
    Choice,
    Index,
    ListOf,
    Literal,
    Loop,
    Name,
    Node,
    ObjectOf,
    Unary,
)
from fettle.kernel.expressions.values import (
    LIST,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    Budget,
    article,
    bounded,
    check_size,
    equal,
    kind_of,
)

MAX_STEPS: Final = 20_000
MAX_SIZE: Final = 1_000_000

FUNCTION_NAMES: Final = ", ".join(sorted([*FUNCTIONS, *LOOPS]))
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def evaluate(node: Node, environment: Mapping[str, Any], budget: Budget) -> Any:
    """Evaluate a tree.

    Args:
        node: The tree.
        environment: What names stand for: parsed JSON.
        budget: What it may spend; what is left of it serves the next evaluation.

    Raises:
        ExpressionError: The data does not fit the expression, or it takes too much.
    """
    result = _Evaluation(environment, budget).value(node)
    check_size(result, budget.size)
    return result


class _Evaluation:
    def __init__(self, environment: Mapping[str, Any], budget: Budget) -> None:
        self._environment = environment
        self._budget = budget
        self._items: dict[str, Any] = {}

    def value(self, node: Node) -> Any:
        try:
            self._budget.spend(1)
            return _BY_NODE[type(node)](self, node)
        except ExpressionError as error:
            raise error.located(node.at) from None

    def _literal(self, node: Literal) -> Any:
        return node.value

    def _name(self, node: Name) -> Any:
        if node.name in self._items:
            return self._items[node.name]
        if node.name not in self._environment:
            raise ExpressionError(
                f"`{node.name}` is not known here", f"use one of {names(self._environment)}", node.at
            )
        value = self._environment[node.name]
        kind_of(value)
        return value

    def _index(self, node: Index) -> Any:
        base = self.value(node.base)
        key = self.value(node.key)
        kind, key_kind = kind_of(base), kind_of(key)
        if kind == NULL:
            return None
        if kind == OBJECT and key_kind == TEXT:
            value = base.get(key)
        elif kind == LIST and type(key) is int:
            value = base[key] if -len(base) <= key < len(base) else None
        else:
            raise ExpressionError(
                f"{article(kind)} has no member named by {article(key_kind)}",
                "index an object with a text and a list with a whole number",
                node.at,
            )
        kind_of(value)
        return value

    def truth(self, node: Node) -> bool:
        """Return the truth of a condition; null, which is what a missing member is, counts as false."""
        value = self.value(node)
        if value is None:
            return False
        if value is True or value is False:
            return value
        raise ExpressionError(
            f"{article(kind_of(value))} is neither true nor false", "compare it with something", node.at
        )

    def _unary(self, node: Unary) -> Any:
        if node.operator == "not":
            return not self.truth(node.operand)
        return bounded(-self._number(node.operand, "-"))

    def _number(self, node: Node, operator: str) -> Any:
        value = self.value(node)
        if kind_of(value) != NUMBER:
            raise ExpressionError(
                f"`{operator}` takes numbers, and this is {article(kind_of(value))}",
                "convert it with number(...), or give a default(..., 0)",
                node.at,
            )
        return value

    def _binary(self, node: Binary) -> Any:  # noqa: PLR0911 - one return for each family of operators
        if node.operator == "and":
            return self.truth(node.left) and self.truth(node.right)
        if node.operator == "or":
            return self.truth(node.left) or self.truth(node.right)
        if node.operator in ("-", "*", "/", "%"):
            return self._arithmetic(node)
        left, right = self.value(node.left), self.value(node.right)
        if node.operator in ("==", "!="):
            return equal(left, right, self._budget) is (node.operator == "==")
        if node.operator == "in":
            if kind_of(right) not in (LIST, TEXT, OBJECT):
                raise ExpressionError(f"{article(kind_of(right))} holds nothing", "look in a list", node.at)
            return contains(self._budget, right, left)
        if node.operator == "+":
            return self._plus(left, right)
        return self._compare(node.operator, left, right)

    def _compare(self, operator: str, left: Any, right: Any) -> bool:
        kinds = (kind_of(left), kind_of(right))
        if kinds not in ((NUMBER, NUMBER), (TEXT, TEXT)):
            raise ExpressionError(
                f"`{operator}` cannot put {article(kinds[0])} and {article(kinds[1])} in order",
                "compare two numbers or two texts; default(..., 0) stands in for a missing one",
            )
        if kinds[0] == TEXT:
            self._budget.spend_text(min(len(left), len(right)))
        return _ORDER[operator](left, right)

    def _plus(self, left: Any, right: Any) -> Any:
        kinds = (kind_of(left), kind_of(right))
        if kinds == (NUMBER, NUMBER):
            return bounded(left + right)
        if kinds == (TEXT, TEXT):
            self._budget.spend_text(len(left) + len(right))
            return left + right
        if kinds == (LIST, LIST):
            self._budget.spend_items(len(left) + len(right))
            return left + right
        raise ExpressionError(
            f"`+` cannot add {article(kinds[0])} and {article(kinds[1])}",
            "add two numbers, two texts or two lists; text(...) makes a text of a number",
        )

    def _arithmetic(self, node: Binary) -> Any:
        left = self._number(node.left, node.operator)
        right = self._number(node.right, node.operator)
        if node.operator == "-":
            return bounded(left - right)
        if node.operator == "*":
            return bounded(left * right)
        if right == 0:
            raise ExpressionError("this divides by zero", "test the divisor first: x == 0 ? 0 : y / x")
        if node.operator == "%":
            return bounded(left % right)
        if isinstance(left, int) and isinstance(right, int) and left % right == 0:
            return bounded(left // right)
        return bounded(left / right)

    def _choice(self, node: Choice) -> Any:
        return self.value(node.yes if self.truth(node.condition) else node.no)

    def _call(self, node: Call) -> Any:
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise ExpressionError(f"`{node.function}` is no function", f"use one of {FUNCTION_NAMES}")
        arguments = [self.value(argument) for argument in node.arguments]
        if not function.required <= len(arguments) <= len(function.parameters):
            raise ExpressionError(
                f"`{node.function}` does not take {len(arguments)} arguments", f"give {function.required}"
            )
        for argument, allowed, inner in zip(arguments, function.parameters, node.arguments, strict=False):
            kind = kind_of(argument)
            if kind not in allowed:
                raise ExpressionError(
                    f"`{node.function}` does not take {article(kind)} there",
                    f"give {' or '.join(sorted(article(one) for one in allowed))}",
                    inner.at,
                )
        return function.call(self._budget, *arguments)

    def _loop(self, node: Loop) -> Any:
        items = self.value(node.items)
        if kind_of(items) != LIST:
            raise ExpressionError(
                f"`{node.function}` goes over a list, and this is {article(kind_of(items))}",
                "give a list; default(..., []) stands in for a missing one",
            )
        outer = self._items
        try:
            return self._each(node, items, outer)
        finally:
            self._items = outer

    def _each(self, node: Loop, items: list[Any], outer: dict[str, Any]) -> Any:
        kept: list[Any] = []
        for item in items:
            kind_of(item)
            self._items = {**outer, node.variable: item}
            if node.function == "map":
                kept.append(self.value(node.body))
                continue
            holds = self.truth(node.body)
            if node.function == "filter":
                if holds:
                    kept.append(item)
            elif holds is (node.function == "any"):
                return holds
        return kept if node.function in ("map", "filter") else node.function == "all"

    def _list(self, node: ListOf) -> Any:
        return [self.value(item) for item in node.items]

    def _object(self, node: ObjectOf) -> Any:
        return {key: self.value(value) for key, value in zip(node.keys, node.values, strict=True)}


def names(known: Mapping[str, Any]) -> str:
    """Return a short list of known names, for messages."""
    some = sorted(str(name) for name in known)[:30]
    return ", ".join(some) if some else "no name, for there is none"


_BY_NODE: Final[dict[type, Callable[[_Evaluation, Any], Any]]] = {
    Literal: _Evaluation._literal,  # noqa: SLF001 - the table of this class's own methods
    Name: _Evaluation._name,  # noqa: SLF001 - the class's own table
    Index: _Evaluation._index,  # noqa: SLF001 - the class's own table
    Unary: _Evaluation._unary,  # noqa: SLF001 - the class's own table
    Binary: _Evaluation._binary,  # noqa: SLF001 - the class's own table
    Choice: _Evaluation._choice,  # noqa: SLF001 - the class's own table
    Call: _Evaluation._call,  # noqa: SLF001 - the class's own table
    Loop: _Evaluation._loop,  # noqa: SLF001 - the class's own table
    ListOf: _Evaluation._list,  # noqa: SLF001 - the class's own table
    ObjectOf: _Evaluation._object,  # noqa: SLF001 - the class's own table
}
