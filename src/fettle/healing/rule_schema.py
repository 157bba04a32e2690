"""Says what a rule is made of for one tenant: its schema, and the fields and values that its packs know."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fettle.healing.conditions import Leaf, leaves
from fettle.healing.rules import Rule
from fettle.healing.schemas import KnownField, OperatorOut, RuleBody, RuleSchema, Runnable
from fettle.packs.active import ActivePacks
from fettle.packs.schema import domain_pack_schema
from fettle.packs.schema_terms import PLATFORMS, SEVERITIES

_MOST_VALUES: Final = 200
_MOST_FIELDS: Final = 300
_TITLES: Final[Mapping[str, str]] = {
    "check_type": "What was checked",
    "category": "Kind of check",
    "severity": "Severity",
    "platform": "Platform of the host",
    "host": "Host",
    "site": "Site",
    "source": "Who reported it",
    "title": "Title",
    "summary": "Summary",
    "pack_id": "Pack that knows the check",
}
_OPERATORS: Final = (
    ("eq", "is", "any"),
    ("ne", "is not", "any"),
    ("in", "is one of", "list"),
    ("not_in", "is none of", "list"),
    ("contains", "contains", "any"),
    ("not_contains", "does not contain", "any"),
    ("starts_with", "begins with", "text"),
    ("ends_with", "ends with", "text"),
    ("regex", "matches the pattern", "text"),
    ("gt", "is more than", "number"),
    ("gte", "is at least", "number"),
    ("lt", "is less than", "number"),
    ("lte", "is at most", "number"),
    ("between", "is between", "pair"),
    ("exists", "is known", "none"),
    ("not_exists", "is not known", "none"),
    ("cidr", "is in the network", "text"),
    ("version_lt", "is a version before", "text"),
    ("version_gte", "is this version or later", "text"),
)


def rule_schema(
    packs: ActivePacks, rules: Iterable[Rule], playbooks: Mapping[str, Mapping[str, Any]]
) -> RuleSchema:
    """Return what a rule is made of.

    Args:
        packs: The tenant's active packs.
        rules: Every rule that holds for it, from which is learnt what rules look at.
        playbooks: Every playbook that it can run.
    """
    return RuleSchema(
        rule_schema=_schema(),
        fields=_fields(packs, rules),
        operators=[OperatorOut.model_validate({"name": n, "title": t, "value": v}) for n, t, v in _OPERATORS],
        runbooks=[_runnable(packs.runbooks[name]) for name in sorted(packs.runbooks)],
        playbooks=[_runnable(playbooks[name]) for name in sorted(playbooks)],
    )


def _schema() -> dict[str, Any]:
    schema = RuleBody.model_json_schema()
    schema["properties"]["conditions"]["items"] = {"$ref": "#/$defs/condition"}
    schema["$defs"] = {**schema.get("$defs", {}), "condition": domain_pack_schema()["$defs"]["condition"]}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def _fields(packs: ActivePacks, rules: Iterable[Rule]) -> list[KnownField]:
    used: Counter[str] = Counter(dict.fromkeys(_TITLES, 0))
    values: dict[str, dict[str, Any]] = {
        "check_type": {kind.check_type: kind.check_type for kind in packs.check_types},
        "category": {kind.category: kind.category for kind in packs.check_types},
        "severity": {name: name for name in SEVERITIES},
        "platform": {name: name for name in PLATFORMS},
        "pack_id": {pack.id: pack.id for pack in packs.packs.packs},
    }
    for rule in rules:
        for _, leaf in leaves(rule.conditions):
            used[leaf.field] += 1
            _learn(values.setdefault(leaf.field, {}), leaf)
    names = sorted(used, key=lambda name: (name not in _TITLES, -used[name], name))[:_MOST_FIELDS]
    return [
        KnownField(
            name=name,
            title=_TITLES.get(name, name),
            values=sorted(values.get(name, {}).values(), key=str)[:_MOST_VALUES],
            used_by=used[name],
        )
        for name in names
    ]


def _learn(known: dict[str, Any], leaf: Leaf) -> None:
    """Add the values that a comparison names to those that are known of its field."""
    if leaf.operator == "regex":
        return
    for value in leaf.value if isinstance(leaf.value, list) else [leaf.value]:
        if isinstance(value, str | int | float) and len(known) < _MOST_VALUES:
            known.setdefault(value if isinstance(value, str) else f"{type(value).__name__}:{value}", value)


def _runnable(document: Mapping[str, Any]) -> Runnable:
    return Runnable(
        id=document["id"],
        title=document.get("title", document["id"]),
        pack_id=document.get("pack_id"),
        parameters=dict(document.get("parameters") or {}),
    )
