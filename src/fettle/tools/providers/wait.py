"""The tool `wait`: listed here, kept by the run's own row, so that no process holds a wait in memory."""

from typing import Any

from fettle.tools.registry import Tool, ToolCall, ToolError, ToolRegistry, object_schema


def register(registry: ToolRegistry) -> None:
    """Add the tool."""
    registry.register(
        Tool(
            name="wait",
            version="1",
            title="Wait",
            description="Lets so many seconds pass, up to 30 days, without keeping any process busy.",
            input_schema=object_schema(
                {"seconds": {"type": "number", "minimum": 0, "maximum": 2_592_000}}, ("seconds",)
            ),
            output_schema=object_schema({"waited_until": {"type": "string"}}),
            idempotent=True,
            supports_dry_run=True,
            call=_call,
        )
    )


async def _call(call: ToolCall) -> dict[str, Any]:
    if call.dry_run:
        return {}
    raise ToolError("misplaced", "`wait` is a step; it cannot verify or undo anything")
