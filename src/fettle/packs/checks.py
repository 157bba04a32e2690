"""Checks what no schema can: that the parts of a pack fit together."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from fettle.healing.conditions import ConditionError, parse_conditions
from fettle.packs.check_actions import check_playbooks, check_runbooks, check_verification
from fettle.packs.check_rules import check_rules, check_shadows
from fettle.packs.check_sources import check_sources
from fettle.packs.check_temporal import check_temporal_rules
from fettle.packs.normalising import TARGETS
from fettle.packs.parts import Item, Parts, Problems, dotted_path
from fettle.packs.schema import ITEM_KEYS
from fettle.packs.schema_errors import closest
from fettle.packs.yaml_reader import Path


def cross_check(manifest: Item, items: Sequence[Item], *, tools: Collection[str] | None = None) -> Problems:
    """Yield what does not fit together in a pack whose items each meet their schema.

    Args:
        manifest: pack.yaml.
        items: Every item of every section.
        tools: Names of the tools that this installation has; None when they are not known.
    """
    parts = Parts(manifest, items, tools)
    steps: Iterable[Callable[[Parts], Problems]] = (
        _check_manifest,
        _check_duplicates,
        _check_types,
        check_rules,
        check_shadows,
        check_temporal_rules,
        check_playbooks,
        check_runbooks,
        check_sources,
        _check_unused,
        _check_tests,
    )
    for step in steps:
        yield from step(parts)


def regex_error(pattern: str) -> str | None:
    """Return why a pattern is no RE2 regular expression, or None."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return None


def _check_manifest(parts: Parts) -> Problems:
    manifest = parts.manifest
    for index, name in enumerate(parts.tools):
        if parts.installed_tools is not None and name not in parts.installed_tools:
            hint = closest(name, list(parts.installed_tools))
            yield manifest.problem(
                ("tools", index), f"This installation has no tool '{name}'.", f"Install or correct it.{hint}"
            )
    for index, redaction in enumerate(manifest.value.get("redaction", [])):
        reason = regex_error(redaction["pattern"])
        if reason is not None:
            yield manifest.problem(
                ("redaction", index, "pattern"),
                f"This is no regular expression of linear time: {reason}.",
                "Write it in RE2 syntax: no look-around, no back-references.",
            )
    if "verify" in manifest.value:
        yield from check_verification(parts, manifest)
    for name in ("redaction", "trust_signals"):
        yield from _repeated(manifest, (name,), [entry["id"] for entry in manifest.value.get(name, [])])
    for index, hint in enumerate(manifest.value.get("planner", {}).get("hints", [])):
        yield from _known_types(
            parts, manifest, ("planner", "hints", index, "check_types"), hint["check_types"]
        )
    for index, signal in enumerate(manifest.value.get("trust_signals", [])):
        where: Path = ("trust_signals", index, "applies_to")
        yield from _known_types(parts, manifest, where, signal.get("applies_to", []))
        ordered = signal["degraded"] <= signal["critical"]
        if ordered is not (signal["worse"] == "higher") and signal["degraded"] != signal["critical"]:
            yield manifest.problem(
                ("trust_signals", index, "critical"),
                f"critical is not {signal['worse']} than degraded.",
                "Swap the two, or correct 'worse'.",
            )


def _repeated(item: Item, path: Path, names: Sequence[str]) -> Problems:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield item.problem(
                (*path, index), f"'{name}' stands here twice.", "Rename or remove one of the two."
            )


def _known_types(parts: Parts, item: Item, path: Path, names: Iterable[str]) -> Problems:
    for index, name in enumerate(names):
        unknown = parts.unknown("exception_types", name)
        if unknown is not None:
            yield item.problem((*path, index), *unknown)


def _check_duplicates(parts: Parts) -> Problems:
    for item in parts.items:
        first = parts.section(item.section)[item.key]
        if first is not item:
            line = first.document.line(first.base)
            yield item.problem(
                (ITEM_KEYS[item.section],),
                f"'{item.key}' is already in {first.document.file}, line {line}.",
                "Rename or remove one of the two.",
            )


def _check_types(parts: Parts) -> Problems:
    owners: dict[str, str] = {name: name for name in parts.section("exception_types")}
    for item in parts.section("exception_types").values():
        for index, alias in enumerate(item.value.get("aliases", [])):
            owner = owners.setdefault(alias, item.key)
            if owner != item.key or alias == item.key:
                yield item.problem(
                    ("aliases", index),
                    f"'{alias}' already means the check '{owner}'.",
                    "Remove one of the two.",
                )
        if "verify" in item.value:
            yield from check_verification(parts, item)
        elif "verify" not in parts.manifest.value:
            yield item.problem(
                (), f"Nothing says when '{item.key}' is in order again.", "Add verify here or in pack.yaml."
            )
        yield from _check_targets(item)
        yield from _check_severity_cases(item)
        for name, target in item.value.get("reclassify", {}).get("map", {}).items():
            missing = parts.unknown("exception_types", target)
            if missing is not None:
                yield item.problem(("reclassify", "map", name), *missing)
            elif "reclassify" in parts.section("exception_types")[target].value:
                yield item.problem(
                    ("reclassify", "map", name),
                    f"'{target}' is reclassified itself.",
                    "Name the final check type.",
                )


def _check_targets(item: Item) -> Problems:
    for target in item.value.get("normalise", {}):
        root = target.split(".", 1)[0]
        if root not in TARGETS or ((root == target) is (root in ("details", "labels"))):
            yield item.problem(
                ("normalise", target),
                f"'{target}' cannot be written.",
                "Write host, site, platform, severity, summary, or a field below details or labels.",
            )


def _check_severity_cases(item: Item) -> Problems:
    for index, case in enumerate(item.value.get("severity_by", [])):
        where: Path = ("severity_by", index, "when")
        try:
            parse_conditions(case["when"])
        except ConditionError as error:
            yield item.problem(
                (*where, *dotted_path(error.path)[1:]), f"The value {error.detail}.", "Correct it."
            )


def _check_unused(parts: Parts) -> Problems:
    rules = [item.value for item in parts.section("rules").values()]
    used = {rule.get("runbook_id") for rule in rules} | {rule.get("playbook_id") for rule in rules}
    for item in parts.section("playbooks").values():
        used.update(_named_in(item.value["steps"]))
    # A playbook that no rule names may be for people and for the planner; a runbook is for playbooks and rules.
    for key, item in parts.section("runbooks").items():
        if key not in used:
            yield item.problem(
                ("id",), f"No rule or playbook uses '{key}'.", "Use it, or remove it.", "warning"
            )


def _named_in(steps: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        if "playbook" in step:
            yield step["playbook"]
        runbook = step.get("with", {}).get("runbook_id")
        if isinstance(runbook, str):
            yield runbook
        yield from _named_in(step.get("parallel", []))


def _check_tests(parts: Parts) -> Problems:
    sections = {"rule": "rules", "runbook": "runbooks", "playbook": "playbooks"}
    for item in parts.section("tests").values():
        for field, section in sections.items():
            expected = item.value["expect"].get(field)
            unknown = parts.unknown(section, expected) if expected is not None else None
            if unknown is not None:
                yield item.problem(("expect", field), *unknown)
