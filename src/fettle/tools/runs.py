"""Runs in the database: leased in batches, and written in groups under the fencing token of each lease."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents.service import Transition, transition
from fettle.kernel import events
from fettle.kernel.database import Database, bind_tenant, driver
from fettle.kernel.events import NewEvent
from fettle.kernel.jsonio import dumps_str
from fettle.tools.ledger import CANCEL, Record, State

CHANNEL = "fettle_runs"
"""The NOTIFY channel that wakes executors: a run may be due."""

_LEASE = """
WITH RECURSIVE open_tenants AS (
  (SELECT tenant_id FROM playbook_runs WHERE state <> 'finished' ORDER BY tenant_id LIMIT 1)
  UNION ALL
  SELECT (SELECT r.tenant_id FROM playbook_runs r WHERE r.state <> 'finished' AND r.tenant_id > t.tenant_id
          ORDER BY r.tenant_id LIMIT 1)
  FROM open_tenants t WHERE t.tenant_id IS NOT NULL
), tenants AS (
  SELECT tenant_id FROM open_tenants WHERE tenant_id IS NOT NULL ORDER BY random()
), picked AS (
  SELECT p.id FROM tenants t CROSS JOIN LATERAL (
    SELECT r.id FROM playbook_runs r
    WHERE r.tenant_id = t.tenant_id AND r.state <> 'finished' AND r.due_at <= now()
    ORDER BY r.due_at
    LIMIT CASE WHEN t.tenant_id = ANY($4) THEN $5 ELSE greatest(1, $2 / (SELECT count(*) FROM tenants)) END
    FOR UPDATE SKIP LOCKED
  ) p LIMIT $2
)
UPDATE playbook_runs r SET lease_owner = $1, fence = r.fence + 1, state = 'running', due_at = now() + $3::interval,
  recalled = false, started_at = coalesce(r.started_at, now())
FROM picked WHERE r.id = picked.id
RETURNING r.id, r.tenant_id, r.incident_id, r.playbook_id, r.playbook_version, r.definition_hash, r.plan_hash,
          r.rule_id, r.parameters, r.incident, r.fence, r.causation_id, r.started_at
"""

_LEDGER = """
SELECT run_id, path, state, attempt, input, output, error, ended_at, wake_at
FROM run_steps WHERE run_id = ANY($1)
"""

_RENEW = """
UPDATE playbook_runs r SET due_at = now() + $4::interval
FROM unnest($1::uuid[], $2::int[]) AS n(id, fence)
WHERE r.id = n.id AND r.fence = n.fence AND r.lease_owner = $3 AND r.state = 'running'
RETURNING r.id
"""

_RELEASE = """
UPDATE playbook_runs r SET due_at = now(), lease_owner = NULL
FROM unnest($1::uuid[], $2::int[]) AS n(id, fence)
WHERE r.id = n.id AND r.fence = n.fence AND r.state = 'running'
"""

# The rows are locked before anything is written, so that a take-over comes either before all of it,
# and then nothing is written, or after all of it.
_WRITE = """
WITH found AS (
  SELECT r.id, r.fence, r.cancelled_at IS NOT NULL AND NOT n.knows AS stopped
  FROM playbook_runs r JOIN unnest($2::uuid[], $3::int[], $23::boolean[]) AS n(id, fence, knows)
    ON r.id = n.id AND r.fence = n.fence
  WHERE r.tenant_id = $1 AND r.state = 'running' ORDER BY r.id FOR UPDATE OF r
), held AS (
  SELECT id FROM found WHERE NOT stopped
), steps AS (
  INSERT INTO run_steps AS s (tenant_id, run_id, path, title, phase, tool, state, attempt, input, output, error,
                              started_at, ended_at, wake_at)
  SELECT $1, n.run_id, n.path, n.title, n.phase, n.tool, n.state, n.attempt, n.input::jsonb, n.output::jsonb,
         n.error::jsonb, n.started_at, n.ended_at, n.wake_at
  FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[], $11::text[],
              $12::text[], $13::text[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[])
    AS n(run_id, path, title, phase, tool, state, attempt, input, output, error, started_at, ended_at, wake_at)
  JOIN held ON held.id = n.run_id
  ON CONFLICT (run_id, path) DO UPDATE SET state = excluded.state, attempt = excluded.attempt,
    output = excluded.output, error = excluded.error, ended_at = excluded.ended_at, wake_at = excluded.wake_at,
    started_at = CASE WHEN excluded.state = 'started' THEN excluded.started_at ELSE s.started_at END
), moved AS (
  UPDATE playbook_runs r SET state = n.state, outcome = n.outcome,
    due_at = CASE WHEN r.recalled THEN now() ELSE coalesce(n.due_at, r.due_at) END,
    reason = n.reason, lease_owner = NULL, finished_at = n.finished_at
  FROM unnest($17::uuid[], $18::text[], $19::timestamptz[], $20::text[], $21::text[], $22::timestamptz[])
    AS n(id, state, due_at, outcome, reason, finished_at)
  JOIN held ON held.id = n.id
  WHERE r.id = n.id
)
SELECT id, fence, stopped FROM found
"""


class LeaseLost(Exception):  # noqa: N818 - what happened, not a fault
    """Another process has the run now; nothing of what was to be written was."""


class Stopped(Exception):  # noqa: N818 - what happened, not a fault
    """A person stopped the run, which its executor has not taken into account; nothing was written."""


@dataclass(slots=True)
class Run:
    """A leased run.

    Attributes:
        fence: Counts the leases; every write carries it.
        ledger: What was done so far, by path.
        held_until: On the event loop's clock, until when no other process takes it.
        admitted: The guard let it begin to act.
    """

    id: UUID
    tenant_id: UUID
    incident_id: UUID | None
    playbook_id: str
    playbook_version: int
    definition_hash: str
    plan_hash: str | None
    rule_id: str | None
    parameters: dict[str, Any]
    incident: dict[str, Any]
    fence: int
    causation_id: UUID | None
    started_at: datetime
    ledger: dict[str, Record] = field(default_factory=dict)
    held_until: float = 0.0
    admitted: bool = False


@dataclass(slots=True)
class StepRow:
    """A line of the ledger to be written."""

    record: Record
    title: str
    phase: str
    tool: str | None
    started_at: datetime


@dataclass(slots=True)
class RunChange:
    """What becomes of the run's own row: it waits until a time, or it is finished."""

    state: str
    due_at: datetime | None = None
    outcome: str | None = None
    reason: str | None = None
    finished_at: datetime | None = None


