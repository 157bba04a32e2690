"""An incident as the sum of its events; pure, so that an old history replays to the same state."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from fettle.incidents.states import State

SEVERITIES: Final = ("info", "low", "medium", "high", "critical")
"""From least to most."""

_CARRIED: Final = ("level", "rule_id", "run_id", "bundle_id", "resolution")
"""What an event may say of the incident by a key of the same name."""


class Standing(NamedTuple):
    """What an incident's events add up to; a tuple, since each event makes a new one.

    Attributes:
        version: Events applied so far.
        decision: The last plan that was proposed: level, rule, why, hash; None where it was not looked at.
        assignee: The person who has it in hand.
        merged_into: The incident that it became a part of.
    """

    state: State
    severity: str
    occurrences: int
    opened_at: datetime
    last_seen_at: datetime
    version: int
    level: str | None = None
    rule_id: str | None = None
    run_id: str | None = None
    bundle_id: str | None = None
    resolution: str | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    decision: Mapping[str, Any] | None = None
    assignee: str | None = None
    merged_into: str | None = None


def apply(standing: Standing | None, kind: str, data: Mapping[str, Any], occurred_at: datetime) -> Standing:
    """Return the standing after one more event.

    Args:
        standing: None before the first event.
        kind: The event's type.
        data: The event's data; `state` in it is the state that the event leads to.
        occurred_at: When it happened.

    Raises:
        ValueError: The first event does not open the incident.
    """
    if standing is None:
        if kind != "incident.opened":
            raise ValueError(f"an incident's history begins with incident.opened, not with {kind}")
        return Standing(
            state=State.OPEN,
            severity=data["severity"],
            occurrences=data.get("count", 1),
            opened_at=occurred_at,
            last_seen_at=occurred_at,
            version=1,
        )
    state = State(data["state"]) if "state" in data else standing.state
    carried: dict[str, Any] = {name: str(data[name]) for name in _CARRIED if data.get(name) is not None}
    changed = standing._replace(
        version=standing.version + 1,
        state=state,
        severity=data.get("severity", standing.severity),
        **carried,
    )
    if kind in {"incident.occurrence_added", "incident.reopened"}:
        changed = changed._replace(
            occurrences=standing.occurrences + data.get("count", 0), last_seen_at=occurred_at
        )
    if kind == "plan.proposed":
        changed = changed._replace(decision=dict(data))
    if kind in _WORKED:
        changed = _WORKED[kind](changed, data)
    return _settle(standing, changed, occurred_at)


def fold(events: Iterable[tuple[str, Mapping[str, Any], datetime]]) -> Standing | None:
    """Return what a whole history adds up to, None for an empty one."""
    standing: Standing | None = None
    for kind, data, occurred_at in events:
        standing = apply(standing, kind, data, occurred_at)
    return standing


def worse(one: str, other: str) -> str:
    """Return the more severe of two severities."""
    return max(one, other, key=SEVERITIES.index)


def _settle(before: Standing, after: Standing, moment: datetime) -> Standing:
    if after.state == before.state:
        return after
    if after.state is State.RESOLVED:
        return after._replace(resolved_at=moment, closed_at=None)
    if after.state is State.CLOSED:
        return after._replace(closed_at=moment)
    if before.state in {State.RESOLVED, State.CLOSED}:
        return after._replace(resolved_at=None, closed_at=None, resolution=None)
    return after


def _with_others(standing: Standing, data: Mapping[str, Any]) -> Standing:
    """Count what came from another incident, or went to one."""
    seen = data.get("last_seen_at")
    latest = (
        standing.last_seen_at if seen is None else max(standing.last_seen_at, datetime.fromisoformat(seen))
    )
    return standing._replace(occurrences=standing.occurrences + data.get("count", 0), last_seen_at=latest)


_WORKED: Final[Mapping[str, Callable[[Standing, Mapping[str, Any]], Standing]]] = {
    "incident.assigned": lambda standing, data: standing._replace(assignee=str(data["assignee"])),
    "incident.unassigned": lambda standing, _: standing._replace(assignee=None),
    "incident.merged": lambda standing, data: standing._replace(merged_into=str(data["merged_into"])),
    "incident.unmerged": lambda standing, _: standing._replace(merged_into=None),
    "incident.merge_received": _with_others,
    "incident.merge_undone": _with_others,
    "incident.split": _with_others,
}
"""What the work of people changes beyond state and severity."""
