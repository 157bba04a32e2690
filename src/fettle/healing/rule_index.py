"""The discrimination index behind `RuleSet`: finds the first rule that holds without trying them all.

Rules are known here by their rank alone (0 wins). Two things make a decision cheap:

- A *dispatch* looks one field up and leaves only the rules that can hold for its value, so that ten
  thousand check types cost one look-up.
- A *bit set* node keeps, for each field and each value that a rule names, one integer with a bit for
  every rule that the value leaves possible. One AND for each field gives the candidates; the highest
  bit is the rule of the lowest rank. Number ranges do the same over the sorted thresholds.

What no table can answer (a regular expression, an `any` over several fields) is tried on candidates only,
in their order; a test that fails takes every rule that shares it out of the running.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from fettle.healing.conditions import MISSING, Condition, Leaf, Path, is_mistakable, is_number, key, lookup
from fettle.healing.rule_analysis import EVERYTHING, DissectedRule, Dissection, Predicate

Incident = dict[str, Any]

_FEW: Final = 4  # so few rules are tried one by one
_WIDE: Final = 1_024  # bit sets longer than this are worth one more dispatch
_TABLES: Final = 8  # a table costs about what a test costs: more of them do not pay
_TABLE_BITS: Final = 64_000_000  # of one table: 8 MB


class Node(Protocol):
    """A part of the index."""

    def first(self, incident: Incident) -> int:
        """Return the lowest rank that holds, or the rank after the last."""
        ...


def build_index(rules: Sequence[Condition]) -> Node:
    """Build the index.

    Args:
        rules: The conditions of each rule, in rank order.
    """
    dissection = Dissection()
    parts = [dissection.rule(rank, conditions) for rank, conditions in enumerate(rules)]
    return _Builder(dissection, none=len(parts)).node(parts, threshold=_FEW)


class _One:
    """A single rule; kept small, because with many check types each decision finds another one uncached."""

    __slots__ = ("_none", "_rank", "_tests")

    def __init__(self, rank: int, tests: tuple[Predicate, ...], none: int) -> None:
        self._rank = rank
        self._tests = tests
        self._none = none

    def first(self, incident: Incident) -> int:
        for holds in self._tests:
            if not holds(incident):
                return self._none
        return self._rank


class _Few:
    """A handful of rules, tried in order."""

    __slots__ = ("_none", "_rules")

    def __init__(self, rules: Iterable[tuple[int, tuple[Predicate, ...]]], none: int) -> None:
        self._rules = tuple(rules)
        self._none = none

    def first(self, incident: Incident) -> int:
        for rank, tests in self._rules:
            for holds in tests:
                if not holds(incident):
                    break
            else:
                return rank
        return self._none


class _Both:
    """Two parts of which the lower rank counts."""

    __slots__ = ("_one", "_other")

    def __init__(self, one: Node, other: Node) -> None:
        self._one = one
        self._other = other

    def first(self, incident: Incident) -> int:
        return min(self._one.first(incident), self._other.first(incident))


class _Dispatch:
    """Goes on with the rules that one field's value leaves."""

    __slots__ = ("_children", "_default", "_name", "_path")

    def __init__(self, path: Path, children: dict[Hashable, Node], default: Node) -> None:
        self._children = children
        self._default = default
        self._path = path
        # The short way is for a field at the top, where no key can be mistaken for another.
        self._name = path[0] if len(path) == 1 and not any(map(is_mistakable, children)) else None

    def first(self, incident: Incident) -> int:
        try:
            if self._name is not None:
                node = self._children.get(incident.get(self._name, MISSING), self._default)
            else:
                node = self._children.get(key(lookup(incident, self._path)), self._default)
        except TypeError:  # a list or an object, which no rule of this dispatch names
            node = self._default
        return node.first(incident)


Lookup = Callable[[Any, int], int]
Check = tuple[Predicate, int]


