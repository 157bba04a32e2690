"""The API's words for rules over time."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from fettle.healing.schemas import PastRuleOut, RuleAccepted, RuleRestore, RuleSwitch, Version
from fettle.healing.temporal import rules
from fettle.kernel.http.bodies import Input

TemporalRuleId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"),
    Field(examples=["T-LOGON-001"]),
]
Kind = Literal["count", "sequence", "missing", "absence", "once", "accumulate"]
Conditions = Annotated[
    list[dict[str, JsonValue]],
    Field(
        min_length=1,
        max_length=50,
        description="All must hold: objects of field, operator and value, or groups any, all, none.",
    ),
]
Within = Annotated[int, Field(ge=1, le=rules.MOST_WITHIN_SECONDS)]
Times = Annotated[int, Field(ge=1, le=rules.MOST_TIMES)]
FieldPath = Annotated[str, StringConstraints(min_length=1, max_length=256)]

_EXAMPLE: dict[str, Any] = {
    "id": "T-DISK-001",
    "title": "A service that stopped three times within an hour",
    "kind": "count",
    "by": ["host"],
    "conditions": [{"field": "check_type", "operator": "eq", "value": "service_running"}],
    "times": 3,
    "within_seconds": 3_600,
    "raises": {"check_type": "service_unstable", "severity": "high"},
}


class StepIn(Input):
    """One step of a sequence."""

    conditions: Conditions
    times: Times | None = None


class RaisesIn(Input):
    """The exception that a rule raises."""

    check_type: Annotated[
        str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    ]
    severity: Literal["info", "low", "medium", "high", "critical"] | None = None
    summary: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None


class TemporalRuleBody(Input):
    """A rule over time of the tenant's own."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: TemporalRuleId
    title: Annotated[str, StringConstraints(min_length=1, max_length=160)]
    description: Annotated[str, StringConstraints(max_length=4_000)] | None = None
    kind: Kind
    enabled: bool = True
    by: Annotated[
        list[FieldPath],
        Field(max_length=rules.MOST_BY, description="Fields that make the key; none: one key."),
    ] = Field(default_factory=list)
    conditions: Conditions | None = None
    awaits: Conditions | None = Field(
        default=None, description="What must come after it: of the kind missing."
    )
    steps: Annotated[list[StepIn], Field(min_length=2, max_length=rules.MOST_STEPS)] | None = None
    times: Annotated[int, Field(ge=2, le=rules.MOST_TIMES)] | None = None
    within_seconds: Within | None = None
    quiet_seconds: Annotated[int, Field(ge=0, le=rules.MOST_WITHIN_SECONDS)] | None = None
    late_seconds: Annotated[int, Field(ge=0, le=rules.MOST_WITHIN_SECONDS)] | None = None
    field: FieldPath | None = Field(default=None, description="What is added up: of the kind accumulate.")
    threshold: Annotated[float, Field(gt=0, le=rules.MOST_THRESHOLD)] | None = None
    expected: Annotated[list[dict[str, str]], Field(max_length=rules.MOST_EXPECTED)] | None = None
    most_keys: Annotated[int, Field(ge=1, le=rules.MOST_KEYS)] | None = None
    raises: RaisesIn

    def document(self) -> dict[str, Any]:
        """Return the rule without what was not said."""
        return self.model_dump(exclude_none=True, exclude={"version"})


class TemporalRuleChange(TemporalRuleBody):
    """A rule over time as it shall be from now on."""

    version: Version


class TemporalRuleSwitch(RuleSwitch):
    """Whether a rule over time sees anything."""


class TemporalRuleRestore(RuleRestore):
    """Which version to go back to."""


class TemporalDryRunIn(Input):
    """A rule over time to be tried."""

    rule: TemporalRuleBody


class TemporalRuleAccepted(RuleAccepted):
    """A change of a rule over time; it holds within a second."""


