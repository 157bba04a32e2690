"""The API's words for packs and policies."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from fettle.kernel.http.bodies import Input

PackId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,62}$", max_length=63)]
Version = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}(-[0-9a-z.]{1,32})?(\+[0-9a-f]{8})?$", max_length=64
    ),
]


class PackAccepted(BaseModel):
    """A command was done."""

    id: str
    status: Literal["accepted"] = "accepted"
    href: str


class Counts(BaseModel):
    """How much a version holds."""

    exception_types: int
    rules: int
    temporal_rules: int = 0
    playbooks: int
    runbooks: int
    sources: int = 0
    tests: int


class PackItem(BaseModel):
    """A pack, as the tenant sees it."""

    id: str
    title: str
    description: str
    active_version: str | None = Field(
        description="The version that the tenant works with; null: switched off."
    )
    chosen: bool = Field(
        description="Whether the tenant chose it; otherwise it is the installation's default."
    )
    latest_version: str
    origin: str
    counts: Counts


class PackList(BaseModel):
    """The installed packs."""

    items: list[PackItem]
    next_cursor: None = None


class PackOut(PackItem):
    """A pack with the content of one version."""

    version: str
    digest: str
    content: dict[str, Any]


class VersionItem(BaseModel):
    """An installed version."""

    version: str
    title: str
    origin: str
    digest: str
    key_id: str | None
    active: bool
    is_default: bool
    installed_by: str
    installed_at: datetime


class ActivationItem(BaseModel):
    """One choice of the tenant."""

    id: UUID
    kind: str
    mode: str
    version: str | None
    current: bool
    actor: str
    activated_at: datetime


class VersionList(BaseModel):
    """A pack's installed versions, newest first, and the tenant's choices, newest first."""

    items: list[VersionItem]
    history: list[ActivationItem]
    next_cursor: None = None


class Activation(Input):
    """Which version to work with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": "1.0.0"}]})

    version: Version


class TestCaseOut(BaseModel):
    """How one test case came out."""

    name: str
    passed: bool
    rule: str | None = Field(description="The rule that decided.")
    failures: list[str]


class TestReport(BaseModel):
    """How a pack's own test cases came out."""

    __test__ = False

    version: str
    passed: bool
    cases: list[TestCaseOut]
    untested_rules: list[str]


class TestRunItem(TestReport):
    """How a version's own test cases came out once."""

    id: UUID
    digest: str
    ran_by: str
    ran_at: datetime


class TestRunList(BaseModel):
    """How a pack's own test cases came out, newest first."""

    items: list[TestRunItem]
    next_cursor: None = None


class FieldChangeOut(BaseModel):
    """One value that differs between two versions."""

    pointer: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


class SectionDiffOut(BaseModel):
    """What differs in one section of a pack."""

    added: list[str]
    removed: list[str]
    changed: dict[str, list[FieldChangeOut]]


class PackDiffOut(BaseModel):
    """What differs between two versions of a pack."""

    before: str = Field(alias="from")
    after: str = Field(alias="to")
    empty: bool = Field(description="Nothing differs but the version.")
    manifest: list[FieldChangeOut] = Field(description="Fields of pack.yaml.")
    sections: dict[str, SectionDiffOut] = Field(description="Only those in which something differs.")


class PastPolicy(BaseModel):
    """What the policy was in one version."""

    version: int
    policy: dict[str, Any]
    yaml: str
    changes: list[FieldChangeOut] = Field(description="What it changed in the version before it.")
    changed_by: str
    changed_at: datetime


class PolicyHistory(BaseModel):
    """The versions of the policy, newest first."""

    items: list[PastPolicy]
    next_cursor: str | None


class PolicyText(Input):
    """A Policy Pack as YAML."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"yaml": "id: ours\nversion: 1.0.0\nschema_version: 1\ntitle: Ours\nautonomy: approve\n"}
            ]
        },
    )

    yaml: Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class PolicyProblem(BaseModel):
    """One thing that is wrong with a policy, and what to do."""

    line: int
    pointer: str
    message: str
    fix: str
    level: Literal["error", "warning"]


class PolicyCheck(BaseModel):
    """What came of reading a policy."""

    valid: bool
    problems: list[PolicyProblem]
    policy: dict[str, Any] | None = Field(description="What was read, as far as it could be.")


class PolicyRestore(Input):
    """Which version to go back to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": 1, "expected_version": 2}]})

    to: Annotated[int, Field(ge=0, le=2**31 - 1, description="0: the installation's default.")]
    expected_version: Annotated[int, Field(ge=0, le=2**31 - 1, description="The version that was read.")]


class PolicyIn(Input):
    """A whole Policy Pack."""

    policy: dict[str, JsonValue] = Field(
        examples=[
            {
                "id": "ours",
                "version": "1.0.0",
                "schema_version": 1,
                "title": "Act on what is harmless",
                "autonomy": "approve",
                "overrides": [{"match": {"severities": ["info", "low"]}, "autonomy": "act"}],
            }
        ]
    )
    expected_version: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="The version that was read, 0 for none; absent: replace whatever holds."
    )


class PolicyOut(BaseModel):
    """The policy that holds for the tenant."""

    version: int = Field(description="0: the tenant has chosen none, and the installation's default holds.")
    policy: dict[str, Any]
    yaml: str
    changed_by: str | None
    changed_at: datetime | None


class PolicyList(BaseModel):
    """Policies to begin with."""

    items: list[dict[str, Any]]
    next_cursor: None = None
