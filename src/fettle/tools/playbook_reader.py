"""Reads playbooks: every fault with its path, every expression checked before any run; no I/O."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from fettle.kernel.expressions import (
    ANY,
    Expression,
    ExpressionError,
    Shape,
    Template,
    compile_condition,
    compile_template,
    from_schema,
)
from fettle.kernel.jsonio import dumps_str, escape_pointer, parse
from fettle.tools.playbooks import (
    DEFAULT_APPROVAL_SECONDS,
    DEFAULT_TIMEOUT_SECONDS,
    MAX_ATTEMPTS,
    MAX_NESTING,
    MAX_STEPS,
    Approval,
    Bundle,
    Call,
    Fault,
    Parallel,
    Playbook,
    PlaybookError,
    Step,
    SubPlaybook,
    shortened,
)
from fettle.tools.secrets import malformed, references

_STEP_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TOOL_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_KINDS: Final = ("tool", "parallel", "playbook", "approve")
_STEP_KEYS: Final = frozenset(
    {"id", "title", "version", "with", "when", "for_each", "retry", "timeout_seconds", "rollback", *_KINDS}
)
_PLAYBOOK_KEYS: Final = frozenset(
    {
        "id",
        "version",
        "title",
        "description",
        "parameters",
        "steps",
        "verify",
        "controls",
        "source",
        "pack_id",
        "pack_version",
    }
)
_STEP_RESULT = {"state": {"type": "string"}, "output": {}}


def parse_playbook(document: Any) -> Playbook:
    """Compile one playbook.

    Args:
        document: Parsed YAML or JSON, as in `docs/schemas`.

    Raises:
        PlaybookError: With everything that is wrong, each with its path.
    """
    reader = _Reader()
    playbook = reader.playbook(document)
    if reader.faults or playbook is None:
        raise PlaybookError(reader.faults)
    return playbook


def load(collected: Mapping[str, Any]) -> Bundle:
    """Compile what `collect` returned; the same document is compiled once in a process.

    Raises:
        PlaybookError: One of the playbooks is not valid.
    """
    return _load(dumps_str(collected))


@lru_cache(maxsize=512)
def _load(text: str) -> Bundle:
    collected = parse(text.encode())
    library = {key: parse_playbook(value) for key, value in collected["library"].items()}
    return Bundle(parse_playbook(collected["playbook"]), library)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a step stands: what it may read, and how deep it is."""

    path: str
    environment: dict[str, Shape]
    known: Mapping[str, Any]
    depth: int


