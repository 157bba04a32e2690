"""Filters and paths of SCIM (RFC 7644, section 3.4.2.2 and figure 7), read and applied; pure."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fettle.identity.scim.errors import ScimProblem
from fettle.kernel.jsonio import is_storable

_LONGEST: Final = 2_000
_DEEPEST: Final = 20
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[()\[\]])|(?P<word>[^\s()\[\]"]+))""", re.ASCII
)
_PATH: Final = re.compile(
    r"(?:urn:[A-Za-z0-9:._-]+:)?[A-Za-z$][A-Za-z0-9_$-]*(?:\.[A-Za-z$][A-Za-z0-9_$-]*)?"
)
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "co": lambda a, b: isinstance(a, str) and isinstance(b, str) and b in a,
    "sw": lambda a, b: isinstance(a, str) and isinstance(b, str) and a.startswith(b),
    "ew": lambda a, b: isinstance(a, str) and isinstance(b, str) and a.endswith(b),
    "gt": lambda a, b: _alike(a, b) and a > b,
    "ge": lambda a, b: _alike(a, b) and a >= b,
    "lt": lambda a, b: _alike(a, b) and a < b,
    "le": lambda a, b: _alike(a, b) and a <= b,
}

Matcher = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read.

    Attributes:
        matches: Whether a resource passes.
        equal: Attribute, in lower case, and text, where the filter is one plain ``eq`` and an index can help.
    """

    matches: Matcher
    equal: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """Where an operation of PATCH applies.

    Attributes:
        names: Attribute and sub-attribute.
        chosen: Which values of a list; None for all.
        sub: What of each chosen value; None for the whole.
        equal: The attribute and text of the choice where it is one plain ``eq``.
    """

    names: tuple[str, ...]
    chosen: Matcher | None = None
    sub: str | None = None
    equal: tuple[str, str] | None = None


def parse(text: str) -> Filter:
    """Read a filter.

    Raises:
        ScimProblem: It is none, or longer or deeper than any that is needed.
    """
    reader = _Reader(text)
    found = reader.either(0)
    reader.end()
    return found


def parse_path(text: str) -> Path:
    """Read the path of an operation: ``active``, ``name.givenName``, ``emails[type eq "work"].value``.

    Raises:
        ScimProblem: It is none.
    """
    before, bracket, rest = text.partition("[")
    if not bracket:
        if _PATH.fullmatch(text) is None:
            raise _bad_path(text)
        return Path(_names(text))
    inner, bracket, after = rest.rpartition("]")
    if (
        not bracket
        or _PATH.fullmatch(before) is None
        or (after and not re.fullmatch(r"\.[A-Za-z$]\w*", after))
    ):
        raise _bad_path(text)
    chosen = parse(inner)
    return Path(_names(before), chosen.matches, after[1:] or None, chosen.equal)


def get(resource: Mapping[str, Any], name: str) -> Any:
    """Return an attribute, whatever the case of its name (RFC 7643, section 2.1)."""
    if name in resource:
        return resource[name]
    lowered = name.lower()
    return next((value for key, value in resource.items() if key.lower() == lowered), None)


class _Reader:
    """One reading of one filter."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise _bad(f"it is longer than {_LONGEST} characters")
        self._tokens: list[tuple[str, str]] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise _bad(f"it cannot be read from character {position + 1} on")
            self._tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
            position = found.end()
        self._next = 0

    def end(self) -> None:
        if self._next != len(self._tokens):
            raise _bad(f"{self._tokens[self._next][1]} is not expected there")

    def either(self, depth: int) -> Filter:
        found = self._both(depth)
        while self._takes("or"):
            found = _joined(any, found, self._both(depth))
        return found

    def _both(self, depth: int) -> Filter:
        found = self._one(depth)
        while self._takes("and"):
            found = _joined(all, found, self._one(depth))
        return found

    def _one(self, depth: int) -> Filter:
        if depth > _DEEPEST:
            raise _bad("it is nested too deeply")
        if self._takes("not"):
            self._expect("(")
            inner = self.either(depth + 1)
            self._expect(")")
            return Filter(lambda resource: not inner.matches(resource))
        if self._takes("("):
            inner = self.either(depth + 1)
            self._expect(")")
            return inner
        return self._comparison(depth)

    def _comparison(self, depth: int) -> Filter:
        kind, path = self._take()
        if kind != "word" or _PATH.fullmatch(path) is None:
            raise _bad(f"{path or 'its end'} is no attribute")
        names = _names(path)
        if self._takes("["):
            inner = self.either(depth + 1)
            self._expect("]")
            return Filter(lambda resource: any(inner.matches(value) for value in _objects(resource, names)))
        operator = self._take()[1].lower()
        if operator == "pr":
            return Filter(lambda resource: any(_present(value) for value in _values(resource, names)))
        compare = _COMPARISONS.get(operator)
        if compare is None:
            raise _bad(f"{operator or 'its end'} is no operator")
        wanted = self._value()
        exact = _is_exact(names[-1])
        folded = wanted if exact else _folded(wanted)

        def matches(resource: Mapping[str, Any]) -> bool:
            found = [v if exact else _folded(v) for v in _values(resource, names)]
            if operator == "ne":
                return all(value != folded for value in found)
            return any(compare(value, folded) for value in found)

        plain = operator == "eq" and isinstance(wanted, str)
        return Filter(matches, (".".join(names).lower(), str(wanted)) if plain else None)

    def _value(self) -> Any:
        kind, text = self._take()
        if kind in {"text", "word"}:
            try:
                value = json.loads(text)
            except ValueError:
                raise _bad(f"{text[:50]} is no value; put texts in double quotes") from None
            if isinstance(value, str) and not is_storable(value):
                raise _bad("a text holds U+0000 or half a character")
            if not isinstance(value, dict | list):
                return value
        raise _bad("a value is missing")

    def _take(self) -> tuple[str, str]:
        if self._next >= len(self._tokens):
            return "", ""
        self._next += 1
        return self._tokens[self._next - 1]

    def _takes(self, word: str) -> bool:
        if self._next < len(self._tokens):
            kind, text = self._tokens[self._next]
            if kind != "text" and text.lower() == word:
                self._next += 1
                return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._takes(mark):
            raise _bad(f"{mark} is missing")


