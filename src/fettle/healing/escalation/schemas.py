"""The API's words for escalation policies and messages, and those that channels and schedules share with them."""

from datetime import datetime, time
from typing import Annotated, Any, Literal, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from fettle.healing.escalation.policies import MOST_REPEATS, MOST_STEPS
from fettle.kernel.http.bodies import Input

Severity = Literal["info", "low", "medium", "high", "critical"]
ChannelKind = Literal["slack", "teams", "pagerduty", "email", "sendgrid", "webhook", "sms"]
DeliveryState = Literal["queued", "sending", "delivered", "failed", "skipped"]
DeliveryKind = Literal["firing", "acknowledged", "resolved", "test"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
Version = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="The version that was read; another is refused.")
]
Number = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$"), Field(examples=["+4930123456"])]
WallTime = Annotated[
    str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"), Field(examples=["09:00"])
]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is not a time zone of the IANA database, such as Europe/Berlin")
    return name


def _planned_for(moment: datetime) -> datetime:
    if not 2000 <= moment.year <= 2200:  # noqa: PLR2004 - what anybody plans for; beyond it no clock can be reckoned on
        raise ValueError("must lie between the years 2000 and 2200")
    return moment


Zone = Annotated[
    str, StringConstraints(max_length=60), AfterValidator(_known_zone), Field(examples=["Europe/Berlin"])
]
Moment = Annotated[AwareDatetime, AfterValidator(_planned_for), Field(strict=False)]
Id = Annotated[UUID, Field(strict=False)]


class WindowIn(Input):
    """Hours of some weekdays, in local time."""

    days: Annotated[list[Annotated[int, Field(ge=0, le=6)]], Field(min_length=1, max_length=7)] = Field(
        default_factory=lambda: list(range(7)), description="Weekdays on which it begins; Monday is 0."
    )
    begins: WallTime
    ends: Annotated[WallTime, Field(description="Not later than it begins means the day after.")]

    @model_validator(mode="after")
    def _sorted(self) -> Self:
        self.days = sorted(set(self.days))
        time.fromisoformat(self.begins)
        return self


class PersonRef(BaseModel):
    """A person by name."""

    id: UUID
    name: str | None


class TargetIn(Input):
    """Whom a step tells: by a channel, whoever is on call, a person, or whom the channel itself names."""

    channel_id: Id
    schedule_id: Id | None = None
    user_id: Id | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.schedule_id is not None and self.user_id is not None:
            raise ValueError("must name a schedule or a person, not both")
        return self


class EscalationStepIn(Input):
    """One step, and how long it waits before the next."""

    targets: Annotated[list[TargetIn], Field(min_length=1, max_length=20)]
    wait_seconds: Annotated[int, Field(ge=0, le=86_400)] = 300


class MatchIn(Input):
    """Which incidents are meant; what is empty is any."""

    severities: Annotated[list[Severity], Field(max_length=5)] = Field(default_factory=list)
    check_types: Annotated[list[Annotated[str, StringConstraints(max_length=200)]], Field(max_length=100)] = (
        Field(default_factory=list)
    )
    sites: Annotated[list[Annotated[str, StringConstraints(max_length=200)]], Field(max_length=100)] = Field(
        default_factory=list
    )


class QuietIn(WindowIn):
    """Hours in which some severities wait."""

    time_zone: Zone
    severities: Annotated[list[Severity], Field(min_length=1, max_length=5)]


class StormIn(Input):
    """From how many escalations within a time on they become one message with a count."""

    threshold: Annotated[int, Field(ge=1, le=10_000)] = 10
    window_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    update_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300


class EscalationPolicyBody(Input):
    """Whom an incident is told to, step by step, until somebody acknowledges."""

    name: Name
    enabled: bool = True
    position: Annotated[
        int, Field(ge=0, le=100_000, description="Of several that fit, the lowest holds.")
    ] = 100
    match: MatchIn = Field(default_factory=MatchIn)
    steps: Annotated[list[EscalationStepIn], Field(min_length=1, max_length=MOST_STEPS)]
    repeats: Annotated[int, Field(ge=0, le=MOST_REPEATS)] = 0
    fallback: Annotated[list[TargetIn], Field(max_length=20)] = Field(default_factory=list)
    quiet_hours: Annotated[list[QuietIn], Field(max_length=20)] = Field(default_factory=list)
    storm: StormIn = Field(default_factory=StormIn)


class TryIn(Input):
    """An incident that one makes up, and the policy to try; without one, the tenant's own policies choose."""

    policy: EscalationPolicyBody | None = None
    severity: Severity
    check_type: Annotated[str, StringConstraints(max_length=200)] | None = None
    site: Annotated[str, StringConstraints(max_length=200)] | None = None
    at: Moment | None = Field(None, description="When it is escalated; now where nothing is said.")


class ToldOut(BaseModel):
    """One whom a step would tell."""

    channel_id: UUID
    channel: str | None
    channel_kind: ChannelKind | None
    person: PersonRef | None
    why_not: str | None = Field(description="Why nobody is told by it.")


class StrokeOut(BaseModel):
    """One step, when it is due if nobody acknowledges."""

    at: datetime
    step: int = Field(description="Its number from 0; -1 is the fallback.")
    turn: int = Field(description="How often all steps were gone through before.")
    told: list[ToldOut]


class TrialOut(BaseModel):
    """Whom a policy would tell, and when."""

    policy: str | None = Field(description="Which one holds; none where none fits.")
    quiet_until: datetime | None
    items: list[StrokeOut]
    more: bool


class EscalationPolicyChange(EscalationPolicyBody):
    """A whole policy in the place of what it was; what is under way goes on by the old one."""

    version: Version


class EscalationPolicyOut(BaseModel):
    """An escalation policy."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    enabled: bool
    position: int
    document: dict[str, Any]
    version: int
    updated_at: datetime
    updated_by: str


class AttemptOut(BaseModel):
    """What came of one attempt."""

    at: datetime
    state: DeliveryState
    code: str | None
    detail: str | None


class DeliveryOut(BaseModel):
    """One message in the log, with what it said, cleaned of what must not leave."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    escalation_id: UUID | None
    incident_id: UUID | None
    channel_id: UUID
    channel: str | None = Field(None, description="Its name; none where it is gone, or a contact's.")
    channel_kind: ChannelKind
    recipient: UUID | None
    person: PersonRef | None = None
    kind: DeliveryKind
    step: int | None
    state: DeliveryState
    attempts: int
    due_at: datetime
    error_code: str | None
    error: str | None
    sent: dict[str, Any] | None
    said: str | None
    history: list[AttemptOut]
    created_at: datetime
    ended_at: datetime | None


class EscalationOut(BaseModel):
    """The clock of an incident."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    policy_id: UUID
    state: Literal["active", "acknowledged", "exhausted", "grouped", "resolved"]
    reason: str
    storm_id: UUID | None
    members: int
    position: int
    due_at: datetime | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    opened_at: datetime
    ended_at: datetime | None


class IncidentEscalation(BaseModel):
    """What is told to whom about an incident; without a policy that fits, nothing."""

    escalation: EscalationOut | None
    deliveries: list[DeliveryOut]


class AcknowledgeIn(Input):
    """Who acknowledges has it in hand."""

    take: bool = Field(True, description="Also become its assignee.")


class HandOverIn(Input):
    """Another person has it in hand from now on, and is told."""

    to: Id
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1_000, strip_whitespace=True)]


class Commanded(BaseModel):
    """What was asked for will be done; look where it says."""

    id: UUID
    href: str
