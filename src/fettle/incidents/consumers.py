"""Takes accepted exceptions in: normalises, correlates and opens, counts, reopens or settles incidents."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg

from fettle.incidents import history, opening, storms
from fettle.incidents.history import Standing
from fettle.incidents.intake import Arrival, Known, Outcome, correlate
from fettle.incidents.merging import destinations
from fettle.incidents.service import STANDING_COLUMNS, save, standing_of
from fettle.incidents.states import State
from fettle.kernel import events
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.database import driver
from fettle.kernel.events import Event, NewEvent
from fettle.packs.service import active_packs

ACTOR = "system:intake"

_PATIENCE_MS = 200
"""Much less than the second after which PostgreSQL looks for a deadlock."""

_LOCK = f"""
SELECT id, fingerprint, number, title, check_type, host, site, platform, source, summary, pack_id, labels, details,
       {STANDING_COLUMNS}
FROM incidents WHERE tenant_id = $1 AND fingerprint = ANY($2) AND state <> 'closed' ORDER BY id FOR UPDATE
"""  # noqa: S608 - a constant

_NOTE = """
INSERT INTO incident_exceptions (tenant_id, exception_id, incident_id)
SELECT $1, * FROM unnest($2::uuid[], $3::uuid[]) ON CONFLICT DO NOTHING
"""


async def take_in(batch: TenantBatch) -> None:
    """Correlate one tenant's accepted exceptions with its incidents."""
    packs = await active_packs(batch.platform, batch.tenant_id)
    arrivals = [_arrival(packs.normalise(event.data["exception"]), packs, event) for event in batch.events]
    connection = await driver(batch.session)
    limit = storms.StormLimit.of(packs.policy)
    # Storms' incidents with the others, so that all are locked in one order, and before the storms are counted.
    stormy = [] if limit is None else storms.fingerprints_of(arrivals)
    rows = await connection.fetch(
        _LOCK, batch.tenant_id, [*(arrival.fingerprint for arrival in arrivals), *stormy]
    )
    unknown = {arrival.fingerprint for arrival in arrivals} - {row["fingerprint"] for row in rows}
    # After the lock: a merge that was under way has closed its source by now, and its pointer is seen.
    if unknown and (goes_to := await destinations(connection, batch.tenant_id, list(unknown))):
        arrivals = [replace(a, fingerprint=goes_to.get(a.fingerprint, a.fingerprint)) for a in arrivals]
        elsewhere = set(goes_to.values()) - {row["fingerprint"] for row in rows}
        rows += await _lock_more(connection, batch.tenant_id, elsewhere)
    storm = await _sort_out(batch, limit, arrivals, {row["fingerprint"] for row in rows})
    if storm is not None:
        arrivals = storm.arrivals
        missing = storm.goes_to - {row["fingerprint"] for row in rows}
        rows += await _lock_more(connection, batch.tenant_id, missing)
    standings = {row["id"]: standing_of(row) for row in rows}
    known = {row["fingerprint"]: Known(row["id"], State(row["state"]), row["severity"]) for row in rows}
    outcomes, went_to = correlate(arrivals, known)
    if storm is not None:
        by_fingerprint = {outcome.fingerprint: outcome.incident_id for outcome in outcomes}
        await storms.note_members(connection, batch.tenant_id, storm, went_to, by_fingerprint)
    contents = {row["id"]: _content_of_row(dict(row)) for row in rows}
    opened = await _number(batch, [outcome for outcome in outcomes if outcome.first is not None])
    contents.update(opened)
    new_events: list[NewEvent] = []
    begun: dict[UUID, Standing] = {}
    for outcome in outcomes:
        standing = standings.get(outcome.incident_id)
        told = _tell(outcome, contents[outcome.incident_id], standing)
        for event in told:
            standing = history.apply(standing, event.type, event.data, event.occurred_at)
            begun.setdefault(outcome.incident_id, standing)
        if standing is not None:
            standings[outcome.incident_id] = standing
        new_events.extend(told)
    # What is over already is written as it began, and then changed: two that open the same must meet.
    written = {key: begun[key] if standings[key].state is State.CLOSED else standings[key] for key in opened}
    # Where another lane opened one of them at this moment, the batch is undone and sees it the next time.
    if opened:
        rows_of = [(content, written[incident_id]) for incident_id, content in opened.items()]
        await opening.insert(connection, batch.tenant_id, rows_of)
    changed = {event.stream_id for event in new_events}
    await save(
        batch.session,
        batch.tenant_id,
        {key: standings[key] for key in changed if written.get(key) is not standings[key]},
    )
    await connection.execute(_NOTE, batch.tenant_id, list(went_to), list(went_to.values()))
    await events.append(batch.session, batch.tenant_id, new_events)


