"""The API's words for exceptions and incidents."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from fettle.incidents.states import State
from fettle.kernel.http.accepted import Accepted
from fettle.kernel.http.bodies import Input

Severity = Literal["info", "low", "medium", "high", "critical"]
Level = Literal["L1", "L2", "L3"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Text = Annotated[str, StringConstraints(max_length=4_000)]

MAX_BATCH = 1_000


class ExceptionIn(BaseModel):
    """Something is out of order, as its sender says it."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "check_type": "firewall_status",
                    "host": "front-desk-3",
                    "site": "main-street",
                    "platform": "windows",
                    "severity": "high",
                    "summary": "The firewall's public profile is off",
                    "details": {"profile": "public", "enabled": False},
                }
            ]
        },
    )

    check_type: Annotated[
        str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.:/-]+$")
    ]
    host: Name | None = None
    site: Name | None = None
    platform: Name | None = None
    source: Name | None = None
    summary: Text | None = None
    severity: Severity | None = None
    occurred_at: Annotated[AwareDatetime, Field(strict=False)] | None = None
    dedup_key: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    status: Literal["firing", "resolved"] = "firing"
    details: dict[str, Any] = Field(default_factory=dict)
    labels: dict[Annotated[str, StringConstraints(max_length=200)], Text] = Field(
        default_factory=dict, max_length=100
    )


class ExceptionBatchIn(Input):
    """Up to 1,000 exceptions, accepted all or none."""

    items: Annotated[list[ExceptionIn], Field(min_length=1, max_length=MAX_BATCH)]


class AcceptedBatch(BaseModel):
    """Commands were stored and will be carried out."""

    items: list[Accepted]


class ExceptionOut(BaseModel):
    """An exception and the incident that it went to, once it did."""

    id: UUID
    status: Literal["accepted", "processed"]
    received_at: datetime
    exception: dict[str, Any]
    incident_id: UUID | None


class IncidentItem(BaseModel):
    """An incident in a list."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    number: int
    title: str
    state: State
    severity: Severity
    level: Level | None
    check_type: str
    host: str | None
    site: str | None
    platform: str | None
    occurrences: int
    pack_id: str | None
    rule_id: str | None
    opened_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    assignee: UUID | None
    version: int


class IncidentOut(IncidentItem):
    """An incident, whole."""

    source: str | None
    summary: str | None
    fingerprint: str
    labels: dict[str, str]
    details: dict[str, Any]
    decision: dict[str, Any] | None
    resolution: str | None
    run_id: UUID | None
    bundle_id: UUID | None
    merged_into: UUID | None


class IncidentPage(BaseModel):
    """A page of incidents, newest first."""

    items: list[IncidentItem]
    next_cursor: str | None


class Timeline(BaseModel):
    """The events of an incident, of its runs and of its evidence, in the order in which they happened."""

    items: list[dict[str, Any]]
    next_cursor: str | None


Seen = Annotated[
    int | None,
    Field(ge=1, le=2**31 - 1, description="The version that was looked at; 409 says what changed since."),
]


class Reason(Input):
    """Why a person does what they do; it stands in the timeline and in the evidence."""

    version: Seen = None
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1_000, strip_whitespace=True)]