class TemporalFiguresOut(BaseModel):
    """What a rule over time came to since it was written, and how much it remembers now."""

    keys: int = 0
    bytes: int = 0
    counted: int = 0
    held: int = Field(default=0, description="Came in a time of quiet.")
    late: int = Field(default=0, description="Came too late to count.")
    repeated: int = Field(default=0, description="Had come before.")
    passed_over: int = Field(default=0, description="Said no amount.")
    fired: int = 0
    evicted: int = Field(default=0, description="Keys forgotten for want of room.")
    refused: int = Field(default=0, description="Exceptions of new keys for which there was no room.")
    fired_at: datetime | None = None


class TemporalRuleItem(BaseModel):
    """A rule over time that holds for the tenant."""

    id: str
    title: str
    description: str | None
    kind: Kind
    enabled: bool
    source: str
    pack_id: str | None
    rule: dict[str, Any] = Field(description="The whole rule, as it is written.")
    figures: TemporalFiguresOut
    version: int | None = Field(description="Of a tenant's own rule; null for one of a pack.")
    updated_at: datetime | None
    updated_by: str | None


class TemporalRulePage(BaseModel):
    """A page of rules over time, by id."""

    items: list[TemporalRuleItem]
    next_cursor: str | None


class PastTemporalRuleOut(PastRuleOut):
    """What a tenant's rule over time was in one version."""


class TemporalRuleHistory(BaseModel):
    """The versions of a tenant's rule over time, newest first."""

    items: list[PastTemporalRuleOut]
    next_cursor: str | None


class TemporalKeyOut(BaseModel):
    """What a rule remembers of one key."""

    id: str = Field(description="Names the key among those of its rule.")
    key: dict[str, Any]
    remembered: int = Field(description="How many exceptions.")
    total: float | None = Field(description="The sum so far.")
    last_at: datetime | None = Field(description="The time of the last exception that is remembered.")
    quiet_until: datetime | None
    due_at: datetime | None = Field(description="When something is missing unless it comes before.")
    is_told: bool = Field(description="It was told that something is missing, and not yet that it is over.")
    seen_at: datetime
    bytes: int


class TemporalKeyPage(BaseModel):
    """A page of keys."""

    items: list[TemporalKeyOut]
    next_cursor: str | None


class TemporalFiringOut(BaseModel):
    """What a rule found."""

    id: UUID = Field(description="Also the id of the exception that it raised.")
    rule_id: str
    key: dict[str, Any]
    is_over: bool
    at: datetime
    count: int
    total: float | None
    exception_ids: list[UUID]
    incident_id: UUID | None = Field(description="The incident of what it raised, once there is one.")
    led_by: list[UUID] = Field(description="Incidents of the exceptions that led to it.")
    fired_at: datetime


class TemporalFiringPage(BaseModel):
    """A page of what rules found, newest first."""

    items: list[TemporalFiringOut]
    next_cursor: str | None


class TemporalMemory(BaseModel):
    """How much a tenant's rules over time remember, and how much they may."""

    rules: int
    keys: int
    most_keys: int
    bytes: int
    evicted: int
    refused: int


class WouldFire(BaseModel):
    """What a rule would have found."""

    at: datetime
    key: dict[str, Any]
    is_over: bool
    count: int
    total: float | None
    exception_ids: list[str]


class TemporalDryRunDay(BaseModel):
    """One UTC day of a dry run."""

    day: str
    seen: int
    fired: int


class TemporalDryRunOut(BaseModel):
    """What a rule over time would have found in the exceptions of the last 30 days."""

    rule_id: str
    days: int
    considered: int = Field(description="Exceptions looked at.")
    truncated: bool = Field(description="Whether there were more, which were not looked at.")
    outcomes: dict[str, int] = Field(description="What became of the exceptions that the rule saw.")
    fired: int
    keys: int
    bytes: int = Field(description="What it would remember now.")
    forgotten: int = Field(description="Keys for which there would have been no room.")
    by_day: list[TemporalDryRunDay]
    firings: list[WouldFire] = Field(description="The last of them.")
