"""Shows what a playbook would do, as far as that can be known before anything is done; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fettle.kernel.expressions import ExpressionError, Template
from fettle.tools.ledger import Phase
from fettle.tools.playbooks import (
    Approval,
    Bundle,
    Call,
    Parallel,
    Playbook,
    PlaybookError,
    Step,
    SubPlaybook,
)
from fettle.tools.progress import VERIFY

_SHOWN_ITEMS: Final = 20
MOST_SHOWN: Final = 1_000
"""Most steps that are shown; loops within loops would make more of them than anybody reads."""
_LATER: Final = frozenset({"steps", "output", "input"})


@dataclass(slots=True)
class PreviewStep:
    """One step as it would be.

    Attributes:
        kind: `tool`, `approval`, `parallel`, `playbook`.
        runs: Whether its condition holds; None: that depends on steps before it.
        input: Rendered; where it depends on steps before it, the template as it is written.
        depends_on_steps: The input is not known before those have run.
        error: Why it would fail, as far as that is known.
        would: What the tool says that it would do.
    """

    path: str
    title: str
    kind: str
    phase: Phase
    tool: str | None = None
    version: str | None = None
    runs: bool | None = True
    condition: str | None = None
    input: Any = None
    depends_on_steps: bool = False
    error: str | None = None
    timeout_seconds: float | None = None
    attempts: int = 1
    rollback: str | None = None
    would: Any = None


def preview(bundle: Bundle, parameters: Mapping[str, Any], incident: Mapping[str, Any]) -> list[PreviewStep]:
    """Return the steps of a playbook in order.

    Args:
        bundle: The playbook and those that it calls.
        parameters: As accepted by the playbook.
        incident: An incident, or what stands for one.
    """
    shown: list[PreviewStep] = []
    environment = {"params": dict(parameters), "incident": dict(incident)}
    _Preview(bundle, shown).playbook(bundle.main, "", environment, known=True)
    return shown


class _Preview:
    def __init__(self, bundle: Bundle, shown: list[PreviewStep]) -> None:
        self._bundle = bundle
        self._shown = shown

    def playbook(self, playbook: Playbook, prefix: str, environment: dict[str, Any], *, known: bool) -> None:
        for step in playbook.steps:
            self._step(step, prefix, environment, known=known)
        if playbook.verify is not None:
            shown = PreviewStep(f"{prefix}{VERIFY}", "Verify", "tool", Phase.VERIFY)
            self._call(shown, playbook.verify, environment, known=known)
            self._shown.append(shown)

    def _step(self, step: Step, prefix: str, environment: dict[str, Any], *, known: bool) -> None:
        if len(self._shown) >= MOST_SHOWN:
            return
        path = prefix + step.id
        runs, error = self._condition(step, environment, known=known)
        items, later = [None], False
        if step.for_each is not None and runs is not False and error is None:
            items, later, error = self._items(step.for_each, environment, known=known)
        for index, item in enumerate(items[:_SHOWN_ITEMS]):
            here = environment if step.for_each is None else {**environment, "item": item, "index": index}
            at = path if step.for_each is None else f"{path}[{'?' if later else index}]"
            shown = PreviewStep(
                at, step.title, "tool", Phase.ACT, runs=runs, error=error, attempts=step.attempts,
                condition=None if step.when is None else step.when.source,
                timeout_seconds=step.timeout_seconds,
                rollback=None if step.rollback is None else step.rollback.tool,
            )  # fmt: skip
            self._shown.append(shown)
            if runs is not False and error is None:
                self._body(shown, step, here, known=known and not later)

    def _condition(
        self, step: Step, environment: dict[str, Any], *, known: bool
    ) -> tuple[bool | None, str | None]:
        if step.when is None:
            return True, None
        if not known or step.when.names & _LATER:
            return None, None
        try:
            return step.when.holds(environment), None
        except ExpressionError as error:
            return None, str(error)

    def _items(
        self, template: Template, environment: dict[str, Any], *, known: bool
    ) -> tuple[list[Any], bool, str | None]:
        if not known or template.names & _LATER:
            return [None], True, None
        try:
            items = template.render(environment)
        except ExpressionError as error:
            return [None], True, str(error)
        if not isinstance(items, list):
            return [None], True, "for_each needs a list"
        return items, False, None

    def _body(self, shown: PreviewStep, step: Step, environment: dict[str, Any], *, known: bool) -> None:
        match step.body:
            case Call():
                self._call(shown, step.body, environment, known=known)
            case Approval():
                shown.kind = "approval"
                shown.input = {"by": list(step.body.by), "expires_seconds": step.body.expires_seconds}
            case Parallel():
                shown.kind = "parallel"
                prefix = shown.path[: shown.path.rfind("/") + 1]
                for inner in step.body.steps:
                    self._step(inner, prefix, environment, known=known)
            case SubPlaybook():
                self._sub_playbook(shown, step.body, environment, known=known)

    def _sub_playbook(
        self, shown: PreviewStep, call: SubPlaybook, environment: dict[str, Any], *, known: bool
    ) -> None:
        shown.kind, shown.tool = "playbook", None
        playbook = self._bundle.library[call.playbook]
        self._render(shown, call.inputs, environment, known=known)
        parameters: dict[str, Any] = {}
        if not shown.depends_on_steps and shown.error is None:
            try:
                parameters = playbook.accept(shown.input)
            except PlaybookError as error:
                shown.error = str(error)
        inner = {"params": parameters, "incident": environment["incident"]}
        self.playbook(
            playbook, f"{shown.path}/", inner, known=not shown.depends_on_steps and shown.error is None
        )

    def _call(self, shown: PreviewStep, call: Call, environment: dict[str, Any], *, known: bool) -> None:
        shown.tool, shown.version = call.tool, call.version
        self._render(shown, call.inputs, environment, known=known)

    def _render(
        self, shown: PreviewStep, template: Template, environment: dict[str, Any], *, known: bool
    ) -> None:
        if template.names & _LATER or not (known or template.is_constant):
            shown.input, shown.depends_on_steps = template.source, True
            return
        try:
            shown.input = template.render(environment)
        except ExpressionError as error:
            shown.input, shown.error = template.source, str(error)
