"""The API's words for what people do on incidents."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fettle.incidents.bulk import MOST_IDS, Action
from fettle.incidents.links import Kind
from fettle.incidents.schemas import IncidentItem, Reason, Seen, Severity
from fettle.incidents.splitting import MOST_EXCEPTIONS
from fettle.incidents.states import State
from fettle.kernel.http.bodies import Input

Words = Annotated[str, StringConstraints(min_length=1, max_length=10_000, strip_whitespace=True)]
Id = Annotated[UUID, Field(strict=False)]
ViewName = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]
ViewQuery = Annotated[str, StringConstraints(max_length=2_000)]


class _Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PersonOut(_Shown):
    """Somebody who may have incidents in hand."""

    id: UUID
    name: str


class PeopleOut(BaseModel):
    """Everybody who may have incidents in hand, by name."""

    items: list[PersonOut]


class ActorOut(BaseModel):
    """Who did something; `name` is what the tenant knows them by."""

    actor: str
    name: str | None


class AssignIn(Input):
    """To whom an incident goes."""

    assignee: Id | Literal["me"]
    version: Seen = None


class UnassignIn(Input):
    """That nobody has an incident in hand any more."""

    version: Seen = None


class CommentIn(Input):
    """What is said, and to whom. Secrets and personal data are taken out before it is stored."""

    body: Words
    mentions: list[Id] = Field(default=[], max_length=20)


class CommentChange(Input):
    """One's own comment in other words."""

    body: Words
    version: Seen = None


class CommentOut(BaseModel):
    """A comment; a deleted one has no body."""

    id: UUID
    author: ActorOut
    body: str
    mentions: list[UUID]
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    mine: bool
    version: int


class CommentPage(BaseModel):
    """A page of comments, oldest first."""

    items: list[CommentOut]
    next_cursor: str | None


class LinkIn(Input):
    """How this incident hangs together with another."""

    kind: Kind
    incident_id: Id


class LinkedIncident(_Shown):
    """The incident at the other end of a link."""

    id: UUID
    number: int
    title: str
    state: State
    severity: Severity


class LinkOut(BaseModel):
    """A link as the incident that was asked about shows it."""

    id: UUID
    says: Literal["relates_to", "caused_by", "causes", "duplicates", "duplicated_by"]
    incident: LinkedIncident
    created_by: ActorOut
    created_at: datetime


class LinksOut(BaseModel):
    """All links of an incident, and what was merged into it."""

    items: list[LinkOut]
    merged: list[LinkedIncident]
    merged_into: LinkedIncident | None


class MergeIn(Reason):
    """Into which incident this one goes, and why."""

    into: Id


class SplitIn(Reason):
    """What becomes an incident of its own, and why."""

    exception_ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_EXCEPTIONS)]
    title: Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)] | None = (
        None
    )


class ReportedException(BaseModel):
    """Something that was reported for an incident, or for what was merged into it."""

    id: UUID
    incident_id: UUID
    received_at: datetime | None
    exception: dict[str, Any] | None


class ReportedPage(BaseModel):
    """A page of what was reported for an incident, newest first."""

    items: list[ReportedException]
    next_cursor: str | None


class RelatedOut(BaseModel):
    """Another incident, and what it has in common with this one."""

    incident: IncidentItem
    shares: list[Literal["host", "site", "check_type", "pattern"]]


class RelatedList(BaseModel):
    """What else was out of order around an incident; most in common first."""

    items: list[RelatedOut]


class CountOut(BaseModel):
    """How many incidents a filter lets through; above 10,000 only that it is more."""

    count: int
    more: bool


class ViewIn(Input):
    """A filter under a name."""

    name: ViewName
    query: ViewQuery
    shared: bool = False


class ViewChange(Input):
    """What is other about one's own view; what is left out stays."""

    name: ViewName | None = None
    query: ViewQuery | None = None
    shared: bool | None = None
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]


class ViewOut(BaseModel):
    """A saved view."""

    id: UUID
    name: str
    query: str
    shared: bool
    mine: bool
    owner: ActorOut
    is_default: bool
    updated_at: datetime
    version: int


class ViewsOut(BaseModel):
    """One's own views and those that are shared, by name."""

    items: list[ViewOut]


class DefaultViewIn(Input):
    """The view that one's list opens with; null for the list of all."""

    view_id: Id | None


class BulkIn(Input):
    """One command on many incidents, named one by one or chosen by a filter as it stands in the list's address."""

    action: Action
    ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_IDS)] | None = None
    filter: ViewQuery | None = None
    reason: (
        Annotated[str, StringConstraints(min_length=1, max_length=1_000, strip_whitespace=True)] | None
    ) = None
    assignee: Id | Literal["me"] | None = None
    body: Words | None = None


class BulkItemOut(_Shown):
    """What became of one incident."""

    incident_id: UUID
    number: int | None
    title: str | None
    result: Literal["pending", "done", "skipped", "undone", "kept"]
    detail: str | None


class BulkOut(BaseModel):
    """A command on many incidents, and how far it is."""

    id: UUID
    action: Action
    state: Literal["queued", "running", "done", "undoing", "undone"]
    requested_by: ActorOut
    total: int
    pending: int
    done: int
    skipped: int
    undone: int
    kept: int
    can_undo: bool
    job_id: UUID | None
    created_at: datetime
    finished_at: datetime | None


class BulkItems(BaseModel):
    """What became of each incident, in the order in which they were chosen."""

    items: list[BulkItemOut]
    next_cursor: str | None
