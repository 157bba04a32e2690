"""The API's words for rules and those who write them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from fettle.healing.rules import DEFAULT_COOLDOWN_SECONDS, DEFAULT_MAX_ATTEMPTS, DEFAULT_PRIORITY
from fettle.kernel.http.bodies import Input
from fettle.packs.schemas import FieldChangeOut

RuleId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$"),
    Field(examples=["L1-FIREWALL-001"]),
]
Action = Literal["execute_runbook", "run_playbook", "escalate", "suppress", "notify"]
Why = Annotated[str, StringConstraints(min_length=1, max_length=1_000, strip_whitespace=True)]
Version = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="The version that was read; another is refused.")
]

_EXAMPLE: dict[str, Any] = {
    "id": "SITE-FIREWALL-001",
    "title": "Switch the firewall on again",
    "priority": 10,
    "conditions": [
        {"field": "check_type", "operator": "eq", "value": "firewall_status"},
        {"field": "platform", "operator": "ne", "value": "nixos"},
    ],
    "action": "execute_runbook",
    "runbook_id": "RB-WIN-FIREWALL-001",
}


class RuleBody(Input):
    """An L1 rule of the tenant's own."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: RuleId
    title: Annotated[str, StringConstraints(max_length=160)] | None = None
    description: Annotated[str, StringConstraints(max_length=4_000)] | None = None
    priority: Annotated[int, Field(ge=0, le=100_000, description="Lower wins; ties by id.")] = (
        DEFAULT_PRIORITY
    )
    enabled: bool = True
    conditions: Annotated[
        list[dict[str, JsonValue]],
        Field(
            min_length=1,
            max_length=50,
            description="All must hold: objects of field, operator and value, or groups any, all, none.",
        ),
    ]
    action: Action
    runbook_id: RuleId | None = None
    playbook_id: RuleId | None = None
    parameters: Annotated[dict[str, JsonValue], Field(max_length=40)] | None = None
    reason: Annotated[str, StringConstraints(max_length=500)] | None = None
    cooldown_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = DEFAULT_COOLDOWN_SECONDS
    max_attempts: Annotated[int, Field(ge=1, le=20)] = DEFAULT_MAX_ATTEMPTS

    def document(self) -> dict[str, Any]:
        """Return the rule without what was not said."""
        return self.model_dump(exclude_none=True, exclude={"version"})


class RuleChange(RuleBody):
    """A rule as it shall be from now on."""

    version: Version


class RuleItem(BaseModel):
    """A rule that holds for the tenant."""

    id: str
    title: str | None
    description: str | None
    priority: int
    enabled: bool
    conditions: list[Any]
    action: Action
    runbook_id: str | None
    playbook_id: str | None
    parameters: dict[str, Any] | None
    reason: str | None
    cooldown_seconds: int
    max_attempts: int
    source: str
    pack_id: str | None
    version: int | None = Field(description="Of a tenant's own rule; null for one of a pack.")
    updated_at: datetime | None
    updated_by: str | None


class RulePage(BaseModel):
    """Rules in the order in which they win."""

    items: list[RuleItem]
    next_cursor: str | None


class RuleAccepted(BaseModel):
    """A change of a rule; it holds from the next decision on."""

    id: str
    status: Literal["accepted"] = "accepted"
    href: str
    version: int | None = None


class RuleSwitch(Input):
    """Whether a rule may decide."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False, "version": None}]})

    enabled: bool
    version: Annotated[
        Version | None, Field(description="The version of the tenant's own that was read; null: a pack's.")
    ] = None


class RuleRestore(Input):
    """Which version to go back to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": 1, "version": 2}]})

    to: Version
    version: Annotated[
        Version | None, Field(description="The version that was read; null: it is deleted.")
    ] = None


class PastRuleOut(BaseModel):
    """What a tenant's rule was in one version."""

    version: int
    rule: dict[str, Any] | None = Field(description="null: it was deleted then.")
    changes: list[FieldChangeOut] = Field(description="What it changed in the version before it.")
    changed_by: str
    changed_at: datetime


class RuleHistory(BaseModel):
    """The versions of a tenant's rule, newest first."""

    items: list[PastRuleOut]
    next_cursor: str | None


class KnownField(BaseModel):
    """A field that conditions can look at, as the tenant's packs and rules know it."""

    name: str
    title: str
    values: list[Any] = Field(description="Values that are known of it, to choose from.")
    used_by: int = Field(description="How many rules look at it.")


