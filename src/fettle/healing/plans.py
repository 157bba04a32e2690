"""Makes the plan of a rule that won: the playbook in full, its parameters, its verification, and a hash over all."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from fettle.healing.rules import Rule
from fettle.kernel.expressions import ExpressionError, Template, compile_template
from fettle.tools.playbooks import PlaybookError, collect

RUNBOOK_TOOL: Final = "runbook.run"
ROLLBACK_TOOL: Final = "runbook.rollback"
NOTIFY_TOOL: Final = "notify"
_EXACT_INTEGERS: Final = 2**53


class Packs(Protocol):
    """What a plan needs of a tenant's active packs."""

    @property
    def playbooks(self) -> Mapping[str, Mapping[str, Any]]:
        """Playbooks by id."""
        ...

    @property
    def runbooks(self) -> Mapping[str, Mapping[str, Any]]:
        """Runbooks by id."""
        ...

    def exception_type(self, check_type: str) -> Any:
        """What the packs say of a check type, None for nothing."""
        ...


class PlanError(Exception):
    """A rule won whose plan cannot be made; a person must look.

    Args:
        detail: What is wrong and what to do.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done for one incident.

    Attributes:
        content: `playbook`, `library` (the playbooks that it calls), `parameters`, `verify` and `incident`,
            all in full, so that who approves it approves just this.
        hash: SHA-256 over the content; an approval holds for this hash alone.
        playbook_id: The playbook's id.
        tools: Every tool that it may call.
    """

    content: Mapping[str, Any]
    hash: str
    playbook_id: str
    tools: frozenset[str]


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """What all plans of one rule for one check type have in common."""

    playbook: Mapping[str, Any]
    library: Mapping[str, Any]
    parameters: Template
    tools: frozenset[str]

    def for_incident(self, incident: Mapping[str, Any]) -> Plan:
        """Fill the plan in for an incident.

        Raises:
            PlanError: A parameter's expression does not fit the incident.
        """
        try:
            parameters = self.parameters.render({"incident": incident})
        except ExpressionError as error:
            raise PlanError(f"The rule's parameters do not fit this incident: {error}") from error
        content = {
            "playbook": self.playbook,
            "library": self.library,
            "parameters": parameters,
            "verify": self.playbook.get("verify"),
            "incident": incident,
        }
        return Plan(content, plan_hash(content), str(self.playbook["id"]), self.tools)


def draft(rule: Rule, check_type: str, packs: Packs) -> PlanDraft:
    """Prepare the plans of a rule for incidents of a check type.

    Raises:
        PlanError: The rule names a playbook or parameters that cannot be used.
    """
    playbook = _playbook(rule, packs)
    kind = packs.exception_type(check_type)
    verify = playbook.get("verify") or (kind.verify if kind is not None else None)
    if verify is not None and rule.action != "notify":
        playbook = {**playbook, "verify": dict(verify)}
    tells = rule.action == "notify" and rule.playbook_id is None
    wanted = {} if tells else dict(rule.document.get("parameters") or {})
    try:
        collected = collect(playbook, {name: _plain(document) for name, document in packs.playbooks.items()})
        parameters = compile_template({"parameters": wanted} if rule.action == "execute_runbook" else wanted)
    except (PlaybookError, ExpressionError) as error:
        raise PlanError(f"The rule's plan cannot be made: {error}") from error
    library = collected["library"]
    tools = frozenset(name for document in (playbook, *library.values()) for name in _tools(document))
    return PlanDraft(playbook, library, parameters, tools)


def plan_hash(content: Mapping[str, Any]) -> str:
    """Return the hash that binds an approval to a plan; it survives a way through the database."""
    return hashlib.sha256(orjson.dumps(_canonical(content), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _playbook(rule: Rule, packs: Packs) -> dict[str, Any]:
    if rule.playbook_id is not None and rule.action != "execute_runbook":
        document = packs.playbooks.get(rule.playbook_id)
        if document is None:
            raise PlanError(
                f"There is no playbook {rule.playbook_id}, in a pack or of your own; the rule names it."
            )
        return _plain(document)
    if rule.action == "notify":
        return _notification(rule)
    if rule.action == "execute_runbook" and rule.runbook_id is not None:
        runbook = packs.runbooks.get(rule.runbook_id)
        if runbook is None:
            raise PlanError(f"There is no runbook {rule.runbook_id} in the active packs; the rule names it.")
        return _one_runbook(rule.runbook_id, undoable=bool(runbook.get("rollback")))
    raise PlanError(
        f"The rule's action {rule.action} names nothing to run; give it a runbook_id or a playbook_id."
    )


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "pack_version"}


def _one_runbook(runbook_id: str, *, undoable: bool) -> dict[str, Any]:
    """Return the playbook that a runbook alone stands for; the same for every rule that runs it."""
    given = {
        "runbook_id": runbook_id,
        "host": "${{ incident.host }}",
        "parameters": "${{ params.parameters }}",
    }
    step: dict[str, Any] = {"id": "run", "tool": RUNBOOK_TOOL, "with": given}
    if undoable:
        step["rollback"] = {"tool": ROLLBACK_TOOL, "with": given}
    return {
        "id": f"runbook:{runbook_id}",
        "version": 1,
        "title": f"Run {runbook_id}",
        "parameters": {"parameters": {"type": "object", "default": {}}},
        "steps": [step],
    }


def _notification(rule: Rule) -> dict[str, Any]:
    return {
        "id": f"notify:{rule.id}",
        "version": 1,
        "title": f"Tell of what {rule.id} found",
        "steps": [
            {
                "id": "tell",
                "tool": NOTIFY_TOOL,
                "with": {
                    "subject": "${{ incident.title }}",
                    "message": str(rule.document.get("reason") or rule.document.get("title") or rule.id),
                },
            }
        ],
    }


def _tools(document: Any) -> Iterator[str]:
    """Yield the tools of a playbook, wherever they stand: steps, parallel steps, rollbacks, verification."""
    if isinstance(document, Mapping):
        if isinstance(document.get("tool"), str):
            yield document["tool"]
        for name, value in document.items():
            if name != "with":
                yield from _tools(value)
    elif isinstance(document, list | tuple):
        for value in document:
            yield from _tools(value)


def _canonical(value: Any) -> Any:
    """Return a value whose numbers are written as the database gives them back: 1.0 is 1."""
    if isinstance(value, Mapping):
        return {name: _canonical(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(member) for member in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_INTEGERS:
        return int(value)
    return value
