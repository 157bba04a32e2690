"""What is due when: a table of each thing's state, and when the next event of it must have come; pure.

Nothing that is open may lack a line here, so that everything that is open either moves or is found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from fettle.incidents.states import SETTLED, State

SETTING: Final = "due_within"
"""The Policy Pack's part that changes how long a line of the table allows."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        next_event: What must come next, in words.
        allows: What the line's time is called in the Policy Pack.
        is_for_person: A person's turn, not a program's.
    """

    next_event: str
    allows: str
    is_for_person: bool = False


ALLOWED_SECONDS: Final[Mapping[str, int]] = {
    "step_seconds": 300,
    "planning_seconds": 900,
    "healing_seconds": 600,
    "unanswered_seconds": 3_600,
    "person_seconds": 86_400,
    "taken_seconds": 259_200,
    "suppressed_seconds": 2_592_000,
}
"""How long each line allows where the policy does not say."""

TABLE: Final[Mapping[tuple[str, str], Line]] = {
    ("incident", State.OPEN): Line("It is triaged.", "step_seconds"),
    ("incident", State.TRIAGED): Line("It is decided: a rule, the planner, or a person.", "step_seconds"),
    ("incident", State.PLANNING): Line("The planner answers, or a person gets it.", "planning_seconds"),
    ("incident", State.AWAITING_APPROVAL): Line("Its approval is decided or expires.", "step_seconds"),
    ("incident", State.HEALING): Line("Its run goes on, or ends.", "healing_seconds"),
    ("incident", State.VERIFYING): Line("The check says whether it helped.", "healing_seconds"),
    ("incident", State.ESCALATED): Line("A person takes it.", "person_seconds", is_for_person=True),
    ("incident", State.SUPPRESSED): Line("It is released, or resolved.", "suppressed_seconds", True),
    ("incident", "muted"): Line("It is released when what mutes it ends.", "step_seconds"),
    ("incident", "taken"): Line("Whoever has it resolves it.", "taken_seconds", is_for_person=True),
    ("run", "queued"): Line("A worker takes it.", "step_seconds"),
    ("run", "running"): Line("Its worker renews the lease, or another takes it over.", "step_seconds"),
    ("run", "waiting"): Line("It goes on when its wait is over.", "step_seconds"),
    ("approval", "pending"): Line("It is decided, or expires.", "step_seconds"),
    ("plan_request", "open"): Line("The planner takes it, or another process takes it over.", "step_seconds"),
    ("escalation", "active"): Line("The next step is told.", "step_seconds"),
    ("escalation", "acknowledged"): Line("Whoever took it resolves it.", "taken_seconds", True),
    ("escalation", "exhausted"): Line("Somebody acknowledges.", "unanswered_seconds", is_for_person=True),
    ("escalation", "grouped"): Line("It ends, or the storm that tells of it goes on.", "step_seconds"),
    ("message", "queued"): Line("It is sent.", "step_seconds"),
    ("message", "sending"): Line(
        "Its sender says what came of it, or another takes it over.", "step_seconds"
    ),
}
"""Every state in which something is open, and what must come next."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one thing that is open.

    Attributes:
        kind: ``incident``, ``run``, ``approval``, ``plan_request``, ``escalation``, ``message``.
        since: Since when it stands so.
        promised: A moment at which it goes on by itself: a lease's end, a timer, an expiry.
        held: By what it is held: of an incident its run, approval, plan request or clock; nothing is asked of
            it then, for that has a line of its own.
        is_taken: A person has it.
    """

    kind: str
    state: str
    since: datetime
    promised: datetime | None = None
    held: bool = False
    is_taken: bool = False


def line_of(standing: Standing) -> Line:
    """Return the line that a thing stands in."""
    return TABLE[(standing.kind, _state(standing))]


def due_at(standing: Standing, policy: Mapping[str, Any]) -> datetime | None:
    """Return when the next event of a thing must have come.

    Args:
        standing: How it stands.
        policy: The tenant's Policy Pack.

    Returns:
        None where what holds it is watched in its place.
    """
    if standing.held:
        return None
    allowed = timedelta(seconds=allowed_seconds(line_of(standing).allows, policy))
    return max(standing.promised or standing.since, standing.since) + allowed


def is_overdue(standing: Standing, policy: Mapping[str, Any], now: datetime) -> bool:
    """Say whether the next event of a thing should have come."""
    due = due_at(standing, policy)
    return due is not None and due < now


def allowed_seconds(name: str, policy: Mapping[str, Any]) -> int:
    """Return how long a line allows for a tenant."""
    chosen = policy.get(SETTING, {}).get(name)
    return ALLOWED_SECONDS[name] if chosen is None else int(chosen)


def open_states() -> list[str]:
    """Return the states of incidents that are open, in the order in which they are looked through."""
    return [state.value for state in State if state not in SETTLED]


def _state(standing: Standing) -> str:
    if standing.kind != "incident":
        return standing.state
    if standing.state == State.ESCALATED and standing.is_taken:
        return "taken"
    if standing.state == State.SUPPRESSED and standing.promised is not None:
        return "muted"
    return standing.state
