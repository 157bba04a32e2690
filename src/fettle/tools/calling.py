"""Makes one call of a tool: secrets put in, time bounded, and whatever comes back cleaned before it is recorded."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog

from fettle.kernel import metrics
from fettle.kernel.platform import Platform
from fettle.kernel.redaction import redact, redact_text
from fettle.tools.enablement import disabled_tools
from fettle.tools.ledger import Execute, State
from fettle.tools.registry import OutcomeUnknown, ToolCall, ToolError, ToolRegistry
from fettle.tools.secrets import resolve
from fettle.tools.vault import Secrets

WITHHELD: Final = "[redacted:secret]"
_LEAST_SECRET: Final = 4

log = structlog.get_logger("fettle.tools")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call."""

    state: State
    output: Any = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a tool is called."""

    tenant_id: UUID
    run_id: UUID
    incident_id: UUID | None
    incident: Mapping[str, Any]


async def perform(
    platform: Platform, registry: ToolRegistry, caller: Caller, execute: Execute, *, dry_run: bool = False
) -> Outcome:
    """Call a tool once and say what came of it.

    Once the call has begun, nothing is raised but when it is cancelled. What is raised before, such as that
    the database is away, says nothing of the tool: it was not called.
    """
    outcome = await _perform(platform, registry, caller, execute, dry_run=dry_run)
    if not dry_run:
        # A playbook may name whatever it likes; only tools that there are become labels.
        known = (outcome.error or {}).get("code") != "no_tool"
        name = execute.tool if known else "unknown"
        metrics.quietly(lambda: metrics.TOOL_CALLS.labels(name, outcome.state).inc())
    return outcome


async def _perform(
    platform: Platform, registry: ToolRegistry, caller: Caller, execute: Execute, *, dry_run: bool
) -> Outcome:
    secrets = Secrets(platform, caller.tenant_id)
    try:
        tool = registry.find(execute.tool, execute.version)
        if execute.tool in await disabled_tools(platform, caller.tenant_id):
            raise ToolError("disabled", f"{execute.tool} is switched off for this tenant")  # noqa: TRY301 - told like every error of a tool
        registry.check_input(execute.tool, execute.version, execute.input)
        inputs = await resolve(execute.input, secrets) if execute.secrets else execute.input
    except ToolError as error:
        return _failed(error, secrets)
    call = ToolCall(
        tenant_id=caller.tenant_id,
        run_id=caller.run_id,
        incident_id=caller.incident_id,
        step_id=execute.path,
        attempt=execute.attempt,
        idempotency_key=f"{caller.run_id}:{execute.path}",
        input=inputs,
        secrets=secrets,
        platform=platform,
        incident=caller.incident,
        dry_run=dry_run,
    )
    try:
        async with asyncio.timeout(execute.timeout_seconds):
            output = await registry.call(execute.tool, execute.version, call)
        return Outcome(State.SUCCEEDED, cleaned(output, secrets.seen))
    except ToolError as error:
        return _failed(error, secrets)
    except OutcomeUnknown as unknown:
        return Outcome(State.UNKNOWN, error=_error("unknown", cleaned_text(str(unknown), secrets.seen)))
    except TimeoutError:
        message = f"it took longer than {execute.timeout_seconds:g} s"
        return _interrupted(tool.idempotent, _error("timeout", message, retryable=True))
    except Exception as error:  # noqa: BLE001 - a tool's own fault must not end the run without a record
        log.warning(
            "tools.call_broke", tool=execute.tool, run_id=str(caller.run_id), error=type(error).__name__
        )
        return _interrupted(
            tool.idempotent, _error("broke", f"the tool broke: {type(error).__name__}", retryable=True)
        )


def lost(path: str) -> Outcome:
    """Return the outcome of a call that was under way when its process died."""
    message = f"the process ended during {path}; look whether it took effect, and reconcile"
    return Outcome(State.UNKNOWN, error=_error("unknown", message))


def cleaned(value: Any, secrets: frozenset[str]) -> Any:
    """Return a value without the secrets that the call used, and without what redaction finds."""
    if secrets:
        value = _withheld(value, secrets)
    return redact(value)[0]


def cleaned_text(text: str, secrets: frozenset[str]) -> str:
    """Return a text without the secrets that the call used, and without what redaction finds."""
    return redact_text(_withheld(text, secrets))


def _withheld(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, str):
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _LEAST_SECRET:
                value = value.replace(secret, WITHHELD)
        return value
    if isinstance(value, Mapping):
        return {_withheld(key, secrets): _withheld(child, secrets) for key, child in value.items()}
    if isinstance(value, list):
        return [_withheld(child, secrets) for child in value]
    return value


def _failed(error: ToolError, secrets: Secrets) -> Outcome:
    message = cleaned_text(error.message, secrets.seen)
    return Outcome(State.FAILED, error=_error(error.code, message, retryable=error.retryable))


def _error(code: str, message: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable}


def _interrupted(idempotent: bool, error: dict[str, Any]) -> Outcome:
    """A call that was cut off failed where repeating is safe; where not, nobody knows."""
    if idempotent:
        return Outcome(State.FAILED, error=error)
    return Outcome(State.UNKNOWN, error={**error, "retryable": False})
