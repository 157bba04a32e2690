"""What a rule's playbook did not heal goes to the planner before a person: once, and never with the same playbook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fettle.healing.deciding import ACTOR, PLAN_REQUESTED, level_of
from fettle.healing.planner.candidates import may_plan
from fettle.healing.planner.words import PLAYBOOK, RUNBOOK
from fettle.incidents.service import Transition
from fettle.incidents.states import State
from fettle.kernel.bus import TenantBatch
from fettle.kernel.database import driver
from fettle.kernel.events import Event
from fettle.packs.service import active_packs

_ENDED: Final = frozenset({"failed", "rolled_back"})
"""What cannot be known is not among it: then a person reconciles, and nothing else acts. Nor what a person stopped."""

_MOST_DETAIL: Final = 500

_RAN: Final = """
SELECT id, rule_id, decision ->> 'plan_hash' AS plan_hash, decision #>> '{plan,playbook,id}' AS playbook,
       decision #> '{plan,incident}' AS incident
FROM incidents WHERE tenant_id = $1 AND id = ANY($2)
"""


@dataclass(frozen=True, slots=True)
class SecondTry:
    """An incident that the planner is to look at after a run.

    Attributes:
        cause: The event that ended the run.
        incident: As it was triaged.
        after: Rule, choice, outcome and detail of the run.
    """

    incident_id: UUID
    cause: UUID
    incident: Mapping[str, Any]
    after: Mapping[str, Any]

    def move(self) -> Transition:
        """Return the event that asks for a plan."""
        return Transition(
            incident_id=self.incident_id,
            type=PLAN_REQUESTED,
            to=State.PLANNING,
            data={"level": "L2", "after": dict(self.after)},
            actor=ACTOR,
            causation_id=self.cause,
        )


async def second_tries(batch: TenantBatch, ended: Sequence[tuple[UUID, Event]]) -> dict[UUID, SecondTry]:
    """Return which of the incidents the planner looks at next, by id; nothing is read where the policy forbids it.

    Args:
        batch: The batch.
        ended: Incidents that are in hand, and the event that ended their run.
    """
    failed = {incident_id: event for incident_id, event in ended if event.data.get("outcome") in _ENDED}
    if not failed:
        return {}
    packs = await active_packs(batch.platform, batch.tenant_id)
    if not may_plan(packs.policy) or (packs.policy.get("planner") or {}).get("after_rules") is False:
        return {}
    connection = await driver(batch.session)
    rows = await connection.fetch(_RAN, batch.tenant_id, list(failed))
    found = (_second_try(row, failed[row["id"]]) for row in rows)
    return {one.incident_id: one for one in found if one is not None}


def choice_of(playbook: str) -> str:
    """Return what names a playbook, or the runbook that one runs, among candidates."""
    return playbook if playbook.startswith(f"{RUNBOOK}:") else f"{PLAYBOOK}:{playbook}"


def _second_try(row: Any, event: Event) -> SecondTry | None:
    is_the_rules = row["rule_id"] is not None and level_of(row["rule_id"]) == "L1"
    if not is_the_rules or row["incident"] is None or row["plan_hash"] != event.data.get("plan_hash"):
        return None
    detail = str(event.data.get("detail") or event.data.get("reason") or "The check still fails.")
    after = {
        "rule_id": row["rule_id"],
        "choice": choice_of(str(row["playbook"])),
        "outcome": str(event.data["outcome"]),
        "detail": detail[:_MOST_DETAIL],
        "run_id": str(event.stream_id),
    }
    return SecondTry(row["id"], event.id, row["incident"], after)