def _joined(how: Callable[[Any], bool], first: Filter, second: Filter) -> Filter:
    return Filter(lambda resource: how(part.matches(resource) for part in (first, second)))


def _names(path: str) -> tuple[str, ...]:
    urn, colon, plain = path.rpartition(":")
    names = tuple(plain.split("."))
    return (urn, *names) if colon and "enterprise" in urn.lower() else names


def _values(resource: Mapping[str, Any], names: tuple[str, ...]) -> list[Any]:
    found: list[Any] = [resource]
    for name in names:
        inner: list[Any] = []
        for value in found:
            child = get(value, name) if isinstance(value, Mapping) else None
            inner += child if isinstance(child, list) else [child]
        found = inner
    return [value.get("value") if isinstance(value, Mapping) else value for value in found] or [None]


def _objects(resource: Mapping[str, Any], names: tuple[str, ...]) -> list[Mapping[str, Any]]:
    value: Any = resource
    for name in names:
        value = get(value, name) if isinstance(value, Mapping) else None
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, Mapping)]


def _is_exact(name: str) -> bool:
    """Ids are compared exactly, everything else without regard to case (RFC 7643, section 4.1)."""
    return name.lower() in {"id", "externalid", "$ref", "version"}


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _present(value: Any) -> bool:
    return value is not None and value not in ("", [], {})


def _alike(a: Any, b: Any) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (a, b))
    return numbers or (isinstance(a, str) and isinstance(b, str))


def _bad(reason: str) -> ScimProblem:
    return ScimProblem(400, f"The filter cannot be read: {reason}.", "invalidFilter")


def _bad_path(text: str) -> ScimProblem:
    return ScimProblem(400, f"The path {text[:100]!r} cannot be read.", "invalidPath")
