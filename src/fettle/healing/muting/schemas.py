"""The API's words for silences, maintenance windows, inhibition, dependencies, and why nothing was heard."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fettle.healing.escalation.schemas import Id, Moment, Version, WallTime, Zone
from fettle.healing.muting.matching import Matcher, MatcherError
from fettle.kernel.http.bodies import Input

MuteKind = Literal["silence", "window", "inhibition", "dependency"]
MuteState = Literal["active", "pending", "ended"]
Effect = Literal["suppress", "hold", "only_then"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MuteTitle = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]
LabelName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=120, pattern=r"^[A-Za-z_][A-Za-z0-9_.:/-]*$"),
    Field(
        description="check_type, host, site, severity, platform, source; else a label's, and labels.x always is."
    ),
]


def _valid(matcher: "MatcherIn") -> "MatcherIn":
    try:
        Matcher.parse(matcher.model_dump())
    except MatcherError as error:
        raise ValueError(str(error)) from None
    return matcher


class MatcherIn(Input):
    """A condition in Alertmanager's forms; a label that is missing is empty, a pattern covers the whole value."""

    name: LabelName
    op: Literal["=", "!=", "=~", "!~"] = "="
    value: Annotated[str, StringConstraints(max_length=1_000)]


CheckedMatcher = Annotated[MatcherIn, AfterValidator(_valid)]
SomeMatchers = Annotated[list[CheckedMatcher], Field(min_length=1, max_length=20)]


class RecurrenceIn(Input):
    """Hours of some weekdays by the clocks of a place."""

    weekdays: Annotated[list[Weekday], Field(min_length=1, max_length=7, description="On which it begins.")]
    from_: Annotated[WallTime, Field(alias="from")]
    to: Annotated[WallTime, Field(description="Not later than it begins means the day after.")]
    timezone: Zone

    @model_validator(mode="after")
    def _sorted(self) -> Self:
        order = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        self.weekdays = sorted(set(self.weekdays), key=order.index)
        return self


