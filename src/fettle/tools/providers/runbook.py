"""The tools `runbook.run` and `runbook.rollback`: a pack's runbook on a host, by the host's executor."""

from collections.abc import Mapping
from typing import Any, Final, Protocol
from uuid import UUID

import jsonschema_rs

from fettle.packs.service import active_packs
from fettle.tools.providers.local_runbook import Journal, LocalRunbook
from fettle.tools.providers.sandbox import Sandbox
from fettle.tools.registry import Tool, ToolCall, ToolError, ToolRegistry, object_schema

HOSTS: Final = "hosts"
"""Name in `Platform.parts` under which the fleet lends its `HostDirectory`."""

JOURNAL_FOLDER: Final = "runbook-journal"
_INPUT = object_schema(
    {
        "runbook_id": {"type": "string", "minLength": 1, "maxLength": 100},
        "host": {"type": "string", "minLength": 1, "maxLength": 255},
        "parameters": {"type": "object"},
    },
    ("runbook_id", "host"),
)
_OUTPUT = object_schema(
    {
        "runbook_id": {"type": "string"},
        "version": {},
        "host": {"type": "string"},
        "changed": {"type": "boolean"},
        "steps": {"type": "array", "items": {"type": "object"}},
        "dry_run": {"type": "boolean"},
    },
    ("runbook_id", "host", "changed", "steps"),
)


class Host(Protocol):
    """What is to be known of a host."""

    @property
    def platform(self) -> str:
        """Its operating system."""
        ...

    @property
    def executor(self) -> str:
        """How runbooks reach it."""
        ...

    @property
    def sandbox_root(self) -> Any:
        """The one folder that the local executor may touch, None for none."""
        ...


class HostDirectory(Protocol):
    """Finds a tenant's hosts."""

    async def find(self, tenant_id: UUID, name: str) -> Host | None:
        """Return the host of a name."""
        ...


def register(registry: ToolRegistry) -> None:
    """Add the two tools."""
    registry.register(
        Tool(
            name="runbook.run",
            version="1",
            title="Run a runbook",
            description=(
                "Runs a pack's runbook on a host. Only what the runbook declares is touched. Its commands are "
                "noted before they begin, so that after a crash none is run twice."
            ),
            input_schema=_INPUT,
            output_schema=_OUTPUT,
            idempotent=True,
            supports_dry_run=True,
            call=_run,
        )
    )
    registry.register(
        Tool(
            name="runbook.rollback",
            version="1",
            title="Undo a runbook",
            description="Runs the steps by which a pack's runbook is undone.",
            input_schema=_INPUT,
            output_schema=_OUTPUT,
            idempotent=True,
            supports_dry_run=True,
            call=_roll_back,
        )
    )


async def _run(call: ToolCall) -> dict[str, Any]:
    return await _perform(call, "steps")


async def _roll_back(call: ToolCall) -> dict[str, Any]:
    return await _perform(call, "rollback")


async def _perform(call: ToolCall, section: str) -> dict[str, Any]:
    runbook = await _runbook(call)
    steps = runbook.get(section)
    if not steps:
        raise ToolError("no_rollback", f"{runbook['id']} declares no steps by which it is undone")
    host = await _host(call, runbook)
    parameters = _parameters(runbook, call.input.get("parameters", {}))
    folder = call.platform.settings.home / JOURNAL_FOLDER
    with Sandbox(str(host.sandbox_root), runbook.get("paths", ())) as sandbox:
        execution = LocalRunbook(runbook, steps, sandbox, parameters, Journal(folder, call.idempotency_key))
        done = execution.preview() if call.dry_run else await execution.execute()
    return {
        "runbook_id": runbook["id"],
        "version": runbook.get("version"),
        "host": call.input["host"],
        "changed": any(step.get("changed") for step in done),
        "steps": done,
        "dry_run": call.dry_run,
    }


async def _runbook(call: ToolCall) -> Mapping[str, Any]:
    packs = await active_packs(call.platform, call.tenant_id)
    runbook = packs.runbooks.get(call.input["runbook_id"])
    if runbook is None:
        raise ToolError("no_runbook", f"no active pack has a runbook {call.input['runbook_id']}")
    return runbook


async def _host(call: ToolCall, runbook: Mapping[str, Any]) -> Host:
    name = call.input["host"]
    directory: HostDirectory | None = call.platform.parts.get(HOSTS)
    host = None if directory is None else await directory.find(call.tenant_id, name)
    if host is None:
        raise ToolError("no_host", f"there is no host {name}; declare it with its executor first")
    wanted = runbook.get("executor", "local")
    if wanted != "local" or host.executor != "local":
        needed = wanted if wanted != "local" else host.executor
        raise ToolError(
            "no_executor",
            f"{runbook['id']} on {name} needs the executor `{needed}`, which this installation does not have yet",
        )
    if host.platform != runbook.get("platform", host.platform):
        raise ToolError(
            "platform", f"{runbook['id']} is for {runbook['platform']}, and {name} is {host.platform}"
        )
    if host.sandbox_root is None:
        raise ToolError("no_sandbox", f"{name} declares no folder that the local executor may touch")
    return host


def _parameters(runbook: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    declared = runbook.get("parameters", {})
    defaults = {name: schema["default"] for name, schema in declared.items() if "default" in schema}
    schema = object_schema(dict(declared), tuple(name for name in declared if name not in defaults))
    validator = jsonschema_rs.Draft202012Validator(
        schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
    )
    filled = {**defaults, **given}
    places = sorted(
        {"/".join(map(str, fault.instance_path)) or "/" for fault in validator.iter_errors(filled)}
    )
    if places:
        raise ToolError("input", f"the parameters do not fit {runbook['id']} at {', '.join(places)}")
    return filled
