"""The API's words for what is overdue, and for the table of what is due when."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class OverdueOut(BaseModel):
    """Something whose next event did not come in time."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: str = Field(description="incident, run, approval, plan_request, escalation or message.")
    state: str = Field(description="In which it hangs, or hung.")
    subject_id: UUID
    about_incident_id: UUID | None = Field(description="The incident that it is or belongs to.")
    is_for_person: bool = Field(description="A person's turn, not a program's.")
    due_at: datetime
    found_at: datetime
    moved_at: datetime | None
    incident_id: UUID = Field(description="The incident by which the auditor tells of it.")
    next_event: str


class DueLine(BaseModel):
    """One line of the table of what is due when."""

    kind: str
    state: str
    next_event: str
    setting: str = Field(description="What the Policy Pack calls it, below due_within.")
    allowed_seconds: int
    is_for_person: bool


class DueTable(BaseModel):
    """What must come next of each thing that is open, and how long it may take."""

    items: list[DueLine]
