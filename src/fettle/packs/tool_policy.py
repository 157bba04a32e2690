"""Which tools a Policy Pack lets be called; pure."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any


def refused_tools(policy: Mapping[str, Any], tools: Iterable[str]) -> list[str]:
    """Return the tools that the policy does not let a plan call; a denial counts before a permission."""
    allowed = policy.get("allowed_tools")
    denied = policy.get("denied_tools") or ()
    return sorted(
        tool for tool in tools if fits(tool, denied) or (allowed is not None and not fits(tool, allowed))
    )


def fits(value: str | None, patterns: Iterable[str]) -> bool:
    """Say whether a value fits one of the patterns, in which only `*` is special."""
    return value is not None and any(fnmatchcase(value.lower(), _literal(pattern)) for pattern in patterns)


def _literal(pattern: str) -> str:
    return pattern.lower().replace("[", "[[]").replace("?", "[?]")
