"""Asks before each step whether it may begin; who answers is registered at start, for tools know no brakes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

from fettle.kernel.platform import Platform
from fettle.tools.ledger import Execute, State
from fettle.tools.playbooks import WAIT_TOOL, Bundle
from fettle.tools.recording import tool_of
from fettle.tools.runs import Run

GUARD: Final = "tools.guard"
"""The place in ``Platform.parts`` of who answers."""

_NOTHING_DONE: Final = frozenset({State.SKIPPED, State.WAITING})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a step may not begin.

    Attributes:
        reason: A stable word.
        detail: What to tell people.
        by: Who is behind it, as in events.
        until: The run is held until then; None: it ends, and its incident goes to a person.
        undo: What it did is undone as its playbook says.
    """

    reason: str
    detail: str
    by: str
    until: datetime | None = None
    undo: bool = True


@runtime_checkable
class Guard(Protocol):
    """Says whether steps may begin."""

    async def ask(self, run: Run, bundle: Bundle, calls: Sequence[Execute], *, began: bool) -> Refusal | None:
        """Return why calls of tools may not begin, None where they may.

        Args:
            run: The run.
            bundle: Its playbook and those that it calls.
            calls: What would begin now.
            began: The run has called a tool already, so it can no longer be held.
        """
        ...


def guard_of(platform: Platform) -> Guard | None:
    """Return who is asked in this process, None for nobody."""
    found = platform.parts.get(GUARD)
    return found if isinstance(found, Guard) else None


def has_begun(run: Run, bundle: Bundle) -> bool:
    """Say whether a run has called a tool already; waits and approvals are none."""
    return any(
        tool_of(bundle, path)[0] not in {"", WAIT_TOOL}
        for path, record in run.ledger.items()
        if record.state not in _NOTHING_DONE
    )
