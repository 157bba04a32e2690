"""The tools of this installation: those of this module, and those that features register at the start."""

from typing import Final

from fettle.kernel.platform import Platform
from fettle.tools.providers import http, noop, notify, runbook, wait
from fettle.tools.registry import ToolRegistry

PART: Final = "tools"
_PROVIDERS: Final = (http, noop, notify, runbook, wait)


def registry_of(platform: Platform) -> ToolRegistry:
    """Return the process's tools, made when they are first asked for."""
    found = platform.parts.get(PART)
    if not isinstance(found, ToolRegistry):
        found = platform.parts[PART] = make_registry()
    return found


def make_registry() -> ToolRegistry:
    """Return a registry with the tools of this module."""
    registry = ToolRegistry()
    for provider in _PROVIDERS:
        provider.register(registry)
    return registry
