"""The API's words for rules and approvals."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from fettle.healing.rules import DEFAULT_COOLDOWN_SECONDS, DEFAULT_MAX_ATTEMPTS, DEFAULT_PRIORITY

RuleId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$"),
    Field(examples=["L1-FIREWALL-001"]),
]
Action = Literal["execute_runbook", "run_playbook", "escalate", "suppress", "notify"]
ApprovalState = Literal["pending", "approved", "rejected", "expired", "withdrawn"]
PlanHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
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


class Input(BaseModel):
    """What is sent to us: an unlisted field is refused, and types are not guessed."""

    model_config = ConfigDict(extra="forbid", strict=True)


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


class ExplainIn(Input):
    """An incident, real or made up, to try the rules on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"incident": {"check_type": "firewall_status", "platform": "windows"}}]
        }
    )

    incident: dict[str, JsonValue]


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


class DryRunIn(Input):
    """A rule to try on the last 30 days' incidents."""

    rule: RuleBody


class DryRunOut(BaseModel):
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


class ApprovalOut(BaseModel):
    """A plan that waits, or waited, for a person."""

    id: UUID
    kind: Literal["approval", "suggestion", "step"]
    state: ApprovalState
    incident_id: UUID
    incident_number: int
    incident_title: str
    severity: str
    check_type: str
    host: str | None
    rule_id: str | None
    run_id: UUID | None = Field(description="The run that waits, where a step of it asks.")
    path: str | None = Field(description="The step that asks.")
    reason: str
    plan: dict[str, Any]
    plan_hash: str
    approvers: list[str]
    may_decide: bool = Field(description="Whether the caller may.")
    requested_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision_reason: str | None


class ApprovalPage(BaseModel):
    """Approvals, newest first."""

    items: list[ApprovalOut]
    next_cursor: str | None


class VerdictIn(Input):
    """A person's decision about one plan."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Checked with the site.", "plan_hash": "0" * 64}]}
    )

    reason: Why
    plan_hash: PlanHash


class ApprovalAccepted(BaseModel):
    """A decision was taken."""

    id: UUID
    status: Literal["accepted"] = "accepted"
    href: str
