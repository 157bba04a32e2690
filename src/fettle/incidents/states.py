"""The states of an incident and the moves between them, as one table."""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    TRIAGED = "triaged"
    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting_approval"
    HEALING = "healing"
    VERIFYING = "verifying"
    RESOLVED = "resolved"
    CLOSED = "closed"
    ESCALATED = "escalated"
    SUPPRESSED = "suppressed"


MOVES: Final[dict[State, frozenset[State]]] = {
    State.OPEN: frozenset({State.TRIAGED, State.SUPPRESSED, State.ESCALATED, State.RESOLVED, State.CLOSED}),
    State.TRIAGED: frozenset(
        {
            State.PLANNING,
            State.AWAITING_APPROVAL,
            State.HEALING,
            State.SUPPRESSED,
            State.ESCALATED,
            State.RESOLVED,
            State.CLOSED,
        }
    ),
    State.PLANNING: frozenset(
        {
            State.AWAITING_APPROVAL,
            State.HEALING,
            State.SUPPRESSED,
            State.ESCALATED,
            State.RESOLVED,
            State.CLOSED,
        }
    ),
    State.AWAITING_APPROVAL: frozenset({State.HEALING, State.ESCALATED, State.RESOLVED, State.CLOSED}),
    State.HEALING: frozenset(
        {State.VERIFYING, State.AWAITING_APPROVAL, State.PLANNING, State.ESCALATED, State.RESOLVED}
    ),
    State.VERIFYING: frozenset({State.HEALING, State.PLANNING, State.RESOLVED, State.ESCALATED}),
    State.RESOLVED: frozenset({State.CLOSED, State.OPEN}),
    State.CLOSED: frozenset({State.OPEN}),
    State.ESCALATED: frozenset(
        {
            State.TRIAGED,
            State.PLANNING,
            State.AWAITING_APPROVAL,
            State.HEALING,
            State.SUPPRESSED,
            State.RESOLVED,
            State.CLOSED,
        }
    ),
    State.SUPPRESSED: frozenset({State.OPEN, State.TRIAGED, State.ESCALATED, State.RESOLVED, State.CLOSED}),
}
"""Which states may follow which; staying where one is is always allowed."""

SETTLED: Final = frozenset({State.RESOLVED, State.CLOSED})
"""States in which nothing is out of order any more."""

ACTING: Final = frozenset({State.HEALING, State.VERIFYING})
"""States in which a run has the incident in hand."""


def may_move(current: State, following: State) -> bool:
    """Say whether an incident may go from one state to another."""
    return current == following or following in MOVES[current]
