"""Correlation: what a batch of normalised exceptions does to the incidents that are there; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from fettle.incidents.history import worse
from fettle.incidents.states import ACTING, SETTLED, State
from fettle.kernel.ids import new_id


@dataclass(frozen=True, slots=True)
class Arrival:
    """A normalised exception.

    Attributes:
        exception_id: Its id.
        fingerprint: Tells which incident it belongs to.
        body: In the packs' words, redacted.
        received_at: When it was accepted.
        event_id: The event that brought it.
    """

    exception_id: UUID
    fingerprint: str
    body: Mapping[str, Any]
    received_at: datetime
    event_id: UUID

    @property
    def resolved(self) -> bool:
        """Whether its sender says that all is well again."""
        return self.body.get("status") == "resolved"


@dataclass(slots=True)
class Known:
    """An incident that is not closed."""

    incident_id: UUID
    state: State
    severity: str


@dataclass(slots=True)
class Outcome:
    """What the arrivals of one fingerprint add up to in one batch.

    Attributes:
        known: The incident before the batch, None where it is opened by it.
        first: The arrival that opens it, None where it is known.
        added: Further occurrences.
        reopened: It was resolved and is out of order again.
        recovered: The last word of the sender is that all is well.
        severity: The worst that was said, the known one included.
    """

    incident_id: UUID
    fingerprint: str
    known: Known | None
    first: Arrival | None = None
    added: list[Arrival] = field(default_factory=list)
    reopened: bool = False
    recovered: Arrival | None = None
    severity: str = "info"

    @property
    def handed_over(self) -> bool:
        """Whether it needs a decision now."""
        return (self.first is not None or self.reopened) and self.recovered is None

    @property
    def settles(self) -> bool:
        """Whether the sender's word ends it; while a run has it in hand, the run's own check decides."""
        return self.recovered is not None and not (self.known and self.known.state in ACTING)


def correlate(
    arrivals: Sequence[Arrival], known: Mapping[str, Known]
) -> tuple[list[Outcome], dict[UUID, UUID | None]]:
    """Sort arrivals to incidents.

    Args:
        arrivals: In the order in which they were accepted.
        known: The incidents that are not closed, by fingerprint.

    Returns:
        One outcome for each fingerprint that changes something, in order of first arrival, and for each
        exception the incident that it went to: None for word that all is well where nothing was out of order.
    """
    outcomes: dict[str, Outcome] = {}
    went_to: dict[UUID, UUID | None] = {}
    for arrival in arrivals:
        outcome = outcomes.get(arrival.fingerprint)
        if outcome is None:
            before = known.get(arrival.fingerprint)
            if before is None and arrival.resolved:
                went_to[arrival.exception_id] = None
                continue
            outcome = outcomes[arrival.fingerprint] = Outcome(
                incident_id=before.incident_id if before else new_id(),
                fingerprint=arrival.fingerprint,
                known=before,
                severity=before.severity if before else "info",
            )
        went_to[arrival.exception_id] = outcome.incident_id
        _add(outcome, arrival)
    return list(outcomes.values()), went_to


def _add(outcome: Outcome, arrival: Arrival) -> None:
    if arrival.resolved:
        settled_before = outcome.known is not None and outcome.known.state in SETTLED and not outcome.reopened
        if not settled_before:
            outcome.recovered = arrival
        return
    outcome.recovered = None
    outcome.severity = worse(outcome.severity, arrival.body["severity"])
    if outcome.known is None and outcome.first is None:
        outcome.first = arrival
        return
    outcome.added.append(arrival)
    if outcome.known is not None and outcome.known.state in SETTLED:
        outcome.reopened = True
