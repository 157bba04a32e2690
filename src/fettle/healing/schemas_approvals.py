"""The API's words for approvals."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fettle.healing.schemas import Why
from fettle.kernel.http.bodies import Input

ApprovalState = Literal["pending", "approved", "rejected", "expired", "withdrawn"]
PlanHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class VoteOut(BaseModel):
    """One of the people who approved a plan that takes more than one."""

    voter: str
    on_behalf_of: str | None = Field(description="Whose deputy they were.")
    reason: str
    voted_at: datetime


class ApprovalOut(BaseModel):
    """A plan that waits, or waited, for a person."""

    id: UUID
    kind: Literal["approval", "suggestion", "step"]
    state: ApprovalState
    incident_id: UUID
    incident_number: int
    incident_title: str
    severity: str
    check_type: str
    host: str | None
    rule_id: str | None
    run_id: UUID | None = Field(description="The run that waits, where a step of it asks.")
    path: str | None = Field(description="The step that asks.")
    reason: str
    plan: dict[str, Any]
    plan_hash: str
    approvers: list[str]
    people: int = Field(description="How many different people must approve; not who asked, where it is two.")
    asked_by: str | None = Field(description="The person who wants it run, where one does.")
    votes: list[VoteOut] = Field(description="Who of them has approved already.")
    may_decide: bool = Field(description="Whether the caller may.")
    requested_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision_reason: str | None


class ApprovalPage(BaseModel):
    """Approvals, newest first."""

    items: list[ApprovalOut]
    next_cursor: str | None


class VerdictIn(Input):
    """A person's decision about one plan."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Checked with the site.", "plan_hash": "0" * 64}]}
    )

    reason: Why
    plan_hash: PlanHash


class ApprovalAccepted(BaseModel):
    """A decision was taken."""

    id: UUID
    status: Literal["accepted"] = "accepted"
    href: str
    left: int = Field(default=0, description="So many more people must approve before it starts.")
