"""Carries out commands on many incidents, a few hundred in a transaction, so that one may stop anywhere and go on."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents import bulk
from fettle.incidents.bulk import Bulk
from fettle.incidents.bulk_planning import Done, Left, Move, Subject, plan, plan_back
from fettle.incidents.commands import PASSING, By
from fettle.incidents.history import Standing
from fettle.incidents.service import lock, transition
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict
from fettle.kernel.ids import new_id
from fettle.kernel.jobs import Job
from fettle.kernel.jsonio import dumps_str

CHUNK: Final = 200

_OTHERS: Final = """
SELECT i.id, o.number FROM incidents i
JOIN incidents o ON o.tenant_id = $1 AND o.fingerprint = i.fingerprint AND o.state <> 'closed' AND o.id <> i.id
WHERE i.tenant_id = $1 AND i.id = ANY($2)
"""

_CHANGED: Final = """
SELECT DISTINCT e.stream_id FROM unnest($2::uuid[], $3::int[]) AS seen(id, version)
JOIN events e ON e.tenant_id = $1 AND e.stream_type = 'incident' AND e.stream_id = seen.id
  AND e.version > seen.version AND e.type <> ALL($4)
"""

_NOTE: Final = """
UPDATE incident_bulk_items AS b SET result = n.result, detail = n.detail, version = n.version,
  before = coalesce(n.before::jsonb, b.before)
FROM unnest($3::int[], $4::text[], $5::text[], $6::int[], $7::text[]) AS n(place, result, detail, version, before)
WHERE b.tenant_id = $1 AND b.bulk_id = $2 AND b.place = n.place
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    place: int
    incident_id: UUID
    before: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class _Result:
    place: int
    result: str
    detail: str | None = None
    version: int | None = None
    before: Mapping[str, Any] | None = None


async def run(session: AsyncSession, tenant_id: UUID, by: By, command: Bulk) -> int:
    """Do the next few hundred pending items; returns how many there were, 0 at the end."""
    items = await _next(session, tenant_id, command.id, "pending", "place")
    return await _go(session, tenant_id, by, command, items, _do)


async def run_back(session: AsyncSession, tenant_id: UUID, by: By, command: Bulk) -> int:
    """Take back the last few hundred items that were done; returns how many there were, 0 at the end."""
    items = await _next(session, tenant_id, command.id, "done", "place DESC")
    return await _go(session, tenant_id, by, command, items, _do_back)


async def finish(session: AsyncSession, tenant_id: UUID, bulk_id: UUID, state: str) -> None:
    """Note that a command has ended."""
    connection = await driver(session)
    await connection.execute(
        "UPDATE incident_bulks SET state = $3, finished_at = $4 WHERE tenant_id = $1 AND id = $2",
        tenant_id, bulk_id, state, utcnow(),
    )  # fmt: skip


async def run_all(
    session: AsyncSession, tenant_id: UUID, by: By, bulk_id: UUID, *, back: bool = False
) -> None:
    """Carry a small command out to its end, in the caller's transaction."""
    command = await bulk.read(session, tenant_id, bulk_id)
    step = run_back if back else run
    while await step(session, tenant_id, by, command):
        pass
    await finish(session, tenant_id, bulk_id, "undone" if back else "done")


async def run_job(job: Job) -> dict[str, Any]:
    """Carry a large command out, a transaction for each chunk."""
    return await _job(job, run, "done")


async def run_back_job(job: Job) -> dict[str, Any]:
    """Take a large command back, a transaction for each chunk."""
    return await _job(job, run_back, "undone")


Step = Callable[[AsyncSession, UUID, By, Bulk], Awaitable[int]]


async def _job(job: Job, step: Step, ends_as: str) -> dict[str, Any]:
    bulk_id = UUID(str(job.arguments["bulk_id"]))
    by = By(str(job.arguments["actor"]), None, job.arguments.get("request_id"))
    treated = 0
    while True:
        async with job.platform.database.tenant(job.tenant_id) as session:
            command = await bulk.read(session, job.tenant_id, bulk_id, lock=True)
            done = await step(session, job.tenant_id, by, command)
            if not done:
                await finish(session, job.tenant_id, bulk_id, ends_as)
                return {"bulk_id": str(bulk_id), "total": command.total, **command.results}
        treated += done
        await job.report(treated / max(command.total, 1))


async def _next(
    session: AsyncSession, tenant_id: UUID, bulk_id: UUID, result: str, order: str
) -> list[_Item]:
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT place, incident_id, before, version FROM incident_bulk_items "  # noqa: S608 - two constants
        f"WHERE tenant_id = $1 AND bulk_id = $2 AND result = $3 ORDER BY {order} LIMIT $4 FOR UPDATE",
        tenant_id, bulk_id, result, CHUNK,
    )  # fmt: skip
    return [_Item(row["place"], row["incident_id"], row["before"] or {}, row["version"] or 0) for row in rows]


Work = Callable[[AsyncSession, UUID, By, Bulk, Sequence[_Item]], Awaitable[list[_Result]]]


async def _go(
    session: AsyncSession, tenant_id: UUID, by: By, command: Bulk, items: Sequence[_Item], work: Work
) -> int:
    """Do some items together; where one of them fails, each by itself, so that it fails alone."""
    if not items:
        return 0
    connection = await driver(session)
    try:
        async with connection.transaction():
            results = await work(session, tenant_id, by, command, items)
    except (Conflict, asyncpg.UniqueViolationError):
        results = [
            one for item in items for one in await _go_alone(session, tenant_id, by, command, item, work)
        ]
    await _note(session, tenant_id, command.id, results)
    return len(items)


