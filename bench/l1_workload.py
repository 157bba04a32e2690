"""Rules and incidents to measure L1 decisions with: a check type a rule (wide), or 45 in all (deep)."""

import random
from dataclasses import dataclass
from typing import Any

PLATFORMS = ("windows", "linux", "macos", "network")
SEVERITIES = ("info", "low", "medium", "high", "critical")
SITES = tuple(f"site-{number:02}" for number in range(24))
ROLES = ("server", "workstation", "laptop", "gateway", "kiosk")
DEEP_CHECK_TYPES = 45


@dataclass(frozen=True)
class Workload:
    """What every engine gets: rules in the order in which they win, and incidents with every field set."""

    name: str
    rules: list[dict[str, Any]]
    incidents: list[dict[str, Any]]


def wide(size: int, incidents: int = 2_000) -> Workload:
    """Return a workload whose check types grow with the rules."""
    return _workload("wide", size, size, incidents)


def deep(size: int, incidents: int = 2_000) -> Workload:
    """Return a workload of 45 check types, however many rules."""
    return _workload("deep", size, DEEP_CHECK_TYPES, incidents)


def _workload(name: str, size: int, check_types: int, incidents: int) -> Workload:
    chance = random.Random(f"{name} {size}")
    types = [f"check_{number:05}" for number in range(check_types)]
    rules = [
        {
            "id": f"R{number:05}",
            "priority": number,
            "conditions": _conditions(chance, types[number % check_types]),
            "action": "execute_runbook",
            "runbook_id": f"RB-{number:05}",
        }
        for number in range(size)
    ]
    made = [_incident(chance, types, rules) for _ in range(incidents)]
    return Workload(name, rules, made)


def _conditions(chance: random.Random, check_type: str) -> list[dict[str, Any]]:
    """Return what one rule asks: narrow enough that the winner may be any rule, not always an early one."""
    platform = chance.choice(("eq", "eq", "ne"))
    conditions: list[dict[str, Any]] = [
        {"field": "check_type", "operator": "eq", "value": check_type},
        {"field": "platform", "operator": platform, "value": chance.choice(PLATFORMS)},
        {"field": "severity", "operator": "in", "value": sorted(chance.sample(SEVERITIES, 2))},
        {"field": "site", "operator": "eq", "value": chance.choice(SITES)},
    ]
    further = [
        {"field": "role", "operator": "in", "value": sorted(chance.sample(ROLES, 2))},
        {"field": "details.percent", "operator": "gte", "value": chance.randrange(50, 100)},
        {"field": "summary", "operator": "regex", "value": f"unit [a-f]+{chance.randrange(10)} failed$"},
    ]
    conditions += chance.sample(further, chance.choice((0, 0, 1, 1, 2)))
    return conditions


def _incident(chance: random.Random, types: list[str], rules: list[dict[str, Any]]) -> dict[str, Any]:
    incident = {
        "id": f"0193{chance.randrange(16**8):08x}",
        "check_type": chance.choice(types),
        "host": f"host-{chance.randrange(5_000)}",
        "platform": chance.choice(PLATFORMS),
        "severity": chance.choice(SEVERITIES),
        "site": chance.choice(SITES),
        "role": chance.choice(ROLES),
        "summary": f"unit {chance.choice('abcdef')}{chance.randrange(10)} failed",
        "details": {"percent": chance.randrange(0, 101), "unit": "disk"},
    }
    if chance.random() < 0.7:
        _satisfy(incident, chance.choice(rules))
    return incident


def _satisfy(incident: dict[str, Any], rule: dict[str, Any]) -> None:
    for condition in rule["conditions"]:
        field, operator, value = condition["field"], condition["operator"], condition["value"]
        if field == "details.percent":
            incident["details"]["percent"] = value
        elif operator == "regex":
            incident[field] = value.replace("[a-f]+", "abc").removesuffix("$")
        elif operator == "in":
            incident[field] = value[0]
        elif operator == "eq":
            incident[field] = value
