"""What one may ask of tools: which are allowed, what playbooks would do, how runs went, which secrets there are."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.permissions import ROLES, permissions_of
from fettle.incidents.service import Transition, transition
from fettle.incidents.states import State as IncidentState
from fettle.kernel import events
from fettle.kernel.database import APPENDED, driver
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs
from fettle.tools.calling import Caller, perform
from fettle.tools.catalogue import registry_of
from fettle.tools.ledger import Execute, Phase
from fettle.tools.playbook_reader import load
from fettle.tools.playbooks import PlaybookError, collect
from fettle.tools.preview import PreviewStep, preview
from fettle.tools.registry import ToolError
from fettle.tools.secrets import references
from fettle.tools.vault import bound_to, box

_DRY_RUN_SECONDS: Final = 10.0
_MOST_DRY_CALLS: Final = 20

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
    playbook_id: str,
    parameters: Mapping[str, Any],
    incident: Mapping[str, Any],
) -> tuple[int, list[PreviewStep]]:
    """Return a playbook's version and what it would do; tools that can say what they would do are asked.

    Raises:
        NotFound: No active pack has the playbook.
        Invalid: The playbook or the parameters are not valid.
    """
    packs = await active_packs(platform, tenant_id)
    document = packs.playbooks.get(playbook_id)
    if document is None:
        raise NotFound(f"No active pack has a playbook {playbook_id}.")
    try:
        bundle = load(collect(document, packs.playbooks))
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
    session: AsyncSession,
    tenant_id: UUID,
    *,
    incident_id: UUID | None,
    states: Sequence[str] | None,
    outcomes: Sequence[str] | None,
    before: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return runs, newest first."""
    connection = await driver(session)
    return await connection.fetch(
        f"SELECT {_RUN_COLUMNS} FROM playbook_runs WHERE tenant_id = $1 "  # noqa: S608 - a constant
        "AND ($2::uuid IS NULL OR incident_id = $2) AND ($3::text[] IS NULL OR state = ANY($3)) "
        "AND ($4::text[] IS NULL OR outcome = ANY($4)) AND ($5::uuid IS NULL OR id < $5) ORDER BY id DESC LIMIT $6",
        tenant_id, incident_id, list(states) if states else None, list(outcomes) if outcomes else None, before, limit,
    )  # fmt: skip


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


async def decide_step(
    session: AsyncSession,
    tenant_id: UUID,
    run_id: UUID,
    path: str,
    *,
    approve: bool,
    reason: str,
    actor: str,
    permissions: frozenset[str],
) -> None:
    """Decide a step that waits for a person. Of several decisions at once, one counts.

    Raises:
        NotFound: The tenant has no such run, or it has no such step.
        Forbidden: The playbook wants another role.
        Conflict: The step waits no longer, or its incident has moved on.
    """
    connection = await driver(session)
    run = await connection.fetchrow(
        "SELECT incident_id, causation_id FROM playbook_runs WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant_id, run_id,
    )  # fmt: skip
    step = await connection.fetchrow(
        "SELECT state, input, wake_at, wake_at <= now() AS expired FROM run_steps "
        "WHERE tenant_id = $1 AND run_id = $2 AND path = $3",
        tenant_id, run_id, path,
    )  # fmt: skip
    if run is None or step is None or "by" not in (step["input"] or {}):
        raise NotFound("There is no such step that a person decides.")
    roles = [str(role) for role in step["input"]["by"]]
    if not any(role in ROLES and permissions_of(role) <= permissions for role in roles):
        raise Forbidden(f"The playbook wants this decided by a {' or '.join(roles)}; ask one.")
    if step["state"] != "waiting" or step["expired"]:
        raise Conflict("The step waits no longer. Look at the run again.")
    await _settle(connection, run_id, path, approve=approve, reason=reason, actor=actor)
    said = {"run_id": str(run_id), "path": path, "reason": reason, "approved": approve}
    await events.append(session, tenant_id, [_told(run_id, run["incident_id"], said, actor)])
    if run["incident_id"] is not None:
        resumed = Transition(
            incident_id=UUID(int=run["incident_id"].int),
            type="approval.decided",
            to=IncidentState.HEALING,
            data=said,
            actor=actor,
        )
        await transition(session, tenant_id, [resumed])
    session.info[APPENDED] = True


async def _settle(
    connection: asyncpg.Connection, run_id: UUID, path: str, *, approve: bool, reason: str, actor: str
) -> None:
    error = {"code": "rejected", "message": f"a person said no: {reason}", "retryable": False}
    await connection.execute(
        "UPDATE run_steps SET state = $3, output = $4::jsonb, error = $5::jsonb, ended_at = now(), wake_at = NULL "
        "WHERE run_id = $1 AND path = $2",
        run_id, path, "succeeded" if approve else "failed",
        dumps_str({"by": actor, "reason": reason}) if approve else None, None if approve else dumps_str(error),
    )  # fmt: skip
    # A run that is executed just now does not see the decision; recalled, it is looked at again at once.
    await connection.execute(
        "UPDATE playbook_runs SET recalled = true, due_at = CASE WHEN state = 'waiting' THEN now() ELSE due_at END "
        "WHERE id = $1",
        run_id,
    )


def _told(run_id: UUID, incident_id: UUID | None, said: dict[str, Any], actor: str) -> NewEvent:
    approved = said["approved"]
    return NewEvent(
        stream_type="run",
        stream_id=run_id,
        type="step.succeeded" if approved else "step.failed",
        data={**said, "phase": "act", "state": "succeeded" if approved else "failed", "attempt": 1},
        actor=actor,
        correlation_id=incident_id,
    )


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