@dataclass(slots=True)
class Write:
    """What one run has to record at one point, all or nothing."""

    run: Run
    steps: list[StepRow] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    change: RunChange | None = None

    def is_empty(self) -> bool:
        """Whether there is nothing to record."""
        return not self.steps and not self.events and self.change is None


async def lease(
    database: Database,
    owner: UUID,
    limit: int,
    lease_seconds: float,
    *,
    apart: Collection[UUID] = (),
    most_apart: int = 0,
) -> list[Run]:
    """Take runs that are due, shared out among tenants, so that no tenant's many keep another's few waiting.

    Args:
        database: Where they are.
        owner: Who takes them.
        limit: Most runs.
        lease_seconds: How long nobody else takes them.
        apart: Tenants of whose runs only so many are wanted.
        most_apart: Most runs of each of these.
    """
    async with database.raw_system() as connection:
        rows = await connection.fetch(
            _LEASE, owner, limit, timedelta(seconds=lease_seconds), list(apart), most_apart
        )  # fmt: skip
        runs = {row["id"]: _run(row) for row in rows}
        resumed = [run.id for run in runs.values() if run.fence > 1]
        if resumed:
            for row in await connection.fetch(_LEDGER, resumed):
                runs[row["run_id"]].ledger[row["path"]] = _record(row)
    return list(runs.values())


async def definition(database: Database, tenant_id: UUID, definition_hash: str) -> dict[str, Any]:
    """Return the definition that a run executes."""
    async with database.raw_tenant(tenant_id) as connection:
        found: dict[str, Any] = await connection.fetchval(
            "SELECT definition FROM playbook_definitions WHERE tenant_id = $1 AND hash = $2",
            tenant_id, definition_hash,
        )  # fmt: skip
    return found


async def renew(
    database: Database, owner: UUID, held: Sequence[tuple[UUID, int]], lease_seconds: float
) -> set[UUID]:
    """Keep runs for another lease; returns those that are still ours."""
    async with database.raw_system() as connection:
        rows = await connection.fetch(
            _RENEW, [run for run, _ in held], [fence for _, fence in held], owner,
            timedelta(seconds=lease_seconds),
        )  # fmt: skip
    return {row["id"] for row in rows}


