"""Conditions of L1 rules: the operators, how a field is found, and the tree of all, any and none.

Every operator comes with its complement where the contract names one (`eq` and `ne`, `in` and `not_in`,
...): the complement holds exactly where the operator does not, so a missing field and a value of another
type fail the first and pass the second.
"""

import ipaddress
import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from fettle.healing.versions import version_key

MAX_DEPTH = 32
MAX_FIELD_LENGTH = 256
MAX_PATTERN_LENGTH = 1_000
MAX_SUBJECT_LENGTH = 262_144

Test = Callable[[Any], bool]
Path = tuple[str, ...]


class _Token:
    """A value that no JSON document can hold."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


MISSING: Final = _Token("<missing>")
_TRUE: Final = _Token("<true>")
_FALSE: Final = _Token("<false>")
_OTHER: Final = _Token("<other>")


class ConditionError(ValueError):
    """A condition that cannot be compiled.

    Args:
        path: Where, inside the rule, such as `conditions[1].value`.
        detail: What is wrong and what would be right.
    """

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path = path
        self.detail = detail


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """One comparison of one field."""

    field: str
    path: Path
    operator: str
    value: Any
    test: Test

    def holds(self, incident: Mapping[str, Any]) -> bool:
        """Say whether the comparison holds for the incident."""
        return self.test(lookup(incident, self.path))


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Conditions of which `all`, `any` or `none` must hold."""

    quantifier: str
    members: tuple["Condition", ...]

    def holds(self, incident: Mapping[str, Any]) -> bool:
        """Say whether the group holds for the incident."""
        if self.quantifier == "all":
            return all(member.holds(incident) for member in self.members)
        found = any(member.holds(incident) for member in self.members)
        return found if self.quantifier == "any" else not found


Condition = Leaf | Group


def lookup(incident: Mapping[str, Any], path: Path) -> Any:
    """Return the value at a path of names, or `MISSING`."""
    node: Any = incident
    for name in path:
        if not isinstance(node, Mapping):
            return MISSING
        node = node.get(name, MISSING)
    return node


def key(value: Any) -> Hashable:
    """Return what stands for a scalar in a table, such that equal keys mean equal values of like types.

    Python holds `True == 1`; rules do not. What cannot be a key (a list, an object) gets one that no
    table holds.
    """
    if value is True:
        return _TRUE
    if value is False:
        return _FALSE
    if value is None or value is MISSING or isinstance(value, str | int | float):
        return value
    return _OTHER


def is_mistakable(name: Hashable) -> bool:
    """Say whether Python would take another type's value for this key, were the value not passed to `key`."""
    return name is _TRUE or name is _FALSE or (isinstance(name, int | float) and name in (0, 1))


def is_scalar(value: Any) -> bool:
    """Say whether a rule's value can stand in a table."""
    return value is None or isinstance(value, str | int | float)


def same(actual: Any, expected: Any) -> bool:
    """Say whether two JSON values are of like types and equal; as deep as `expected` is, and no deeper."""
    if is_scalar(expected):
        return actual is not MISSING and is_scalar(actual) and key(actual) == key(expected)
    if isinstance(expected, Mapping):
        return (
            isinstance(actual, Mapping)
            and len(actual) == len(expected)
            and all(name in actual and same(actual[name], value) for name, value in expected.items())
        )
    return (
        isinstance(actual, list | tuple)
        and len(actual) == len(expected)
        and all(same(one, other) for one, other in zip(actual, expected, strict=True))
    )


def parse_conditions(raw: Any, path: str = "conditions") -> Group:
    """Compile the `conditions` of a rule: a list that must all hold, or one group.

    Args:
        raw: The parsed YAML or JSON.
        path: Where it stands, for errors.

    Raises:
        ConditionError: Naming the place, what is wrong, and what would be right.
    """
    if isinstance(raw, Mapping):
        return Group("all", (_parse(raw, path, 1),))
    if not isinstance(raw, list | tuple):
        raise ConditionError(path, "must be a list of conditions, all of which must hold")
    return Group("all", tuple(_parse(item, f"{path}[{index}]", 1) for index, item in enumerate(raw)))


def leaves(condition: Condition, path: str = "conditions") -> Iterator[tuple[str, Leaf]]:
    """Yield each comparison with its place in the rule."""
    if isinstance(condition, Leaf):
        yield path, condition
        return
    for index, member in enumerate(condition.members):
        inner = f"{path}[{index}]"
        if isinstance(member, Group):
            inner = f"{inner}.{member.quantifier}"
        yield from leaves(member, inner)