class _Reader:
    """Reads one document and notes every fault on the way."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._ids: set[str] = set()
        self._count = 0

    def fault(self, path: str, detail: str) -> None:
        self.faults.append(Fault(path, detail))

    def playbook(self, document: Any) -> Playbook | None:
        if not isinstance(document, Mapping):
            self.fault("", "a playbook is an object with id, title and steps")
            return None
        for name in sorted(set(map(str, document)) - _PLAYBOOK_KEYS):
            self.fault(f"/{escape_pointer(name)}", f"is not known; use {', '.join(sorted(_PLAYBOOK_KEYS))}")
        parameters = document.get("parameters", {})
        validator = self._parameters(parameters)
        environment = self._environment(parameters)
        steps = self._steps(document.get("steps"), _Place("/steps", environment, {}, 1))
        verify = None
        if "verify" in document:
            verify = self._call(document["verify"], "/verify", self._with(environment, self._known(steps)))
        if not isinstance(document.get("id"), str):
            self.fault("/id", "must be the playbook's id")
        if validator is None or self.faults:
            return None
        version = document.get("version", 1)
        if not isinstance(version, int):
            self.fault("/version", "must be a whole number")
            return None
        defaults = {
            name: schema["default"]
            for name, schema in parameters.items()
            if isinstance(schema, Mapping) and "default" in schema
        }
        title = str(document.get("title", document["id"]))
        return Playbook(document["id"], version, title, steps, verify, validator, defaults)

    def _parameters(self, parameters: Any) -> jsonschema_rs.Validator | None:
        if not isinstance(parameters, Mapping):
            self.fault("/parameters", "must be an object from each parameter's name to its JSON Schema")
            return None
        required = [
            name
            for name, schema in parameters.items()
            if not (isinstance(schema, Mapping) and ("default" in schema or schema.get("optional") is True))
        ]
        properties = {
            name: {key: value for key, value in schema.items() if key != "optional"}
            if isinstance(schema, Mapping)
            else schema
            for name, schema in parameters.items()
        }
        try:
            return jsonschema_rs.Draft202012Validator(
                {"type": "object", "properties": properties, "required": required,
                 "additionalProperties": False},
                pattern_options=jsonschema_rs.RegexOptions(), offline=True,
            )  # fmt: skip
        except ValueError as error:
            self.fault("/parameters", f"is no JSON Schema: {shortened(str(error).splitlines()[0])}")
            return None

    def _environment(self, parameters: Any) -> dict[str, Shape]:
        properties = dict(parameters) if isinstance(parameters, Mapping) else {}
        schema = {
            "type": "object", "properties": properties, "required": list(properties),
            "additionalProperties": False,
        }  # fmt: skip
        return {"params": from_schema(schema), "incident": from_schema({"type": "object"})}

    def _with(self, environment: dict[str, Shape], known: Mapping[str, Any]) -> dict[str, Shape]:
        steps = {
            "type": "object",
            "properties": known,
            "required": list(known),
            "additionalProperties": False,
        }
        return {**environment, "steps": from_schema(steps)}

    def _known(self, steps: Sequence[Step]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for step in steps:
            known[step.id] = {
                "type": "object", "properties": _STEP_RESULT, "required": ["state", "output"],
                "additionalProperties": False,
            }  # fmt: skip
            if isinstance(step.body, Parallel):
                known.update(self._known(step.body.steps))
        return known

    def _steps(self, value: Any, place: _Place) -> tuple[Step, ...]:
        if not isinstance(value, list) or not value:
            self.fault(place.path, "must be a list of at least one step")
            return ()
        if place.depth > MAX_NESTING:
            self.fault(place.path, f"steps nest deeper than {MAX_NESTING}; flatten them")
            return ()
        found: list[Step] = []
        parallel = place.path.endswith("/parallel")
        for index, item in enumerate(value):
            # Steps side by side do not see each other, so that what they see does not depend on timing.
            known = {**place.known, **({} if parallel else self._known(found))}
            inner = _Place(f"{place.path}/{index}", place.environment, known, place.depth)
            step = self._step(item, inner)
            if step is not None:
                found.append(step)
        return tuple(found)

    def _step(self, value: Any, place: _Place) -> Step | None:
        self._count += 1
        path = place.path
        if not isinstance(value, Mapping):
            self.fault(path, "a step is an object with id and one of tool, parallel, playbook, approve")
            return None
        if self._count > MAX_STEPS:
            self.fault(path, f"a playbook has at most {MAX_STEPS} steps; split it")
            return None
        for name in sorted(set(map(str, value)) - _STEP_KEYS):
            self.fault(f"{path}/{escape_pointer(name)}", f"is not known; use {', '.join(sorted(_STEP_KEYS))}")
        identifier = self._step_id(value.get("id"), path)
        scope = self._with(place.environment, place.known)
        when = self._condition(value["when"], f"{path}/when", scope) if "when" in value else None
        for_each = None
        if "for_each" in value:
            for_each = self._template(value["for_each"], f"{path}/for_each", scope)
            scope = {**scope, "item": ANY, "index": ANY}
        body = self._body(value, scope, place)
        rollback = self._rollback(value, path, scope, body)
        attempts, backoff = self._retry(value.get("retry", {}), f"{path}/retry")
        timeout = self._seconds(
            value.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS), f"{path}/timeout_seconds", least=0.001
        )
        if body is None or identifier is None:
            return None
        title = str(value.get("title", identifier))
        return Step(identifier, title, body, when, for_each, attempts, backoff, timeout, rollback)

    def _step_id(self, value: Any, path: str) -> str | None:
        if not isinstance(value, str) or not _STEP_ID.fullmatch(value):
            self.fault(f"{path}/id", "must be lower-case letters, digits and underscore, at most 40")
            return None
        if value in self._ids:
            self.fault(f"{path}/id", f"`{value}` stands there twice; give each step its own id")
        self._ids.add(value)
        return value

    def _body(
        self, value: Mapping[str, Any], scope: dict[str, Shape], place: _Place
    ) -> Call | Parallel | SubPlaybook | Approval | None:
        kinds = [kind for kind in _KINDS if kind in value]
        if len(kinds) != 1:
            self.fault(place.path, f"must have exactly one of {', '.join(_KINDS)}")
            return None
        if kinds[0] == "tool":
            call = {key: value[key] for key in ("tool", "version", "with") if key in value}
            return self._call(call, place.path, scope)
        if "for_each" in value and kinds[0] in ("parallel", "approve"):
            self.fault(f"{place.path}/for_each", f"stands beside a tool or playbook, not beside {kinds[0]}")
        if kinds[0] == "parallel":
            inner = _Place(f"{place.path}/parallel", place.environment, place.known, place.depth + 1)
            return Parallel(self._steps(value["parallel"], inner))
        if kinds[0] == "playbook":
            return self._sub_playbook(value, place.path, scope)
        return self._approval(value["approve"], f"{place.path}/approve")

    def _sub_playbook(
        self, value: Mapping[str, Any], path: str, scope: dict[str, Shape]
    ) -> SubPlaybook | None:
        inputs = self._template(value.get("with", {}), f"{path}/with", scope)
        if not isinstance(value["playbook"], str) or inputs is None:
            self.fault(f"{path}/playbook", "must be the id of a playbook")
            return None
        if references(value.get("with", {})):
            self.fault(f"{path}/with", "a secret is named where a tool is called, not passed on")
        return SubPlaybook(value["playbook"], inputs)

    def _rollback(
        self, value: Mapping[str, Any], path: str, scope: dict[str, Shape], body: Any
    ) -> Call | None:
        if "rollback" not in value:
            return None
        if not isinstance(body, Call):
            self.fault(f"{path}/rollback", "stands beside a tool; put it to the steps inside")
            return None
        return self._call(value["rollback"], f"{path}/rollback", {**scope, "output": ANY, "input": ANY})

    def _call(self, value: Any, path: str, scope: dict[str, Shape]) -> Call | None:
        if not isinstance(value, Mapping) or set(value) - {"tool", "version", "with"}:
            self.fault(path, "a call is an object with tool, version and with")
            return None
        tool = value.get("tool")
        if not isinstance(tool, str) or not _TOOL_NAME.fullmatch(tool):
            self.fault(f"{path}/tool", "must be the name of a tool, such as runbook.run")
            return None
        version = value.get("version")
        inputs = value.get("with", {})
        if not isinstance(inputs, Mapping):
            self.fault(f"{path}/with", "must be an object: the tool's input")
            return None
        template = self._template(inputs, f"{path}/with", scope)
        for pointer, detail in malformed(inputs):
            self.fault(f"{path}/with{pointer}", detail)
        if template is None:
            return None
        return Call(tool, None if version is None else str(version), template, frozenset(references(inputs)))

    def _approval(self, value: Any, path: str) -> Approval | None:
        by = value.get("by") if isinstance(value, Mapping) else None
        if not isinstance(by, list) or not by or not all(isinstance(role, str) for role in by):
            self.fault(f"{path}/by", "must be a list of at least one role")
            return None
        expires = self._seconds(
            value.get("expires_seconds", DEFAULT_APPROVAL_SECONDS), f"{path}/expires_seconds", least=1
        )
        return Approval(tuple(by), expires, str(value.get("reason", "")))

    def _condition(self, value: Any, path: str, scope: dict[str, Shape]) -> Expression | None:
        try:
            return compile_condition(value, scope)
        except ExpressionError as error:
            self.fault(path, str(error))
            return None

    def _template(self, value: Any, path: str, scope: dict[str, Shape]) -> Template | None:
        try:
            return compile_template(value, scope)
        except ExpressionError as error:
            self.fault(path + error.where, str(error.within("")))
            return None

    def _retry(self, value: Any, path: str) -> tuple[int, float]:
        if not isinstance(value, Mapping):
            self.fault(path, "must be an object with attempts and backoff_seconds")
            return 1, 0.0
        attempts = value.get("attempts", 1)
        if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= MAX_ATTEMPTS:
            self.fault(f"{path}/attempts", f"must be a whole number from 1 to {MAX_ATTEMPTS}")
            attempts = 1
        return attempts, self._seconds(value.get("backoff_seconds", 0), f"{path}/backoff_seconds", least=0)

    def _seconds(self, value: Any, path: str, *, least: float) -> float:
        longest = 86_400 * 30
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= longest:
            self.fault(path, f"must be a number of seconds from {least} to {longest}")
            return max(least, 1.0)
        return float(value)
