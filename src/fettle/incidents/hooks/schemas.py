"""The API's words for sources: programs that send, how they prove themselves, and how they are read."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from fettle.kernel.http.accepted import Accepted
from fettle.kernel.http.bodies import Input
from fettle.kernel.http.idempotency import OneTimeAnswer
from fettle.packs.schemas import FieldChangeOut

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
KindId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,62}$", max_length=63)]
Authentication = Literal[
    "token", "path_token", "standard_webhooks", "github", "pagerduty", "sentry", "grafana", "sns"
]
Topic = Annotated[
    str,
    StringConstraints(
        pattern=r"^arn:aws(-cn|-us-gov)?:sns:[a-z0-9-]{4,30}:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$",
        max_length=330,
    ),
]
Outcome = Literal["accepted", "passed_over", "refused"]
KeepDays = Annotated[int, Field(ge=0, le=90, description="For how long payloads are kept; 0: not at all.")]
Version = Annotated[int, Field(ge=1, le=2**31 - 1, description="The version that was looked at.")]

EXAMPLE: dict[str, Any] = {"name": "grafana-main", "kind": "grafana"}


class SourceKind(BaseModel):
    """A program that can send, as a pack describes it."""

    id: str
    title: str
    description: str
    pack_id: str
    format: Literal["json", "cloudevents", "sns", "email"]
    authentication: list[Authentication] = Field(description="Ways of proof; the first is the usual one.")
    secret_from: Literal["fettle", "sender"] = Field(description="Who makes the secret.")
    setup: list[str] = Field(description="Steps; `{url}` and `{secret}` stand for the source's own.")
    example: JsonValue = Field(description="Something that the program sends.")


class SourceKindList(BaseModel):
    """What can be set up, of all active packs."""

    items: list[SourceKind]
    next_cursor: None = None


class SourceIn(Input):
    """A source to be."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    kind: KindId
    authentication: Authentication | None = Field(
        None, description="One of the kind's; its first when absent."
    )
    topic: Topic | None = Field(None, description="The topic's ARN, for what comes through Amazon SNS.")
    keep_days: KeepDays = 7


class SourceChange(Input):
    """What of a source is to be another."""

    name: Name | None = None
    enabled: bool | None = None
    keep_days: KeepDays | None = None
    topic: Topic | None = None
    version: Version


class SourceOut(BaseModel):
    """A source and what came of what was sent to it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    origin: str = Field(
        description="What its exceptions say as their source; it stays when the name changes."
    )
    kind: str
    title: str = Field(description="What people call the program.")
    authentication: Authentication
    format: Literal["json", "cloudevents", "sns", "email"]
    topic: str | None
    enabled: bool
    keep_days: int
    address: str = Field(description="Where to send, without a token.")
    secrets: int = Field(description="How many secrets hold now; with none, nothing is taken.")
    secret_changed_at: datetime | None
    is_own_mapping: bool
    mapping_version: int
    held: int = Field(description="Wishes to send that wait for a decision.")
    received_at: datetime | None
    accepted_at: datetime | None
    refused_at: datetime | None
    refusal: str | None = Field(description="Why something was refused last.")
    accepted: int
    passed_over: int
    repeated: int
    refused: int
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


class SourcePage(BaseModel):
    """A page of sources, oldest first."""

    items: list[SourceOut]
    next_cursor: str | None


class SourceIssued(SourceOut, OneTimeAnswer):
    """A source with its secret, which is shown here alone."""

    secret: str | None = Field(description="Null where the sender makes the secret, or signs with Amazon's.")
    url: str = Field(description="Where to send, with the token where it stands in the address.")


class SourceSecretIn(Input):
    """A secret to be."""

    secret: Annotated[str, StringConstraints(min_length=16, max_length=500)] | None = Field(
        None, description="What the sender made; absent: one is made here."
    )
    overlap_hours: int = Field(24, ge=0, le=720, description="For how long the one before holds as well.")


class MappingIn(Input):
    """How what a program sends becomes exceptions; docs/schemas/source-mapping.schema.json says what it holds."""

    mapping: dict[str, JsonValue] | None = Field(description="Null: the pack's own.")
    mapping_version: int = Field(ge=0, le=2**31 - 1, description="The one that was looked at.")


class MappingTry(Input):
    """A mapping to try."""

    mapping: dict[str, JsonValue] | None = Field(description="Null: the pack's own.")


class MappingUndo(Input):
    """Which mapping is to be undone."""

    mapping_version: int = Field(ge=1, le=2**31 - 1, description="The one that was looked at.")


class MappingStep(BaseModel):
    """One change of a mapping."""

    model_config = ConfigDict(from_attributes=True)

    version: int
    replaces: int
    is_own: bool
    changed_by: str
    changed_at: datetime


class MappingOut(BaseModel):
    """A source's mapping, the pack's beside it, and what was changed when."""

    mapping: dict[str, Any] | None = Field(description="The source's own; null: the pack's holds.")
    of_pack: dict[str, Any] | None = Field(description="The pack's; null: no active pack has the kind.")
    mapping_version: int
    can_undo: bool
    history: list[MappingStep]


class PayloadPreview(BaseModel):
    """What the two mappings make of one payload."""

    payload_id: UUID
    received_at: datetime
    changes: list[FieldChangeOut]
    after: list[dict[str, Any]] = Field(description="The exceptions that would come of it, at most ten.")
    exceptions_before: int
    exceptions_after: int
    error_before: str | None
    error_after: str | None


class MappingPreview(BaseModel):
    """What a mapping would have made of the payloads that are kept."""

    items: list[PayloadPreview]
    changed: int
    failing: int
    next_cursor: None = None


class PayloadOut(BaseModel):
    """Something that was received, redacted."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    received_at: datetime
    outcome: Outcome
    reason: str | None
    size: int
    headers: dict[str, str]
    payload: Any = Field(description="Null where it was too large to keep.")
    exceptions: list[UUID]


class PayloadPage(BaseModel):
    """A page of what was received, newest first."""

    items: list[PayloadOut]
    next_cursor: str | None


class SourceTestIn(Input):
    """Something to read as if it had been sent."""

    __test__ = False

    payload: JsonValue = Field(None, description="Absent: what the kind's pack has as an example.")
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)


class SourceTestOut(BaseModel):
    """What would come of it; nothing was opened."""

    __test__ = False

    payload: Any
    exceptions: list[dict[str, Any]]
    passed_over: int
    error: str | None


class SubscriptionOut(BaseModel):
    """A topic's wish to send here."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    topic: str
    state: Literal["held", "confirmed", "rejected", "failed"]
    detail: str | None
    asked_at: datetime
    decided_at: datetime | None
    decided_by: str | None


class SubscriptionPage(BaseModel):
    """A page of wishes to send, newest first."""

    items: list[SubscriptionOut]
    next_cursor: str | None


class HookReceived(BaseModel):
    """What became of what was sent."""

    id: UUID
    status: Literal["accepted", "passed_over", "repeated", "waiting", "held"]
    items: list[Accepted]
