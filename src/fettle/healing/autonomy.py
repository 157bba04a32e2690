"""What a tenant's Policy Pack lets a plan do: how much by itself, and with which tools; pure."""

from collections.abc import Mapping
from typing import Any, Final

from fettle.healing.plans import Plan
from fettle.healing.rules import Rule
from fettle.packs.tool_policy import fits, refused_tools

__all__ = ["ACT", "APPROVE", "LEVELS", "OBSERVE", "SUGGEST", "autonomy", "refused_tools"]

OBSERVE: Final = "observe"
SUGGEST: Final = "suggest"
APPROVE: Final = "approve"
ACT: Final = "act"
LEVELS: Final = (OBSERVE, SUGGEST, APPROVE, ACT)


def autonomy(policy: Mapping[str, Any], incident: Mapping[str, Any], rule: Rule, plan: Plan) -> str:
    """Return how far a plan may go by itself: `observe`, `suggest`, `approve` or `act`.

    The first of the policy's overrides whose every list has a fitting entry counts, else its general
    level. What is not one of the levels means that a person approves.
    """
    facts: dict[str, str | None] = {
        "check_types": incident.get("check_type"),
        "rules": rule.id,
        "playbooks": plan.playbook_id,
        "runbooks": rule.runbook_id,
        "severities": incident.get("severity"),
        "platforms": incident.get("platform"),
        "hosts": incident.get("host"),
        "sites": incident.get("site"),
    }
    for override in policy.get("overrides") or ():
        match = override["match"]
        if match and all(fits(facts.get(name), wanted) for name, wanted in match.items()):
            return _known(override.get("autonomy"))
    return _known(policy.get("autonomy"))


def _known(level: Any) -> str:
    return level if level in LEVELS else APPROVE
