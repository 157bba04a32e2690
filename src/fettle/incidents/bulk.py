"""One command on many incidents: what was chosen is written down first, then done item by item, and can be undone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents.assigning import name_of_worker
from fettle.incidents.commands import By
from fettle.incidents.filtering import IncidentFilter
from fettle.incidents.models import Incident
from fettle.kernel import jobs
from fettle.kernel.clock import utcnow
from fettle.kernel.database import DriverConnection, driver
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str

Action = Literal["resolve", "close", "reopen", "assign", "unassign", "comment"]

MOST_IDS: Final = 500
MOST_FILTERED: Final = 10_000
RUN_JOB: Final = "incidents.bulk"
UNDO_JOB: Final = "incidents.bulk_undo"
KEPT_DAYS: Final = 30

_BULK: Final = """
SELECT b.id, b.action, b.state, b.arguments, b.requested_by, b.job_id, b.total, b.created_at, b.finished_at,
  (SELECT coalesce(jsonb_object_agg(result, n), '{}') FROM (SELECT result, count(*) AS n FROM incident_bulk_items i
   WHERE i.tenant_id = b.tenant_id AND i.bulk_id = b.id GROUP BY result) AS r) AS results
FROM incident_bulks b WHERE b.tenant_id = $1 AND b.id = $2
"""

_ITEMS: Final = """
SELECT b.place, b.incident_id, i.number, i.title, b.result, b.detail FROM incident_bulk_items b
LEFT JOIN incidents i ON i.tenant_id = b.tenant_id AND i.id = b.incident_id
WHERE b.tenant_id = $1 AND b.bulk_id = $2 AND b.place > $3 AND ($4::text IS NULL OR b.result = $4)
ORDER BY b.place LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A command on many incidents, and how far it is.

    Attributes:
        results: How many items are pending, done, skipped, undone or kept.
    """

    id: UUID
    action: str
    state: str
    arguments: Mapping[str, Any]
    requested_by: str
    job_id: UUID | None
    total: int
    created_at: datetime
    finished_at: datetime | None
    results: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one incident."""

    place: int
    incident_id: UUID
    number: int | None
    title: str | None
    result: str
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is to be done to each.

    Attributes:
        reason: Why, redacted; for resolve, close and reopen.
        assignee: To whom, for assign.
        body: What is said, redacted; for comment.
    """

    action: Action
    reason: str | None = None
    assignee: UUID | None = None
    body: str | None = None

    def check(self) -> None:
        """Refuse a command that lacks what its action needs.

        Raises:
            Invalid: It does.
        """
        needed = {"assign": "assignee", "comment": "body", "unassign": None}.get(self.action, "reason")
        if needed is not None and getattr(self, needed) is None:
            raise Invalid(
                f"To {self.action} needs the field {needed}.", errors=[FieldError(f"/{needed}", "is missing")]
            )


async def write_down(
    session: AsyncSession, tenant_id: UUID, by: By, command: Command, incident_ids: Sequence[UUID]
) -> UUID:
    """Write down a command on incidents that are named, in the order in which they are named.

    Raises:
        Invalid: The command lacks something.
        NotFound: The tenant does not have one of them.
    """
    wanted = list(dict.fromkeys(incident_ids))
    bulk_id, connection = await _begin(session, tenant_id, by, command, len(wanted)), await driver(session)
    known = await connection.fetch(
        "SELECT id FROM incidents WHERE tenant_id = $1 AND id = ANY($2)", tenant_id, wanted
    )
    missing = set(wanted) - {row["id"] for row in known}
    if missing:
        raise NotFound(f"There is no incident {min(missing)}. Nothing was done.")
    await connection.execute(
        "INSERT INTO incident_bulk_items (tenant_id, bulk_id, place, incident_id, result) "
        "SELECT $1, $2, n.place, n.id, 'pending' FROM unnest($3::uuid[]) WITH ORDINALITY AS n(id, place)",
        tenant_id, bulk_id, wanted,
    )  # fmt: skip
    return bulk_id


async def write_down_filtered(
    session: AsyncSession, tenant_id: UUID, by: By, command: Command, wanted: IncidentFilter
) -> UUID:
    """Write down a command on whatever a filter lets through now, and queue it as a durable job.

    Raises:
        Invalid: The command lacks something, or the filter lets too many or none through.
    """
    query = select(Incident.id).where(Incident.tenant_id == tenant_id, *wanted.conditions())
    found = (await session.scalars(query.order_by(Incident.id.desc()).limit(MOST_FILTERED + 1))).all()
    if len(found) > MOST_FILTERED:
        fault = FieldError("/filter", f"lets more than {MOST_FILTERED:,} incidents through")
        raise Invalid(f"At most {MOST_FILTERED:,} at once. Narrow the filter.", errors=[fault])
    if not found:
        raise Invalid("No incident fits the filter.", errors=[FieldError("/filter", "lets none through")])
    bulk_id = await write_down(session, tenant_id, by, command, found)
    await _queue(session, tenant_id, by, bulk_id, RUN_JOB)
    return bulk_id


async def queue_undo(session: AsyncSession, tenant_id: UUID, by: By, bulk_id: UUID) -> Bulk:
    """Take a command back where nothing else was done since; the caller runs it, or its job does.

    Raises:
        NotFound: The tenant has no such command.
        Conflict: It is not finished, was taken back already, or cannot be.
    """
    bulk = await read(session, tenant_id, bulk_id, lock=True)
    if bulk.state != "done":
        raise Conflict(
            "It was taken back already."
            if bulk.state in {"undoing", "undone"}
            else "It is still being done. Wait until it has ended."
        )
    connection = await driver(session)
    await connection.execute(
        "UPDATE incident_bulks SET state = 'undoing' WHERE tenant_id = $1 AND id = $2", tenant_id, bulk_id
    )
    if bulk.total > MOST_IDS:
        await _queue(session, tenant_id, by, bulk_id, UNDO_JOB)
    return bulk


async def read(session: AsyncSession, tenant_id: UUID, bulk_id: UUID, *, lock: bool = False) -> Bulk:
    """Read a command and how far it is.

    Raises:
        NotFound: The tenant has no such command.
    """
    connection = await driver(session)
    row = await connection.fetchrow(_BULK + (" FOR UPDATE OF b" if lock else ""), tenant_id, bulk_id)
    if row is None:
        raise NotFound(f"There is no bulk command {bulk_id}.")
    return Bulk(*row.values())


async def read_items(
    session: AsyncSession, tenant_id: UUID, bulk_id: UUID, *, result: str | None, after: int, limit: int
) -> list[Item]:
    """Read what became of each incident, in the order in which they were chosen."""
    connection = await driver(session)
    rows = await connection.fetch(_ITEMS, tenant_id, bulk_id, after, result, limit)
    return [Item(*row.values()) for row in rows]


async def forget_old(connection: DriverConnection) -> None:
    """Forget commands of which nobody asks any more; what they did stands in the events."""
    await connection.execute(
        "DELETE FROM incident_bulks WHERE created_at < now() - make_interval(days => $1)", KEPT_DAYS
    )


async def _begin(session: AsyncSession, tenant_id: UUID, by: By, command: Command, total: int) -> UUID:
    command.check()
    arguments: dict[str, Any] = {"reason": command.reason, "body": command.body}
    if command.assignee is not None:
        arguments["assignee"] = str(command.assignee)
        arguments["assignee_name"] = await name_of_worker(session, tenant_id, by, command.assignee)
    bulk_id, connection = new_id(), await driver(session)
    await connection.execute(
        "INSERT INTO incident_bulks (id, tenant_id, action, state, arguments, requested_by, total, created_at) "
        "VALUES ($1, $2, $3, 'queued', $4::text::jsonb, $5, $6, $7)",
        bulk_id, tenant_id, command.action, dumps_str(arguments), by.actor, total, utcnow(),
    )  # fmt: skip
    return bulk_id


async def _queue(session: AsyncSession, tenant_id: UUID, by: By, bulk_id: UUID, job: str) -> None:
    arguments = {"bulk_id": str(bulk_id), "actor": by.actor, "request_id": by.request_id}
    job_id = await jobs.submit(session, tenant_id, job, arguments, actor=by.actor)
    connection = await driver(session)
    await connection.execute(
        "UPDATE incident_bulks SET job_id = $3 WHERE tenant_id = $1 AND id = $2", tenant_id, bulk_id, job_id
    )
