"""What a planner may choose for an incident: only what the tenant's policy lets run there; pure."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from fettle.healing.planner.vectors import embed, gist, similarity
from fettle.healing.planner.words import PLAYBOOK, RUNBOOK, Candidate
from fettle.healing.plans import ROLLBACK_TOOL, RUNBOOK_TOOL, Packs
from fettle.packs.tool_policy import fits, refused_tools

MOST: Final = 40
"""More than a model reads with care; the likeliest stay."""

_RISKS: Final = ("low", "medium", "high")


def candidates(
    packs: Packs,
    policy: Mapping[str, Any],
    incident: Mapping[str, Any],
    *,
    disabled: Collection[str] = (),
    failed: Collection[str] = (),
) -> list[Candidate]:
    """Return what may be chosen, likeliest first.

    Args:
        packs: The tenant's playbooks and runbooks.
        policy: The tenant's Policy Pack; its `planner` narrows the choice further.
        incident: The incident.
        disabled: Tools that the tenant switched off.
        failed: Keys of what was tried on this incident without success.
    """
    found = [
        candidate
        for candidate in allowed(packs, policy, incident)
        if candidate.key not in failed and not _is_off(candidate, packs, disabled)
    ]
    wanted = embed(gist(incident))
    likeness = {one.key: similarity(wanted, embed(_text(one))) for one in found}
    found.sort(key=lambda one: (-likeness[one.key], one.key))
    return found[:MOST]


def allowed(packs: Packs, policy: Mapping[str, Any], incident: Mapping[str, Any]) -> list[Candidate]:
    """Return everything that policy lets be chosen for an incident where no person names it, in no order.

    Args:
        packs: The tenant's playbooks and runbooks.
        policy: The tenant's Policy Pack; its `planner` narrows the choice further.
        incident: The incident.
    """
    chosen = policy.get("planner") or {}
    return [*_runbooks(packs, policy, chosen, incident), *_playbooks(packs, policy, chosen)]


def may_plan(policy: Mapping[str, Any]) -> bool:
    """Say whether a tenant's policy lets the planner look at incidents that no rule matches."""
    return bool((policy.get("planner") or {}).get("enabled"))


def _runbooks(
    packs: Packs, policy: Mapping[str, Any], chosen: Mapping[str, Any], incident: Mapping[str, Any]
) -> list[Candidate]:
    platform = incident.get("platform")
    if not incident.get("host") or refused_tools(policy, (RUNBOOK_TOOL,)):
        return []
    highest = _RISKS.index(chosen.get("highest_risk", "medium"))
    return [
        Candidate(
            RUNBOOK,
            name,
            str(document.get("title", name)),
            str(document.get("description", "")),
            parameter_schema(document.get("parameters") or {}),
        )
        for name, document in packs.runbooks.items()
        if document.get("platform") == platform
        and _RISKS.index(document.get("risk", "high")) <= highest
        and (not document.get("disruptive") or chosen.get("disruptive") is True)
        and (chosen.get("runbooks") is None or fits(name, chosen["runbooks"]))
        and not (document.get("rollback") and refused_tools(policy, (ROLLBACK_TOOL,)))
    ]


def _playbooks(packs: Packs, policy: Mapping[str, Any], chosen: Mapping[str, Any]) -> list[Candidate]:
    # A playbook says of itself neither platform nor risk, so that a person must have named it.
    return [
        Candidate(
            PLAYBOOK,
            name,
            str(document.get("title", name)),
            str(document.get("description", "")),
            parameter_schema(document.get("parameters") or {}),
        )
        for name, document in packs.playbooks.items()
        if fits(name, chosen.get("playbooks") or ()) and not refused_tools(policy, _direct_tools(document))
    ]


def parameter_schema(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an object with the parameters that are declared, and no others."""
    properties = {
        name: {key: value for key, value in schema.items() if key != "optional"}
        for name, schema in declared.items()
    }
    required = [
        name for name, schema in declared.items() if "default" not in schema and not schema.get("optional")
    ]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _is_off(candidate: Candidate, packs: Packs, disabled: Collection[str]) -> bool:
    if candidate.kind == RUNBOOK:
        return RUNBOOK_TOOL in disabled
    return any(tool in disabled for tool in _direct_tools(packs.playbooks[candidate.name]))


def _direct_tools(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        own = [value["tool"]] if isinstance(value.get("tool"), str) else []
        return own + [
            tool for name, child in value.items() if name != "with" for tool in _direct_tools(child)
        ]
    if isinstance(value, list | tuple):
        return [tool for child in value for tool in _direct_tools(child)]
    return []


def _text(candidate: Candidate) -> str:
    return f"{candidate.name.replace('-', ' ')} {candidate.title} {candidate.description}"
