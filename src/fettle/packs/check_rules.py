"""Checks the rules of a pack: that they compile, name what exists, and can ever win."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fettle.healing.rules import Rule, RuleError
from fettle.packs.parts import Item, Parts, Problems, dotted_path

_POSITIVE = frozenset(
    (
        *("eq", "in", "contains", "starts_with", "ends_with", "regex", "gt", "gte", "lt", "lte"),
        *("between", "exists", "cidr", "version_lt", "version_gte"),
    )
)
"""Operators that a missing field fails, so that each implies `exists`."""


def check_rules(parts: Parts) -> Problems:
    """Yield what is wrong with each rule by itself and with what it names."""
    for item in parts.section("rules").values():
        rule: Mapping[str, Any] = item.value
        try:
            Rule.parse({**rule, "source": "pack"})
        except RuleError as error:
            yield item.problem(
                dotted_path(error.path), f"The rule does not compile: {error.detail}.", "Correct it."
            )
        for field, section in (("runbook_id", "runbooks"), ("playbook_id", "playbooks")):
            unknown = parts.unknown(section, rule[field]) if field in rule else None
            if unknown is not None:
                yield item.problem((field,), *unknown)
        yield from _check_mentioned_types(parts, item)
        yield from _check_parameters(parts, item)


def _check_mentioned_types(parts: Parts, item: Item) -> Problems:
    for index, condition in enumerate(item.value["conditions"]):
        if condition.get("field") != "check_type" or condition["operator"] not in ("eq", "in"):
            continue
        value = condition["value"]
        for name in value if isinstance(value, list) else [value]:
            unknown = parts.unknown("exception_types", str(name))
            if unknown is not None:
                yield item.problem(("conditions", index, "value"), *unknown)


def _check_parameters(parts: Parts, item: Item) -> Problems:
    rule = item.value
    target = parts.section("runbooks").get(rule.get("runbook_id", ""))
    target = target or parts.section("playbooks").get(rule.get("playbook_id", ""))
    if target is None:
        return
    declared = target.value.get("parameters", {})
    given = rule.get("parameters", {})
    for name in given:
        if name not in declared:
            yield item.problem(
                ("parameters", name),
                f"'{target.key}' has no parameter '{name}'.",
                f"Its parameters are: {', '.join(declared) or 'none'}.",
            )
    for name, schema in declared.items():
        if name not in given and "default" not in schema:
            yield item.problem(
                ("parameters",),
                f"The parameter '{name}' of '{target.key}' is not given.",
                f"Add it under parameters, such as {name}: '${{{{ incident.details.{name} }}}}'.",
            )


def check_shadows(parts: Parts) -> Problems:
    """Yield a warning for each rule that can never win, because one before it holds whenever it does.

    What it finds is certain; it does not find everything.
    """
    rules = [item for item in parts.section("rules").values() if item.value.get("enabled", True)]
    rules.sort(key=lambda item: (item.value["priority"], item.key))
    earlier: dict[str | None, list[tuple[Item, list[Mapping[str, Any]]]]] = defaultdict(list)
    for item in rules:
        leaves = _conjuncts(item.value["conditions"])
        types = _types(leaves)
        shadow = _shadow(
            item, leaves, (*earlier[None], *(found for name in types or () for found in earlier[name]))
        )
        if shadow is not None:
            yield item.problem(
                ("conditions",),
                f"The rule never wins: '{shadow.key}' comes before it and holds whenever it does.",
                "Give it a lower priority number, or narrow the other rule.",
                "warning",
            )
        for name in types or (None,):
            earlier[name].append((item, leaves))


def _shadow(
    item: Item, leaves: Iterable[Mapping[str, Any]], earlier: Iterable[tuple[Item, list[Mapping[str, Any]]]]
) -> Item | None:
    known = list(leaves)
    for other, wanted in earlier:
        if other is not item and all(any(_implies(leaf, goal) for leaf in known) for goal in wanted):
            return other
    return None


def _conjuncts(conditions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    flat: list[Mapping[str, Any]] = []
    for condition in conditions:
        if "all" in condition:
            flat.extend(_conjuncts(condition["all"]))
        else:
            flat.append(condition)
    return flat


def _types(leaves: Iterable[Mapping[str, Any]]) -> list[str] | None:
    for leaf in leaves:
        if leaf.get("field") == "check_type" and leaf["operator"] == "eq":
            return [str(leaf["value"])]
        if leaf.get("field") == "check_type" and leaf["operator"] == "in":
            return [str(name) for name in leaf["value"]]
    return None


def _implies(leaf: Mapping[str, Any], goal: Mapping[str, Any]) -> bool:
    """Say whether `goal` surely holds where `leaf` does."""
    if repr(leaf) == repr(goal):
        return True
    if "any" in goal:
        return any(_implies(leaf, option) for option in goal["any"])
    if "field" not in leaf or leaf["field"] != goal.get("field"):
        return False
    if goal["operator"] == "exists":
        return leaf["operator"] in _POSITIVE
    values = _values(leaf)
    return values is not None and _covers(goal, values)


def _covers(goal: Mapping[str, Any], values: Iterable[Any]) -> bool:
    """Say whether `goal` holds for each of these values of its field."""
    operator = goal["operator"]
    if operator in ("eq", "in"):
        allowed = _values(goal) or []
        return all(value in allowed for value in values)
    if operator in ("ne", "not_in"):
        excluded = [_typed(entry) for entry in (goal["value"] if operator == "not_in" else [goal["value"]])]
        return all(value not in excluded for value in values)
    return False


def _values(leaf: Mapping[str, Any]) -> list[Any] | None:
    if leaf["operator"] == "eq":
        return [_typed(leaf["value"])]
    if leaf["operator"] == "in":
        return [_typed(value) for value in leaf["value"]]
    return None


def _typed(value: Any) -> Any:
    """Return a value that differs from others of another type: Python holds 1 and True for equal."""
    return ("bool", value) if isinstance(value, bool) else repr(value)
