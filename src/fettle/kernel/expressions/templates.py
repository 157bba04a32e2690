"""Templates: JSON whose strings may hold `${{ expression }}`; what they yield is data, never read again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fettle.kernel.expressions.checking import check
from fettle.kernel.expressions.errors import ExpressionError
from fettle.kernel.expressions.evaluation import MAX_SIZE, MAX_STEPS, evaluate
from fettle.kernel.expressions.shapes import Shape
from fettle.kernel.expressions.syntax import Name, Node, parse_from, walk
from fettle.kernel.expressions.values import TEXT, Budget, as_text, check_size, kind_of

OPENING: Final = "${{"
_CLOSING: Final = "}}"
_MAX_DEPTH: Final = 32
_MAX_VALUES: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Hole:
    """One expression of a string, and where it stands for errors."""

    node: Node
    where: str


_Parts = tuple[str | _Hole, ...]


class Template:
    """A JSON document with expressions in some of its strings, compiled.

    A string that is one whole template keeps the type of its value; one with text around it becomes a text.
    `$${{` stands for the characters `${{`.
    """

    def __init__(self, source: Any, parts: Mapping[int, _Parts]) -> None:
        self._source = source
        self._parts = parts

    @property
    def source(self) -> Any:
        """The document as it is written."""
        return self._source

    @property
    def is_constant(self) -> bool:
        """Whether there is no expression in it."""
        return not any(isinstance(part, _Hole) for parts in self._parts.values() for part in parts)

    @property
    def names(self) -> frozenset[str]:
        """The names that its expressions read, those of loops included."""
        holes = (part for parts in self._parts.values() for part in parts if isinstance(part, _Hole))
        return frozenset(node.name for hole in holes for node, _ in walk(hole.node) if isinstance(node, Name))

    def render(
        self, environment: Mapping[str, Any], *, max_steps: int = MAX_STEPS, max_size: int = MAX_SIZE
    ) -> Any:
        """Return the document with every expression replaced by its value.

        Args:
            environment: What names stand for: parsed JSON.
            max_steps: Operations allowed to all expressions together.
            max_size: Largest result, in characters and eight for each value.

        Raises:
            ExpressionError: An expression fails on this data, with the pointer of its string.
        """
        return self.within(environment, Budget(max_steps, max_size))

    def within(self, environment: Mapping[str, Any], budget: Budget) -> Any:
        """Return the document with its expressions evaluated, out of a budget that several share.

        Args:
            environment: What names stand for: parsed JSON.
            budget: What is left of it; what this takes is taken off.

        Raises:
            ExpressionError: The data does not fit, or it takes too much.
        """
        rendering = _Rendering(self._parts, environment, budget)
        result = rendering.value(self._source)
        check_size(result, budget.size)
        return result


def compile_template(value: Any, environment: Mapping[str, Shape] | None = None) -> Template:
    """Compile a JSON document whose strings may hold `${{ expression }}`.

    Args:
        value: Parsed JSON or YAML, written by an author and never taken from submitted data.
        environment: Shapes of the names that expressions may use; None: any name.

    Raises:
        ExpressionError: With the JSON pointer of the string and the position in it.
    """
    compilation = _Compilation(environment)
    source = compilation.value(value, "", 1)
    return Template(source, compilation.parts)


class _Compilation:
    """Copies a document and notes the strings that hold expressions, by their number in reading order."""

    def __init__(self, environment: Mapping[str, Shape] | None) -> None:
        self.parts: dict[int, _Parts] = {}
        self._environment = environment
        self._count = 0

    def value(self, value: Any, where: str, depth: int) -> Any:
        number = self._count
        self._count += 1
        if number >= _MAX_VALUES or depth > _MAX_DEPTH:
            raise ExpressionError(
                "the template is too large or too deep", "split it over several steps", None, where
            )
        if isinstance(value, Mapping):
            return {
                _plain_key(key, where): self.value(child, f"{where}/{_token(key)}", depth + 1)
                for key, child in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(child, f"{where}/{index}", depth + 1) for index, child in enumerate(value)]
        try:
            kind = kind_of(value)
        except ExpressionError as error:
            raise error.within(where) from None
        if kind == TEXT and OPENING in value:
            self.parts[number] = tuple(self._split(value, where))
        return value

    def _split(self, text: str, where: str) -> Iterator[str | _Hole]:
        start = 0
        while (opening := text.find(OPENING, start)) >= 0:
            if opening > start and text[opening - 1] == "$":
                yield text[start : opening - 1] + OPENING
                start = opening + len(OPENING)
                continue
            if opening > start:
                yield text[start:opening]
            node, start = self._expression(text, opening + len(OPENING), where)
            yield _Hole(node, where)
        if text[start:]:
            yield text[start:]

    def _expression(self, text: str, start: int, where: str) -> tuple[Node, int]:
        try:
            node, rest = parse_from(text, start)
            check(node, self._environment)
        except ExpressionError as error:
            raise error.within(where) from None
        if text[rest.at : rest.at + len(_CLOSING)] != _CLOSING:
            raise ExpressionError(
                f"`{_CLOSING}` is missing after the expression", "close the template", rest.at, where
            )
        return node, rest.at + len(_CLOSING)


class _Rendering:
    """Walks the copied document in the same order and fills in the values."""

    def __init__(self, parts: Mapping[int, _Parts], environment: Mapping[str, Any], budget: Budget) -> None:
        self._parts = parts
        self._environment = environment
        self._budget = budget
        self._count = 0

    def value(self, value: Any) -> Any:
        number = self._count
        self._count += 1
        if isinstance(value, dict):
            return {key: self.value(child) for key, child in value.items()}
        if isinstance(value, list):
            return [self.value(child) for child in value]
        parts = self._parts.get(number)
        return value if parts is None else self._filled(parts)

    def _filled(self, parts: _Parts) -> Any:
        if len(parts) == 1 and isinstance(parts[0], _Hole):
            return self._result(parts[0])
        return "".join(part if isinstance(part, str) else self._text(part) for part in parts)

    def _result(self, hole: _Hole) -> Any:
        try:
            return evaluate(hole.node, self._environment, self._budget)
        except ExpressionError as error:
            raise error.within(hole.where) from None

    def _text(self, hole: _Hole) -> str:
        value = self._result(hole)
        try:
            text = as_text(value)
            self._budget.spend_text(len(text))
        except ExpressionError as error:
            raise error.located(hole.node.at).within(hole.where) from None
        return text


def _plain_key(key: Any, where: str) -> str:
    if not isinstance(key, str) or OPENING in key:
        raise ExpressionError("a key must be a plain text", "put templates into values", None, where)
    return key


def _token(key: str) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
