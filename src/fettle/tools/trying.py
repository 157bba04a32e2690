"""Calls a tool once for a person who wants to see what it does; a real call is in the audit before it begins."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.audit import Who, record
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs
from fettle.packs.tool_policy import refused_tools
from fettle.tools.calling import Caller, Outcome, cleaned, perform
from fettle.tools.catalogue import registry_of
from fettle.tools.enablement import disabled_tools
from fettle.tools.ledger import Execute, Phase, State
from fettle.tools.registry import Tool, ToolError
from fettle.tools.secrets import malformed, references

_PATH: Final = "test"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be tried."""

    tool: str
    input: Mapping[str, Any]
    dry_run: bool
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it.

    Attributes:
        called: Whether the tool was asked; if not, only its input was checked.
    """

    tool: str
    version: str
    dry_run: bool
    called: bool
    state: str
    output: Any
    error: dict[str, Any] | None
    seconds: float


async def try_tool(
    platform: Platform, session: AsyncSession, tenant_id: UUID, wanted: Wanted, who: Who
) -> Tried:
    """Call a tool, or have it say what it would do.

    A dry-run reads no secret, and asks only tools that know how to do nothing.

    Raises:
        NotFound: There is no such tool.
        Invalid: The input does not fit it.
        Conflict: The tenant, or its policy, does not let it be called.
    """
    tool = _tool(platform, wanted)
    if wanted.dry_run:
        return await _try_dry(platform, tenant_id, tool, wanted)
    await _refuse_forbidden(platform, tenant_id, tool)
    told = {"input": cleaned(wanted.input, frozenset())}
    # What follows has an effect outside: that it was about to happen must be known whatever happens then.
    async with platform.database.tenant(tenant_id) as before:
        await record(
            before, who, "tool.test_begun", tenant_id=tenant_id, target=("tool", tool.name), after=told
        )
    tried = await _call(platform, tenant_id, tool, wanted)
    came = {"state": tried.state, "error": tried.error, "seconds": tried.seconds}
    await record(session, who, "tool.tested", tenant_id=tenant_id, target=("tool", tool.name), after=came)
    return tried


def _tool(platform: Platform, wanted: Wanted) -> Tool:
    registry = registry_of(platform)
    try:
        tool = registry.find(wanted.tool)
    except ToolError:
        raise NotFound(f"There is no tool {wanted.tool}.") from None
    wrong = [FieldError(f"/input{pointer}", detail) for pointer, detail in malformed(wanted.input)]
    wrong += [
        FieldError(f"/input{place}", detail) for place, detail in registry.faults(wanted.tool, wanted.input)
    ]
    if wrong:
        raise Invalid(f"The input does not fit {wanted.tool}.", errors=wrong[:100])
    return tool


async def _refuse_forbidden(platform: Platform, tenant_id: UUID, tool: Tool) -> None:
    if tool.name in await disabled_tools(platform, tenant_id):
        raise Conflict(f"{tool.name} is switched off for this tenant. Switch it on first.")
    packs = await active_packs(platform, tenant_id)
    if refused_tools(packs.policy, [tool.name]):
        raise Conflict(f"The policy does not allow {tool.name}. Change its allowed or denied tools first.")


async def _try_dry(platform: Platform, tenant_id: UUID, tool: Tool, wanted: Wanted) -> Tried:
    if not tool.supports_dry_run or references(wanted.input):
        return Tried(tool.name, tool.version, True, False, State.SUCCEEDED, None, None, 0.0)
    return await _call(platform, tenant_id, tool, wanted)


async def _call(platform: Platform, tenant_id: UUID, tool: Tool, wanted: Wanted) -> Tried:
    secrets = frozenset() if wanted.dry_run else frozenset(references(wanted.input))
    execute = Execute(
        _PATH,
        tool.title,
        Phase.ACT,
        tool.name,
        tool.version,
        dict(wanted.input),
        secrets,
        1,
        wanted.timeout_seconds,
    )
    caller = Caller(tenant_id, new_id(), None, {})
    begun = time.monotonic()
    outcome: Outcome = await perform(platform, registry_of(platform), caller, execute, dry_run=wanted.dry_run)
    seconds = round(time.monotonic() - begun, 3)
    return Tried(
        tool.name, tool.version, wanted.dry_run, True, outcome.state, outcome.output, outcome.error, seconds
    )
