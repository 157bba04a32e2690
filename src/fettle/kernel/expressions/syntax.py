"""The grammar: a Pratt parser from text to a tree of frozen nodes, which is all that an expression can be."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from fettle.kernel.expressions.errors import ExpressionError
from fettle.kernel.expressions.tokens import Token, token_at

MAX_SOURCE: Final = 8_192
MAX_DEPTH: Final = 64
MAX_NODES: Final = 2_000

LOOPS: Final = ("map", "filter", "any", "all")
"""The functions that take `name => expression` and apply it to each item of a list."""


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A number, a text, true, false or null."""

    at: int
    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """A value of the environment, or the item of a loop."""

    at: int
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """A member of an object or list: `base.name`, `base["name"]`, `base[0]`."""

    at: int
    base: "Node"
    key: "Node"


@dataclass(frozen=True, slots=True, eq=False)
class Unary:
    """`not x` or `-x`."""

    at: int
    operator: str
    operand: "Node"


@dataclass(frozen=True, slots=True, eq=False)
class Binary:
    """Two operands and what stands between them."""

    at: int
    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """`condition ? yes : no`; only the chosen side is evaluated."""

    at: int
    condition: "Node"
    yes: "Node"
    no: "Node"


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A function of the language applied to arguments."""

    at: int
    function: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """`map(list, x => body)` and its like."""

    at: int
    function: str
    items: "Node"
    variable: str
    body: "Node"


@dataclass(frozen=True, slots=True, eq=False)
class ListOf:
    """`[a, b]`."""

    at: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True, eq=False)
class ObjectOf:
    """`{name: a, "other name": b}`."""

    at: int
    keys: tuple[str, ...]
    values: tuple["Node", ...]


Node = Literal | Name | Index | Unary | Binary | Choice | Call | Loop | ListOf | ObjectOf

_CONSTANTS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_WORDS: Final = frozenset({"and", "or", "not", "in", *_CONSTANTS})
_SYNONYMS: Final = {"&&": "and", "||": "or", "!": "not"}
_BINDING: Final = {
    "?": 1, "or": 2, "and": 3,
    "==": 5, "!=": 5, "<": 5, "<=": 5, ">": 5, ">=": 5, "in": 5, "not": 5,
    "+": 6, "-": 6, "*": 7, "/": 7, "%": 7,
    ".": 9, "[": 9,
}  # fmt: skip
_NOT_BINDING: Final = 4
_COMPARISON: Final = 5
_MINUS_BINDING: Final = 8


def children(node: Node) -> tuple[Node, ...]:  # noqa: PLR0911 - one case for each kind of node
    """Return the nodes directly below a node."""
    match node:
        case Index():
            return (node.base, node.key)
        case Unary():
            return (node.operand,)
        case Binary():
            return (node.left, node.right)
        case Choice():
            return (node.condition, node.yes, node.no)
        case Call():
            return node.arguments
        case Loop():
            return (node.items, node.body)
        case ListOf():
            return node.items
        case ObjectOf():
            return node.values
        case _:
            return ()


def walk(node: Node) -> Iterator[tuple[Node, int]]:
    """Yield each node of a tree with its depth, without recursion."""
    pending = [(node, 1)]
    while pending:
        current, depth = pending.pop()
        yield current, depth
        pending.extend((child, depth + 1) for child in children(current))


@lru_cache(maxsize=2_048)
def parse(source: str) -> Node:
    """Parse a whole text as one expression.

    Raises:
        ExpressionError: With the position, what is wrong and how to mend it.
    """
    node, rest = parse_from(source, 0)
    if rest.kind != "end":
        raise ExpressionError(
            f"`{rest.text[:20]}` follows a complete expression",
            "put an operator between them, or remove it",
            rest.at,
        )
    return node


def parse_from(source: str, start: int) -> tuple[Node, Token]:
    """Parse the expression that begins at an offset.

    Returns:
        The expression and the first token after it.

    Raises:
        ExpressionError: With the position, what is wrong and how to mend it.
    """
    parser = _Parser(source, start)
    node = parser.expression(0)
    if parser.token.at - start > MAX_SOURCE:
        raise ExpressionError("the expression is too large", "split it over several steps", start)
    for count, (inner, depth) in enumerate(walk(node), start=1):
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise ExpressionError("the expression is too large", "split it over several steps", inner.at)
    return node, parser.token


class _Parser:
    def __init__(self, source: str, start: int) -> None:
        self._source = source
        self._start = start
        self._depth = 0
        self.token = token_at(source, start)

    def expression(self, binding: int) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH or self.token.at - self._start > MAX_SOURCE:
            raise ExpressionError("the expression is too large", "split it over several steps", self.token.at)
        left = self._prefix()
        while _BINDING.get(self._operator(), 0) > binding:
            left = self._infix(left)
        self._depth -= 1
        return left

    def _operator(self) -> str:
        token = self.token
        if token.kind == "operator" or (token.kind == "name" and token.text in _WORDS):
            return _SYNONYMS.get(token.text, token.text) if token.text != "!" else ""
        return ""

    def _advance(self) -> Token:
        token = self.token
        self.token = token_at(self._source, token.at + len(token.text))
        return token

    def _accept(self, text: str) -> bool:
        if self.token.kind == "operator" and self.token.text == text:
            self._advance()
            return True
        return False

    def _expect(self, text: str, after: str) -> None:
        if not self._accept(text):
            raise ExpressionError(f"`{text}` is missing {after}", f"write `{text}` here", self.token.at)

    def _prefix(self) -> Node:  # noqa: PLR0911 - one return for each way that a value begins
        token = self._advance()
        if token.kind in ("number", "text"):
            return Literal(token.at, token.value)
        if token.kind == "name":
            return self._word(token)
        if token.text == "-":
            return Unary(token.at, "-", self.expression(_MINUS_BINDING))
        if token.text == "!":
            return Unary(token.at, "not", self.expression(_MINUS_BINDING))
        if token.text == "(":
            inner = self.expression(0)
            self._expect(")", "after what the parenthesis opened")
            return inner
        if token.text == "[":
            return ListOf(token.at, self._list("]"))
        if token.text == "{":
            return self._object(token.at)
        what = f"`{token.text}`" if token.text else "the end"
        raise ExpressionError(
            f"{what} stands where a value is due", "write a value, a name or a function there", token.at
        )

    def _word(self, token: Token) -> Node:
        if token.text in _CONSTANTS:
            return Literal(token.at, _CONSTANTS[token.text])
        if token.text == "not":
            return Unary(token.at, "not", self.expression(_NOT_BINDING))
        if token.text in _WORDS:
            raise ExpressionError(
                f"`{token.text}` stands where a value is due", "write a value before it", token.at
            )
        if self.token.kind == "operator" and self.token.text == "(":
            return self._call(token)
        return Name(token.at, token.text)

    def _call(self, name: Token) -> Node:
        self._advance()
        if name.text not in LOOPS:
            return Call(name.at, name.text, self._list(")"))
        items = self.expression(0)
        self._expect(",", f"after the list of `{name.text}`")
        variable = self._advance()
        if variable.kind != "name" or variable.text in _WORDS:
            raise ExpressionError(
                f"`{name.text}` needs a name for each item",
                f"write it as {name.text}(list, x => ...)",
                variable.at,
            )
        self._expect("=>", "after the item's name")
        body = self.expression(0)
        self._expect(")", f"at the end of `{name.text}`")
        return Loop(name.at, name.text, items, variable.text, body)

    def _list(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._accept(closing):
            items.append(self.expression(0))
            if not self._accept(","):
                self._expect(closing, "or a comma after an item")
                break
        return tuple(items)

    def _object(self, at: int) -> Node:
        keys: list[str] = []
        values: list[Node] = []
        while not self._accept("}"):
            key = self._advance()
            if key.kind not in ("name", "text"):
                raise ExpressionError("a key must be a name or a text", "write {name: value}", key.at)
            self._expect(":", "after a key")
            keys.append(key.value if key.kind == "text" else key.text)
            values.append(self.expression(0))
            if not self._accept(","):
                self._expect("}", "or a comma after an entry")
                break
        if len(set(keys)) != len(keys):
            raise ExpressionError("a key stands there twice", "keep one of them", at)
        return ObjectOf(at, tuple(keys), tuple(values))

    def _infix(self, left: Node) -> Node:
        operator = self._operator()
        token = self._advance()
        special: Callable[[Node, Token], Node] | None = {
            "?": self._choice, ".": self._member, "[": self._index, "not": self._not_in,
        }.get(operator)  # fmt: skip
        if special is not None:
            return special(left, token)
        binding = _BINDING[operator]
        node = Binary(token.at, operator, left, self.expression(binding))
        if binding == _COMPARISON and _BINDING.get(self._operator()) == _COMPARISON:
            raise ExpressionError("comparisons cannot be chained", "join two with `and`", self.token.at)
        return node

    def _not_in(self, left: Node, token: Token) -> Node:
        if self._operator() != "in":
            raise ExpressionError("`not` stands between two values", "write `not in`, or `and not`", token.at)
        self._advance()
        return Unary(token.at, "not", Binary(token.at, "in", left, self.expression(_COMPARISON)))

    def _choice(self, condition: Node, token: Token) -> Node:
        yes = self.expression(0)
        self._expect(":", "between the two sides of `?`")
        return Choice(token.at, condition, yes, self.expression(0))

    def _member(self, base: Node, token: Token) -> Node:
        name = self._advance()
        if name.kind != "name":
            raise ExpressionError("a name must follow the dot", 'write `["..."]` for any other key', name.at)
        return Index(token.at, base, Literal(name.at, name.text))

    def _index(self, base: Node, token: Token) -> Node:
        key = self.expression(0)
        self._expect("]", "after an index")
        return Index(token.at, base, key)
