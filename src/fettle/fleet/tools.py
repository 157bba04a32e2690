"""The tool of the fleet: ``check.run`` runs a host's check again, to verify what was done."""

from typing import Any

from fettle.fleet.checks import run_check
from fettle.fleet.sandbox import Sandbox
from fettle.fleet.service import HostDirectory
from fettle.tools.registry import Tool, ToolCall, ToolError, ToolRegistry, object_schema


def register(registry: ToolRegistry) -> None:
    """Add the fleet's tools to a process's registry."""
    registry.register(
        Tool(
            name="check.run",
            version="1",
            title="Run a host's check",
            description="Runs one check on a host and says whether the desired state holds.",
            input_schema=object_schema(
                {
                    "host": {"type": "string", "minLength": 1, "maxLength": 200},
                    "check_type": {"type": "string", "minLength": 1, "maxLength": 100},
                },
                required=("host", "check_type"),
            ),
            output_schema=object_schema(
                {
                    "result": {"enum": ["pass", "fail", "unknown"]},
                    "message": {"type": "string"},
                    "observed": {"type": "object"},
                },
                required=("result", "message", "observed"),
            ),
            idempotent=True,
            call=_run,
        )
    )


async def _run(call: ToolCall) -> dict[str, Any]:
    name, check_type = call.input["host"], call.input["check_type"]
    host = await HostDirectory(call.platform).find(call.tenant_id, name)
    if host is None:
        raise ToolError("no_host", f"there is no host {name}; declare it, so that it can be checked")
    if host.executor != "local":
        raise ToolError(
            "no_executor", f"nothing here runs checks on {name}: its executor is {host.executor}, not local"
        )
    sandbox = Sandbox(host.sandbox_root) if host.sandbox_root is not None else None
    return (await run_check(check_type, sandbox=sandbox)).document()
