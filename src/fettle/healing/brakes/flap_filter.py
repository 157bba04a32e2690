"""Takes what flaps out of a batch before it is decided: one incident goes to a person, those after it rest."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from fettle.healing.brakes import flaps
from fettle.healing.brakes.flaps import FLAPPING, Flap, Returned, subject_of
from fettle.healing.brakes.limits import FlapLimits, flap_limits
from fettle.incidents import service as incidents
from fettle.incidents.service import Transition
from fettle.incidents.states import State
from fettle.kernel.bus import TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.events import Event
from fettle.packs.service import active_packs

ACTOR: Final = "system:brakes"


async def leave_flapping(batch: TenantBatch, triaged: Sequence[Event]) -> list[Event]:
    """Count what returned, move what flaps, and return the events of the incidents that are still to be decided.

    Args:
        batch: The batch; its incidents are locked.
        triaged: The last triage of each incident that waits for a decision.
    """
    if not triaged:
        return []
    packs = await active_packs(batch.platform, batch.tenant_id)
    limits = flap_limits(packs.policy)
    if not limits.enabled:
        return list(triaged)
    returned = [_returned(event) for event in triaged]
    found = await flaps.take(batch.session, batch.tenant_id, returned, limits, utcnow())
    moves = [_move(event, found[event.stream_id], limits) for event in triaged if event.stream_id in found]
    await incidents.transition(batch.session, batch.tenant_id, moves)
    return [event for event in triaged if event.stream_id not in found]


def _returned(event: Event) -> Returned:
    incident = event.data["incident"]
    resolved_at = event.data.get("resolved_at")
    return Returned(
        event.stream_id,
        subject_of(incident),
        str(incident.get("fingerprint") or ""),
        datetime.fromisoformat(resolved_at) if resolved_at else None,
        was_cleared=event.data.get("released") == FLAPPING,
    )


def _move(event: Event, flap: Flap, limits: FlapLimits) -> Transition:
    told: dict[str, Any] = {"reason": FLAPPING, "by": str(flap.suppression), "until": None}
    if flap.began:
        detail = (
            f"It was out of order again {flap.flaps} times within {limits.window_seconds} s. "
            "Nothing heals it by itself until somebody clears it under Brakes."
        )
        data = {**told, "level": "L3", "detail": detail}
        return _transition(event, "incident.escalated", State.ESCALATED, data)
    if flap.is_full:
        detail = "Its check flaps, and more of its incidents rest already than are released together."
        data = {**told, "level": "L3", "detail": detail}
        return _transition(event, "incident.escalated", State.ESCALATED, data)
    detail = "Its check flaps and a person was told. It rests until somebody clears it under Brakes."
    return _transition(event, "incident.suppressed", State.SUPPRESSED, {**told, "detail": detail})


def _transition(event: Event, kind: str, to: State, data: dict[str, Any]) -> Transition:
    return Transition(
        incident_id=event.stream_id, type=kind, to=to, data=data, actor=ACTOR, causation_id=event.id
    )
