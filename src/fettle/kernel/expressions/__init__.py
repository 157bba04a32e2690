"""The expression language of conditions and templates: typed, total, and without any way to Python.

An expression is data: `incident.severity in ["high", "critical"] and length(steps.scan.output.items) > 0`.
It reads JSON values and makes JSON values; it has no attributes, no assignment, no clock and no randomness,
so the same expression on the same data always yields the same. Every evaluation has a bound on its steps and
on its result. A missing member is null; null counts as false in a condition and is refused inside a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fettle.kernel.expressions.checking import check
from fettle.kernel.expressions.errors import ExpressionError
from fettle.kernel.expressions.evaluation import MAX_SIZE, MAX_STEPS, evaluate
from fettle.kernel.expressions.functions import FUNCTIONS
from fettle.kernel.expressions.shapes import ANY, Shape, from_schema
from fettle.kernel.expressions.syntax import LOOPS, MAX_SOURCE, Name, Node, parse, walk
from fettle.kernel.expressions.templates import OPENING, Template, compile_template
from fettle.kernel.expressions.values import NULL, Budget, article, kind_of

__all__ = [
    "ANY",
    "FUNCTIONS",
    "LOOPS",
    "MAX_SIZE",
    "OPENING",
    "Budget",
    "Expression",
    "ExpressionError",
    "Shape",
    "Template",
    "compile_condition",
    "compile_expression",
    "compile_template",
    "from_schema",
]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    Attributes:
        source: Its text.
        shape: What is known of its result.
    """

    source: str
    shape: Shape
    _node: Node

    def evaluate(
        self, environment: Mapping[str, Any], *, max_steps: int = MAX_STEPS, max_size: int = MAX_SIZE
    ) -> Any:
        """Return the expression's value on this data.

        Args:
            environment: What names stand for: parsed JSON.
            max_steps: Operations allowed.
            max_size: Largest result, in characters and eight for each value.

        Raises:
            ExpressionError: The data does not fit, or it takes too much.
        """
        return self.within(environment, Budget(max_steps, max_size))

    def within(self, environment: Mapping[str, Any], budget: Budget) -> Any:
        """Return the expression's value on this data, out of a budget that several share.

        Args:
            environment: What names stand for: parsed JSON.
            budget: What is left of it; what this takes is taken off.

        Raises:
            ExpressionError: The data does not fit, or it takes too much.
        """
        return evaluate(self._node, environment, budget)

    def holds(self, environment: Mapping[str, Any]) -> bool:
        """Return the expression's truth on this data; null counts as false.

        Raises:
            ExpressionError: The value is neither true nor false, or it cannot be evaluated.
        """
        value = self.evaluate(environment)
        if value is None or value is True or value is False:
            return value is True
        raise ExpressionError(
            f"the condition is {article(kind_of(value))}", "compare it with something", self._node.at
        )

    @property
    def names(self) -> frozenset[str]:
        """The names that it reads, those of loops included."""
        return frozenset(node.name for node, _ in walk(self._node) if isinstance(node, Name))


def compile_expression(source: str, environment: Mapping[str, Shape] | None = None) -> Expression:
    """Compile an expression.

    Args:
        source: Its text, written by an author and never taken from submitted data.
        environment: Shapes of the names that it may use (see `from_schema`); None: any name.

    Raises:
        ExpressionError: With the position, what is wrong and how to mend it.
    """
    if not isinstance(source, str):
        raise ExpressionError("an expression is a text", "put it into quotes")
    if len(source) > MAX_SOURCE:
        raise ExpressionError(
            "the expression is too large", f"use at most {MAX_SOURCE} characters", MAX_SOURCE
        )
    node = parse(source)
    return Expression(source, check(node, environment), node)


def compile_condition(source: str, environment: Mapping[str, Shape] | None = None) -> Expression:
    """Compile an expression that has to be true or false.

    Raises:
        ExpressionError: It does not compile, or can be neither true nor false.
    """
    expression = compile_expression(source, environment)
    if not expression.shape.kinds & {"boolean", NULL}:
        kinds = " or ".join(sorted(article(kind) for kind in expression.shape.kinds))
        raise ExpressionError(f"the condition is {kinds}", "compare it with something", 0)
    return expression
