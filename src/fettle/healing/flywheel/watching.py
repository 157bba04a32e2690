"""Counts what becomes of patterns, and of the rules that grew from them: a few statements for a batch, however many."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.healing.deciding import level_of
from fettle.healing.flywheel import shadowing
from fettle.healing.flywheel.figures import BADLY, SECONDS_KEPT, WELL, added
from fettle.healing.flywheel.growing import PREFIX
from fettle.healing.flywheel.incidents_seen import as_decided, patterns_of, read_seen
from fettle.healing.flywheel.profiles import Profile, merged, merged_origins, origins_of, profile_of
from fettle.healing.flywheel.promotions import count_runs
from fettle.healing.planner.words import PLAYBOOK, RUNBOOK
from fettle.kernel.bus import TenantBatch
from fettle.kernel.database import driver
from fettle.kernel.events import Event
from fettle.kernel.jsonio import dumps_str
from fettle.packs.service import active_packs

_COUNT: Final = f"""
INSERT INTO pattern_stats AS s (tenant_id, pattern, check_type, platform, total, l1, l2, l3, succeeded, failed, seconds,
                                last_incident_id, first_at, last_at)
SELECT $1::uuid, n.pattern, n.check_type, n.platform, n.l1 + n.l2 + n.l3, n.l1, n.l2, n.l3, n.succeeded, n.failed,
       ARRAY(SELECT jsonb_array_elements_text(n.seconds::jsonb)::real), n.incident_id, n.first_at, n.last_at
FROM unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[], $10::text[],
            $11::uuid[], $12::timestamptz[], $13::timestamptz[])
  AS n(pattern, check_type, platform, l1, l2, l3, succeeded, failed, seconds, incident_id, first_at, last_at)
ORDER BY n.pattern
ON CONFLICT (tenant_id, pattern) DO UPDATE SET total = s.total + excluded.total, l1 = s.l1 + excluded.l1,
  l2 = s.l2 + excluded.l2, l3 = s.l3 + excluded.l3, succeeded = s.succeeded + excluded.succeeded,
  failed = s.failed + excluded.failed,
  seconds = (s.seconds || excluded.seconds)[
    greatest(1, cardinality(s.seconds) + cardinality(excluded.seconds) - {SECONDS_KEPT - 1}):],
  last_incident_id = excluded.last_incident_id, last_at = greatest(s.last_at, excluded.last_at)
"""  # noqa: S608 - a constant

_ENSURE: Final = """
INSERT INTO pattern_choices (tenant_id, pattern, choice)
SELECT $1::uuid, n.pattern, n.choice FROM unnest($2::text[], $3::text[]) AS n(pattern, choice)
ORDER BY n.pattern, n.choice ON CONFLICT DO NOTHING
"""
_LOCK: Final = """
SELECT c.pattern, c.choice, c.recent, c.profile, c.origins, c.succeeded FROM pattern_choices c
JOIN unnest($2::text[], $3::text[]) AS n(pattern, choice) USING (pattern, choice)
WHERE c.tenant_id = $1 ORDER BY c.pattern, c.choice FOR UPDATE OF c
"""
_CHANGE: Final = """
UPDATE pattern_choices c SET succeeded = c.succeeded + n.succeeded, failed = c.failed + n.failed, recent = n.recent,
  profile = n.profile::jsonb, origins = n.origins::jsonb, last_incident_id = n.incident_id, last_at = now(),
  changed_at = clock_timestamp()
FROM unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::text[], $7::text[], $8::text[], $9::uuid[])
  AS n(pattern, choice, succeeded, failed, recent, profile, origins, incident_id)
