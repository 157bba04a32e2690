"""Grows a rule from what successes have in common, generalised no further than they reach; pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from fettle.healing.derived import DIGESTS, PATTERN
from fettle.healing.flywheel.evaluating import Criteria
from fettle.healing.flywheel.profiles import CLASSES, FLAG, MIXED, NUMBER, PLACES, TEXT, Profile, lies_within
from fettle.healing.planner.words import RUNBOOK, Candidate
from fettle.packs.tool_policy import fits

PREFIX: Final = "L1-GROWN-"
"""What the ids of grown rules begin with."""

COOLDOWN_SECONDS: Final = 300
MAX_ATTEMPTS: Final = 1
_SIXTEENTHS: Final = "0123456789abcdef"
_ADDRESSABLE: Final = re.compile(r"[a-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
"""What an expression takes for a path; a hyphen would be a minus."""


class NotGrown(Exception):  # noqa: N818 - a verdict about the evidence
    """The evidence does not make a rule.

    Args:
        detail: What is missing.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Ground:
    """What a rule is grown from.

    Attributes:
        pattern: The pattern that all successes are of.
        choice: What helped.
        profile: What the successes have in common.
        origins: Where the parameters came from.
    """

    pattern: str
    choice: Candidate
    profile: Profile
    origins: Mapping[str, Any]


def rule_id_of(pattern: str, choice: str, generation: int = 1) -> str:
    """Return the id of the rule that grows from a pattern and a choice, for the so-manieth time."""
    digest = sha256(f"{pattern}\n{choice}".encode()).hexdigest()[:10].upper()
    return f"{PREFIX}{digest}" + (f"-{generation}" if generation > 1 else "")


def grow(ground: Ground, criteria: Criteria, rule_id: str) -> dict[str, Any]:
    """Return the rule.

    Its conditions are the pattern itself, every field that was the same in all successes or had a few values,
    numbers within what was seen, and that the rest of what all had is there.

    Raises:
        NotGrown: The parameters cannot be taken from the incident or from what the playbook itself lists.
    """
    parameters = dict(_parameters(ground))
    needed = {path for _, path in _paths(ground)}
    conditions: list[dict[str, Any]] = [{"field": PATTERN, "operator": "eq", "value": ground.pattern}]
    ordered = sorted(ground.profile["fields"], key=_place)
    for path in ordered:
        if path in needed or not fits(path, criteria.ignored_fields):
            conditions.extend(_conditions(path, ground.profile["fields"][path], criteria))
    if not any(one["field"] == "check_type" for one in conditions):
        raise NotGrown("The successes do not have one kind of check in common.")
    runs = (
        {"action": "execute_runbook", "runbook_id": ground.choice.name}
        if ground.choice.kind == RUNBOOK
        else {"action": "run_playbook", "playbook_id": ground.choice.name}
    )
    return {
        "id": rule_id,
        "title": f"{ground.choice.title}, as it healed before"[:160],
        "priority": criteria.priority,
        "enabled": True,
        "conditions": conditions,
        **runs,
        **({"parameters": parameters} if parameters else {}),
        "cooldown_seconds": COOLDOWN_SECONDS,
        "max_attempts": MAX_ATTEMPTS,
        "source": "promoted",
    }


def narrowed(document: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Return a rule for about a share of its incidents: always the same ones, by their fingerprints."""
    count = max(1, min(len(_SIXTEENTHS), round(share * len(_SIXTEENTHS))))
    if count == len(_SIXTEENTHS):
        return dict(document)
    # From the rule's id, so that not always the same hosts are the first to be tried on.
    turn = int(sha256(str(document["id"]).encode()).hexdigest()[:4], 16)
    digits = sorted(_SIXTEENTHS[(turn + step) % len(_SIXTEENTHS)] for step in range(count))
    first = [{"field": "fingerprint", "operator": "starts_with", "value": digit} for digit in digits]
    return {**document, "conditions": [*document["conditions"], {"any": first}]}


def _place(path: str) -> tuple[int, str]:
    known = (*CLASSES, *PLACES)
    return (known.index(path) if path in known else len(known), path)


def _conditions(path: str, field: Mapping[str, Any], criteria: Criteria) -> Iterator[dict[str, Any]]:
    kind, values = field["kind"], field["values"]
    if kind == NUMBER:
        least, most = field["least"], field["most"]
        if least == most:
            yield _eq(path, [least])
        else:
            yield {"field": path, "operator": "between", "value": [least, most]}
    elif kind == MIXED or values is None or (_may_vary(path, kind) and len(values) >= criteria.variety):
        yield {"field": path, "operator": "exists", "value": True}
    elif kind == TEXT:
        yield _eq(f"{DIGESTS}.{path}", values)
    else:
        yield _eq(path, values)


def _may_vary(path: str, kind: str) -> bool:
    return path not in CLASSES and kind != FLAG


def _eq(path: str, values: Sequence[Any]) -> dict[str, Any]:
    if len(values) == 1:
        return {"field": path, "operator": "eq", "value": values[0]}
    return {"field": path, "operator": "in", "value": list(values)}


def _paths(ground: Ground) -> Iterator[tuple[str, str]]:
    """Yield each parameter that is taken from the incident, and from where."""
    properties = ground.choice.parameters.get("properties", {})
    for name, origin in ground.origins.items():
        if not _is_listed(origin, properties.get(name, {})):
            places = [
                path
                for path in origin["at"]
                if _ADDRESSABLE.fullmatch(path) and lies_within(ground.profile, path)
            ]
            if places:
                yield name, min(places, key=lambda path: (path.rsplit(".", 1)[-1] != name, len(path), path))


def _parameters(ground: Ground) -> Iterator[tuple[str, Any]]:
    taken = dict(_paths(ground))
    properties = ground.choice.parameters.get("properties", {})
    for name in sorted(set(ground.choice.parameters.get("required", ())) - set(ground.origins)):
        raise NotGrown(f"The parameter {name} was never given.")
    for name, origin in sorted(ground.origins.items()):
        if name not in properties:
            raise NotGrown(f"There is no parameter {name} of {ground.choice.name} any more.")
        if name in taken:
            yield name, f"${{{{ incident.{taken[name]} }}}}"
        elif _is_listed(origin, properties[name]):
            yield name, origin["is"]
        else:
            raise NotGrown(f"Where the parameter {name} comes from cannot be told.")


def _is_listed(origin: Mapping[str, Any], schema: Any) -> bool:
    """Say whether a value that was always the same stands in the playbook's own schema."""
    if "is" not in origin or not isinstance(schema, Mapping):
        return False
    value = origin["is"]
    if isinstance(value, bool):
        return schema.get("type") == "boolean"
    listed = list(schema.get("enum") or ()) + [
        schema[name] for name in ("const", "default") if name in schema
    ]
    return any(type(one) is type(value) and one == value for one in listed)