async def _go_alone(
    session: AsyncSession, tenant_id: UUID, by: By, command: Bulk, item: _Item, work: Work
) -> list[_Result]:
    connection = await driver(session)
    try:
        async with connection.transaction():
            return await work(session, tenant_id, by, command, [item])
    except (Conflict, asyncpg.UniqueViolationError) as error:
        why = error.detail if isinstance(error, Conflict) else "Another incident is open for the same."
        return [_Result(item.place, "skipped" if work is _do else "kept", why, item.version)]


async def _do(
    session: AsyncSession, tenant_id: UUID, by: By, command: Bulk, items: Sequence[_Item]
) -> list[_Result]:
    subjects = await _subjects(session, tenant_id, items)
    plans = {
        item: Left("It is not there any more.")
        if item.incident_id not in subjects
        else plan(command.action, command.arguments, subjects[item.incident_id], str(command.id))
        for item in items
    }
    if command.action == "comment":
        said = await _comment(
            session, tenant_id, by, command, [i for i in items if i.incident_id in subjects]
        )
        plans.update(said)
    await _move(session, tenant_id, by, plans)
    after = await lock(session, tenant_id, [item.incident_id for item in items])
    return [_result(item, planned, after, "done", "skipped") for item, planned in plans.items()]


async def _do_back(
    session: AsyncSession, tenant_id: UUID, by: By, command: Bulk, items: Sequence[_Item]
) -> list[_Result]:
    subjects = await _subjects(session, tenant_id, items)
    connection = await driver(session)
    ids, versions = [item.incident_id for item in items], [item.version for item in items]
    rows = await connection.fetch(_CHANGED, tenant_id, ids, versions, sorted(PASSING))
    changed = {row["stream_id"] for row in rows} if command.action != "comment" else set()
    plans: dict[_Item, Done | Left] = {}
    for item in items:
        if item.incident_id not in subjects:
            plans[item] = Left("It is not there any more.")
        elif item.incident_id in changed:
            plans[item] = Left("It was changed since.")
        elif command.action == "comment":
            plans[item] = await _uncomment(session, tenant_id, item)
        else:
            subject = subjects[item.incident_id]
            plans[item] = plan_back(command.action, item.before, subject, str(command.id))
    await _move(session, tenant_id, by, plans)
    after = await lock(session, tenant_id, ids)
    return [_result(item, planned, after, "undone", "kept") for item, planned in plans.items()]


async def _subjects(session: AsyncSession, tenant_id: UUID, items: Sequence[_Item]) -> dict[UUID, Subject]:
    ids = [item.incident_id for item in items]
    standings = await lock(session, tenant_id, ids)
    connection = await driver(session)
    rows = await connection.fetch(_OTHERS, tenant_id, ids)
    others = {row["id"]: row["number"] for row in rows}
    return {key: Subject(standing, others.get(key)) for key, standing in standings.items()}


async def _comment(
    session: AsyncSession, tenant_id: UUID, by: By, command: Bulk, items: Sequence[_Item]
) -> dict[_Item, Done | Left]:
    body, ids = command.arguments["body"], [new_id() for _ in items]
    connection = await driver(session)
    await connection.execute(
        "INSERT INTO incident_comments (tenant_id, id, incident_id, author, body, mentions, created_at, version) "
        "SELECT $1, n.id, n.incident_id, $4, $5, '{}', $6, 1 FROM unnest($2::uuid[], $3::uuid[]) "
        "AS n(id, incident_id)",
        tenant_id, ids, [item.incident_id for item in items], by.actor, body, utcnow(),
    )  # fmt: skip
    return {
        item: Done(
            [Move("incident.commented", {"comment_id": str(key), "body": body, "bulk_id": str(command.id)})],
            {"comment_id": str(key)},
        )
        for item, key in zip(items, ids, strict=True)
    }


async def _uncomment(session: AsyncSession, tenant_id: UUID, item: _Item) -> Done | Left:
    connection = await driver(session)
    deleted = await connection.execute(
        "UPDATE incident_comments SET body = '', deleted_at = $3, version = version + 1 "
        "WHERE tenant_id = $1 AND id = $2 AND version = 1 AND deleted_at IS NULL",
        tenant_id, UUID(item.before["comment_id"]), utcnow(),
    )  # fmt: skip
    if deleted != "UPDATE 1":
        return Left("The comment was changed since.")
    return Done([Move("incident.comment_deleted", {"comment_id": item.before["comment_id"]})])


async def _move(session: AsyncSession, tenant_id: UUID, by: By, plans: Mapping[_Item, Done | Left]) -> None:
    moves = [
        by.moves(item.incident_id, move.type, move.data, move.to)
        for item, planned in plans.items()
        if isinstance(planned, Done)
        for move in planned.moves
    ]
    await transition(session, tenant_id, moves)


def _result(
    item: _Item, planned: Done | Left, after: Mapping[UUID, Standing], done: str, left: str
) -> _Result:
    if isinstance(planned, Left):
        return _Result(item.place, left, planned.why, item.version)
    return _Result(item.place, done, None, after[item.incident_id].version, planned.before or None)


async def _note(session: AsyncSession, tenant_id: UUID, bulk_id: UUID, results: Sequence[_Result]) -> None:
    connection = await driver(session)
    await connection.execute(
        _NOTE,
        tenant_id,
        bulk_id,
        [one.place for one in results],
        [one.result for one in results],
        [one.detail for one in results],
        [one.version for one in results],
        [None if one.before is None else dumps_str(one.before) for one in results],
    )