class OperatorOut(BaseModel):
    """An operator of conditions."""

    name: str
    title: str
    value: Literal["any", "text", "number", "list", "pair", "none"]


class Runnable(BaseModel):
    """Something that a rule can run."""

    id: str
    title: str
    pack_id: str | None
    parameters: dict[str, Any]


class RuleSchema(BaseModel):
    """What a rule is made of for this tenant."""

    rule_schema: dict[str, Any] = Field(description="JSON Schema of a rule of the tenant's own.")
    fields: list[KnownField]
    operators: list[OperatorOut]
    runbooks: list[Runnable]
    playbooks: list[Runnable]


class ExplainIn(Input):
    """An incident, real or made up, to try the rules on, and a rule that is not stored yet where one is given."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"incident": {"check_type": "firewall_status", "platform": "windows"}}]
        }
    )

    incident: dict[str, JsonValue] | None = None
    incident_id: Annotated[UUID | None, Field(strict=False, description="Instead of an incident.")] = None
    rule: Annotated[RuleBody | None, Field(description="Tried in the place of the one with its id.")] = None


class ConditionOut(BaseModel):
    """How one comparison came out."""

    model_config = ConfigDict(from_attributes=True)

    path: str
    field: str
    operator: str
    expected: Any
    present: bool
    actual: Any
    holds: bool


class RuleExplanationOut(BaseModel):
    """Why a rule did or did not match."""

    model_config = ConfigDict(from_attributes=True)

    rule_id: str
    priority: int
    enabled: bool
    matched: bool
    winner: bool
    reason: str
    conditions: list[ConditionOut]


class ExplainOut(BaseModel):
    """The rule that wins, and the rules that came closest, best first."""

    winner: str | None
    considered: int
    matched: int
    items: list[RuleExplanationOut]


class RuleDryRunIn(Input):
    """A rule to try on the last 30 days' incidents."""

    rule: RuleBody


class RuleDryRunDay(BaseModel):
    """A day of a dry-run, in UTC."""

    day: str
    considered: int
    matched: int
    won: int


class RuleDryRunOut(BaseModel):
    """What a rule would have done in the last 30 days."""

    model_config = ConfigDict(from_attributes=True)

    rule_id: str
    days: int
    considered: int
    matched: int
    won: int
    instead_of: dict[str, int]
    truncated: bool
    examples: list[dict[str, Any]]
    by_day: list[RuleDryRunDay]


class RuleMatchIn(RuleDryRunIn):
    """A rule, and which page of its matches."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, Field(max_length=1_024)] = None


class RuleMatchOut(BaseModel):
    """An incident of the last 30 days for which a rule's conditions hold."""

    id: UUID
    number: int
    title: str
    severity: str
    state: str
    check_type: str
    host: str | None
    opened_at: datetime
    decided_by: str | None = Field(description="The rule that decided it then.")
    wins: bool = Field(description="Whether the rule would decide it among today's.")
    instead_of: str | None = Field(description="The rule that would decide it today without this one.")


class RuleMatchPage(BaseModel):
    """Matches, newest first; a page may be short and not the last."""

    items: list[RuleMatchOut]
    next_cursor: str | None


class RunByHandIn(Input):
    """A playbook to be run on an incident."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"incident_id": "0192a1b2-0000-7000-8000-000000000000", "reason": "As agreed."}]
        }
    )

    incident_id: Annotated[UUID, Field(strict=False)]
    parameters: Annotated[dict[str, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    reason: Why


class RunByHandOut(BaseModel):
    """What policy and gate made of it."""

    id: UUID = Field(description="The run, or the approval that it waits for.")
    status: Literal["accepted"] = "accepted"
    href: str
    decision: Literal["started", "approval_requested"]
    detail: str


class PolicyPreviewIn(Input):
    """A policy to compare with the one that holds."""

    policy: dict[str, JsonValue]


class PolicyEffect(BaseModel):
    """An incident that another policy would have treated otherwise."""

    id: UUID
    number: int
    title: str
    severity: str
    host: str | None
    rule_id: str
    before: str
    after: str


class PolicyPreviewOut(BaseModel):
    """What another policy would have changed in the last 30 days; as of today's rules and packs."""

    days: int
    considered: int = Field(description="Incidents that a rule would act on.")
    truncated: bool
    before: dict[str, int] = Field(description="By act, approve, suggest, observe and refused.")
    after: dict[str, int]
    changed: int
    examples: list[PolicyEffect]
