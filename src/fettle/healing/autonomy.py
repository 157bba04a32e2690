"""What a tenant's Policy Pack lets a plan do: how much by itself, and with which tools; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fettle.healing.plans import Plan
from fettle.healing.rules import Rule
from fettle.packs.tool_policy import fits, refused_tools
from fettle.trust.gate import BLOCK, HOLD

__all__ = [
    "ACT",
    "ACTED",
    "APPROVE",
    "ASKED",
    "BLOCKED",
    "BRAKED",
    "EFFECTS",
    "LEVELS",
    "OBSERVE",
    "RECORDED",
    "REFUSED",
    "SUGGEST",
    "SUGGESTED",
    "Standing",
    "autonomy",
    "effect",
    "facts_of",
    "first_fitting",
    "refused_tools",
]

OBSERVE: Final = "observe"
SUGGEST: Final = "suggest"
APPROVE: Final = "approve"
ACT: Final = "act"
LEVELS: Final = (OBSERVE, SUGGEST, APPROVE, ACT)

REFUSED: Final = "refused"
RECORDED: Final = "recorded"
SUGGESTED: Final = "suggested"
BLOCKED: Final = "blocked"
BRAKED: Final = "braked"
ASKED: Final = "asked"
ACTED: Final = "acted"
EFFECTS: Final = (ACTED, ASKED, SUGGESTED, RECORDED, REFUSED, BLOCKED, BRAKED)
"""What can become of a plan."""


def autonomy(policy: Mapping[str, Any], incident: Mapping[str, Any], rule: Rule, plan: Plan) -> str:
    """Return how far a plan may go by itself: `observe`, `suggest`, `approve` or `act`.

    The first of the policy's overrides whose every list has a fitting entry counts, else its general
    level. What is not one of the levels means that a person approves.
    """
    found = first_fitting(policy.get("overrides") or (), facts_of(incident, rule, plan))
    return _known((policy if found is None else found).get("autonomy"))


def facts_of(incident: Mapping[str, Any], rule: Rule, plan: Plan) -> dict[str, str | None]:
    """Return what a `match` of the policy looks at."""
    return {
        "check_types": incident.get("check_type"),
        "packs": incident.get("pack_id"),
        "rules": rule.id,
        "playbooks": plan.playbook_id,
        "runbooks": rule.runbook_id,
        "severities": incident.get("severity"),
        "platforms": incident.get("platform"),
        "hosts": incident.get("host"),
        "sites": incident.get("site"),
    }


def first_fitting(
    cases: Iterable[Mapping[str, Any]], facts: Mapping[str, str | None]
) -> Mapping[str, Any] | None:
    """Return the first case of which every list of its `match` has a fitting entry, None for none."""
    for case in cases:
        match = case["match"]
        if match and all(fits(facts.get(name), wanted) for name, wanted in match.items()):
            return case
    return None


def _known(level: Any) -> str:
    return level if level in LEVELS else APPROVE


@dataclass(frozen=True, slots=True)
class Standing:
    """What else decides on a plan besides its autonomy.

    Attributes:
        refused: It calls a tool that the policy does not allow.
        doubtful: The planner is not sure enough of it.
        gate: The trust gate's verdict.
        braked: A stop switch or a circuit breaker is in its way.
        most: The most that a plan of its kind may do by itself.
    """

    refused: bool
    doubtful: bool
    gate: str
    braked: bool
    most: str = ACT


def effect(level: str, standing: Standing) -> str:
    """Return what becomes of a plan at a level of autonomy."""
    level = min(level, standing.most, key=LEVELS.index)
    if standing.refused:
        return REFUSED
    if level == OBSERVE:
        return RECORDED
    if level == SUGGEST or standing.doubtful:
        return SUGGESTED
    if standing.gate == BLOCK:
        return BLOCKED
    if standing.braked:
        return BRAKED
    return ASKED if level == APPROVE or standing.gate == HOLD else ACTED
