"""The step machine: from a playbook and the ledger of what was done to what is to be done next; no I/O.

It holds no state of its own. A run that was cut off at any instruction goes on from its ledger alone,
because the same playbook, parameters and ledger always yield the same next actions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from fettle.kernel.clock import rfc3339
from fettle.kernel.expressions import ExpressionError
from fettle.tools.ledger import (
    BRAKE,
    CANCEL,
    Decision,
    Execute,
    Finish,
    Hold,
    Note,
    Outcome,
    Phase,
    Record,
    State,
)
from fettle.tools.playbooks import (
    DEFAULT_TIMEOUT_SECONDS,
    MAX_ITEMS,
    WAIT_TOOL,
    Approval,
    Bundle,
    Call,
    Parallel,
    PlaybookError,
    Step,
    SubPlaybook,
)
from fettle.tools.secrets import references

VERIFY: Final = "$verify"
ROLLBACK: Final = "$rollback/"
_LONGEST_WAIT_SECONDS: Final = 30 * 86_400
_LONGEST_BACKOFF_SECONDS: Final = 3_600.0
_ROLLBACK_ATTEMPTS: Final = 3
_ROLLBACK_BACKOFF_SECONDS: Final = 1.0


def advance(
    bundle: Bundle,
    parameters: Mapping[str, Any],
    incident: Mapping[str, Any],
    ledger: Mapping[str, Record],
    now: datetime,
) -> Decision:
    """Decide what is to be done next.

    Args:
        bundle: The playbook and those that it calls.
        parameters: As accepted by the playbook.
        incident: The incident as it was triaged.
        ledger: Records by path; one that is `started` is under way.
        now: The present moment.
    """
    walk = _Walk(bundle, incident, ledger, now)
    walk.run(dict(parameters))
    return walk.decision


@dataclass(frozen=True, slots=True)
class _Done:
    output: Any = None
    state: State = State.SUCCEEDED


@dataclass(frozen=True, slots=True)
class _Busy:
    pass


@dataclass(frozen=True, slots=True)
class _Failed:
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Unknown:
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Stopped:
    """A person or a brake stopped the run before this step."""

    path: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """A call of a tool at its place in the run."""

    path: str
    title: str
    call: Call
    phase: Phase
    attempts: int = 1
    backoff_seconds: float = 0.0
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS


_Status = _Done | _Busy | _Failed | _Unknown | _Stopped
_Environment = dict[str, Any]


class _Walk:
    def __init__(
        self, bundle: Bundle, incident: Mapping[str, Any], ledger: Mapping[str, Record], now: datetime
    ) -> None:
        self.decision = Decision()
        self._bundle = bundle
        self._incident = dict(incident)
        self._ledger = ledger
        self._now = now
        self._undo: list[tuple[str, Step, Call, _Environment]] = []

    def run(self, parameters: dict[str, Any]) -> None:
        environment = self._environment(parameters)
        match self._sequence(self._bundle.main.steps, "", environment):
            case _Busy():
                return
            case _Unknown(path, reason):
                self._finish(Outcome.UNKNOWN, reason, path)
            case _Failed(path, reason):
                self._roll_back(path, reason)
            case _Stopped(path):
                self._stop(path)
            case _Done():
                self._verify(environment)

    def _environment(self, parameters: dict[str, Any]) -> _Environment:
        return {"params": parameters, "incident": self._incident, "steps": {}}

    def _finish(self, outcome: Outcome, reason: str, path: str = "") -> None:
        self.decision.finish = Finish(outcome, reason, path)

    def _verify(self, environment: _Environment) -> None:
        call = self._bundle.main.verify
        if call is None:
            self._finish(Outcome.COMPLETED, "every step succeeded; the playbook verifies nothing")
            return
        match self._verification(VERIFY, call, environment):
            case _Done():
                self._finish(Outcome.VERIFIED, "the check passes again")
            case _Failed(path, reason):
                self._roll_back(path, reason)
            case _Unknown(path, reason):
                self._finish(Outcome.UNKNOWN, reason, path)
            case _Stopped(path):
                self._stop(path)
            case _Busy():
                return

    def _verification(self, path: str, call: Call, environment: _Environment) -> _Status:
        status = self._call(_Plan(path, "Verify", call, Phase.VERIFY), environment)
        if isinstance(status, _Failed):
            return _Unknown(path, f"whether it helped could not be checked: {status.reason}")
        if not isinstance(status, _Done):
            return status
        result = status.output.get("result") if isinstance(status.output, Mapping) else None
        if result == "pass":
            return status
        if result == "fail":
            return _Failed(path, "the check still fails")
        return _Unknown(path, "the check could not tell whether it helped")

    def _stop(self, path: str) -> None:
        """End a run that was stopped: steps that declare how are undone, unless nothing may act any more."""
        said = self._stopped_by() or {}
        reason = f"stopped before {path} by {said.get('by')}: {said.get('reason')}"
        if said.get("undo") is False:
            self._finish(Outcome.CANCELLED, f"{reason}; nothing that it did was undone", path)
            return
        self._roll_back(path, reason, undone=Outcome.CANCELLED, nothing_to_undo=Outcome.CANCELLED)

    def _roll_back(
        self,
        failed_path: str,
        reason: str,
        *,
        undone: Outcome = Outcome.ROLLED_BACK,
        nothing_to_undo: Outcome = Outcome.FAILED,
    ) -> None:
        failures: list[str] = []
        for path, step, call, environment in reversed(self._undo):
            plan = _Plan(
                f"{ROLLBACK}{path}", f"Undo: {step.title}", call, Phase.ROLLBACK,
                _ROLLBACK_ATTEMPTS, _ROLLBACK_BACKOFF_SECONDS, step.timeout_seconds,
            )  # fmt: skip
            status = self._call(plan, environment)
            if isinstance(status, _Busy):
                return
            if isinstance(status, _Unknown):
                self._finish(Outcome.UNKNOWN, status.reason, status.path)
                return
            if isinstance(status, _Stopped):
                said = self._stopped_by() or {}
                left = f"undoing it was stopped before {path} by {said.get('by')}: {said.get('reason')}"
                self._finish(Outcome.CANCELLED, f"{reason}; {left}", failed_path)
                return
            if isinstance(status, _Failed):
                failures.append(path)
        if failures:
            left = ", ".join(failures)
            self._finish(
                Outcome.FAILED, f"{reason}; what these steps did could not be undone: {left}", failed_path
            )
        else:
            self._finish(undone if self._undo else nothing_to_undo, reason, failed_path)

    def _sequence(self, steps: tuple[Step, ...], prefix: str, environment: _Environment) -> _Status:
        for step in steps:
            status = self._step(step, prefix, environment)
            if not isinstance(status, _Done):
                return status
            environment["steps"][step.id] = {"state": str(status.state), "output": status.output}
        return _Done()

    def _step(self, step: Step, prefix: str, environment: _Environment) -> _Status:
        path = prefix + step.id
        try:
            if step.when is not None and not step.when.holds(environment):
                self._note(path, step.title, State.SKIPPED)
                return _Done(None, State.SKIPPED)
            if step.for_each is None:
                return self._body(step, path, environment)
            items = step.for_each.render(environment)
        except ExpressionError as error:
            return self._refuse(path, step.title, "expression", str(error))
        if not isinstance(items, list) or len(items) > MAX_ITEMS:
            return self._refuse(path, step.title, "for_each", f"needs a list of at most {MAX_ITEMS} items")
        return self._each(step, path, environment, items)

    def _each(self, step: Step, path: str, environment: _Environment, items: list[Any]) -> _Status:
        outputs = []
        for index, item in enumerate(items):
            status = self._body(step, f"{path}[{index}]", {**environment, "item": item, "index": index})
            if not isinstance(status, _Done):
                return status
            outputs.append(status.output)
        return _Done(outputs)

    def _body(self, step: Step, path: str, environment: _Environment) -> _Status:
        match step.body:
            case Call():
                return self._tool(step, step.body, path, environment)
            case Parallel():
                return self._side_by_side(step.body, path, environment)
            case SubPlaybook():
                return self._sub_playbook(step, step.body, path, environment)
            case Approval():
                return self._approval(step, step.body, path)

    def _tool(self, step: Step, call: Call, path: str, environment: _Environment) -> _Status:
        if call.tool == WAIT_TOOL:
            return self._wait(step, call, path, environment)
        plan = _Plan(
            path, step.title, call, Phase.ACT, step.attempts, step.backoff_seconds, step.timeout_seconds
        )
        status = self._call(plan, environment)
        if isinstance(status, _Done) and step.rollback is not None:
            record = self._ledger[path]
            undo = {
                **environment,
                "steps": dict(environment["steps"]),
                "output": record.output,
                "input": record.input,
            }
            self._undo.append((path, step, step.rollback, undo))
        return status

    def _side_by_side(self, group: Parallel, path: str, environment: _Environment) -> _Status:
        planned, held = len(self.decision.execute), len(self.decision.holds)
        prefix = path[: path.rfind("/") + 1]
        statuses = [
            self._step(step, prefix, {**environment, "steps": dict(environment["steps"])})
            for step in group.steps
        ]
        ended = (
            next((s for s in statuses if isinstance(s, _Unknown)), None)
            or next((s for s in statuses if isinstance(s, _Failed)), None)
            or next((s for s in statuses if isinstance(s, _Stopped)), None)
        )
        if ended is not None:
            # What one of them lost cannot be won by starting more; what is under way is waited for.
            del self.decision.execute[planned:]
            del self.decision.holds[held:]
            return _Busy() if self._in_flight() else ended
        for step, status in zip(group.steps, statuses, strict=True):
            if not isinstance(status, _Done):
                return _Busy()
            environment["steps"][step.id] = {"state": str(status.state), "output": status.output}
        return _Done()

    def _in_flight(self) -> bool:
        return any(record.state is State.STARTED for record in self._ledger.values())

    def _sub_playbook(self, step: Step, call: SubPlaybook, path: str, environment: _Environment) -> _Status:
        playbook = self._bundle.library[call.playbook]
        try:
            parameters = playbook.accept(call.inputs.render(environment))
        except (ExpressionError, PlaybookError) as error:
            return self._refuse(path, step.title, "parameters", str(error))
        inner = self._environment(parameters)
        status = self._sequence(playbook.steps, f"{path}/", inner)
        if isinstance(status, _Done) and playbook.verify is not None:
            status = self._verification(f"{path}/{VERIFY}", playbook.verify, inner)
        if not isinstance(status, _Done):
            return status
        return _Done({identifier: result["output"] for identifier, result in inner["steps"].items()})

    def _wait(self, step: Step, call: Call, path: str, environment: _Environment) -> _Status:
        record = self._ledger.get(path)
        if self._is_stopped_at(record):
            return self._cut_short(path, step.title, record)
        if record is None:
            return self._begin_wait(step, call, path, environment)
        if record.state is not State.WAITING or record.wake_at is None:
            return self._settled(record)
        if self._now < record.wake_at:
            return self._wake(record.wake_at)
        output = {"waited_until": rfc3339(record.wake_at)}
        self._note(path, step.title, State.SUCCEEDED, output)
        return _Done(output)

    def _begin_wait(self, step: Step, call: Call, path: str, environment: _Environment) -> _Status:
        try:
            seconds = call.inputs.render(environment).get("seconds")
        except ExpressionError as error:
            return self._refuse(path, step.title, "expression", str(error))
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not 0 <= seconds <= _LONGEST_WAIT_SECONDS:
            return self._refuse(path, step.title, "input", "`seconds` must be a number from 0 to 30 days")
        until = self._now + timedelta(seconds=seconds)
        self.decision.holds.append(Hold(path, step.title, until, {"seconds": seconds}))
        return self._wake(until)

    def _approval(self, step: Step, approval: Approval, path: str) -> _Status:
        record = self._ledger.get(path)
        if self._is_stopped_at(record):
            return self._cut_short(path, step.title, record)
        if record is None:
            until = self._now + timedelta(seconds=approval.expires_seconds)
            asked = {"by": list(approval.by), "reason": approval.reason}
            self.decision.holds.append(Hold(path, step.title, until, asked, approval))
            return self._wake(until)
        if record.state is not State.WAITING or record.wake_at is None:
            return self._settled(record)
        if self._now < record.wake_at:
            return self._wake(record.wake_at)
        return self._refuse(path, step.title, "expired", "nobody decided in time, which counts as no")

    def _call(self, plan: _Plan, environment: _Environment) -> _Status:
        record = self._ledger.get(plan.path)
        if record is None:
            if self._is_stopped(plan.phase):
                return _Stopped(plan.path)
            return self._begin_call(plan, environment)
        retryable = record.error is not None and record.error.get("retryable") is True
        if record.state is not State.FAILED or not retryable or record.attempt >= plan.attempts:
            return self._settled(record)
        if self._is_stopped(plan.phase):
            return _Stopped(plan.path)
        delay = min(plan.backoff_seconds * 2 ** (record.attempt - 1), _LONGEST_BACKOFF_SECONDS)
        due = (record.ended_at or self._now) + timedelta(seconds=delay)
        if self._now < due:
            return self._wake(due)
        return self._execute(plan, record.input, record.attempt + 1)

    def _begin_call(self, plan: _Plan, environment: _Environment) -> _Status:
        try:
            inputs = plan.call.inputs.render(environment)
        except ExpressionError as error:
            return self._refuse(plan.path, plan.title, "expression", str(error), plan.phase)
        if frozenset(references(inputs)) != plan.call.secrets:
            reason = "data named a secret; only the playbook's author may"
            return self._refuse(plan.path, plan.title, "secret", reason, plan.phase)
        return self._execute(plan, inputs, 1)

    def _execute(self, plan: _Plan, inputs: Any, attempt: int) -> _Status:
        call = plan.call
        self.decision.execute.append(
            Execute(
                plan.path,
                plan.title,
                plan.phase,
                call.tool,
                call.version,
                inputs,
                call.secrets,
                attempt,
                plan.timeout_seconds,
            )
        )
        return _Busy()

    def _settled(self, record: Record) -> _Status:
        match record.state:
            case State.SUCCEEDED | State.SKIPPED:
                return _Done(record.output, record.state)
            case State.UNKNOWN:
                return _Unknown(record.path, "whether a step took effect is not known; reconcile it by hand")
            case State.FAILED:
                if self._stopped_by() is not None and (record.error or {}).get("code") == "cancelled":
                    return _Stopped(record.path)
                message = (record.error or {}).get("message", "it failed")
                return _Failed(record.path, f"step {record.path}: {message}")
            case _:
                return _Busy()

    def _is_stopped_at(self, record: Record | None) -> bool:
        """Say whether a wait that has not begun, or goes on, is not to be waited for any more."""
        return self._stopped_by() is not None and (record is None or record.state is State.WAITING)

    def _is_stopped(self, phase: Phase) -> bool:
        """Say whether a call is not to be made any more; what undoes is, unless nothing may act."""
        said = self._stopped_by()
        return said is not None and (phase is not Phase.ROLLBACK or said.get("undo") is False)

    def _stopped_by(self) -> Mapping[str, Any] | None:
        """Return who stopped the run, and why; of a brake and a person, the one that lets the least happen."""
        brake, person = self._ledger.get(BRAKE), self._ledger.get(CANCEL)
        if brake is not None and (person is None or (brake.output or {}).get("undo") is False):
            return brake.output or {}
        return None if person is None else person.output or {}

    def _cut_short(self, path: str, title: str, record: Record | None) -> _Status:
        if record is not None:
            error = {"code": "cancelled", "message": "the run was stopped", "retryable": False}
            self.decision.notes.append(Note(path, title, Phase.ACT, State.FAILED, None, error))
        return _Stopped(path)

    def _wake(self, moment: datetime) -> _Status:
        if self.decision.wake_at is None or moment < self.decision.wake_at:
            self.decision.wake_at = moment
        return _Busy()

    def _note(self, path: str, title: str, state: State, output: Any = None) -> None:
        record = self._ledger.get(path)
        if record is None or record.state is State.WAITING:
            self.decision.notes.append(Note(path, title, Phase.ACT, state, output))

    def _refuse(self, path: str, title: str, code: str, message: str, phase: Phase = Phase.ACT) -> _Status:
        record = self._ledger.get(path)
        if record is None or record.state is State.WAITING:
            error = {"code": code, "message": message, "retryable": False}
            self.decision.notes.append(Note(path, title, phase, State.FAILED, None, error))
        return _Failed(path, f"step {path}: {message}")