class _BitSet:
    """Rules as bits, the lowest rank highest.

    Args:
        tables: By field, the rules that each key leaves possible; and those that any other value leaves.
        ranges: By field, the thresholds, the rules possible below, at and above each, and for no number.
        rules: From the last to the first: the rank, each open test and the rules that outlive its failure.
        none: The rank to answer when no rule holds.
    """

    __slots__ = ("_all", "_careful", "_entries", "_nested", "_none", "_plain", "_ranges", "_tables")

    def __init__(
        self,
        tables: dict[Path, tuple[dict[Hashable, int], int]],
        ranges: Sequence["tuple[Path, list[float], list[int], int]"],
        rules: Sequence[tuple[int, tuple[Check, ...]]],
        none: int,
    ) -> None:
        self._all = (1 << len(rules)) - 1
        self._none = none
        self._entries: tuple[tuple[int, tuple[Check, ...]], ...] = ((none, ()), *rules)
        self._ranges = tuple(ranges)
        self._tables = tuple((path, table.get, other) for path, (table, other) in tables.items())
        plain: list[tuple[str, Lookup, int]] = []
        nested: dict[str, list[tuple[str, Lookup, int]]] = {}
        absent: dict[str, int] = {}
        careful: list[tuple[Path, Lookup, int]] = []
        for path, (table, other) in tables.items():
            if any(map(is_mistakable, table)) or len(path) > 2:  # noqa: PLR2004 - a field, or a field of a field
                careful.append((path, table.get, other))
            elif len(path) == 1:
                plain.append((path[0], table.get, other))
            else:
                nested.setdefault(path[0], []).append((path[1], table.get, other))
                absent[path[0]] = absent.get(path[0], self._all) & table.get(MISSING, other)
        self._plain = tuple(plain)
        self._nested = tuple((name, absent[name], tuple(fields)) for name, fields in nested.items())
        self._careful = tuple(careful)

    def first(self, incident: Incident) -> int:  # noqa: C901, PLR0912 - a call more would cost what a table does
        mask = self._all
        get = incident.get
        try:
            for name, table, other in self._plain:
                mask &= table(get(name, MISSING), other)
            for name, absent, fields in self._nested:
                inner = get(name)
                if type(inner) is not dict:
                    mask &= absent if not isinstance(inner, Mapping) else self._possible(incident)
                    continue
                value = inner.get
                for field, table, other in fields:
                    mask &= table(value(field, MISSING), other)
            for path, table, other in self._careful:
                mask &= table(key(lookup(incident, path)), other)
        except TypeError:  # a list or an object where rules name scalars
            mask = self._possible(incident)
        for path, thresholds, possible, other in self._ranges:
            number = lookup(incident, path)
            if is_number(number) and number == number:  # noqa: PLR0124 - NaN lies in no range
                mask &= possible[bisect_left(thresholds, number) + bisect_right(thresholds, number)]
            else:
                mask &= other
        entries = self._entries
        while mask:
            rank, checks = entries[mask.bit_length()]
            for holds, others in checks:
                if not holds(incident):
                    mask &= others
                    break
            else:
                return rank
        return self._none

    def _possible(self, incident: Incident) -> int:
        mask = self._all
        for path, table, other in self._tables:
            mask &= table(key(lookup(incident, path)), other)
        return mask


class _Builder:
    def __init__(self, dissection: Dissection, none: int) -> None:
        self._dissection = dissection
        self._none = none
        self._nothing = _Few((), none)
        self._shared: dict[tuple[Predicate, ...], tuple[Predicate, ...]] = {}

    def node(self, rules: list[DissectedRule], *, threshold: int) -> Node:
        if len(rules) > threshold:
            path = _dispatch_path(rules)
            if path is not None:
                return self._dispatch(path, rules, threshold)
        if len(rules) <= _FEW:
            few = [(rule.rank, self._all_tests(rule)) for rule in rules]
            return _One(*few[0], self._none) if len(few) == 1 else _Few(few, self._none)
        return self._bit_set(rules)

    def _dispatch(self, path: Path, rules: list[DissectedRule], threshold: int) -> Node:
        named: dict[Hashable, list[DissectedRule]] = {}
        rest: list[DissectedRule] = []
        for rule in rules:
            allowed = rule.values.get(path, EVERYTHING)
            if allowed.inverted:
                rest.append(rule)
                continue
            settled = rule.settled(path)
            for name in allowed.keys:
                named.setdefault(name, []).append(settled)
        if not rest:
            return _Dispatch(path, self._children(path, named, []), self._nothing)
        default = self.node(rest, threshold=threshold)
        if len(rest) * len(named) <= 4 * len(rules) + 256:
            # Few enough to stand in each child: one walk instead of two.
            return _Dispatch(path, self._children(path, named, rest), default)
        return _Both(_Dispatch(path, self._children(path, named, []), self._nothing), default)

    def _children(
        self, path: Path, named: dict[Hashable, list[DissectedRule]], rest: list[DissectedRule]
    ) -> dict[Hashable, Node]:
        children: dict[Hashable, Node] = {}
        settled = [(rule.values.get(path, EVERYTHING), rule.settled(path)) for rule in rest]
        for name, rules in named.items():
            together = rules + [rule for allowed, rule in settled if name in allowed]
            together.sort(key=lambda rule: rule.rank)
            children[name] = self.node(together, threshold=_WIDE)
        return children

    def _bit_set(self, rules: list[DissectedRule]) -> Node:
        tables, ranges = _chosen(rules)
        decided, ranged = frozenset(tables), frozenset(path for path, *_ in ranges)
        tests = [self._tests(rule, decided, ranged) for rule in rules]
        every = (1 << len(rules)) - 1
        sharing: dict[Predicate, int] = {}
        for index, own in enumerate(tests):
            for test in own:
                sharing[test] = sharing.get(test, 0) | 1 << len(rules) - 1 - index
        entries = [
            (rule.rank, tuple((test, every & ~sharing[test]) for test in own))
            for rule, own in zip(rules, tests, strict=True)
        ]
        return _BitSet(tables, ranges, entries[::-1], self._none)

    def _all_tests(self, rule: DissectedRule) -> tuple[Predicate, ...]:
        tests = tuple(self._tests(rule, frozenset(), frozenset()))
        return self._shared.setdefault(tests, tests)

    def _tests(
        self, rule: DissectedRule, decided: frozenset[Path], ranged: frozenset[Path]
    ) -> list[Predicate]:
        """Return the tests that the tables of these fields leave open."""
        tests = [test for path, own in rule.decided.items() if path not in decided for test in own]
        tests += [
            self._dissection.test(leaf)
            for path, own in rule.ranges.items()
            if path not in ranged
            for leaf in own
        ]
        return list(dict.fromkeys(tests + rule.others))


