"""Cuts the text of an expression into tokens, one at a time."""

import re
from dataclasses import dataclass
from typing import Any, Final

from fettle.kernel.expressions.errors import ExpressionError

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1

_SPACE = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_OPERATOR = re.compile(r"=>|==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}]")
_LONGEST_NUMBER: Final = 40
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "/": "/"}
_FIRST_SURROGATE, _LAST_SURROGATE = 0xD800, 0xDFFF


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression.

    Attributes:
        kind: `number`, `text`, `name`, `operator` or `end`.
        text: As it stands in the source.
        at: Offset of its first character.
        value: What a number or a text stands for.
    """

    kind: str
    text: str
    at: int
    value: Any = None


def token_at(source: str, start: int) -> Token:
    """Return the token that begins at or after an offset.

    Raises:
        ExpressionError: No token begins there.
    """
    space = _SPACE.match(source, start)
    at = space.end() if space else start
    if at >= len(source):
        return Token("end", "", at)
    if source[at] in "'\"":
        return _text(source, at)
    if found := _NAME.match(source, at):
        return Token("name", found.group(), at)
    if found := _NUMBER.match(source, at):
        return _number(source, found.group(), at)
    if found := _OPERATOR.match(source, at):
        return Token("operator", found.group(), at)
    if source[at] == "=":
        raise ExpressionError("`=` assigns nothing here", "compare with `==`", at)
    raise ExpressionError(
        f"the character U+{ord(source[at]):04X} has no meaning outside a text",
        "put texts into quotes, and write names in ASCII letters, digits and underscore",
        at,
    )


def _number(source: str, digits: str, at: int) -> Token:
    end = at + len(digits)
    if end < len(source) and (source[end].isalnum() or source[end] == "_"):
        raise ExpressionError("a name cannot begin with a digit", 'write `["0name"]` for such a key', at)
    if len(digits) > _LONGEST_NUMBER:
        raise ExpressionError("the number has too many digits", "compare it as a text", at)
    if digits.isdecimal():
        whole = int(digits)
        if whole > INT_MAX:
            raise ExpressionError("the number is beyond 64 bits", "compare it as a text", at)
        return Token("number", digits, at, whole)
    number = float(digits)
    if number == float("inf"):
        raise ExpressionError("the number is too large", "write a finite number", at)
    return Token("number", digits, at, number)


def _text(source: str, at: int) -> Token:
    quote = source[at]
    parts: list[str] = []
    index = at + 1
    while index < len(source):
        character = source[index]
        if character == quote:
            return Token("text", source[at : index + 1], at, "".join(parts))
        if character == "\\":
            piece, index = _escape(source, index)
            parts.append(piece)
        else:
            parts.append(character)
            index += 1
    raise ExpressionError("the text has no end", f"close it with {quote}", at)


def _escape(source: str, at: int) -> tuple[str, int]:
    letter = source[at + 1 : at + 2]
    if letter in _ESCAPES and letter:
        return _ESCAPES[letter], at + 2
    if letter == "u":
        digits = source[at + 2 : at + 6]
        if re.fullmatch(r"[0-9A-Fa-f]{4}", digits):
            code = int(digits, 16)
            if code == 0 or _FIRST_SURROGATE <= code <= _LAST_SURROGATE:
                raise ExpressionError(
                    f"\\u{digits} is no character that can be stored", "write the character itself", at
                )
            return chr(code), at + 6
    raise ExpressionError("unknown escape in a text", "use \\n, \\t, \\r, \\\\, \\', \\\" or \\uXXXX", at)
