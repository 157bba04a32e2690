"""The engines that L1 decisions are measured on, each behind one call: incident in, the winner's id out."""

import json
import os
import re
from collections.abc import Callable
from typing import Any

from fettle.healing.rules import RuleSet

Decide = Callable[[dict[str, Any]], str | None]


def ours(rules: list[dict[str, Any]]) -> Decide:
    """Return Fettle's own index."""
    match = RuleSet.compile(rules).match

    def decide(incident: dict[str, Any]) -> str | None:
        rule = match(incident)
        return rule.id if rule is not None else None

    return decide


def naive(rules: list[dict[str, Any]]) -> Decide:
    """Return the loop that one writes first: each rule's conditions as closures, tried in order."""
    compiled = [
        (rule["id"], tuple(_closure(condition) for condition in rule["conditions"])) for rule in rules
    ]

    def decide(incident: dict[str, Any]) -> str | None:
        for rule_id, tests in compiled:
            for test in tests:
                if not test(incident):
                    break
            else:
                return rule_id
        return None

    return decide


def _closure(condition: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    field, value = condition["field"], condition["value"]
    parent, _, name = field.rpartition(".")
    match condition["operator"]:
        case "eq":
            return lambda incident: incident.get(field) == value
        case "ne":
            return lambda incident: incident.get(field) != value
        case "in":
            allowed = frozenset(value)
            return lambda incident: incident.get(field) in allowed
        case "gte":
            return lambda incident: incident[parent].get(name) >= value
        case "regex":
            search = re.compile(value).search
            return lambda incident: search(incident[field]) is not None
    raise ValueError(condition)


def zen(rules: list[dict[str, Any]]) -> Decide:
    """Return zen-engine with one decision table whose first hit wins."""
    import zen as engine

    fields = sorted({condition["field"] for rule in rules for condition in rule["conditions"]})
    columns = {field: f"c{number}" for number, field in enumerate(fields)}
    rows = []
    for rule in rules:
        row = dict.fromkeys(columns.values(), "")
        row |= {columns[condition["field"]]: _zen_cell(condition) for condition in rule["conditions"]}
        rows.append({"_id": rule["id"], **row, "out": json.dumps(rule["id"])})
    table = {
        "hitPolicy": "first",
        "inputs": [{"id": column, "name": column, "field": field} for field, column in columns.items()],
        "outputs": [{"id": "out", "name": "out", "field": "rule"}],
        "rules": rows,
    }
    graph = {
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode"},
            {"id": "table", "name": "table", "type": "decisionTableNode", "content": table},
            {"id": "end", "name": "end", "type": "outputNode"},
        ],
        "edges": [
            {"id": "e1", "type": "edge", "sourceId": "in", "targetId": "table"},
            {"id": "e2", "type": "edge", "sourceId": "table", "targetId": "end"},
        ],
    }
    content = engine.ZenDecisionContent(json.dumps(graph))
    evaluate = engine.ZenEngine().create_decision(content).evaluate

    def decide(incident: dict[str, Any]) -> str | None:
        result = evaluate(incident)["result"]
        return result.get("rule") if result else None

    return decide


def _zen_cell(condition: dict[str, Any]) -> str:
    value = condition["value"]
    match condition["operator"]:
        case "eq":
            return json.dumps(value)
        case "ne":
            return f"$ != {json.dumps(value)}"
        case "in":
            return ", ".join(json.dumps(item) for item in value)
        case "gte":
            return f">= {value}"
        case "regex":
            return f"matches($, {json.dumps(value)})"
    raise ValueError(condition)


def drools(rules: list[dict[str, Any]]) -> Decide:
    """Return Drools, by the rule books of drools_jpy, told to stop at the first rule that matches."""
    os.environ.setdefault("DROOLS_JPY_JVM_MAXMEM", "1024M")
    from drools.ruleset import Ruleset

    document = {
        "name": f"l1-{len(rules)}-{id(rules)}",
        "hosts": ["all"],
        "sources": [],
        "match_multiple_rules": False,
        "rules": [
            {
                "Rule": {
                    "name": rule["id"],
                    "condition": {"AllCondition": [_drools_all(rule["conditions"])]},
                    "actions": [{"Action": {"action": "none", "action_args": {}}}],
                    "enabled": True,
                }
            }
            for rule in rules
        ],
    }
    session = Ruleset(name=document["name"], serialized_ruleset=json.dumps(document))
    dispatched: list[str] = []
    session._dispatch = lambda match: dispatched.append(match.get("name") or next(iter(match)))  # noqa: SLF001 - it has no public way to be told

    def decide(incident: dict[str, Any]) -> str | None:
        dispatched.clear()
        session.assert_event(json.dumps(incident))
        return dispatched[0] if dispatched else None

    return decide


def _drools_all(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    whole = _drools_one(conditions[0])
    for condition in conditions[1:]:
        whole = {"AndExpression": {"lhs": whole, "rhs": _drools_one(condition)}}
    return whole


def _drools_one(condition: dict[str, Any]) -> dict[str, Any]:
    left = {"Event": condition["field"]}
    value = condition["value"]
    match condition["operator"]:
        case "eq":
            return {"EqualsExpression": {"lhs": left, "rhs": {"String": value}}}
        case "ne":
            return {"NotEqualsExpression": {"lhs": left, "rhs": {"String": value}}}
        case "in":
            return {"ItemInListExpression": {"lhs": left, "rhs": [{"String": item} for item in value]}}
        case "gte":
            return {"GreaterThanOrEqualToExpression": {"lhs": left, "rhs": {"Integer": value}}}
        case "regex":
            pattern = {"kind": {"String": "search"}, "pattern": {"String": value}, "options": []}
            return {"SearchMatchesExpression": {"lhs": left, "rhs": {"SearchType": pattern}}}
    raise ValueError(condition)


ENGINES: dict[str, Callable[[list[dict[str, Any]]], Decide]] = {
    "naive": naive,
    "fettle": ours,
    "zen-engine": zen,
    "drools_jpy": drools,
}
