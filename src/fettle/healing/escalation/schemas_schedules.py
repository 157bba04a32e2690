"""The API's words for who is on call: schedules, overrides, calendars, their addresses, and how people are reached."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fettle.healing.escalation.schemas import Id, Moment, Name, Number, PersonRef, Version, WindowIn, Zone
from fettle.kernel.http.bodies import Input
from fettle.kernel.http.idempotency import OneTimeAnswer


def _wall(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a local time such as 2026-01-05T09:00") from None
    if moment.tzinfo is not None or not 2000 <= moment.year <= 2200:  # noqa: PLR2004 - what anybody plans for
        raise ValueError("must be without an offset: it is meant in the schedule's time zone")
    return moment.isoformat()


WallMoment = Annotated[
    str, StringConstraints(max_length=30), AfterValidator(_wall), Field(examples=["2026-01-05T09:00"])
]


class LayerIn(Input):
    """A rotation of people."""

    name: Name = "Rotation"
    people: Annotated[
        list[Id], Field(min_length=1, max_length=100, description="In the order of their turns.")
    ]
    starts: WallMoment
    unit: Literal["hours", "days", "weeks"] = "weeks"
    length: Annotated[int, Field(ge=1, le=365)] = 1
    windows: Annotated[
        list[WindowIn], Field(max_length=20, description="When it counts; always if empty.")
    ] = Field(default_factory=list)


class OverrideIn(Input):
    """Somebody stands in; without a person, nobody is on call."""

    person: Id | None
    begins: Moment
    ends: Moment

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ends <= self.begins:
            raise ValueError("must end after it begins")
        self.begins, self.ends = self.begins.astimezone(UTC), self.ends.astimezone(UTC)
        return self


class ScheduleBody(Input):
    """Who is on call when: of layers the last one that has somebody counts, before all the last override."""

    name: Name
    time_zone: Zone
    layers: Annotated[list[LayerIn], Field(max_length=20)]
    overrides: Annotated[list[OverrideIn], Field(max_length=2_000)] = Field(default_factory=list)


class ScheduleChange(ScheduleBody):
    """A whole schedule in the place of what it was."""

    version: Version


class CalendarIn(Input):
    """Somebody else's calendar; each event becomes an override by its attendee's address or its summary."""

    ics: Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
    version: Version


class SpanOut(BaseModel):
    """One person's time on call; without a person it is a gap."""

    begins: datetime
    ends: datetime
    person: PersonRef | None


class OnCallNow(BaseModel):
    """Who is on call by a schedule at a moment, and until when."""

    schedule_id: UUID
    schedule: str
    person: PersonRef | None
    until: datetime | None


class OnCallList(BaseModel):
    """Who is on call now, by every schedule."""

    items: list[OnCallNow]


class PreviewOut(BaseModel):
    """Who is on call when, without holes, and a warning of each gap."""

    items: list[SpanOut]
    gaps: list[SpanOut]


class ScheduleOut(BaseModel):
    """A schedule."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    document: dict[str, Any]
    version: int
    updated_at: datetime
    updated_by: str
    warnings: list[str] = Field(default_factory=list, description="Gaps of the next four weeks, in words.")


class ImportOut(BaseModel):
    """What became of a calendar."""

    taken: int
    unknown: list[str] = Field(description="Whom the calendar names and the tenant does not know.")
    version: int


class FeedIn(Input):
    """An address for a calendar program."""

    name: Name
    whole: bool = Field(False, description="Everybody's times on call, not only one's own.")


class FeedOut(BaseModel):
    """An address for a calendar program; its secret is shown once, when it is made."""

    id: UUID
    name: str
    whole: bool
    person: PersonRef
    mine: bool
    created_at: datetime
    last_used_at: datetime | None


class NewFeed(FeedOut, OneTimeAnswer):
    """A new address: its path, shown this once."""

    link: str = Field(description="Below the address of the installation.")


class ContactIn(Input):
    """How channels reach and know a person; by mail they are reached at their account's address."""

    slack: Annotated[str, StringConstraints(pattern=r"^[UW][A-Z0-9]{2,20}$")] | None = None
    pagerduty: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{4,20}$")] | None = None
    phone: Number | None = None


class ContactOut(BaseModel):
    """How channels reach and know a person."""

    person: PersonRef
    slack: str | None = None
    pagerduty: str | None = None
    phone: str | None = None


class ContactList(BaseModel):
    """The people who may be on call, and how they are reached."""

    items: list[ContactOut]
