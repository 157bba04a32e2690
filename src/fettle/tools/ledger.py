"""The words of a run: what its ledger records, and what the step machine may ask for."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from fettle.tools.playbooks import Approval


class State(StrEnum):
    """What the ledger says of one step."""

    STARTED = "started"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Phase(StrEnum):
    """Which part of the run a step belongs to."""

    ACT = "act"
    VERIFY = "verify"
    ROLLBACK = "rollback"


class Outcome(StrEnum):
    """How a run ends."""

    VERIFIED = "verified"
    COMPLETED = "completed"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


CANCEL: Final = "$cancel"
"""The ledger's line that says that a person stopped the run: `output` has who, and why."""

BRAKE: Final = "$brake"
"""The ledger's line that says that a brake stopped it: `output` has who, why, and whether what was done is undone."""


@dataclass(slots=True)
class Record:
    """One line of the ledger.

    Attributes:
        path: Where in the playbook: `fix`, `each[2]`, `sub/fix`, `$verify`, `$rollback/fix`.
        error: `{code, message, retryable}` of a failure.
        ended_at: When the last attempt ended.
        wake_at: When a wait ends or an approval expires.
    """

    path: str
    state: State
    attempt: int = 1
    input: Any = None
    output: Any = None
    error: dict[str, Any] | None = None
    ended_at: datetime | None = None
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Execute:
    """Call a tool, after its start is recorded."""

    path: str
    title: str
    phase: Phase
    tool: str
    version: str | None
    input: Any
    secrets: frozenset[str]
    attempt: int
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """Record something that needed no call."""

    path: str
    title: str
    phase: Phase
    state: State
    output: Any = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Record that the run waits: for a time, or for a person."""

    path: str
    title: str
    until: datetime
    input: dict[str, Any]
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """End the run."""

    outcome: Outcome
    reason: str
    path: str = ""


@dataclass(slots=True)
class Decision:
    """What is to be done next.

    Attributes:
        wake_at: When to ask again, though nothing else happens.
    """

    execute: list[Execute] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    wake_at: datetime | None = None
    finish: Finish | None = None
