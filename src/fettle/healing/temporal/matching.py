"""A tenant's rules over time by the check types that they look at: which see an exception, under which key; pure."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from fettle.healing.conditions import MISSING, lookup
from fettle.healing.derived import DerivedFields, check_types_of
from fettle.healing.temporal.moments import Arrival, counts_at, to_ms
from fettle.healing.temporal.rules import TemporalRule
from fettle.kernel.jsonio import dumps

LONGEST_VALUE: Final = 200


class Key(NamedTuple):
    """What tells the things apart that a rule looks at.

    Attributes:
        hash: Names it, in hexadecimal.
        values: A value for each of the rule's `by`.
    """

    hash: str
    values: tuple[Any, ...]

    @classmethod
    def of(cls, values: Iterable[Any]) -> "Key":
        """Return the key of these values."""
        whole = tuple(values)
        return cls(hashlib.blake2b(dumps(list(whole)), digest_size=16).hexdigest(), whole)


@dataclass(frozen=True, slots=True)
class Sighting:
    """An exception as rules over time see it.

    Attributes:
        id: Its id.
        body: In the packs' words.
        occurred_at: When its sender says that it was; None where that was not said.
        received_at: When it came.
    """

    id: str
    body: Mapping[str, Any]
    occurred_at: datetime | None
    received_at: datetime


class Touch(NamedTuple):
    """A rule that sees an exception, and the key under which it does."""

    rule: TemporalRule
    key: Key
    arrival: Arrival


class TemporalRules:
    """The rules of a set that are switched on, for looking them up."""

    def __init__(self, rules: Iterable[TemporalRule]) -> None:
        self.rules = {rule.id: rule for rule in sorted(rules, key=lambda rule: rule.id)}
        self._by_type: defaultdict[str, list[TemporalRule]] = defaultdict(list)
        self._of_any: list[TemporalRule] = []
        enabled = [rule for rule in self.rules.values() if rule.enabled]
        groups = [matcher.conditions for rule in enabled for matcher in rule.matchers]
        self._derived = DerivedFields.of(groups)
        for rule in enabled:
            types = [check_types_of(matcher.conditions) for matcher in rule.matchers]
            if any(found is None for found in types):
                self._of_any.append(rule)
                continue
            for name in sorted(set[str]().union(*(found for found in types if found is not None))):
                self._by_type[name].append(rule)
        self.expecting = [rule for rule in enabled if rule.expected]

    def __bool__(self) -> bool:
        return bool(self._by_type or self._of_any)

    def enabled(self, rule_id: str) -> TemporalRule | None:
        """Return a rule that is switched on."""
        rule = self.rules.get(rule_id)
        return rule if rule is not None and rule.enabled else None

    def looks_at(self, check_types: Iterable[str]) -> bool:
        """Say whether a rule looks at one of these check types."""
        return bool(self._of_any) or any(name in self._by_type for name in check_types)

    def touched(self, sighting: Sighting) -> list[Touch]:
        """Return the rules that see an exception, each with the key under which it does."""
        check_type = sighting.body.get("check_type")
        candidates = (
            [*self._by_type.get(check_type, ()), *self._of_any] if isinstance(check_type, str) else []
        )
        if not candidates:
            return []
        body = sighting.body if self._derived is None else self._derived.complete(sighting.body)
        found = []
        for rule in candidates:
            mark = rule.mark(body)
            key = key_of(rule, body) if mark else None
            if key is not None:
                found.append(Touch(rule, key, _arrival(rule, sighting, body, mark)))
        return found


def key_of(rule: TemporalRule, body: Mapping[str, Any]) -> Key | None:
    """Return the key of an exception for a rule; None where it lacks a field that makes the key."""
    values = []
    for path in rule.by:
        value = lookup(body, path)
        if value is MISSING or value is None or isinstance(value, list | dict) or value == "":
            return None
        values.append(_plain(path, value))
    return Key.of(values)


def expected_key(rule: TemporalRule, values: Iterable[Any]) -> Key:
    """Return the key of something that a rule looks for though nothing was ever seen of it."""
    return Key.of([_plain(path, value) for path, value in zip(rule.by, values, strict=True)])


def named(rule: TemporalRule, values: Iterable[Any]) -> dict[str, Any]:
    """Return a key's values by the fields that they are of."""
    return {".".join(path): value for path, value in zip(rule.by, values, strict=False)}


def _plain(path: tuple[str, ...], value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if path == ("host",):
        value = value.lower()
    if len(value) <= LONGEST_VALUE:
        return value
    # Two long texts that begin alike are still two.
    digest = hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{value[: LONGEST_VALUE - 17]}…{digest}"


def _arrival(rule: TemporalRule, sighting: Sighting, body: Mapping[str, Any], mark: int) -> Arrival:
    return Arrival(
        at=to_ms(counts_at(sighting.occurred_at, sighting.received_at)),
        id=sighting.id,
        mark=mark,
        received=to_ms(sighting.received_at),
        amount=rule.amount(body) if rule.path else None,
    )
