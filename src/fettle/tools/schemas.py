"""The API's words for tools, playbooks, runs and secrets."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from fettle.kernel.http.bodies import Input
from fettle.kernel.http.pages import Page
from fettle.tools.drafts import LONGEST_SOURCE

ToolName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$", max_length=100)]
PlaybookId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,99}$")]
RunState = Literal["queued", "running", "waiting", "finished"]
RunOutcome = Literal["verified", "completed", "failed", "rolled_back", "unknown", "cancelled"]


PlaybookYaml = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_SOURCE),
    Field(description="The playbook as YAML."),
]
StoredVersion = Annotated[int, Field(ge=1, le=2**31 - 1)]

_PLAYBOOK_EXAMPLE = """id: PB-OURS
title: Look whether it is in order again
steps:
  - id: look
    tool: noop
"""


class ToolOut(BaseModel):
    """A tool, and whether the tenant lets it be called."""

    name: str
    version: str
    title: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    idempotent: bool
    supports_dry_run: bool
    enabled: bool


class ToolList(BaseModel):
    """Every tool of this installation."""

    items: list[ToolOut]


class ToolChange(Input):
    """What becomes of a tool for the tenant."""

    enabled: bool


class PlaybookItem(BaseModel):
    """A playbook that the tenant can run."""

    id: str
    version: int
    title: str
    description: str | None = None
    pack_id: str | None = None
    pack_version: str | None = None
    parameters: dict[str, Any]
    steps: int
    tools: list[str]
    verifies: bool
    source: Literal["pack", "tenant"] = Field("pack", description="Whose it is.")
    replaces_pack: bool = Field(
        default=False, description="A tenant's own, in the place of a pack's with the same id."
    )
    updated_at: datetime | None = None
    updated_by: str | None = None


class PlaybookList(BaseModel):
    """Every playbook that the tenant can run, its own and those of its active packs."""

    items: list[PlaybookItem]


class FaultOut(BaseModel):
    """What is wrong with a playbook."""

    path: str
    detail: str


class PlaybookOut(PlaybookItem):
    """A playbook in full."""

    definition: dict[str, Any]
    yaml: str = Field(description="As its author wrote it; for a pack's, the same as its definition.")
    faults: list[FaultOut]


class PlaybookDryRunIn(Input):
    """What a playbook would be run with."""

    parameters: Annotated[dict[str, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    incident_id: Annotated[UUID | None, Field(strict=False)] = None
    incident: Annotated[dict[str, JsonValue] | None, Field(max_length=100)] = None


class PlaybookIn(Input):
    """A playbook of the tenant's own, as its author writes it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"yaml": _PLAYBOOK_EXAMPLE}]})

    yaml: PlaybookYaml


class PlaybookChange(PlaybookIn):
    """A playbook as it shall be from now on."""

    version: StoredVersion


class PlaybookRestore(Input):
    """Which version to go back to."""

    to: StoredVersion
    version: Annotated[
        StoredVersion | None, Field(description="The version that was read; null: it is deleted.")
    ] = None


class PlaybookDraftDryRunIn(PlaybookDryRunIn):
    """A playbook that is not stored yet, and what it would be run with."""

    yaml: PlaybookYaml


class PlaybookAccepted(BaseModel):
    """A change of a playbook; it holds from the next decision on."""

    id: str
    status: Literal["accepted"] = "accepted"
    href: str
    version: int | None = None


class DraftProblem(BaseModel):
    """One thing that is wrong with what was written, and what to do."""

    line: int
    pointer: str
    message: str
    fix: str
    level: Literal["error", "warning"]


class PlaybookCheck(BaseModel):
    """What came of reading a playbook."""

    valid: bool
    problems: list[DraftProblem]
    definition: dict[str, Any] | None = Field(description="What was read, as far as it could be.")


class PastPlaybookOut(BaseModel):
    """What a playbook was in one version."""

    version: int
    yaml: str | None = Field(description="null: it was deleted then.")
    before: str | None = Field(description="The version before it; null for the first.")
    changed_by: str
    changed_at: datetime


PlaybookHistory = Page[PastPlaybookOut]


class ToolTestIn(Input):
    """What to call a tool with, to see what it does."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"input": {}, "dry_run": True}]})

    input: Annotated[dict[str, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    dry_run: Annotated[
        bool, Field(description="Only check the input and say what would be done. false calls it really.")
    ] = True
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 20.0


class ToolTestOut(BaseModel):
    """What came of calling a tool."""

    tool: str
    version: str
    dry_run: bool
    called: bool = Field(description="Whether the tool was asked; if not, only its input was checked.")
    state: Literal["succeeded", "failed", "unknown"]
    output: Any
    error: dict[str, Any] | None
    seconds: float


class PlaybookDryRunStep(BaseModel):
    """One step as it would be."""

    path: str
    title: str
    kind: str
    phase: str
    tool: str | None
    version: str | None
    runs: Annotated[bool | None, Field(description="null: that depends on the steps before it.")]
    condition: str | None
    input: Any
    depends_on_steps: Annotated[
        bool, Field(description="The input is a template of what steps before it yield.")
    ]
    error: str | None
    timeout_seconds: float | None
    attempts: int
    rollback: str | None
    would: Any


class PlaybookDryRunOut(BaseModel):
    """What a playbook would do; nothing was done."""

    playbook_id: str
    version: int
    steps: list[PlaybookDryRunStep]


class RunItem(BaseModel):
    """A run."""

    id: UUID
    incident_id: UUID | None
    playbook_id: str
    playbook_version: int
    rule_id: str | None
    state: RunState
    outcome: RunOutcome | None
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class StepOut(BaseModel):
    """One step of a run, as the ledger has it."""

    path: str
    title: str
    phase: str
    tool: str | None
    state: Literal["started", "waiting", "succeeded", "failed", "skipped", "unknown"]
    attempt: int
    input: Any
    output: Any
    error: dict[str, Any] | None
    started_at: datetime
    ended_at: datetime | None
    wake_at: datetime | None


class RunOut(RunItem):
    """A run with its steps."""

    plan_hash: str | None
    parameters: dict[str, Any]
    steps: list[StepOut]


RunPage = Page[RunItem]


class StopIn(Input):
    """Why a person stops a run; it stands in the timeline."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=1_000, strip_whitespace=True)]


class SecretIn(Input):
    """A secret's value; it never comes back out."""

    value: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class SecretItem(BaseModel):
    """That there is a secret."""

    name: str
    updated_by: str
    updated_at: datetime


class SecretList(BaseModel):
    """The names of the tenant's secrets."""

    items: list[SecretItem]


class Changed(BaseModel):
    """A command that was accepted."""

    id: str
    status: Literal["accepted"] = "accepted"
    href: str
