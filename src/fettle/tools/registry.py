"""Tools: what a playbook can call, with the JSON Schemas that hold every call to its word."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import jsonschema_rs

from fettle.kernel import jsonio
from fettle.kernel.platform import Platform
from fettle.tools.secrets import SecretReader, without_references

MAX_OUTPUT_BYTES: Final = 64_000
_MAX_FAULTS: Final = 3
_SHOWN: Final = 200


class ToolError(Exception):
    """A call that did not do what it was asked to; nothing is left half done.

    Args:
        code: Stable word for what went wrong, such as `no_executor`.
        message: What happened and what to do, without secrets.
        retryable: Another try may succeed.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable


class OutcomeUnknown(Exception):  # noqa: N818 - an answer, as ToolError is
    """A call of which nobody can say whether it took effect; it is not repeated and a person reconciles it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool.

    Attributes:
        idempotency_key: The same for every attempt at this step; a provider passes it on where it can.
        input: Checked against the tool's input schema, secrets in place; never stored or logged.
        incident: The incident that the run belongs to, as it was triaged.
        dry_run: Say what would be done, and do nothing.
    """

    tenant_id: UUID
    run_id: UUID
    incident_id: UUID | None
    step_id: str
    attempt: int
    idempotency_key: str
    input: dict[str, Any]
    secrets: SecretReader
    platform: Platform
    incident: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One capability.

    Attributes:
        name: Such as `runbook.run`.
        idempotent: Calling it twice with the same idempotency key has one effect, so that after a crash it
            is called again; any other tool's outcome is then unknown.
        supports_dry_run: It honours `ToolCall.dry_run`.
    """

    name: str
    version: str
    title: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    idempotent: bool
    call: Callable[[ToolCall], Awaitable[dict[str, Any]]]
    supports_dry_run: bool = False


class _Entry:
    """A tool with its schemas compiled."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.accepts = _validator(tool.input_schema)
        self.returns = _validator(tool.output_schema)


class ToolRegistry:
    """The tools of a process, by name and version; the version registered last is the default."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, _Entry]] = {}

    def register(self, tool: Tool) -> None:
        """Add a tool.

        Raises:
            ValueError: It is there already, or one of its schemas is no JSON Schema.
        """
        versions = self._entries.setdefault(tool.name, {})
        if tool.version in versions:
            raise ValueError(f"{tool.name} {tool.version} is registered twice")
        versions[tool.version] = _Entry(tool)

    def find(self, name: str, version: str | None = None) -> Tool:
        """Return a tool.

        Raises:
            ToolError: There is none of that name and version.
        """
        return self._entry(name, version).tool

    def __iter__(self) -> Iterator[Tool]:
        for name in sorted(self._entries):
            for entry in self._entries[name].values():
                yield entry.tool

    def check_input(self, name: str, version: str | None, value: Any) -> None:
        """Check an input whose secrets are still references; a reference passes for any value.

        Raises:
            ToolError: The input does not fit.
        """
        plain, pointers = without_references(value)
        faults = [
            error
            for error in self._entry(name, version).accepts.iter_errors(plain)
            if not _below(_pointer(error.instance_path), pointers)
        ]
        if faults:
            raise ToolError("input", f"the input does not fit {name}: {_listed(faults)}")

    def faults(self, name: str, value: Any) -> list[tuple[str, str]]:
        """Return what is wrong with an input whose secrets are still references: JSON pointer and reason.

        Raises:
            ToolError: There is no such tool.
        """
        plain, pointers = without_references(value)
        found = [
            (_pointer(error.instance_path), error.message[:_SHOWN])
            for error in self._entry(name, None).accepts.iter_errors(plain)
        ]
        return [(place, detail) for place, detail in found if not _below(place, pointers)]

    async def call(self, name: str, version: str | None, call: ToolCall) -> dict[str, Any]:
        """Call a tool and check what it returns.

        Raises:
            ToolError: The input or output does not fit, or the tool says so.
        """
        entry = self._entry(name, version)
        if not entry.accepts.is_valid(call.input):
            # What is wrong may quote the value, which may be a secret; where it stands is enough.
            places = sorted(
                {_pointer(error.instance_path) or "/" for error in entry.accepts.iter_errors(call.input)}
            )
            raise ToolError("input", f"the input does not fit {name} at {', '.join(places[:_MAX_FAULTS])}")
        output = await entry.tool.call(call)
        faults = list(entry.returns.iter_errors(output))
        if faults:
            raise ToolError("output", f"{name} returned what it must not: {_listed(faults)}")
        if len(jsonio.dumps(output)) > MAX_OUTPUT_BYTES:
            raise ToolError("output", f"{name} returned more than {MAX_OUTPUT_BYTES} bytes; ask it for less")
        return output

    def _entry(self, name: str, version: str | None) -> _Entry:
        versions = self._entries.get(name)
        if not versions:
            raise ToolError("no_tool", f"there is no tool {name} in this installation")
        if version is None:
            return list(versions.values())[-1]
        if version not in versions:
            raise ToolError("no_tool", f"{name} has no version {version}; it has {', '.join(versions)}")
        return versions[version]


def object_schema(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the schema of an object with these members and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
    )


def _pointer(path: list[str | int]) -> str:
    return "".join(f"/{jsonio.escape_pointer(str(part))}" for part in path)


def _below(pointer: str, references: frozenset[str]) -> bool:
    return any(pointer == one or pointer.startswith(f"{one}/") for one in references)


def _listed(faults: list[jsonschema_rs.ValidationError]) -> str:
    shown = [f"{_pointer(fault.instance_path) or '/'}: {fault.message[:_SHOWN]}" for fault in faults]
    return "; ".join(shown[:_MAX_FAULTS])