def _dispatch_path(rules: list[DissectedRule]) -> Path | None:
    """Return the field whose value leaves the fewest rules, if it leaves at most half of them."""
    counts: dict[Path, Counter[Hashable]] = {}
    named: Counter[Path] = Counter()
    for rule in rules:
        for path, allowed in rule.values.items():
            if not allowed.inverted:
                counts.setdefault(path, Counter()).update(allowed.keys)
                named[path] += 1
    best: Path | None = None
    fewest = len(rules) / 2
    for path, count in counts.items():
        total = count.total()
        if not total or total > 8 * len(rules):
            continue
        left = len(rules) - named[path] + sum(n * n for n in count.values()) / total
        if left <= fewest:
            best, fewest = path, left
    return best


Tables = dict[Path, tuple[dict[Hashable, int], int]]
Ranges = list[tuple[Path, list[float], list[int], int]]


def _chosen(rules: list[DissectedRule]) -> tuple[Tables, Ranges]:
    """Build the tables that rule out the most."""
    worth: Counter[tuple[Path, bool]] = Counter()
    for rule in rules:
        for path, allowed in rule.values.items():
            worth[path, False] += 1 if allowed.inverted else 4
        for path in rule.ranges:
            worth[path, True] += 2
    tables: Tables = {}
    ranges: Ranges = []
    for (path, is_range), value in worth.most_common(_TABLES):
        if value < len(rules) / 4:
            break
        if is_range:
            ranges += _range_table(path, rules)
        else:
            tables.update(_table(path, rules))
    return tables, ranges


def _table(path: Path, rules: list[DissectedRule]) -> Tables:
    included: dict[Hashable, int] = {}
    excluded: dict[Hashable, int] = {}
    other = 0
    bit = 1 << len(rules)
    for rule in rules:
        bit >>= 1
        allowed = rule.values.get(path, EVERYTHING)
        names = excluded if allowed.inverted else included
        if allowed.inverted:
            other |= bit
        for name in allowed.keys:
            names[name] = names.get(name, 0) | bit
    keys = included.keys() | excluded.keys()
    if len(keys) * len(rules) > _TABLE_BITS:
        return {}
    return {path: ({name: (other | included.get(name, 0)) & ~excluded.get(name, 0) for name in keys}, other)}


def _range_table(path: Path, rules: list[DissectedRule]) -> Ranges:
    """Return the rules possible in each segment: below the first threshold, at it, above it, ..."""
    thresholds = sorted(
        {bound for rule in rules for leaf in rule.ranges.get(path, ()) for bound in _bounds(leaf)}
    )
    last = 2 * len(thresholds)
    if (last + 1) * len(rules) > _TABLE_BITS:
        return []
    place = {bound: 2 * index + 1 for index, bound in enumerate(thresholds)}
    starts = [0] * (last + 2)
    ends = [0] * (last + 2)
    other = 0
    bit = 1 << len(rules)
    for rule in rules:
        bit >>= 1
        comparisons = rule.ranges.get(path)
        if not comparisons:
            other |= bit
            continue
        spans = [_span(leaf, place, last) for leaf in comparisons]
        low, high = max(span[0] for span in spans), min(span[1] for span in spans)
        if low <= high:
            starts[low] |= bit
            ends[high + 1] |= bit
    possible = []
    running = other
    for start, end in zip(starts[:-1], ends[:-1], strict=True):
        running = (running | start) & ~end
        possible.append(running)
    return [(path, thresholds, possible, other)]


def _bounds(leaf: Leaf) -> tuple[float, ...]:
    return tuple(leaf.value) if leaf.operator == "between" else (leaf.value,)


def _span(leaf: Leaf, place: dict[float, int], last: int) -> tuple[int, int]:
    if leaf.operator == "between":
        return place[leaf.value[0]], place[leaf.value[1]]
    at = place[leaf.value]
    return {"gt": (at + 1, last), "gte": (at, last), "lt": (0, at - 1), "lte": (0, at)}[leaf.operator]