class _TimedIn(Input):
    title: MuteTitle
    starts_at: Moment | None = Field(None, description="Not before; absent: from now on.")
    ends_at: Moment | None = Field(None, description="Not from then on; it may be absent where it recurs.")
    recurrence: RecurrenceIn | None = Field(None, description="Within that, only then.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        self.starts_at = self.starts_at and self.starts_at.astimezone(UTC)
        self.ends_at = self.ends_at and self.ends_at.astimezone(UTC)
        if self.ends_at is None and self.recurrence is None:
            raise ValueError("must say when it ends (ends_at), or when it recurs (recurrence)")
        if self.starts_at is not None and self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("must end after it begins")
        return self


_EXAMPLE: dict[str, Any] = {
    "kind": "silence",
    "title": "The office moves; its workstations are off",
    "matchers": [
        {"name": "site", "op": "=", "value": "Hall"},
        {"name": "host", "op": "=~", "value": "ws-.*"},
    ],
    "ends_at": "2026-12-01T18:00:00Z",
}


class SilenceIn(_TimedIn):
    """What fits keeps still and nobody is told; the title says why."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    kind: Literal["silence"]
    matchers: Annotated[SomeMatchers, Field(description="All must hold.")]
    incident_id: Id | None = Field(None, description="The incident that it was made from.")

    @model_validator(mode="after")
    def _covers_not_everything(self) -> Self:
        if all(Matcher.parse(one.model_dump()).holds({}) for one in self.matchers):
            raise ValueError("needs a matcher that does not hold for everything, such as host=ws-01")
        return self


class MaintenanceIn(_TimedIn):
    """A time with other rules.

    suppress: incidents wait; hold: nothing acts by itself; only_then: disruptive work only then.
    """

    kind: Literal["window"]
    effect: Effect
    matchers: Annotated[
        list[CheckedMatcher], Field(max_length=20, description="All must hold; none means everything.")
    ] = Field(default_factory=list)


class InhibitionIn(Input):
    """While something fires that the source holds for, what the target holds for keeps still."""

    kind: Literal["inhibition"]
    title: MuteTitle
    source: SomeMatchers
    target: SomeMatchers
    equal: Annotated[
        list[LabelName], Field(max_length=10, description="Of these both must have the same value.")
    ] = Field(default_factory=list)


class ThingIn(Input):
    """A host, a site or a service, which is what the label of that name says."""

    kind: Literal["host", "site", "service"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=255, strip_whitespace=True)]


class DependencyIn(Input):
    """What hangs on a thing keeps still while that is down."""

    kind: Literal["dependency"]
    title: MuteTitle
    dependents: Annotated[
        list[ThingIn], Field(min_length=1, max_length=100, description="A star stands for any text.")
    ]
    on: ThingIn
    down: Annotated[SomeMatchers, Field(description="Which incidents about it say that it is down.")]

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if "*" in self.on.name:
            raise ValueError("hangs on one thing: its name holds no star")
        return self


MuteIn = Annotated[SilenceIn | MaintenanceIn | InhibitionIn | DependencyIn, Field(discriminator="kind")]


class MuteBody(Input):
    """What is to be set."""

    mute: MuteIn


class MuteChange(MuteBody):
    """What is to be in the place of what is set; of the same kind."""

    version: Version


class MuteEnd(Input):
    """Which version is to end now, or to be undone."""

    version: Version


class MuteOut(BaseModel):
    """What is set."""

    id: str
    kind: MuteKind
    title: str
    origin: Literal["tenant", "policy", "pack"]
    document: dict[str, Any]
    state: MuteState
    holds: bool = Field(description="Whether it holds at this moment; what recurs may not.")
    changes_at: datetime | None = Field(description="When it next begins or ends.")
    muted: int = Field(description="Incidents that keep still because of it now.")
    version: int
    created_by: str | None
    created_by_name: str | None
    created_at: datetime | None
    updated_at: datetime | None


class PastMute(BaseModel):
    """One change of what is set."""

    version: int
    did: Literal["created", "changed", "ended", "restored"]
    before: dict[str, Any] | None
    after: dict[str, Any]
    by: str
    by_name: str | None
    at: datetime


class MatchedIncident(BaseModel):
    """An incident that would keep still."""

    id: UUID
    number: int
    title: str
    state: str
    severity: str
    check_type: str
    host: str | None
    site: str | None


class MutePreview(BaseModel):
    """What would keep still now."""

    looked_at: int = Field(description="Incidents that are not over; the latest.")
    matched: int
    items: list[MatchedIncident] = Field(description="The latest of them.")


class CalendarSpan(BaseModel):
    """A time in which a silence or a window holds."""

    mute_id: str
    title: str
    effect: Literal["silence", "suppress", "hold", "only_then"]
    origin: Literal["tenant", "policy"]
    covers: str = Field(description="What it is for.")
    begins: datetime
    ends: datetime
    is_cut: bool = Field(description="It goes on after the last day that is shown.")


class MuteCalendar(BaseModel):
    """When silences and windows hold, in the order in which they begin."""

    items: list[CalendarSpan]


class WhyReason(BaseModel):
    """One thing that explains, and when it was or will be."""

    code: str
    text: str
    at: datetime | None = None
    mute_id: str | None = None
    incident_id: UUID | None = None


class MessageWhy(BaseModel):
    """Why a message was or was not sent."""

    id: UUID
    kind: str
    channel_id: UUID
    channel_kind: str
    state: str
    verdict: Literal["sent", "waiting", "not_sent"]
    reasons: list[WhyReason]
    next_at: datetime | None


class IncidentWhy(BaseModel):
    """Why an incident is told of or not, and when something is next due."""

    incident_id: UUID
    state: str
    verdict: Literal["told", "will_be_told", "muted", "nobody_to_tell", "acknowledged", "over", "not_needed"]
    reasons: list[WhyReason]
    next_at: datetime | None = Field(
        description="When somebody is next told, or muting ends; null: not known."
    )
    messages: list[MessageWhy]


class StormOut(BaseModel):
    """The one incident of a storm."""

    id: UUID
    number: int
    title: str
    state: str
    severity: str
    check_type: str
    site: str | None
    members: int = Field(description="How many things it stands for.")
    firing: int = Field(description="How many of them are still out of order.")
    occurrences: int
    opened_at: datetime
    last_at: datetime


class StormPace(BaseModel):
    """How many exceptions of an incident were accepted, minute by minute or more coarsely."""

    seconds: int = Field(description="How many seconds each count covers.")
    first_at: datetime | None = Field(description="When the first of them begins; null where nothing came.")
    counts: list[int] = Field(description="One after the other.")
    is_whole: bool = Field(description="Whether all exceptions are counted; else those of its beginning.")


class StormMember(BaseModel):
    """One thing out of order that a storm's incident stands for."""

    model_config = ConfigDict(from_attributes=True)

    fingerprint: str
    host: str | None
    is_firing: bool
    occurrences: int
    first_at: datetime
    last_at: datetime


class CorrelationOut(BaseModel):
    """Incidents that may belong together, by a pack's rule."""

    id: UUID
    rule_id: str
    key: str = Field(description="What they have in common.")
    title: str
    state: Literal["candidate", "confirmed", "dismissed"]
    cause_id: UUID | None = Field(description="Which of them may have caused the others.")
    version: int
    created_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    members: list[MatchedIncident]


class CorrelationVerdict(Input):
    """Which version of the group was looked at."""

    version: Version