async def _lock_more(
    connection: asyncpg.Connection, tenant_id: UUID, fingerprints: Collection[str]
) -> list[asyncpg.Record]:
    """Lock what may be older than what is locked already, and give way where somebody has it.

    The wait ends before the database looks for a deadlock: this batch is undone and taken again, and who locks in
    the one order never is.
    """
    if not fingerprints:
        return []
    await connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE_MS}ms'")
    rows: list[asyncpg.Record] = await connection.fetch(_LOCK, tenant_id, list(fingerprints))
    await connection.execute("SET LOCAL lock_timeout TO DEFAULT")
    return rows


async def _sort_out(
    batch: TenantBatch, limit: storms.StormLimit | None, arrivals: list[Arrival], known: set[str]
) -> storms.Sorted | None:
    """Send what belongs to storms there; None where the policy knows none or nothing is new."""
    strange = {arrival.fingerprint for arrival in arrivals} - known
    if limit is None or not strange:
        return None
    connection = await driver(batch.session)
    return await storms.sort_out(connection, batch.tenant_id, limit, arrivals, strange)


def _arrival(body: dict[str, Any], packs: Any, event: Event) -> Arrival:
    return Arrival(
        exception_id=event.stream_id,
        fingerprint=packs.fingerprint(body),
        body=body,
        received_at=event.occurred_at,
        event_id=event.id,
    )


async def _number(batch: TenantBatch, outcomes: list[Outcome]) -> dict[UUID, dict[str, Any]]:
    """Return what the incidents that are to be opened are, each with its number."""
    if not outcomes:
        return {}
    connection = await driver(batch.session)
    first_number = await opening.take_numbers(connection, batch.tenant_id, len(outcomes))
    contents: dict[UUID, dict[str, Any]] = {}
    for number, outcome in enumerate(outcomes, first_number):
        assert outcome.first is not None
        contents[outcome.incident_id] = opening.content_of(
            outcome.incident_id, number, outcome.fingerprint, outcome.first.body, outcome.first.received_at
        )
    return contents


def _tell(outcome: Outcome, content: dict[str, Any], before: Standing | None) -> list[NewEvent]:
    """Return the events of an outcome."""
    told: list[NewEvent] = []
    if outcome.first is not None:
        opened = {**content, "count": 1, "exception_ids": [str(outcome.first.exception_id)]}
        told.append(_event(outcome, "incident.opened", opened, outcome.first))
    if outcome.added:
        kind = "incident.reopened" if outcome.reopened else "incident.occurrence_added"
        data: dict[str, Any] = {
            "count": len(outcome.added),
            "exception_ids": [str(arrival.exception_id) for arrival in outcome.added],
            "severity": outcome.severity,
        }
        if outcome.reopened:
            data["state"] = State.OPEN.value
        told.append(_event(outcome, kind, data, outcome.added[-1]))
    if outcome.handed_over:
        arrival = outcome.added[-1] if outcome.added else outcome.first
        assert arrival is not None
        incident = {**content, "severity": outcome.severity}
        triaged: dict[str, Any] = {
            "state": State.TRIAGED.value,
            "severity": outcome.severity,
            "incident": incident,
        }
        if outcome.reopened and before is not None:
            triaged["resolved_at"] = before.resolved_at
        told.append(_event(outcome, "incident.triaged", triaged, arrival))
    if outcome.recovered is not None:
        told.extend(_recovery(outcome, outcome.recovered))
    return told


def _recovery(outcome: Outcome, arrival: Arrival) -> list[NewEvent]:
    if not outcome.settles:
        return [
            _event(outcome, "incident.recovery_reported", {"source": arrival.body.get("source")}, arrival)
        ]
    resolution = f"{arrival.body.get('source') or 'The sender'} reports that it is in order again"
    return [
        _event(
            outcome,
            "incident.resolved",
            {"state": "resolved", "resolution": resolution, "by": "source"},
            arrival,
        ),
        _event(outcome, "incident.closed", {"state": "closed", "resolution": resolution}, arrival),
    ]


def _event(outcome: Outcome, kind: str, data: dict[str, Any], arrival: Arrival) -> NewEvent:
    return NewEvent(
        stream_type="incident",
        stream_id=outcome.incident_id,
        type=kind,
        data=data,
        actor=ACTOR,
        correlation_id=outcome.incident_id,
        causation_id=arrival.event_id,
        occurred_at=arrival.received_at,
    )


def _content_of_row(row: dict[str, Any]) -> dict[str, Any]:
    names = ("number", "fingerprint", "severity", "opened_at", *(n for n in opening.OWN_FIELDS if n in row))
    return {"id": str(row["id"]), **{name: row[name] for name in names}}


CONSUMERS = [ConsumerSpec("incidents.intake", frozenset({"exception.ingested"}), take_in)]
