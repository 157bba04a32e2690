"""What the planner remembers of a tenant: which choice healed which pattern, and incidents like a new one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.deciding import PLANNER_PREFIX
from fettle.healing.planner.answers import AnswerError, fitted
from fettle.healing.planner.confidence import Memory
from fettle.healing.planner.costs import note_results
from fettle.healing.planner.vectors import embed, gist, likeness, literal, sealed, words
from fettle.healing.planner.words import PLAYBOOK, RUNBOOK, Candidate
from fettle.healing.signature import pattern_signature
from fettle.kernel.bus import TenantBatch
from fettle.kernel.database import Database, driver
from fettle.kernel.events import Event
from fettle.kernel.jsonio import dumps_str

_RAN: Final = """
SELECT i.id, i.decision ->> 'plan_hash' AS plan_hash, i.decision #>> '{plan,playbook,id}' AS playbook,
       i.rule_id, i.decision #> '{plan,parameters}' AS parameters, i.decision #> '{plan,incident}' AS incident
FROM incidents i WHERE i.tenant_id = $1 AND i.id = ANY($2)
"""

_KNOWN: Final = """
SELECT pattern, choice FROM plan_memories WHERE tenant_id = $1
AND (pattern, choice) IN (SELECT * FROM unnest($2::text[], $3::text[]))
"""

_REMEMBER: Final = """
INSERT INTO plan_memories AS m (tenant_id, pattern, choice, gist, embedding, origins, succeeded, failed,
                                last_incident_id)
SELECT $1, n.pattern, n.choice, n.gist, n.embedding::vector, n.origins::jsonb, n.succeeded, n.failed, n.incident_id
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::int[], $9::uuid[])
  AS n(pattern, choice, gist, embedding, origins, succeeded, failed, incident_id)
ON CONFLICT (tenant_id, pattern, choice) DO UPDATE SET succeeded = m.succeeded + excluded.succeeded,
  failed = m.failed + excluded.failed, origins = coalesce(excluded.origins, m.origins),
  last_incident_id = excluded.last_incident_id, last_at = now()
"""

_FORGET_ANSWERS: Final = """
DELETE FROM plan_cache WHERE tenant_id = $1
AND (pattern, choice) IN (SELECT * FROM unnest($2::text[], $3::text[]))
"""

# Exact on both ways: a tenant has as many memories as it has patterns, not as it has incidents.
_ALIKE: Final = """
WITH mine AS NOT MATERIALIZED (
  SELECT pattern, choice, gist, origins, succeeded, failed, last_incident_id, words,
         embedding <=> $2::text::vector AS distance
  FROM plan_memories WHERE tenant_id = $1 AND choice = ANY($3) AND embedding IS NOT NULL
), near AS (
  SELECT * FROM mine ORDER BY distance LIMIT $5
), told AS (
  SELECT * FROM mine WHERE words @@ to_tsquery('simple', $4) ORDER BY ts_rank(words, to_tsquery('simple', $4)) DESC
  LIMIT $5
)
SELECT DISTINCT ON (pattern, choice) pattern, choice, gist, origins, succeeded, failed, last_incident_id, distance
FROM (SELECT * FROM near UNION ALL SELECT * FROM told) found
"""

_MOST_OF_A_KIND: Final = 20
_MOST_FOUND: Final = 24
_MOST_WORDS: Final = 40
_SUCCEEDED: Final = "verified"
_FAILED: Final = frozenset({"failed", "rolled_back"})


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory, and how its choice's parameters were taken from the incident."""

    memory: Memory
    origins: Mapping[str, Any] | None


@dataclass(slots=True)
class _Lesson:
    incident: Mapping[str, Any]
    parameters: Mapping[str, Any]
    incident_id: UUID
    succeeded: int = 0
    failed: int = 0


async def learn(batch: TenantBatch) -> None:
    """Remember what runs came to, whoever chose them: a rule, the planner or a person.

    Of a flood of runs of one playbook that ended alike, some say as much as all; failures are as many as
    successes then, at worst, which makes nobody too sure.
    """
    ended: dict[UUID, Event] = {}
    alike_ended: Counter[tuple[Any, Any]] = Counter()
    for event in batch.events:
        outcome = event.data.get("outcome")
        if event.correlation_id is None or outcome not in {_SUCCEEDED, *_FAILED}:
            continue
        kind = (event.data.get("playbook_id"), outcome)
        alike_ended[kind] += 1
        if alike_ended[kind] <= _MOST_OF_A_KIND:
            ended[event.correlation_id] = event
    if not ended:
        return
    connection = await driver(batch.session)
    rows = await connection.fetch(_RAN, batch.tenant_id, list(ended))
    await _note_results(batch, rows, ended)
    lessons: dict[tuple[str, str], _Lesson] = {}
    for row in rows:
        event = ended[row["id"]]
        if row["incident"] is not None and row["plan_hash"] == event.data.get("plan_hash"):
            _take(lessons, row, event)
    if lessons:
        await _remember(batch.session, batch.tenant_id, dict(sorted(lessons.items())))