WHERE c.tenant_id = $1 AND c.pattern = n.pattern AND c.choice = n.choice
"""

_MOST_SECONDS: Final = 1e7


@dataclass(slots=True)
class _Count:
    check_type: str
    platform: str | None
    incident_id: UUID
    levels: Counter[str] = field(default_factory=Counter)
    succeeded: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)


@dataclass(slots=True)
class _Lesson:
    incident_id: UUID
    outcomes: str = ""
    profile: Profile | None = None
    origins: dict[str, Any] | None = None


async def note(batch: TenantBatch) -> None:
    """Take note of runs that ended, and of incidents that went to a person without one."""
    ended = [(incident_id, event) for event in batch.events if (incident_id := _about(event)) is not None]
    if not ended:
        return
    planned = [incident_id for incident_id, event in ended if _is_run(event) and _level(event) != "L1"]
    connection = await driver(batch.session)
    rows = await read_seen(connection, batch.tenant_id, list({one for one, _ in ended}), planned)
    packs = await active_packs(batch.platform, batch.tenant_id)
    patterns = patterns_of(batch.platform)
    known = {}
    for row in rows:
        incident = as_decided(row, packs)
        known[row["id"]] = (row, incident, patterns.of(incident))
    counts: dict[str, _Count] = {}
    lessons: dict[tuple[str, str], _Lesson] = {}
    seen: list[shadowing.Seen] = []
    # As they happened, each of them: an incident may have been tried twice within a batch.
    for incident_id, event in ended:
        if incident_id not in known:
            continue
        row, incident, pattern = known[incident_id]
        count = counts.setdefault(pattern, _Count(row["check_type"], row["platform"], row["id"]))
        if not _is_run(event):
            count.levels["L3"] += 1
            count.times.append(event.occurred_at)
            seen.append(shadowing.Seen(row["id"], pattern, incident, None, {}, healed=False))
            continue
        _count_run(count, row, event)
        if row["plan_hash"] is not None and row["plan_hash"] == event.data.get("plan_hash"):
            seen.append(_learn(lessons, pattern, row, incident, event))
    # Promotions before evidence, in the order in which a turn locks them.
    await shadowing.watch(batch, seen)
    await count_runs(batch, _runs_of_grown(event for _, event in ended if _is_run(event)))
    await _store_counts(connection, batch.tenant_id, dict(sorted(counts.items())))
    await _store_lessons(connection, batch.tenant_id, dict(sorted(lessons.items())))


def _about(event: Event) -> UUID | None:
    """Return the incident of which a run ended, or that went to a person without one; None for all else."""
    if _is_run(event):
        return event.correlation_id
    return event.stream_id if "run_id" not in event.data else None


def _is_run(event: Event) -> bool:
    return event.type == "playbook.completed"


def _level(event: Event) -> str:
    return level_of(event.data.get("rule_id"))


def _healed(event: Event) -> bool:
    return event.data.get("outcome") == "verified"


def _count_run(count: _Count, row: asyncpg.Record, event: Event) -> None:
    level = _level(event)
    if level != "L3":  # what a person runs was with a person already, and is counted as that
        count.levels[level] += 1
    count.times.append(event.occurred_at)
    if _healed(event):
        count.succeeded += 1
        count.seconds.append(
            min(_MOST_SECONDS, max(0.0, (event.occurred_at - row["opened_at"]).total_seconds()))
        )
    else:
        count.failed += 1


def _learn(
    lessons: dict[tuple[str, str], _Lesson],
    pattern: str,
    row: asyncpg.Record,
    incident: Mapping[str, Any],
    event: Event,
) -> shadowing.Seen:
    playbook = str(event.data.get("playbook_id"))
    parameters = row["parameters"] or {}
    choice = f"{PLAYBOOK}:{playbook}"
    if playbook.startswith(f"{RUNBOOK}:"):
        choice = playbook
        parameters = parameters.get("parameters") or {}
    first = (pattern, choice) not in lessons
    lesson = lessons.setdefault((pattern, choice), _Lesson(row["id"]))
    if _healed(event):
        origins = origins_of(parameters, incident)
        is_first_success = first or lesson.profile is None
        lesson.profile = merged(lesson.profile, profile_of(incident))
        lesson.origins = origins if is_first_success else merged_origins(lesson.origins, origins)
    lesson.outcomes += WELL if _healed(event) else BADLY
    return shadowing.Seen(row["id"], pattern, incident, choice, parameters, healed=_healed(event))


def _runs_of_grown(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        rule_id = event.data.get("rule_id")
        if isinstance(rule_id, str) and rule_id.startswith(PREFIX):
            found[rule_id].append(event)
    return found


async def _store_counts(
    connection: asyncpg.Connection, tenant_id: UUID, counts: Mapping[str, _Count]
) -> None:
    if not counts:
        return
    values = list(counts.values())
    await connection.execute(
        _COUNT,
        tenant_id,
        list(counts),
        [one.check_type for one in values],
        [one.platform for one in values],
        [one.levels["L1"] for one in values],
        [one.levels["L2"] for one in values],
        [one.levels["L3"] for one in values],
        [one.succeeded for one in values],
        [one.failed for one in values],
        [dumps_str(one.seconds[-SECONDS_KEPT:]) for one in values],
        [one.incident_id for one in values],
        [min(one.times) for one in values],
        [max(one.times) for one in values],
    )


async def _store_lessons(
    connection: asyncpg.Connection, tenant_id: UUID, lessons: Mapping[tuple[str, str], _Lesson]
) -> None:
    """Add to what is known under its lock: a profile is merged here, not by the database."""
    if not lessons:
        return
    patterns, choices = [list(part) for part in zip(*lessons, strict=True)]
    await connection.execute(_ENSURE, tenant_id, patterns, choices)
    rows = await connection.fetch(_LOCK, tenant_id, patterns, choices)
    before = {(row["pattern"], row["choice"]): row for row in rows}
    profiles, origins = [], []
    for place, lesson in lessons.items():
        profile, origin = _added_to(before[place], lesson)
        profiles.append(None if profile is None else dumps_str(profile))
        origins.append(None if origin is None else dumps_str(origin))
    values = list(lessons.values())
    await connection.execute(
        _CHANGE,
        tenant_id,
        patterns,
        choices,
        [one.outcomes.count(WELL) for one in values],
        [one.outcomes.count(BADLY) for one in values],
        [added(before[place]["recent"], one.outcomes) for place, one in lessons.items()],
        profiles,
        origins,
        [one.incident_id for one in values],
    )


def _added_to(before: asyncpg.Record, lesson: _Lesson) -> tuple[Profile | None, Any]:
    if lesson.profile is None:
        return before["profile"], before["origins"]
    if before["profile"] is None:
        return lesson.profile, lesson.origins
    return merged(before["profile"], lesson.profile), merged_origins(before["origins"], lesson.origins)
