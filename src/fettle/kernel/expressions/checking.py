"""Finds before any evaluation what can never work: unknown names, functions and members, unlike kinds."""

from collections.abc import Mapping
from typing import Final

from fettle.kernel.expressions import patterns, shapes
from fettle.kernel.expressions.errors import ExpressionError
from fettle.kernel.expressions.evaluation import FUNCTION_NAMES, names
from fettle.kernel.expressions.functions import FUNCTIONS
from fettle.kernel.expressions.shapes import ANY, Shape
from fettle.kernel.expressions.syntax import (
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
from fettle.kernel.expressions.values import BOOLEAN, LIST, NULL, NUMBER, OBJECT, TEXT, article, kind_of

_CONDITION: Final = frozenset({BOOLEAN, NULL})
_ADDABLE: Final = frozenset({NUMBER, TEXT, LIST})


def check(node: Node, environment: Mapping[str, Shape] | None) -> Shape:  # noqa: C901, PLR0911 - one case a node
    """Infer the shape of an expression's result.

    Args:
        node: The tree.
        environment: Shapes of the names that it may use; None: any name, of any shape.

    Raises:
        ExpressionError: It would fail, or be of no use, whatever the data.
    """
    match node:
        case Literal():
            return shapes.of(kind_of(node.value))
        case Name():
            return _name(node, environment)
        case Index():
            return _index(node, environment)
        case Unary():
            return _unary(node, environment)
        case Binary():
            return _binary(node, environment)
        case Choice():
            _need(node.condition, check(node.condition, environment), _CONDITION, "a condition")
            return _either(check(node.yes, environment), check(node.no, environment))
        case Call():
            return _call(node, environment)
        case Loop():
            return _loop(node, environment)
        case ListOf():
            members = [check(item, environment) for item in node.items]
            return Shape(frozenset({LIST}), members[0] if len(members) == 1 else None)
        case ObjectOf():
            known = dict(zip(node.keys, (check(value, environment) for value in node.values), strict=True))
            return Shape(frozenset({OBJECT}), None, known, closed=True)


def _need(node: Node, shape: Shape, allowed: frozenset[str], what: str) -> None:
    if not shape.kinds & allowed:
        raise ExpressionError(
            f"{what} cannot be {_listed(shape.kinds)}", f"give {_listed(allowed - {NULL})}", node.at
        )


def _listed(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(article(kind) for kind in kinds))


def _either(one: Shape, other: Shape) -> Shape:
    return Shape(one.kinds | other.kinds)


def _name(node: Name, environment: Mapping[str, Shape] | None) -> Shape:
    if environment is None:
        return ANY
    if node.name not in environment:
        raise ExpressionError(f"`{node.name}` is not known here", f"use one of {names(environment)}", node.at)
    return environment[node.name]


def _index(node: Index, environment: Mapping[str, Shape] | None) -> Shape:
    base, key = check(node.base, environment), check(node.key, environment)
    _need(node, base, frozenset({OBJECT, LIST, NULL}), "what is indexed")
    _need(node.key, key, frozenset({TEXT, NUMBER}), "an index")
    if OBJECT not in base.kinds and NUMBER not in key.kinds and LIST in base.kinds:
        raise ExpressionError(
            "a list has no named members", "index it with a number, or use map(...)", node.at
        )
    if isinstance(node.key, Literal) and isinstance(node.key.value, str):
        found = base.properties.get(node.key.value)
        if found is None and base.closed:
            raise ExpressionError(
                f"there is no member `{node.key.value}`", f"use one of {names(base.properties)}", node.at
            )
        return found or ANY
    return base.items.or_null() if base.items is not None and OBJECT not in base.kinds else ANY


def _unary(node: Unary, environment: Mapping[str, Shape] | None) -> Shape:
    operand = check(node.operand, environment)
    if node.operator == "not":
        _need(node.operand, operand, _CONDITION, "a condition")
        return shapes.of(BOOLEAN)
    _need(node.operand, operand, frozenset({NUMBER}), "what `-` stands before")
    return shapes.of(NUMBER)


def _binary(node: Binary, environment: Mapping[str, Shape] | None) -> Shape:
    left, right = check(node.left, environment), check(node.right, environment)
    operator = node.operator
    if operator in ("and", "or"):
        _need(node.left, left, _CONDITION, "a condition")
        _need(node.right, right, _CONDITION, "a condition")
        return shapes.of(BOOLEAN)
    if operator == "in":
        _need(node.right, right, frozenset({LIST, TEXT, OBJECT}), "what `in` looks into")
        return shapes.of(BOOLEAN)
    if operator in ("-", "*", "/", "%"):
        _need(node.left, left, frozenset({NUMBER}), f"what `{operator}` takes")
        _need(node.right, right, frozenset({NUMBER}), f"what `{operator}` takes")
        return shapes.of(NUMBER)
    shared = left.kinds & right.kinds
    if operator in ("==", "!="):
        if not shared and NULL not in left.kinds | right.kinds:
            raise ExpressionError(
                f"{_listed(left.kinds)} never equals {_listed(right.kinds)}",
                "compare values of one kind",
                node.at,
            )
        return shapes.of(BOOLEAN)
    allowed = _ADDABLE if operator == "+" else frozenset({NUMBER, TEXT})
    if not shared & allowed:
        raise ExpressionError(
            f"`{operator}` cannot take {_listed(left.kinds)} and {_listed(right.kinds)}",
            "give two values of one kind; text(...) and number(...) convert",
            node.at,
        )
    return Shape(shared & allowed) if operator == "+" else shapes.of(BOOLEAN)


def _call(node: Call, environment: Mapping[str, Shape] | None) -> Shape:
    function = FUNCTIONS.get(node.function)
    if function is None:
        raise ExpressionError(f"`{node.function}` is no function", f"use one of {FUNCTION_NAMES}", node.at)
    if not function.required <= len(node.arguments) <= len(function.parameters):
        wanted = str(function.required)
        if len(function.parameters) > function.required:
            wanted += f" to {len(function.parameters)}"
        raise ExpressionError(
            f"`{node.function}` does not take {len(node.arguments)} arguments", f"give {wanted}", node.at
        )
    for argument, allowed in zip(node.arguments, function.parameters, strict=False):
        _need(argument, check(argument, environment), allowed, f"an argument of `{node.function}`")
    _check_pattern(node)
    return Shape(function.result)


def _check_pattern(node: Call) -> None:
    if node.function == "matches" and isinstance(node.arguments[1], Literal):
        try:
            patterns.pattern(node.arguments[1].value)
        except ExpressionError as error:
            raise error.located(node.arguments[1].at) from None


def _loop(node: Loop, environment: Mapping[str, Shape] | None) -> Shape:
    items = check(node.items, environment)
    _need(node.items, items, frozenset({LIST}), f"what `{node.function}` goes over")
    inner = None if environment is None else {**environment, node.variable: items.items or ANY}
    body = check(node.body, inner)
    if node.function == "map":
        return Shape(frozenset({LIST}), body)
    _need(node.body, body, _CONDITION, "a condition")
    return items if node.function == "filter" else shapes.of(BOOLEAN)