async def alike(
    database: Database, tenant_id: UUID, incident: Mapping[str, Any], signature: str, keys: Sequence[str]
) -> list[Remembered]:
    """Return what this tenant remembers of incidents like this one, for choices that may be made now.

    Args:
        database: The database.
        tenant_id: Whose memories.
        incident: The new incident.
        signature: Its pattern.
        keys: Of the candidates.
    """
    text = gist(incident)
    told = words(sealed(text, tenant_id))
    query = " | ".join(sorted(told)[:_MOST_WORDS]) or "nothing"
    async with database.raw_tenant(tenant_id) as connection:
        rows = await connection.fetch(_ALIKE, tenant_id, literal(embed(text)), list(keys), query, _MOST_FOUND)
    found = []
    for row in rows:
        other = words(row["gist"])
        memory = Memory(
            1.0 if row["pattern"] == signature else likeness(1 - float(row["distance"]), told, other),
            row["choice"],
            row["succeeded"],
            row["failed"],
            str(row["last_incident_id"]),
        )
        found.append(Remembered(memory, row["origins"]))
    return sorted(found, key=lambda one: -one.memory.likeness)


async def _note_results(batch: TenantBatch, rows: Sequence[Any], ended: Mapping[UUID, Event]) -> None:
    """Note what came of the planner's own choices; rules' runs are none of them."""
    own = [row for row in rows if str(row["rule_id"] or "").startswith(PLANNER_PREFIX) and row["plan_hash"]]
    results = [
        (row["id"], row["plan_hash"], str(ended[row["id"]].data["outcome"]))
        for row in own
        if row["plan_hash"] == ended[row["id"]].data.get("plan_hash")
    ]
    if results:
        await note_results(batch.session, batch.tenant_id, results)


def _take(lessons: dict[tuple[str, str], _Lesson], row: Any, event: Event) -> None:
    incident = row["incident"]
    kind = RUNBOOK if str(row["playbook"]).startswith(f"{RUNBOOK}:") else PLAYBOOK
    choice = row["playbook"] if kind == RUNBOOK else f"{PLAYBOOK}:{row['playbook']}"
    parameters = row["parameters"] or {}
    if kind == RUNBOOK:
        parameters = parameters.get("parameters") or {}
    place = (pattern_signature(incident), str(choice))
    lesson = lessons.setdefault(place, _Lesson(incident, parameters, row["id"]))
    if event.data["outcome"] == _SUCCEEDED:
        lesson.succeeded += 1
    else:
        lesson.failed += 1


async def _remember(
    session: AsyncSession, tenant_id: UUID, lessons: Mapping[tuple[str, str], _Lesson]
) -> None:
    connection = await driver(session)
    patterns, choices = [list(part) for part in zip(*lessons, strict=True)]
    rows = await connection.fetch(_KNOWN, tenant_id, patterns, choices)
    known = {(row["pattern"], row["choice"]) for row in rows}
    texts = [("" if place in known else gist(lesson.incident)) for place, lesson in lessons.items()]
    await connection.execute(
        _REMEMBER,
        tenant_id,
        patterns,
        choices,
        [sealed(text, tenant_id) for text in texts],
        [literal(embed(text)) if text else None for text in texts],
        [_origins(choice, lesson) for (_, choice), lesson in lessons.items()],
        [lesson.succeeded for lesson in lessons.values()],
        [lesson.failed for lesson in lessons.values()],
        [lesson.incident_id for lesson in lessons.values()],
    )
    wrong = [place for place, lesson in lessons.items() if lesson.failed]
    if wrong:
        await connection.execute(
            _FORGET_ANSWERS, tenant_id, [pattern for pattern, _ in wrong], [choice for _, choice in wrong]
        )


def _origins(choice: str, lesson: _Lesson) -> str | None:
    """Return where in the incident a plan's parameters came from, None where they came from elsewhere."""
    if not lesson.succeeded:
        return None
    anything = Candidate(RUNBOOK, choice, "", "", {"type": "object"})
    try:
        return dumps_str(fitted(anything, lesson.parameters, lesson.incident)[1])
    except AnswerError:
        return None
