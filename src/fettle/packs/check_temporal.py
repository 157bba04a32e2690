"""Checks the rules over time of a pack: that they can be read, and name check types that there are."""

from collections.abc import Iterator, Mapping
from typing import Any

from fettle.healing.temporal.rules import TemporalRule, TemporalRuleError
from fettle.packs.parts import Item, Parts, Problems, dotted_path
from fettle.packs.yaml_reader import Path


def check_temporal_rules(parts: Parts) -> Problems:
    """Yield what is wrong with each rule over time by itself and with what it names."""
    for item in parts.section("temporal_rules").values():
        try:
            TemporalRule.parse({**item.value, "source": "pack"})
        except TemporalRuleError as error:
            yield item.problem(
                dotted_path(error.path), f"The rule cannot be used: it {error.detail}.", "Correct it."
            )
        raised = parts.unknown("exception_types", item.value["raises"]["check_type"])
        if raised is not None:
            yield item.problem(("raises", "check_type"), *raised)
        for path, name in _mentioned(item):
            unknown = parts.unknown("exception_types", name)
            if unknown is not None:
                yield item.problem(path, *unknown)
        if not item.value.get("tests"):
            yield item.problem(
                (), f"Nothing shows what '{item.key}' finds.", "Add a history under tests.", "warning"
            )


def _mentioned(item: Item) -> Iterator[tuple[Path, str]]:
    """Yield each check type that the rule looks at, and where it stands."""
    places: list[tuple[Path, list[Mapping[str, Any]]]] = [
        ((name,), item.value[name]) for name in ("conditions", "awaits") if name in item.value
    ]
    places += [
        (("steps", index, "conditions"), step["conditions"])
        for index, step in enumerate(item.value.get("steps", ()))
    ]
    for path, conditions in places:
        for index, condition in enumerate(conditions):
            if condition.get("field") == "check_type" and condition["operator"] in ("eq", "in"):
                value = condition["value"]
                for name in value if isinstance(value, list) else [value]:
                    yield (*path, index, "value"), str(name)
