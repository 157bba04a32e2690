"""The tool that does nothing, for trying playbooks and for measuring everything around a tool."""

from fettle.tools.registry import Tool, ToolCall, ToolRegistry, object_schema


async def _call(call: ToolCall) -> dict[str, object]:
    return {"result": call.input.get("result", "pass"), "echo": call.input.get("echo")}


def register(registry: ToolRegistry) -> None:
    """Add the tool."""
    registry.register(
        Tool(
            name="noop",
            version="1",
            title="Do nothing",
            description="Returns what it is given, and `result`, so that it can stand in for a check.",
            input_schema=object_schema({"echo": {}, "result": {"enum": ["pass", "fail", "unknown"]}}),
            output_schema=object_schema({"result": {"type": "string"}, "echo": {}}, ("result",)),
            idempotent=True,
            supports_dry_run=True,
            call=_call,
        )
    )
