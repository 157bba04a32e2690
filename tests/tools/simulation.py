"""Plays a playbook against scripted tools, without a database: what the runner does, in a few lines."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fettle.kernel import jsonio
from fettle.tools.ledger import Execute, Finish, Record, State
from fettle.tools.playbook_reader import load
from fettle.tools.playbooks import collect
from fettle.tools.progress import advance

START = datetime(2026, 1, 1, tzinfo=UTC)
INCIDENT = {"id": "i-1", "host": "web-1", "check_type": "disk_space", "severity": "high", "details": {}}


class Refused(Exception):  # noqa: N818 - a scripted tool's answer, not a fault of the test
    def __init__(self, *, retryable: bool = False) -> None:
        super().__init__("refused")
        self.retryable = retryable


@dataclass
class Simulation:
    document: dict
    tool: Callable[[Execute], dict] = lambda call: {"echo": call.input}
    library: dict = field(default_factory=dict)
    params: dict = field(default_factory=dict)
    ledger: dict[str, Record] = field(default_factory=dict)
    now: datetime = START
    calls: list[Execute] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    widest: int = 0

    def run(self, limit: int = 500) -> Finish:
        for _ in range(limit):
            # Nothing but the documents and the ledger survives from one turn to the next.
            bundle = load(jsonio.parse(jsonio.dumps(collect(self.document, self.library))))
            decision = advance(bundle, bundle.main.accept(self.params), INCIDENT, self.ledger, self.now)
            for note in decision.notes:
                self.ledger[note.path] = Record(
                    note.path, note.state, output=note.output, error=note.error, ended_at=self.now
                )
            for hold in decision.holds:
                self.ledger[hold.path] = Record(
                    hold.path, State.WAITING, input=hold.input, wake_at=hold.until
                )
            if decision.finish:
                return decision.finish
            self.widest = max(self.widest, len(decision.execute))
            for call in decision.execute:
                self.perform(call)
            if not decision.execute and not decision.notes:
                assert decision.wake_at is not None, "the machine has stalled"
                self.slept.append((decision.wake_at - self.now).total_seconds())
                self.now = max(decision.wake_at, self.now + timedelta(microseconds=1))
        raise AssertionError("the playbook does not end")

    def perform(self, call: Execute) -> None:
        self.calls.append(call)
        record = Record(call.path, State.SUCCEEDED, call.attempt, call.input, ended_at=self.now)
        try:
            record.output = self.tool(call)
        except Refused as refusal:
            record.state = State.FAILED
            record.error = {"code": "refused", "message": "refused", "retryable": refusal.retryable}
        except LookupError:
            record.state = State.UNKNOWN
        self.ledger[call.path] = record

    @property
    def paths(self) -> list[str]:
        return [call.path for call in self.calls]


def playbook(*steps, verify=None, parameters=None, name="PB-MAIN"):
    document = {"id": name, "version": 1, "title": name, "steps": list(steps), "parameters": parameters or {}}
    if verify:
        document["verify"] = verify
    return document


def step(name, tool="demo.do", **more):
    return {"id": name, "tool": tool, **more}


CHECK = {"tool": "check.run", "with": {"host": "${{ incident.host }}"}}
