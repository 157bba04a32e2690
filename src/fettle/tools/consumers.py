"""What tools take from the bus: approved plans, of which runs are made, and decisions that runs wait for."""

import hashlib
from typing import Any, Final
from uuid import UUID

import orjson

from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver, wake_after_commit
from fettle.kernel.events import Event, NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.platform import Platform
from fettle.tools.catalogue import registry_of
from fettle.tools.ledger import Outcome
from fettle.tools.playbook_reader import load
from fettle.tools.playbooks import PlaybookError
from fettle.tools.recording import ACTOR
from fettle.tools.runner import RunExecutor
from fettle.tools.runs import CHANNEL

_DEFINE = """
INSERT INTO playbook_definitions (tenant_id, hash, definition)
SELECT $1, n.hash, n.definition::jsonb FROM unnest($2::text[], $3::text[]) AS n(hash, definition)
ON CONFLICT DO NOTHING
"""

_START = """
INSERT INTO playbook_runs (id, tenant_id, incident_id, playbook_id, playbook_version, definition_hash, plan_hash,
                           rule_id, parameters, incident, state, outcome, reason, finished_at, causation_id)
SELECT n.id, $1, n.incident_id, n.playbook_id, n.playbook_version, n.definition_hash, n.plan_hash, n.rule_id,
       n.parameters::jsonb, n.incident::jsonb, n.state, n.outcome, n.reason, n.finished_at, n.causation_id
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::uuid[])
  AS n(id, incident_id, playbook_id, playbook_version, definition_hash, plan_hash, rule_id, parameters, incident,
       state, outcome, reason, finished_at, causation_id)
ON CONFLICT (tenant_id, causation_id) DO NOTHING
"""

# A run that is executed just now does not see the decision; recalled, it is looked at again at once.
_SETTLE = """
WITH said AS (
  SELECT * FROM unnest($2::uuid[], $3::text[], $4::boolean[], $5::text[], $6::text[])
    AS n(run_id, path, yes, actor, reason)
), held AS (
  SELECT r.id FROM playbook_runs r WHERE r.tenant_id = $1 AND r.id IN (SELECT run_id FROM said)
    AND r.state <> 'finished' ORDER BY r.id FOR UPDATE
), settled AS (
  UPDATE run_steps s SET state = CASE WHEN n.yes THEN 'succeeded' ELSE 'failed' END, ended_at = now(), wake_at = NULL,
    output = CASE WHEN n.yes THEN jsonb_build_object('by', n.actor, 'reason', n.reason) END,
    error = CASE WHEN NOT n.yes THEN jsonb_build_object('code', 'rejected', 'retryable', false,
                                                        'message', 'a person said no: ' || coalesce(n.reason, '')) END
  FROM said n JOIN held ON held.id = n.run_id
  WHERE s.run_id = n.run_id AND s.path = n.path AND s.state = 'waiting'
  RETURNING s.run_id, s.path
), recalled AS (
  UPDATE playbook_runs r SET recalled = true, due_at = CASE WHEN r.state = 'waiting' THEN now() ELSE r.due_at END
  WHERE r.id IN (SELECT run_id FROM settled)
)
SELECT run_id, path FROM settled
"""


async def start(batch: TenantBatch) -> None:
    """Make a run of each approved plan; a plan that cannot be run completes at once, as failed."""
    definitions: dict[str, str] = {}
    rows = [_row(event, definitions) for event in batch.events]
    connection = await driver(batch.session)
    await connection.execute(_DEFINE, batch.tenant_id, list(definitions), list(definitions.values()))
    await connection.execute(_START, batch.tenant_id, *map(list, zip(*rows, strict=True)))
    await batch.append([_refusal(row) for row in rows if row[9] == "finished"])
    wake_after_commit(batch.session, CHANNEL)


def _row(event: Event, definitions: dict[str, str]) -> tuple[Any, ...]:
    plan = event.data.get("plan") or {}
    collected = {"playbook": plan.get("playbook"), "library": plan.get("library") or {}}
    digest = hashlib.sha256(orjson.dumps(collected, option=orjson.OPT_SORT_KEYS)).hexdigest()
    refused: str | None = None
    version, name, parameters = 1, "", plan.get("parameters") or {}
    try:
        main = load(collected).main
        name, version, parameters = main.id, main.version, main.accept(parameters)
        definitions[digest] = dumps_str(collected)
    except PlaybookError as error:
        refused = f"the plan cannot be run: {error}"[:2_000]
    run_id = event.data.get("run_id")
    return (
        UUID(run_id) if run_id else new_id(),
        event.stream_id,
        name,
        version,
        digest,
        event.data.get("plan_hash"),
        event.data.get("rule_id"),
        dumps_str(parameters),
        dumps_str(plan.get("incident") or {}),
        "queued" if refused is None else "finished",
        None if refused is None else Outcome.FAILED,
        refused,
        None if refused is None else utcnow(),
        event.id,
    )


def _refusal(row: tuple[Any, ...]) -> NewEvent:
    run_id, incident_id, name, version, _, plan_hash, rule_id, *_, reason, moment, cause = row
    return NewEvent(
        stream_type="run",
        stream_id=run_id,
        type="playbook.completed",
        data={
            "run_id": str(run_id),
            "incident_id": str(incident_id),
            "playbook_id": name,
            "playbook_version": version,
            "plan_hash": plan_hash,
            "rule_id": rule_id,
            "outcome": Outcome.FAILED,
            "reason": reason,
            "failed_path": None,
            "started_at": None,
            "seconds": 0.0,
        },
        actor=ACTOR,
        correlation_id=incident_id,
        causation_id=cause,
        occurred_at=moment,
    )


async def take_decisions(batch: TenantBatch) -> None:
    """Let steps that wait for a person know what was decided; of several decisions of one step the first counts."""
    decided = {
        (UUID(event.data["run_id"]), str(event.data["path"])): event
        for event in reversed(batch.events)
        if event.data.get("run_id") and event.data.get("path")
    }
    connection = await driver(batch.session)
    settled = await connection.fetch(
        _SETTLE,
        batch.tenant_id,
        [run_id for run_id, _ in decided],
        [path for _, path in decided],
        [_is_yes(event) for event in decided.values()],
        [event.metadata.get("actor") for event in decided.values()],
        [event.data.get("reason") for event in decided.values()],
    )
    keys = [(UUID(int=row["run_id"].int), row["path"]) for row in settled]
    if keys:
        wake_after_commit(batch.session, CHANNEL)
    await batch.append([_decision(*key, decided[key]) for key in keys])


def _is_yes(event: Event) -> bool:
    return event.data.get("decision") == "approved"


def _decision(run_id: UUID, path: str, event: Event) -> NewEvent:
    said = {
        "run_id": str(run_id),
        "path": path,
        "phase": "act",
        "attempt": 1,
        "reason": event.data.get("reason"),
    }
    yes = _is_yes(event)
    return NewEvent(
        stream_type="run",
        stream_id=run_id,
        type="step.succeeded" if yes else "step.failed",
        data={**said, "state": "succeeded" if yes else "failed"},
        actor=str(event.metadata.get("actor")),
        correlation_id=event.correlation_id,
        causation_id=event.id,
    )


async def execute_runs(platform: Platform) -> None:
    """Execute runs until cancelled."""
    await RunExecutor(platform, registry_of(platform)).run()


CONSUMERS: Final = [
    ConsumerSpec("tools.start", frozenset({"plan.approved"}), start),
    ConsumerSpec("tools.decisions", frozenset({"approval.decided"}), take_decisions),
]
SERVICES: Final = [execute_runs]
