"""The brakes' part of the pipeline: calls of tools that failed are counted, what was cleared is triaged anew."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fettle.healing.brakes import admissions, breakers, flaps
from fettle.healing.brakes.breakers import Ended, host_key
from fettle.healing.brakes.limits import action_limits
from fettle.healing.brakes.standing import brakes_of
from fettle.incidents import service as incidents
from fettle.incidents.service import Transition
from fettle.incidents.states import State
from fettle.kernel.bus import ConsumerSpec, TenantBatch
from fettle.kernel.database import driver
from fettle.kernel.events import Event
from fettle.packs.service import active_packs

_ACTOR: Final = "system:brakes"
_WELL: Final = {"verified": True, "completed": True, "failed": False, "rolled_back": False, "unknown": False}
_NO_FAULT_OF_THE_TOOL: Final = frozenset({"rejected", "expired", "cancelled", "expression", "disabled"})

_RELEASED: Final = """
SELECT DISTINCT ON (i.id) s.id AS suppression, i.id, i.number, i.fingerprint, i.check_type, i.host, i.site,
       i.platform, i.source, i.summary, i.pack_id, i.labels, i.details, i.title, i.severity, i.opened_at
FROM flap_suppressions s JOIN incidents i ON i.tenant_id = s.tenant_id AND i.id = ANY(s.suppressed)
WHERE s.tenant_id = $1 AND s.id = ANY($2) ORDER BY i.id, s.id DESC
"""


async def note_ended(batch: TenantBatch, ended: list[Event]) -> None:
    """Count how runs ended for breakers and limits; without either, it costs a failed run its count and no more."""
    packs = await active_packs(batch.platform, batch.tenant_id)
    standing = (await brakes_of(batch.platform).of(batch.tenant_id)).any
    failed = [event for event in ended if _WELL.get(str(event.data.get("outcome"))) is False]
    if action_limits(packs.policy).any or standing:
        outcomes = [(event.stream_id, str(event.data.get("outcome"))) for event in ended]
        await admissions.note_ended(batch.session, batch.tenant_id, outcomes)
    wanted = ended if standing else failed
    if not wanted:
        return
    hosts = await _hosts(batch, [event.stream_id for event in failed])
    runs = [_ended(event, hosts.get(event.stream_id)) for event in wanted]
    await breakers.note_runs(batch.platform, batch.session, batch.tenant_id, packs.policy, runs)


async def take_news(batch: TenantBatch) -> None:
    """Count calls that failed, and release what waited for a flapping check to be cleared."""
    failed = [
        (str(event.data["tool"]), event.occurred_at)
        for event in batch.events
        if event.type == "step.failed" and event.data.get("tool") and _counts(event.data)
    ]
    if failed:
        packs = await active_packs(batch.platform, batch.tenant_id)
        await breakers.note_calls(batch.platform, batch.session, batch.tenant_id, packs.policy, failed)
    cleared = [event for event in batch.events if event.type == flaps.CLEARED]
    if cleared:
        await _release(batch, cleared)


def _counts(data: dict[str, Any]) -> bool:
    return str((data.get("error") or {}).get("code")) not in _NO_FAULT_OF_THE_TOOL


async def _hosts(batch: TenantBatch, run_ids: list[UUID]) -> dict[UUID, str]:
    if not run_ids:
        return {}
    connection = await driver(batch.session)
    rows = await connection.fetch(
        "SELECT id, incident ->> 'host' AS host FROM playbook_runs WHERE tenant_id = $1 AND id = ANY($2)",
        batch.tenant_id, run_ids,
    )  # fmt: skip
    return {row["id"]: host_key(row["host"]) for row in rows}


def _ended(event: Event, host: str | None) -> Ended:
    return Ended(
        run_id=event.stream_id,
        playbook=str(event.data.get("playbook_id")),
        host=host or "",
        well=_WELL.get(str(event.data.get("outcome"))),
        at=event.occurred_at,
    )


async def _release(batch: TenantBatch, cleared: list[Event]) -> None:
    """Hand what rested to a decision again; what was resolved or closed meanwhile stays so."""
    by = {UUID(str(event.data["suppression_id"])): event for event in cleared}
    connection = await driver(batch.session)
    rows = await connection.fetch(_RELEASED, batch.tenant_id, list(by))
    standings = await incidents.lock(batch.session, batch.tenant_id, [row["id"] for row in rows])
    moves: list[Transition] = []
    for row in rows:
        if standings[row["id"]].state is State.SUPPRESSED:
            what = dict(row)
            moves.extend(_again(what, by[what.pop("suppression")]))
    await incidents.transition(batch.session, batch.tenant_id, moves)


def _again(row: dict[str, Any], event: Event) -> list[Transition]:
    released = {"cause": flaps.FLAPPING, "by": event.data["suppression_id"], "reason": event.data["reason"]}
    opened_at: datetime = row["opened_at"]
    incident = {**row, "id": str(row["id"]), "opened_at": opened_at}
    triaged = {"severity": row["severity"], "incident": incident, "released": flaps.FLAPPING}
    return [
        _move(row["id"], "incident.released", State.OPEN, released, event),
        _move(row["id"], "incident.triaged", State.TRIAGED, triaged, event),
    ]


def _move(incident_id: UUID, kind: str, to: State, data: dict[str, Any], event: Event) -> Transition:
    return Transition(
        incident_id=incident_id, type=kind, to=to, data=data, actor=_ACTOR, causation_id=event.id
    )


CONSUMERS: Final = [ConsumerSpec("healing.brakes", frozenset({"step.failed", flaps.CLEARED}), take_news)]
