"""L1 rules: compiled once into an index, matched in the time that their candidates take."""

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fettle.healing.conditions import (
    MISSING,
    ConditionError,
    Group,
    leaves,
    lookup,
    parse_conditions,
)
from fettle.healing.derived import DerivedFields
from fettle.healing.rule_index import build_index

ACTIONS: Final = ("execute_runbook", "run_playbook", "escalate", "suppress", "notify")
SOURCES: Final = ("builtin", "pack", "synced", "promoted", "tenant")
DEFAULT_PRIORITY: Final = 100
DEFAULT_COOLDOWN_SECONDS: Final = 300
DEFAULT_MAX_ATTEMPTS: Final = 2


class RuleError(ValueError):
    """A rule that cannot be compiled.

    Args:
        rule_id: The rule, or its place in the list where it has no id.
        path: Where, inside the rule, such as `conditions[1].value`.
        detail: What is wrong and what would be right.
    """

    def __init__(self, rule_id: str, path: str, detail: str) -> None:
        super().__init__(f"rule {rule_id}, {path}: {detail}")
        self.rule_id = rule_id
        self.path = path
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Rule:
    """One L1 rule.

    Attributes:
        id: Unique in its set.
        priority: Lower wins; ties by id.
        enabled: Whether it may match.
        conditions: All must hold.
        action: One of `ACTIONS`.
        runbook_id: What `execute_runbook` runs.
        playbook_id: What `run_playbook` and `notify` run.
        cooldown_seconds: For how long it does not act again on the same incident's fingerprint.
        max_attempts: How often it may act on one incident before a person must.
        source: Where it came from, one of `SOURCES`.
        document: The rule as it was given.
    """

    id: str
    priority: int
    enabled: bool
    conditions: Group
    action: str
    runbook_id: str | None
    playbook_id: str | None
    cooldown_seconds: int
    max_attempts: int
    source: str
    document: Mapping[str, Any]

    @classmethod
    def parse(cls, document: Any, *, place: str = "?") -> "Rule":
        """Read a rule.

        Args:
            document: The parsed YAML or JSON.
            place: What names the rule in an error as long as its id is not known.

        Raises:
            RuleError: Naming the rule, the place in it, and what would be right.
        """
        if not isinstance(document, Mapping):
            raise RuleError(place, "", "must be an object with id, conditions and action")
        rule_id = document.get("id")
        if not isinstance(rule_id, str) or not rule_id.strip():
            raise RuleError(place, "id", "must be a name such as L1-FIREWALL-001")
        fields = _Fields(rule_id, document)
        try:
            conditions = parse_conditions(document.get("conditions"))
        except ConditionError as error:
            raise RuleError(rule_id, error.path, error.detail) from error
        return cls(
            id=rule_id,
            priority=fields.integer("priority", DEFAULT_PRIORITY),
            enabled=fields.truth("enabled", default=True),
            conditions=conditions,
            action=fields.choice("action", ACTIONS, None),
            runbook_id=fields.name("runbook_id"),
            playbook_id=fields.name("playbook_id"),
            cooldown_seconds=fields.integer("cooldown_seconds", DEFAULT_COOLDOWN_SECONDS, at_least=0),
            max_attempts=fields.integer("max_attempts", DEFAULT_MAX_ATTEMPTS, at_least=1),
            source=fields.choice("source", SOURCES, "tenant"),
            document=dict(document),
        )


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """How one comparison of a rule came out.

    Attributes:
        path: Its place in the rule, such as `conditions[1].any[0]`.
        field: The field compared.
        operator: The operator.
        expected: The rule's value.
        present: Whether the incident has the field.
        actual: The incident's value, None where it is missing.
        holds: Whether the comparison holds.
    """

    path: str
    field: str
    operator: str
    expected: Any
    present: bool
    actual: Any
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """Why a rule did or did not match.

    Attributes:
        rule_id: The rule.
        priority: Its priority.
        enabled: Whether it may match at all.
        matched: Whether it is enabled and its conditions hold.
        winner: Whether it is the one that `RuleSet.match` returns.
        reason: The same in a sentence.
        conditions: Each comparison.
    """

    rule_id: str
    priority: int
    enabled: bool
    matched: bool
    winner: bool
    reason: str
    conditions: tuple[ConditionResult, ...]


