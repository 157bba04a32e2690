"""Stops a run because a person says so: a line in its ledger, which its executor reads before the next step."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events
from fettle.kernel.database import driver, wake_after_commit
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.jsonio import dumps_str
from fettle.tools.ledger import CANCEL
from fettle.tools.runs import CHANNEL

# A run that waits is due at once. One that nobody executed yet gets a fence, so that its ledger is read.
_MARK: Final = """
UPDATE playbook_runs SET cancelled_at = now(), recalled = true, fence = greatest(fence, 1),
  due_at = CASE WHEN state = 'running' THEN due_at ELSE now() END
WHERE tenant_id = $1 AND id = $2
"""
_LINE: Final = """
INSERT INTO run_steps (tenant_id, run_id, path, title, phase, state, attempt, output, started_at, ended_at)
VALUES ($1, $2, $3, 'Stop the run', 'act', 'succeeded', 1, $4::text::jsonb, now(), now())
"""


async def stop_run(
    session: AsyncSession, tenant_id: UUID, run_id: UUID, reason: str, *, actor: str, request_id: str | None
) -> None:
    """Have a run stop before its next step; the step that is under way comes to its end.

    What the run did is undone as after a failure: each step that declares a rollback, the last one first. The run
    then ends as `cancelled`, and its incident goes to a person. A run that has no step left to begin completes.

    Raises:
        NotFound: The tenant has no such run.
        Conflict: It has ended, or was stopped already.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        "SELECT state, outcome, cancelled_at, incident_id, playbook_id, causation_id FROM playbook_runs "
        "WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant_id, run_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("There is no such run.")
    if row["state"] == "finished":
        raise Conflict(f"The run has ended as {row['outcome']}. There is nothing left to stop.")
    if row["cancelled_at"] is not None:
        raise Conflict("The run was stopped already. It ends after the step that is under way.")
    await connection.execute(_MARK, tenant_id, run_id)
    wake_after_commit(session, CHANNEL)
    said = {"by": actor, "reason": reason}
    await connection.execute(_LINE, tenant_id, run_id, CANCEL, dumps_str(said))
    asked = NewEvent(
        stream_type="run",
        stream_id=run_id,
        type="run.stop_requested",
        data={
            "run_id": str(run_id),
            "incident_id": str(row["incident_id"]) if row["incident_id"] is not None else None,
            "playbook_id": row["playbook_id"],
            "reason": reason,
        },
        actor=actor,
        correlation_id=row["incident_id"],
        causation_id=row["causation_id"],
        request_id=request_id,
    )
    await events.append(session, tenant_id, [asked])