async def release(database: Database, held: Sequence[tuple[UUID, int]]) -> None:
    """Give runs back, so that another process takes them at once."""
    async with database.raw_system() as connection:
        await connection.execute(_RELEASE, [run for run, _ in held], [fence for _, fence in held])
    database.poke(CHANNEL)


async def write(database: Database, writes: list[Write]) -> list[BaseException | None]:
    """Record what many runs have to record in one transaction.

    Returns:
        For each write None, `LeaseLost` where another process has the run, or `Stopped` where a person
        stopped it and its ledger here does not say so yet.
    """
    # A process that got back a run whose lease it had let lapse may still hear from its own earlier turn.
    fences: dict[UUID, int] = {}
    for item in writes:
        fences[item.run.id] = max(item.run.fence, fences.get(item.run.id, 0))
    by_tenant: dict[UUID, list[Write]] = defaultdict(list)
    for item in writes:
        if item.run.fence == fences[item.run.id]:
            by_tenant[item.run.tenant_id].append(item)
    found: dict[tuple[UUID, int], bool] = {}
    async with database.unbound() as session:
        for tenant_id in sorted(
            by_tenant
        ):  # always in the same order, so that two writers never wait crosswise
            await bind_tenant(session, tenant_id)
            found |= await _write_tenant(session, tenant_id, by_tenant[tenant_id])
    return [_came_of(item, found.get((item.run.id, item.run.fence))) for item in writes]


async def stop(database: Database, run: Run) -> None:
    """Bring a run's ledger up to what a person said: it says now who stopped it, and why."""
    async with database.raw_tenant(run.tenant_id) as connection:
        rows = await connection.fetch(f"{_LEDGER} AND path = $2", [run.id], CANCEL)
    run.ledger.update({row["path"]: _record(row) for row in rows})


def _came_of(write: Write, stopped: bool | None) -> BaseException | None:
    if stopped is None:
        return LeaseLost(str(write.run.id))
    return Stopped(str(write.run.id)) if stopped else None


async def _write_tenant(
    session: AsyncSession, tenant_id: UUID, group: list[Write]
) -> dict[tuple[UUID, int], bool]:
    connection = await driver(session)
    # A step that failed and is tried again at once is one line, as it now stands; its events tell of both.
    lines = {(item.run.id, row.record.path): row for item in group for row in item.steps}
    rows = [(run_id, row) for (run_id, _), row in lines.items()]
    changes = [(item.run.id, item.change) for item in group if item.change is not None]
    found = await connection.fetch(
        _WRITE,
        tenant_id,
        [item.run.id for item in group],
        [item.run.fence for item in group],
        [run_id for run_id, _ in rows],
        [row.record.path for _, row in rows],
        [row.title for _, row in rows],
        [row.phase for _, row in rows],
        [row.tool for _, row in rows],
        [row.record.state.value for _, row in rows],
        [row.record.attempt for _, row in rows],
        [_json(row.record.input) for _, row in rows],
        [_json(row.record.output) for _, row in rows],
        [_json(row.record.error) for _, row in rows],
        [row.started_at for _, row in rows],
        [row.record.ended_at for _, row in rows],
        [row.record.wake_at for _, row in rows],
        [run_id for run_id, _ in changes],
        [change.state for _, change in changes],
        [change.due_at for _, change in changes],
        [change.outcome for _, change in changes],
        [change.reason for _, change in changes],
        [change.finished_at for _, change in changes],
        [CANCEL in item.run.ledger for item in group],
    )
    stopped = {(row["id"], row["fence"]): row["stopped"] for row in found}
    kept = [item for item in group if stopped.get((item.run.id, item.run.fence)) is False]
    await transition(session, tenant_id, [t for item in kept for t in item.transitions], if_allowed=True)
    await events.append(session, tenant_id, [event for item in kept for event in item.events])
    return stopped


def _json(value: Any) -> str | None:
    return None if value is None else dumps_str(value)


def _run(row: asyncpg.Record) -> Run:
    # The driver's own kind of UUID has no form in JSON.
    plain: dict[str, Any] = {
        name: UUID(int=value.int) if isinstance(value, UUID) else value for name, value in row.items()
    }
    return Run(**plain)


def _record(row: asyncpg.Record) -> Record:
    return Record(
        path=row["path"],
        state=State(row["state"]),
        attempt=row["attempt"],
        input=row["input"],
        output=row["output"],
        error=row["error"],
        ended_at=row["ended_at"],
        wake_at=row["wake_at"],
    )
