"""Turns what happened in a run and what is to happen next into one write: ledger lines, events, the run's row."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from fettle.incidents.service import Transition
from fettle.incidents.states import State as IncidentState
from fettle.kernel.clock import rfc3339
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.tools.calling import Outcome
from fettle.tools.ledger import BRAKE, Decision, Execute, Hold, Note, Phase, Record, State
from fettle.tools.playbooks import Bundle, Call, Parallel, Playbook, Step, SubPlaybook
from fettle.tools.progress import ROLLBACK, VERIFY
from fettle.tools.runs import Run, RunChange, StepRow, Write

ACTOR: Final = "system:runner"
Moment = datetime


def ended(execute: Execute, outcome: Outcome, now: Moment) -> Record:
    """Return the ledger line of a call that ended."""
    return Record(
        path=execute.path,
        state=outcome.state,
        attempt=execute.attempt,
        input=execute.input,
        output=outcome.output,
        error=outcome.error,
        ended_at=now,
    )


def record(
    run: Run,
    done: Sequence[tuple[Execute, Outcome]],
    decision: Decision,
    now: Moment,
    *,
    release_at: Moment | None,
) -> Write:
    """Put together what a run records at one point, and bring its ledger up to it.

    Args:
        run: The run; its ledger holds `done` already.
        done: Calls that ended since the last write.
        decision: What the step machine asks for next.
        now: The present moment.
        release_at: The run is given back and is due again then; None while it goes on.
    """
    write = Write(run)
    for execute, outcome in done:
        line = run.ledger[execute.path]
        write.steps.append(StepRow(line, execute.title, execute.phase, execute.tool, now))
        kind = "step.succeeded" if outcome.state is State.SUCCEEDED else "step.failed"
        _tell(write, kind, execute.path, _of_outcome(execute, outcome), now)
    for note in decision.notes:
        _note(write, note, now)
    for hold in decision.holds:
        _hold(write, hold, now)
    for execute in decision.execute:
        _start(write, execute, now)
    if decision.finish is not None:
        _finish(write, decision, now)
    elif release_at is not None:
        write.change = RunChange("waiting", due_at=release_at)
    return write


def tool_of(bundle: Bundle, path: str) -> tuple[str, str | None]:
    """Return the tool that a path of the ledger calls."""
    wanted = path.removeprefix(ROLLBACK)
    playbook = bundle.main
    *above, last = wanted.split("/")
    for name in above:
        step = _step(playbook.steps, name.partition("[")[0])
        assert step is not None
        assert isinstance(step.body, SubPlaybook)
        playbook = bundle.library[step.body.playbook]
    call = _call(playbook, last, undo=wanted != path)
    return ("", None) if call is None else (call.tool, call.version)


def as_execute(line: Record, tool: str) -> Execute:
    """Return the call that a ledger line tells of, to settle it without making it."""
    phase = Phase.ROLLBACK if line.path.startswith(ROLLBACK) else Phase.ACT
    if line.path.endswith(VERIFY):
        phase = Phase.VERIFY
    return Execute(line.path, line.path, phase, tool, None, line.input, frozenset(), line.attempt, 0.0)


def _call(playbook: Playbook, name: str, *, undo: bool) -> Call | None:
    if name == VERIFY:
        return playbook.verify
    step = _step(playbook.steps, name.partition("[")[0])
    if step is None:
        return None
    if undo:
        return step.rollback
    return step.body if isinstance(step.body, Call) else None


def _step(steps: Sequence[Step], identifier: str) -> Step | None:
    for step in steps:
        if step.id == identifier:
            return step
        if isinstance(step.body, Parallel) and (inner := _step(step.body.steps, identifier)) is not None:
            return inner
    return None


def _tell(write: Write, kind: str, path: str | None, data: dict[str, Any], now: Moment) -> None:
    run = write.run
    said = {
        "run_id": str(run.id),
        "incident_id": _text(run.incident_id),
        "playbook_id": run.playbook_id,
        **data,
    }
    if path is not None:
        said["path"] = path
    write.events.append(
        NewEvent(
            stream_type="run",
            stream_id=run.id,
            type=kind,
            data=said,
            actor=ACTOR,
            correlation_id=run.incident_id,
            causation_id=run.causation_id,
            occurred_at=now,
        )
    )


def _of_outcome(execute: Execute, outcome: Outcome) -> dict[str, Any]:
    data: dict[str, Any] = {"title": execute.title, "phase": execute.phase, "tool": execute.tool,
                            "attempt": execute.attempt, "state": outcome.state}  # fmt: skip
    if outcome.error is not None:
        data["error"] = outcome.error
    else:
        data["output"] = outcome.output
    return data


def _start(write: Write, execute: Execute, now: Moment) -> None:
    run = write.run
    line = Record(execute.path, State.STARTED, execute.attempt, execute.input)
    run.ledger[execute.path] = line
    write.steps.append(StepRow(line, execute.title, execute.phase, execute.tool, now))
    data = {"title": execute.title, "phase": execute.phase, "tool": execute.tool, "attempt": execute.attempt,
            "input": execute.input}  # fmt: skip
    _tell(write, "step.started", execute.path, data, now)
    if execute.path == VERIFY and run.incident_id is not None:
        write.transitions.append(
            _transition(run, "incident.verification_started", IncidentState.VERIFYING, {})
        )


def _note(write: Write, note: Note, now: Moment) -> None:
    before = write.run.ledger.get(note.path)
    line = Record(note.path, note.state, output=note.output, error=note.error, ended_at=now,
                  input=None if before is None else before.input)  # fmt: skip
    write.run.ledger[note.path] = line
    write.steps.append(StepRow(line, note.title, note.phase, None, now))
    if note.path == BRAKE:
        _tell(write, "run.braked", None, note.output, now)
    if note.state is State.FAILED:
        data = {
            "title": note.title,
            "phase": note.phase,
            "state": note.state,
            "error": note.error,
            "attempt": 1,
        }
        _tell(write, "step.failed", note.path, data, now)


def _hold(write: Write, hold: Hold, now: Moment) -> None:
    run = write.run
    line = Record(hold.path, State.WAITING, input=hold.input, wake_at=hold.until)
    run.ledger[hold.path] = line
    write.steps.append(StepRow(line, hold.title, Phase.ACT, None, now))
    data = {
        "title": hold.title,
        "phase": Phase.ACT,
        "attempt": 1,
        "input": hold.input,
        "until": rfc3339(hold.until),
    }
    _tell(write, "step.started", hold.path, data, now)
    if hold.approval is not None and run.incident_id is not None:
        asked = {
            "approval_id": str(new_id()),
            "path": hold.path,
            "reason": hold.approval.reason or hold.title,
            "by": list(hold.approval.by),
            "expires_at": rfc3339(hold.until),
            "plan_hash": run.plan_hash,
        }
        write.transitions.append(
            _transition(run, "approval.requested", IncidentState.AWAITING_APPROVAL, asked)
        )


def _finish(write: Write, decision: Decision, now: Moment) -> None:
    run, finish = write.run, decision.finish
    assert finish is not None
    data = {
        "playbook_version": run.playbook_version,
        "plan_hash": run.plan_hash,
        "rule_id": run.rule_id,
        "outcome": finish.outcome,
        "reason": finish.reason,
        "failed_path": finish.path or None,
        "started_at": rfc3339(run.started_at),
        "seconds": round((now - run.started_at).total_seconds(), 3),
    }
    _tell(write, "playbook.completed", None, data, now)
    write.change = RunChange("finished", None, finish.outcome, finish.reason, now)


def _transition(run: Run, kind: str, to: IncidentState, data: dict[str, Any]) -> Transition:
    assert run.incident_id is not None
    return Transition(
        incident_id=run.incident_id,
        type=kind,
        to=to,
        data={"run_id": str(run.id), **data},
        actor=ACTOR,
        causation_id=run.causation_id,
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
