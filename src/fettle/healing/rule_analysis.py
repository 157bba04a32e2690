"""Takes the conditions of rules apart: per field the values that a rule allows, and the tests that remain."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fettle.healing.conditions import (
    MISSING,
    Condition,
    Group,
    Leaf,
    Path,
    is_number,
    is_scalar,
    key,
    predicate,
)

Predicate = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Values:
    """A set of a field's keys, or all keys but these. A missing field counts as the key `MISSING`."""

    keys: frozenset[Hashable]
    inverted: bool = False

    def __and__(self, other: "Values") -> "Values":
        if self.inverted and other.inverted:
            return Values(self.keys | other.keys, inverted=True)
        if self.inverted:
            return Values(other.keys - self.keys)
        return Values(self.keys - other.keys) if other.inverted else Values(self.keys & other.keys)

    def __or__(self, other: "Values") -> "Values":
        return ~(~self & ~other)

    def __invert__(self) -> "Values":
        return Values(self.keys, not self.inverted)

    def __contains__(self, value: Hashable) -> bool:
        return (value in self.keys) is not self.inverted


EVERYTHING: Final = Values(frozenset(), inverted=True)


@dataclass(slots=True, eq=False)
class DissectedRule:
    """One rule, taken apart.

    Attributes:
        rank: Its place in the order.
        values: By field, the only keys for which it can hold.
        decided: By field, the tests that hold for every key in `values`.
        ranges: By field, its comparisons with numbers.
        others: The tests that no table answers, the cheap ones first.
    """

    rank: int
    values: dict[Path, Values]
    decided: dict[Path, list[Predicate]]
    ranges: dict[Path, list[Leaf]]
    others: list[Predicate]

    def settled(self, path: Path) -> "DissectedRule":
        """Return the rule as it is where this field is known to be one of its values."""
        values = {field: allowed for field, allowed in self.values.items() if field != path}
        decided = {field: tests for field, tests in self.decided.items() if field != path}
        return DissectedRule(self.rank, values, decided, self.ranges, self.others)


class Dissection:
    """Takes rules apart; equal tests of different rules become one object."""

    def __init__(self) -> None:
        self._tests: dict[Hashable, Predicate] = {}

    def rule(self, rank: int, conditions: Condition) -> DissectedRule:
        """Take one rule apart."""
        rule = DissectedRule(rank, {}, {}, {}, [])
        costly: list[tuple[int, Predicate]] = []
        for negated, condition in _conjuncts(conditions, negated=False):
            narrowed = _narrowed(condition, negated=negated)
            for path, values in narrowed.items():
                rule.values[path] = rule.values.get(path, EVERYTHING) & values
            if isinstance(condition, Leaf):
                if narrowed:
                    rule.decided.setdefault(condition.path, []).append(self.test(condition, negated=negated))
                    continue
                if _is_range(condition) and not negated:
                    rule.ranges.setdefault(condition.path, []).append(condition)
                    continue
            costly.append((_cost(condition), self.test(condition, negated=negated)))
        costly.sort(key=lambda pair: pair[0])
        rule.others = [test for _, test in costly]
        return rule

    def test(self, condition: Condition, *, negated: bool = False) -> Predicate:
        """Return the condition (negated: its contrary) as a call, the same for equal conditions."""
        name = (negated, _frozen(condition))
        test = self._tests.get(name)
        if test is None:
            test = predicate(condition) if isinstance(condition, Leaf) else condition.holds
            if negated:
                test = _negation(test)
            self._tests[name] = test
        return test


def _negation(test: Predicate) -> Predicate:
    return lambda incident: not test(incident)


def _conjuncts(condition: Condition, *, negated: bool) -> Iterable[tuple[bool, Condition]]:
    """Yield what must hold (negated: must not) for the condition to hold; `none` is a list of negations."""
    if isinstance(condition, Group):
        if not negated and condition.quantifier != "any":
            for member in condition.members:
                yield from _conjuncts(member, negated=condition.quantifier == "none")
            return
        if negated and condition.quantifier == "any":
            for member in condition.members:
                yield from _conjuncts(member, negated=True)
            return
        if len(condition.members) == 1:
            yield from _conjuncts(
                condition.members[0], negated=negated is not (condition.quantifier == "none")
            )
            return
    yield negated, condition


def _narrowed(condition: Condition, *, negated: bool) -> dict[Path, Values]:
    """Return, by field, the keys without which the condition cannot hold; for a leaf they also suffice."""
    if isinstance(condition, Leaf):
        values = _values(condition)
        return {} if values is None else {condition.path: ~values if negated else values}
    alternatives = [
        _all_narrowed(member, negated=negated is not (condition.quantifier == "none"))
        for member in condition.members
    ]
    together: dict[Path, Values] = {}
    for path in alternatives[0]:
        if all(path in other for other in alternatives):
            values = alternatives[0][path]
            for other in alternatives[1:]:
                values |= other[path]
            together[path] = values
    return together


def _all_narrowed(condition: Condition, *, negated: bool) -> dict[Path, Values]:
    together: dict[Path, Values] = {}
    for flipped, conjunct in _conjuncts(condition, negated=negated):
        for path, values in _narrowed(conjunct, negated=flipped).items():
            together[path] = together.get(path, EVERYTHING) & values
    return together


def _values(leaf: Leaf) -> Values | None:
    operator = leaf.operator
    if operator in ("exists", "not_exists"):
        return Values(frozenset((MISSING,)), inverted=operator == "exists")
    if operator in ("eq", "ne") and is_scalar(leaf.value):
        return Values(frozenset((key(leaf.value),)), inverted=operator == "ne")
    if operator in ("in", "not_in") and all(is_scalar(item) for item in leaf.value):
        return Values(frozenset(key(item) for item in leaf.value), inverted=operator == "not_in")
    return None


def _is_range(leaf: Leaf) -> bool:
    if leaf.operator == "between":
        return is_number(leaf.value[0])
    return leaf.operator in ("gt", "gte", "lt", "lte") and is_number(leaf.value)


def _cost(condition: Condition) -> int:
    if isinstance(condition, Group):
        return 3
    return {"regex": 2, "cidr": 2, "version_lt": 2, "version_gte": 2}.get(condition.operator, 1)


def _frozen(value: Any) -> Hashable:
    """Return a key that tells conditions and JSON values apart by type as well."""
    if isinstance(value, Leaf):
        return (value.path, value.operator, _frozen(value.value))
    if isinstance(value, Group):
        return (value.quantifier, *(_frozen(member) for member in value.members))
    if isinstance(value, Mapping):
        return ("{}", *((name, _frozen(member)) for name, member in value.items()))
    if isinstance(value, list | tuple):
        return ("[]", *(_frozen(member) for member in value))
    return (type(value), value)