def _parse(raw: Any, path: str, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise ConditionError(path, f"nests deeper than {MAX_DEPTH} groups; flatten it")
    if not isinstance(raw, Mapping):
        raise ConditionError(
            path, "must be an object with field, operator and value, or with any, all or none"
        )
    quantifiers = [name for name in ("all", "any", "none") if name in raw]
    if quantifiers:
        if len(raw) != 1:
            raise ConditionError(
                path, f"a group has one key; put the others beside it, not into `{quantifiers[0]}`'s object"
            )
        quantifier = quantifiers[0]
        members = raw[quantifier]
        if not isinstance(members, list | tuple) or not members:
            raise ConditionError(f"{path}.{quantifier}", "must be a list of at least one condition")
        return Group(
            quantifier,
            tuple(
                _parse(item, f"{path}.{quantifier}[{index}]", depth + 1) for index, item in enumerate(members)
            ),
        )
    return _parse_leaf(raw, path)


def _parse_leaf(raw: Mapping[str, Any], path: str) -> Leaf:
    unknown = sorted(str(name) for name in raw if name not in ("field", "operator", "value"))
    if unknown:
        raise ConditionError(path, f"does not know {', '.join(unknown)}; it takes field, operator and value")
    field = raw.get("field")
    if not isinstance(field, str) or not field or len(field) > MAX_FIELD_LENGTH or not all(field.split(".")):
        raise ConditionError(
            f"{path}.field", "must be a dotted path such as check_type or details.disk.percent"
        )
    operator = raw.get("operator")
    build = OPERATORS.get(operator) if isinstance(operator, str) else None
    if not isinstance(operator, str) or build is None:
        raise ConditionError(f"{path}.operator", f"{operator!r} is not one of {', '.join(OPERATORS)}")
    if "value" not in raw and operator not in ("exists", "not_exists"):
        raise ConditionError(f"{path}.value", f"`{operator}` compares with a value; add it")
    value = raw.get("value")
    try:
        test = build(value)
    except ValueError as error:
        raise ConditionError(f"{path}.value", str(error)) from error
    return Leaf(field, tuple(field.split(".")), operator, value, test)


def _literal(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"nests deeper than {MAX_DEPTH}; compare with its parts")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    if isinstance(value, Mapping):
        for member in value.values():
            _literal(member, depth + 1)
    elif isinstance(value, list | tuple):
        for member in value:
            _literal(member, depth + 1)
    elif not is_scalar(value):
        raise ValueError(f"must be a JSON value; {type(value).__name__} is none (quote dates and times)")
    return value


def _eq(value: Any) -> Test:
    _literal(value)
    if isinstance(value, str):
        return lambda actual: isinstance(actual, str) and actual == value
    return lambda actual: same(actual, value)


def _in(value: Any) -> Test:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of values; for one value use eq")  # noqa: TRY004 - as in _text
    _literal(value)
    keys = frozenset(key(item) for item in value if is_scalar(item))
    others = [item for item in value if not is_scalar(item)]
    if not others:
        return lambda actual: key(actual) in keys
    return lambda actual: key(actual) in keys or any(same(actual, item) for item in others)


def _contains(value: Any) -> Test:
    _literal(value)

    def test(actual: Any) -> bool:
        if isinstance(actual, str):
            return isinstance(value, str) and value in actual
        if isinstance(actual, Mapping):
            return isinstance(value, str) and value in actual
        return isinstance(actual, list | tuple) and any(same(item, value) for item in actual)

    return test


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - one kind of error for the caller to turn into a place
    return value


def _starts_with(value: Any) -> Test:
    text = _text(value)
    return lambda actual: isinstance(actual, str) and actual.startswith(text)


def _ends_with(value: Any) -> Test:
    text = _text(value)
    return lambda actual: isinstance(actual, str) and actual.endswith(text)


def _regex(value: Any) -> Test:
    text = _text(value)
    if len(text) > MAX_PATTERN_LENGTH:
        raise ValueError(f"is longer than {MAX_PATTERN_LENGTH} characters; split it into several conditions")
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    try:
        search = re2.compile(text, options).search
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else error
        if isinstance(reason, bytes):
            reason = reason.decode("utf-8", "replace")
        raise ValueError(
            f"is no regular expression of linear time (RE2, no look-around, no back-references): {reason}"
        ) from error

    def test(actual: Any) -> bool:
        # Beyond the bound the condition is false: half a text is never judged.
        if not isinstance(actual, str) or len(actual) > MAX_SUBJECT_LENGTH:
            return False
        return search(actual.encode("utf-8", "replace")) is not None

    return test


def is_number(value: Any) -> bool:
    """Say whether a value is a number of JSON: a truth value is none."""
    return isinstance(value, int | float) and value is not True and value is not False


def _bound(value: Any) -> tuple[type, ...]:
    if is_number(value):
        if not math.isfinite(value):
            raise ValueError("must be a finite number")
        return (int, float)
    if isinstance(value, str):
        return (str,)
    raise ValueError("must be a number, or a string that sorts as it should (a time in RFC 3339, say)")


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def build(value: Any) -> Test:
        kinds = _bound(value)
        return lambda actual: (
            isinstance(actual, kinds) and not isinstance(actual, bool) and compare(actual, value)
        )

    return build


def _between(value: Any) -> Test:
    if not isinstance(value, list | tuple) or len(value) != 2:  # noqa: PLR2004 - two ends
        raise ValueError("must be a list of the lowest and the highest value")
    low, high = value
    kinds = _bound(low)
    if _bound(high) != kinds:
        raise ValueError("must have two numbers or two strings")
    if low > high:
        raise ValueError(f"starts at {low!r} and ends below it, at {high!r}; swap them")
    return lambda actual: isinstance(actual, kinds) and not isinstance(actual, bool) and low <= actual <= high


def _exists(value: Any) -> Test:
    if value is not None and value is not True:
        raise ValueError("takes no value; for the contrary use exists or not_exists")
    return lambda actual: actual is not MISSING


def _cidr(value: Any) -> Test:
    networks = []
    for text in value if isinstance(value, list | tuple) else [value]:
        try:
            networks.append(ipaddress.ip_network(_text(text), strict=False))
        except ValueError as error:
            raise ValueError(f"{text!r} is not a network such as 10.0.0.0/8 or fd00::/8") from error

    def test(actual: Any) -> bool:
        if not isinstance(actual, str):
            return False
        try:
            address = ipaddress.ip_address(actual)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any(address in network or (mapped is not None and mapped in network) for network in networks)

    return test


def _version(holds: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def build(value: Any) -> Test:
        bound = version_key(_text(value))
        if bound is None:
            raise ValueError(f"{value!r} is not a version such as 1.2.3 (quote it)")

        def test(actual: Any) -> bool:
            found = version_key(actual) if isinstance(actual, str) else None
            return found is not None and holds(found, bound)

        return test

    return build


def _not(build: Callable[[Any], Test]) -> Callable[[Any], Test]:
    def complement(value: Any) -> Test:
        test = build(value)
        return lambda actual: not test(actual)

    return complement


OPERATORS: Final[Mapping[str, Callable[[Any], Test]]] = {
    "eq": _eq,
    "ne": _not(_eq),
    "in": _in,
    "not_in": _not(_in),
    "contains": _contains,
    "not_contains": _not(_contains),
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "regex": _regex,
    "gt": _ordered(lambda actual, value: actual > value),
    "gte": _ordered(lambda actual, value: actual >= value),
    "lt": _ordered(lambda actual, value: actual < value),
    "lte": _ordered(lambda actual, value: actual <= value),
    "between": _between,
    "exists": _exists,
    "not_exists": _not(_exists),
    "cidr": _cidr,
    "version_lt": _version(lambda actual, value: actual < value),
    "version_gte": _version(lambda actual, value: actual >= value),
}


def predicate(leaf: Leaf) -> Callable[[Mapping[str, Any]], bool]:
    """Return the leaf as one call on the incident; the commonest comparisons need no call below it."""
    test = leaf.test
    if len(leaf.path) != 1:
        return leaf.holds
    name = leaf.path[0]
    if isinstance(leaf.value, str) and leaf.operator in ("eq", "ne"):
        value = leaf.value
        # Nothing but a text equals a text, so types need not be asked for.
        if leaf.operator == "eq":
            return lambda incident: incident.get(name, MISSING) == value
        return lambda incident: incident.get(name, MISSING) != value
    if leaf.operator in ("in", "not_in") and all(isinstance(item, str) for item in leaf.value):
        return _membership(name, frozenset(leaf.value), inverted=leaf.operator == "not_in")
    return lambda incident: test(incident.get(name, MISSING))


def _membership(
    name: str, values: frozenset[Hashable], *, inverted: bool
) -> Callable[[Mapping[str, Any]], bool]:
    def within(incident: Mapping[str, Any]) -> bool:
        try:
            return incident.get(name, MISSING) in values
        except TypeError:  # a list or an object
            return False

    def without(incident: Mapping[str, Any]) -> bool:
        try:
            return incident.get(name, MISSING) not in values
        except TypeError:
            return True

    return without if inverted else within
