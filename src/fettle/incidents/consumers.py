"""Takes accepted exceptions in: normalises, correlates and opens, counts, reopens or settles incidents."""

from typing import Any
from uuid import UUID

from fettle.incidents import history
from fettle.incidents.intake import Arrival, Known, Outcome, correlate
from fettle.incidents.service import STANDING_COLUMNS, save, standing_of
from fettle.incidents.states import State
from fettle.kernel import events
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict
from fettle.kernel.events import Event, NewEvent
from fettle.kernel.jsonio import dumps_str
from fettle.packs.service import active_packs

ACTOR = "system:intake"

_LOCK = f"""
SELECT id, fingerprint, number, title, check_type, host, site, platform, source, summary, pack_id, labels, details,
       {STANDING_COLUMNS}
FROM incidents WHERE tenant_id = $1 AND fingerprint = ANY($2) AND state <> 'closed' ORDER BY id FOR UPDATE
"""  # noqa: S608 - a constant

_NUMBER = """
INSERT INTO incident_counters (tenant_id, last_number) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET last_number = incident_counters.last_number + $2 RETURNING last_number
"""

_OPEN = """
INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, host, site, platform, source,
                       summary, fingerprint, pack_id, labels, details, occurrences, opened_at, last_seen_at, version)
SELECT n.id, $1, n.number, n.title, 'open', n.severity, n.check_type, n.host, n.site, n.platform, n.source,
       n.summary, n.fingerprint, n.pack_id, n.labels::jsonb, n.details::jsonb, 1, n.opened_at, n.opened_at, 1
FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::timestamptz[])
  AS n(id, number, title, severity, check_type, host, site, platform, source, summary, fingerprint, pack_id,
       labels, details, opened_at)
ON CONFLICT (tenant_id, fingerprint) WHERE state <> 'closed' DO NOTHING
"""

_NOTE = """
INSERT INTO incident_exceptions (tenant_id, exception_id, incident_id)
SELECT $1, * FROM unnest($2::uuid[], $3::uuid[]) ON CONFLICT DO NOTHING
"""

_OWN_FIELDS = (
    "check_type", "host", "site", "platform", "source", "summary", "pack_id", "labels", "details", "title", "category",
)  # fmt: skip


async def take_in(batch: TenantBatch) -> None:
    """Correlate one tenant's accepted exceptions with its incidents."""
    packs = await active_packs(batch.platform, batch.tenant_id)
    arrivals = [_arrival(packs.normalise(event.data["exception"]), packs, event) for event in batch.events]
    connection = await driver(batch.session)
    rows = await connection.fetch(_LOCK, batch.tenant_id, [arrival.fingerprint for arrival in arrivals])
    standings = {row["id"]: standing_of(row) for row in rows}
    known = {row["fingerprint"]: Known(row["id"], State(row["state"]), row["severity"]) for row in rows}
    outcomes, went_to = correlate(arrivals, known)
    contents = {row["id"]: _content_of_row(dict(row)) for row in rows}
    contents.update(await _open(batch, [outcome for outcome in outcomes if outcome.first is not None]))
    new_events: list[NewEvent] = []
    for outcome in outcomes:
        told = _tell(outcome, contents[outcome.incident_id])
        standing = standings.get(outcome.incident_id)
        for event in told:
            standing = history.apply(standing, event.type, event.data, event.occurred_at)
        if standing is not None:
            standings[outcome.incident_id] = standing
        new_events.extend(told)
    changed = {event.stream_id for event in new_events}
    await save(batch.session, batch.tenant_id, {key: standings[key] for key in changed})
    await connection.execute(_NOTE, batch.tenant_id, list(went_to), list(went_to.values()))
    await events.append(batch.session, batch.tenant_id, new_events)


def _arrival(body: dict[str, Any], packs: Any, event: Event) -> Arrival:
    return Arrival(
        exception_id=event.stream_id,
        fingerprint=packs.fingerprint(body),
        body=body,
        received_at=event.occurred_at,
        event_id=event.id,
    )


async def _open(batch: TenantBatch, outcomes: list[Outcome]) -> dict[UUID, dict[str, Any]]:
    if not outcomes:
        return {}
    connection = await driver(batch.session)
    last = await connection.fetchval(_NUMBER, batch.tenant_id, len(outcomes))
    contents: dict[UUID, dict[str, Any]] = {}
    for number, outcome in enumerate(outcomes, last - len(outcomes) + 1):
        assert outcome.first is not None
        body = outcome.first.body
        contents[outcome.incident_id] = {
            "id": str(outcome.incident_id),
            "number": number,
            "fingerprint": outcome.fingerprint,
            **{name: body.get(name) for name in _OWN_FIELDS},
            "labels": body.get("labels") or {},
            "details": body.get("details") or {},
            "severity": body["severity"],
            "opened_at": outcome.first.received_at,
        }
    opened = list(contents.values())
    result = await connection.execute(
        _OPEN,
        batch.tenant_id,
        list(contents),
        [c["number"] for c in opened],
        [c["title"] for c in opened],
        [c["severity"] for c in opened],
        [c["check_type"] for c in opened],
        [c["host"] for c in opened],
        [c["site"] for c in opened],
        [c["platform"] for c in opened],
        [c["source"] for c in opened],
        [c["summary"] for c in opened],
        [c["fingerprint"] for c in opened],
        [c["pack_id"] for c in opened],
        [dumps_str(c["labels"]) for c in opened],
        [dumps_str(c["details"]) for c in opened],
        [c["opened_at"] for c in opened],
    )
    if int(result.rsplit(" ", 1)[1]) != len(opened):
        # Another lane opened one of them at this moment; the batch is undone and sees it the next time.
        raise Conflict("An incident with the same fingerprint was opened meanwhile.")
    return contents


def _tell(outcome: Outcome, content: dict[str, Any]) -> list[NewEvent]:
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
        triaged = {"state": State.TRIAGED.value, "severity": outcome.severity, "incident": incident}
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
    names = ("number", "fingerprint", "severity", "opened_at", *(n for n in _OWN_FIELDS if n in row))
    return {"id": str(row["id"]), **{name: row[name] for name in names}}


CONSUMERS = [ConsumerSpec("incidents.intake", frozenset({"exception.ingested"}), take_in)]