class RuleSet:
    """A compiled, immutable set of rules; make it with `RuleSet.compile`."""

    __slots__ = ("_derived", "_first", "_ordered", "_rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(sorted(rules, key=lambda rule: (rule.priority, rule.id)))
        enabled = [rule for rule in self._rules if rule.enabled]
        self._ordered: tuple[Rule | None, ...] = (*enabled, None)
        self._first = build_index([rule.conditions for rule in enabled]).first
        self._derived = DerivedFields.of(rule.conditions for rule in enabled)

    @classmethod
    def compile(cls, rules: Iterable[Mapping[str, Any]]) -> "RuleSet":
        """Compile rules as they stand in YAML or JSON.

        Raises:
            RuleError: For the first rule that is wrong, or an id that is used twice.
        """
        parsed: dict[str, Rule] = {}
        for index, document in enumerate(rules):
            rule = Rule.parse(document, place=f"number {index + 1}")
            if rule.id in parsed:
                raise RuleError(rule.id, "id", "is used by two rules of this set; rename one")
            parsed[rule.id] = rule
        return cls(parsed.values())

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules in the order in which they win, the disabled ones too."""
        return self._rules

    def match(self, incident: Mapping[str, Any]) -> Rule | None:
        """Return the enabled rule of the lowest priority (then id) whose conditions all hold, or None.

        Args:
            incident: Any JSON object; nothing in it makes this raise.
        """
        if self._derived is not None:
            incident = self._derived.complete(incident)
        if type(incident) is not dict:
            incident = dict(incident)
        return self._ordered[self._first(incident)]

    def explain(self, incident: Mapping[str, Any]) -> list[RuleExplanation]:
        """Say for each rule, in the order in which they win, why it did or did not match.

        Unlike `match` this takes time for every rule: it is for people.
        """
        winner = self.match(incident)
        derived = DerivedFields.of(rule.conditions for rule in self._rules)
        whole = incident if derived is None else derived.complete(incident)
        return [_explain(rule, whole, winner=rule is winner) for rule in self._rules]


def _explain(rule: Rule, incident: Mapping[str, Any], *, winner: bool) -> RuleExplanation:
    results = []
    for path, leaf in leaves(rule.conditions):
        actual = lookup(incident, leaf.path)
        present = actual is not MISSING
        results.append(
            ConditionResult(
                path=path,
                field=leaf.field,
                operator=leaf.operator,
                expected=leaf.value,
                present=present,
                actual=actual if present else None,
                holds=leaf.test(actual),
            )
        )
    holds = rule.conditions.holds(incident)
    return RuleExplanation(
        rule_id=rule.id,
        priority=rule.priority,
        enabled=rule.enabled,
        matched=holds and rule.enabled,
        winner=winner,
        reason=_reason(rule, incident, results, holds=holds, winner=winner),
        conditions=tuple(results),
    )


def _reason(
    rule: Rule, incident: Mapping[str, Any], results: list[ConditionResult], *, holds: bool, winner: bool
) -> str:
    if winner:
        return "all conditions hold and no other rule comes before it"
    if holds:
        return "all conditions hold, but a rule before it wins" if rule.enabled else "holds, but is disabled"
    failed = next((result for result in results if not result.holds), None)
    if failed is None or len(rule.conditions.members) < len(results):
        top = next(
            index for index, member in enumerate(rule.conditions.members) if not member.holds(incident)
        )
        return f"conditions[{top}] does not hold"
    found = f"is {reprlib.repr(failed.actual)}" if failed.present else "is missing"
    wanted = f"{failed.operator} {reprlib.repr(failed.expected)}"
    return f"{failed.path}: {failed.field} {found}, which fails {wanted}"


class _Fields:
    """Reads the plain fields of one rule."""

    def __init__(self, rule_id: str, document: Mapping[str, Any]) -> None:
        self._rule_id = rule_id
        self._document = document

    def integer(self, name: str, default: int, *, at_least: int | None = None) -> int:
        value = self._document.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not (
            isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        ):
            raise RuleError(self._rule_id, name, f"must be a whole number, not {value!r}")
        if at_least is not None and value < at_least:
            raise RuleError(self._rule_id, name, f"must be at least {at_least}")
        return int(value)

    def truth(self, name: str, *, default: bool) -> bool:
        value = self._document.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise RuleError(self._rule_id, name, f"must be true or false, not {value!r}")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str | None) -> str:
        value = self._document.get(name)
        if value is None and default is not None:
            return default
        if value not in choices:
            raise RuleError(self._rule_id, name, f"must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    def name(self, name: str) -> str | None:
        value = self._document.get(name)
        if value is not None and (not isinstance(value, str) or not value):
            raise RuleError(self._rule_id, name, f"must be an id, not {value!r}")
        return value
