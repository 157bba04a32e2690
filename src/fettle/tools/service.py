"""What one may ask of tools: which are allowed, what playbooks would do, how runs went, which secrets there are."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents.models import Incident
from fettle.kernel.database import Database, driver, narrowed_by
from fettle.kernel.errors import FieldError, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.tools.calling import Caller, perform
from fettle.tools.catalogue import registry_of
from fettle.tools.ledger import Execute, Phase
from fettle.tools.playbook_reader import load
from fettle.tools.playbooks import PlaybookError, collect
from fettle.tools.preview import PreviewStep, preview
from fettle.tools.registry import ToolError
from fettle.tools.schemas import RunItem
from fettle.tools.secrets import references
from fettle.tools.vault import bound_to, box

_DRY_RUN_SECONDS: Final = 10.0
_MOST_DRY_CALLS: Final = 20

_INCIDENT_FIELDS: Final = (
    "number", "title", "check_type", "host", "site", "platform", "source", "summary", "severity", "pack_id",
    "fingerprint", "labels", "details",
)  # fmt: skip
_ITEM_COLUMNS = ", ".join(RunItem.model_fields)
_RUN_COLUMNS = """
id, incident_id, playbook_id, playbook_version, rule_id, plan_hash, parameters, state, outcome, reason, created_at,
started_at, finished_at
"""


async def set_enabled(
    session: AsyncSession, tenant_id: UUID, tool: str, *, enabled: bool, actor: str
) -> None:
    """Let a tool be called for a tenant, or not; runs see it within a second."""
    connection = await driver(session)
    await connection.execute(
        "INSERT INTO tool_settings (tenant_id, tool, enabled, updated_by) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (tenant_id, tool) DO UPDATE SET enabled = $3, updated_by = $4, updated_at = now()",
        tenant_id, tool, enabled, actor,
    )  # fmt: skip


async def disabled(session: AsyncSession, tenant_id: UUID) -> frozenset[str]:
    """Return the tools that a tenant has switched off, as of this moment."""
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT tool FROM tool_settings WHERE tenant_id = $1 AND NOT enabled", tenant_id
    )
    return frozenset(row["tool"] for row in rows)


async def dry_run(
    platform: Platform,
    tenant_id: UUID,
    document: Mapping[str, Any],
    library: Mapping[str, Mapping[str, Any]],
    parameters: Mapping[str, Any],
    incident: Mapping[str, Any],
) -> tuple[int, list[PreviewStep]]:
    """Return a playbook's version and what it would do; tools that can say what they would do are asked.

    Args:
        platform: The process's parts.
        tenant_id: For whom.
        document: The playbook.
        library: The playbooks that it may call, by id.
        parameters: As a rule or a person would give them.
        incident: An incident, or what stands for one.

    Raises:
        Invalid: The playbook or the parameters are not valid.
    """
    try:
        bundle = load(collect(document, library))
        accepted = bundle.main.accept(parameters)
    except PlaybookError as error:
        faults = [
            FieldError(fault.path.replace("/params", "/parameters", 1), fault.detail)
            for fault in error.faults
        ]
        raise Invalid("The playbook cannot be run with this.", errors=faults) from None
    steps = preview(bundle, accepted, incident)
    caller = Caller(tenant_id, new_id(), None, incident)
    asked = [step for step in steps if _can_say(platform, step)]
    for step in asked[:_MOST_DRY_CALLS]:
        await _ask(platform, caller, step)
    return bundle.main.version, steps


def incident_for_playbooks(found: Incident) -> dict[str, Any]:
    """Return an incident as playbooks see it."""
    fields = {name: getattr(found, name) for name in _INCIDENT_FIELDS}
    return {"id": str(found.id), **{name: value for name, value in fields.items() if value is not None}}


def _can_say(platform: Platform, step: PreviewStep) -> bool:
    if step.tool is None or step.runs is not True or step.depends_on_steps or step.error is not None:
        return False
    try:
        return registry_of(platform).find(step.tool, step.version).supports_dry_run
    except ToolError as error:
        step.error = error.message
        return False


async def _ask(platform: Platform, caller: Caller, step: PreviewStep) -> None:
    assert step.tool is not None
    # A dry-run reads no secret: whoever may look must not thereby reach what only a run may use.
    if references(step.input):
        return
    execute = Execute(
        step.path,
        step.title,
        Phase.ACT,
        step.tool,
        step.version,
        step.input,
        frozenset(),
        1,
        _DRY_RUN_SECONDS,
    )
    outcome = await perform(platform, registry_of(platform), caller, execute, dry_run=True)
    if outcome.error is not None:
        step.error = outcome.error["message"]
    else:
        step.would = outcome.output


async def list_runs(
    database: Database,
    tenant_id: UUID,
    *,
    incident_id: UUID | None,
    states: Sequence[str] | None,
    outcomes: Sequence[str] | None,
    playbook_id: str | None,
    before: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return runs, newest first."""
    narrowed = narrowed_by(
        ("incident_id = {}", incident_id),
        ("state = ANY({})", states or None),
        ("outcome = ANY({})", outcomes or None),
        ("id < {}", before),
        ("playbook_id = {}", playbook_id),
    )
    return await database.fetch_bound(
        tenant_id,
        f"SELECT {_ITEM_COLUMNS} FROM playbook_runs WHERE tenant_id = bound.tenant_id{narrowed.sql} "  # noqa: S608 - constants
        f"ORDER BY id DESC LIMIT {int(limit)}",
        *narrowed.values,
    )


