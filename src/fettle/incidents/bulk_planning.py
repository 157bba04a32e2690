"""What a command on many incidents does to each of them, and what takes it back; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fettle.incidents.history import Standing
from fettle.incidents.states import SETTLED, State, may_move

MADE: Final = {State.RESOLVED: "incident.resolved", State.CLOSED: "incident.closed"}


@dataclass(frozen=True, slots=True)
class Move:
    """One event of one incident, and the state that it leads to."""

    type: str
    data: Mapping[str, Any]
    to: State | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What is done to an incident, and what must be known to take it back."""

    moves: list[Move]
    before: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Left:
    """An incident that is left as it is."""

    why: str


@dataclass(frozen=True, slots=True)
class Subject:
    """One incident of the command.

    Attributes:
        other_open: The number of another incident that is open for the same thing.
    """

    standing: Standing
    other_open: int | None


def plan(action: str, arguments: Mapping[str, Any], subject: Subject, bulk_id: str) -> Done | Left:
    """Return what a command does to an incident.

    Args:
        action: What is commanded.
        arguments: With what: ``reason``, ``assignee``, ``body``.
        subject: The incident as it stands.
        bulk_id: The command, which every event names.
    """
    told = {"bulk_id": bulk_id, "by": "person"}
    if action in {"resolve", "close"}:
        return _end(State.RESOLVED if action == "resolve" else State.CLOSED, arguments, subject, told)
    if action == "reopen":
        return _reopen(arguments, subject, told)
    if action == "assign":
        return _assign(str(arguments["assignee"]), arguments.get("assignee_name"), subject, told)
    if action == "unassign":
        return _unassign(subject, told)
    return Done([], {})


def plan_back(action: str, before: Mapping[str, Any], subject: Subject, bulk_id: str) -> Done | Left:
    """Return what takes a command back, for an incident that nothing else was done to since."""
    told = {"bulk_id": bulk_id, "by": "person", "undo": True}
    reason = {"reason": "A command on many incidents was taken back"}
    if action in {"resolve", "close"}:
        was = State(before["state"])
        if subject.other_open is not None and subject.standing.state is State.CLOSED:
            return Left(_is_open(subject.other_open))
        opened = Move("incident.reopened", {**told, **reason}, State.OPEN)
        if was is State.RESOLVED:
            again = {**told, **reason, "resolution": before.get("resolution") or "Resolved before"}
            return Done([opened, Move("incident.resolved", again, State.RESOLVED)])
        return Done([opened, Move("incident.escalated", {**told, **reason, "level": "L3"}, State.ESCALATED)])
    if action == "reopen":
        was = State(before["state"])
        data = {**told, **reason, "resolution": before.get("resolution") or "Settled before"}
        return Done([Move(MADE[was], data, was)])
    if before.get("assignee") is None:
        return _unassign(subject, told)
    return _assign(before["assignee"], None, subject, told)


def _end(to: State, arguments: Mapping[str, Any], subject: Subject, told: Mapping[str, Any]) -> Done | Left:
    standing = subject.standing
    if standing.state is to:
        return Left(f"It is {to.value} already.")
    if not may_move(standing.state, to):
        return Left(f"It is {standing.state.value} and cannot become {to.value}.")
    data = {**told, "reason": arguments["reason"], "resolution": arguments["reason"]}
    return Done([Move(MADE[to], data, to)], _state_of(standing))


def _reopen(arguments: Mapping[str, Any], subject: Subject, told: Mapping[str, Any]) -> Done | Left:
    standing = subject.standing
    if standing.state not in SETTLED:
        return Left("It is open already.")
    if standing.merged_into is not None:
        return Left("It is merged into another. Take the merge back instead.")
    if subject.other_open is not None:
        return Left(_is_open(subject.other_open))
    data = {**told, "reason": arguments["reason"]}
    moves = [
        Move("incident.reopened", data, State.OPEN),
        Move("incident.escalated", {**data, "level": "L3"}, State.ESCALATED),
    ]
    return Done(moves, _state_of(standing))


def _assign(assignee: str, name: object, subject: Subject, told: Mapping[str, Any]) -> Done | Left:
    before = subject.standing.assignee
    if before == assignee:
        return Left("They have it in hand already.")
    data = {**told, "assignee": assignee, "assignee_name": name, "before": before}
    return Done([Move("incident.assigned", data)], {"assignee": before})


def _unassign(subject: Subject, told: Mapping[str, Any]) -> Done | Left:
    before = subject.standing.assignee
    if before is None:
        return Left("Nobody has it in hand.")
    return Done([Move("incident.unassigned", {**told, "before": before})], {"assignee": before})


def _state_of(standing: Standing) -> dict[str, Any]:
    return {"state": standing.state.value, "resolution": standing.resolution}


def _is_open(number: int) -> str:
    return f"Incident {number} is open for the same thing."
