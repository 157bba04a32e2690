"""The API's words for brakes, deputies, and what another level of autonomy would do."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from fettle.healing.brakes.what_if import DAYS
from fettle.healing.schemas import Why
from fettle.kernel.http.bodies import Input

Kind = Literal["tool", "host", "playbook", "tenant"]
BreakerState = Literal["closed", "open", "half_open"]
Level = Literal["observe", "suggest", "approve", "act"]
Effect = Literal["acted", "asked", "suggested", "recorded", "refused", "blocked", "braked"]
Key = Annotated[
    str,
    StringConstraints(max_length=255),
    Field(description="Which tool, host or playbook; empty for the tenant.", examples=["runbook.run"]),
]


class BrakeReason(Input):
    """Why somebody moves a brake."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The release is rolled back."}]})

    reason: Why


class StopOut(BaseModel):
    """A stop switch that is, or was, pressed."""

    id: UUID
    reason: str
    stopped_by: str
    stopped_by_name: str | None = None
    stopped_at: datetime
    lifted_at: datetime | None
    lifted_by: str | None
    lifted_by_name: str | None = None
    lift_reason: str | None


class Used(BaseModel):
    """How much of a limit of the policy is used now."""

    name: str
    used: int
    most: int


class BrakesOut(BaseModel):
    """What stands in the way of what heals by itself."""

    platform: StopOut | None = Field(description="The installation's stop switch, while it is pressed.")
    tenant: StopOut | None = Field(description="The tenant's own, while it is pressed.")
    flapping: int = Field(description="Checks that are suppressed.")
    breakers: int = Field(description="Circuit breakers that are not closed.")
    held: int = Field(description="Runs that a limit holds.")
    limits: list[Used] = Field(description="Budgets of the policy and how much of them is used.")


class FlapOut(BaseModel):
    """A check that is, or was, left to a person because it flaps."""

    id: UUID
    check_type: str
    host: str | None
    site: str | None
    flaps: int = Field(description="So often it was out of order again within the window.")
    window_seconds: int
    incident_id: UUID = Field(description="The incident that a person got.")
    suppressed_incidents: int = Field(description="Incidents that came after it.")
    since: datetime
    cleared_at: datetime | None
    cleared_by: str | None
    cleared_by_name: str | None = None
    clear_reason: str | None


class BreakerOut(BaseModel):
    """A circuit breaker."""

    kind: Kind
    key: str
    state: BreakerState
    failures: int = Field(description="Counted while it is closed.")
    times_opened: int = Field(description="In a row.")
    opened_at: datetime | None
    open_until: datetime | None = Field(description="Then one run may try; null while open: not by itself.")
    probe_run_id: UUID | None = Field(description="The run that tries.")
    reason: str | None
    changed_by: str
    changed_by_name: str | None = None
    changed_at: datetime


class BreakerName(Input):
    """Which breaker, and why it is moved."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "playbook", "key": "PB-DEMO", "reason": "Looked at it."}]}
    )

    kind: Kind
    key: Key = ""
    reason: Why


class BreakerOpening(BreakerName):
    """A breaker to be opened."""

    seconds: Annotated[
        int | None, Field(ge=10, le=604_800, description="For how long; null: until somebody resets it.")
    ] = None


class HeldOut(BaseModel):
    """A run that a limit, or a run that goes first, holds."""

    run_id: UUID
    incident_id: UUID | None
    incident_number: int | None
    incident_title: str | None
    playbook_id: str
    host: str | None
    reason: Literal["budget", "blast_radius", "canary", "breaker_open"]
    detail: str
    until: datetime = Field(description="When it is looked at again.")
    since: datetime


class DelegationIn(Input):
    """A deputy to be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "to_user": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "begins_at": "2026-12-01T00:00:00Z",
                    "ends_at": "2026-12-15T00:00:00Z",
                    "reason": "On leave.",
                }
            ]
        }
    )

    from_user: Annotated[
        UUID | None, Field(strict=False, description="For whom; without it for oneself.")
    ] = None
    to_user: Annotated[UUID, Field(strict=False, description="Who may decide in their place.")]
    begins_at: Annotated[AwareDatetime, Field(strict=False)]
    ends_at: Annotated[AwareDatetime, Field(strict=False, description="At most 90 days later.")]
    reason: Why


class DelegationOut(BaseModel):
    """That somebody may decide approvals in another's place."""

    id: UUID
    from_user: UUID
    from_name: str | None = None
    to_user: UUID
    to_name: str | None = None
    begins_at: datetime
    ends_at: datetime
    reason: str
    is_active: bool
    created_by: str
    created_at: datetime
    ended_at: datetime | None
    ended_by: str | None


class RaisedOut(BaseModel):
    """What acting by itself would have added."""

    acting: int = Field(description="Incidents on which something would have acted at once, and did not.")
    healed: int = Field(description="Of those, whose run, begun by a person, was verified.")
    failed: int = Field(description="Of those, whose run came to another end.")


class RaisedPlaybook(RaisedOut):
    """The same of one playbook."""

    pack_id: str | None
    playbook_id: str | None
    incidents: int


class WhatIfOut(BaseModel):
    """What became of the incidents of the last 30 days, and what would have at each level of autonomy."""

    days: int = DAYS
    considered: int = Field(description="Incidents for which something was proposed.")
    unproposed: int = Field(description="Incidents for which nothing was; no level changes that.")
    truncated: bool
    now: dict[str, int]
    levels: dict[Level, dict[str, int]]
    raised: RaisedOut
    by_playbook: list[RaisedPlaybook]


class WhatIfIncident(BaseModel):
    """An incident, what became of its plan, and what would have at the level that was asked for."""

    id: UUID
    number: int
    title: str
    severity: str
    host: str | None
    state: str
    opened_at: datetime
    rule_id: str | None
    playbook_id: str | None
    autonomy: str | None
    now: str | None
    would: str | None
    outcome: str | None = Field(description="Of the run that it had.")


class Moved(BaseModel):
    """A brake was moved."""

    id: str
    status: Literal["accepted"] = "accepted"
    href: str