async def read_run(
    session: AsyncSession, tenant_id: UUID, run_id: UUID
) -> tuple[asyncpg.Record, list[asyncpg.Record]]:
    """Return a run and its steps in the order in which they began.

    Raises:
        NotFound: The tenant has no such run.
    """
    connection = await driver(session)
    run = await connection.fetchrow(
        f"SELECT {_RUN_COLUMNS} FROM playbook_runs WHERE tenant_id = $1 AND id = $2",  # noqa: S608 - a constant
        tenant_id, run_id,
    )  # fmt: skip
    if run is None:
        raise NotFound("There is no such run.")
    steps = await connection.fetch(
        "SELECT path, title, phase, tool, state, attempt, input, output, error, started_at, ended_at, wake_at "
        "FROM run_steps WHERE tenant_id = $1 AND run_id = $2 ORDER BY started_at, ended_at NULLS LAST, path",
        tenant_id, run_id,
    )  # fmt: skip
    return run, steps


async def put_secret(
    platform: Platform, session: AsyncSession, tenant_id: UUID, name: str, value: str, *, actor: str
) -> None:
    """Seal a secret and store it in place of what had its name."""
    sealed = box(platform).encrypt(value.encode(), bound_to(tenant_id, name))
    connection = await driver(session)
    await connection.execute(
        "INSERT INTO tenant_secrets (tenant_id, name, sealed, updated_by) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = $3, updated_by = $4, updated_at = now()",
        tenant_id, name, sealed, actor,
    )  # fmt: skip


async def delete_secret(session: AsyncSession, tenant_id: UUID, name: str) -> None:
    """Delete a secret.

    Raises:
        NotFound: The tenant has none of that name.
    """
    connection = await driver(session)
    done = await connection.execute(
        "DELETE FROM tenant_secrets WHERE tenant_id = $1 AND name = $2", tenant_id, name
    )
    if done.endswith(" 0"):
        raise NotFound(f"There is no secret {name}.")


async def list_secrets(session: AsyncSession, tenant_id: UUID) -> list[tuple[str, str, datetime]]:
    """Return the names of a tenant's secrets, who put each in, and when."""
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT name, updated_by, updated_at FROM tenant_secrets WHERE tenant_id = $1 ORDER BY name",
        tenant_id,
    )
    return [(row["name"], row["updated_by"], row["updated_at"]) for row in rows]
