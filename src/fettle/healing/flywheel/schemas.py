"""The flywheel's words in the API."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fettle.healing.schemas import Why
from fettle.kernel.http.bodies import Input
from fettle.packs.schemas import FieldChangeOut

Signature = Annotated[
    str,
    StringConstraints(min_length=1, max_length=300, pattern=r"^[\w.:\-]+$"),
    Field(examples=["v1:disk:linux:-:0"]),
]
Stage = Literal["proposed", "shadow", "canary", "full", "retired", "dismissed", "adopted"]


class PatternItem(BaseModel):
    """What became of a pattern: how often each level had it, how often it was healed, and how surely."""

    pattern: str
    check_type: str
    platform: str | None
    title: str | None = Field(description="Of the incident that showed it last.")
    total: int
    l1: int = Field(description="Runs that a rule decided.")
    l2: int = Field(description="Runs that the planner chose.")
    l3: int = Field(description="How often it went to a person.")
    succeeded: int
    failed: int
    lower_bound: float = Field(description="Lower end of Wilson's interval of the share that was healed.")
    median_heal_seconds: float | None = Field(description="From opening to healing, of the last 99 heals.")
    first_at: datetime
    last_at: datetime
    last_incident_id: UUID | None
    promotion: Stage | None = Field(default=None, description="The stage of the rule that grew from it last.")


class PatternPage(BaseModel):
    """Patterns, those seen last first."""

    items: list[PatternItem]
    next_cursor: str | None = None


class CriterionOut(BaseModel):
    """One thing that is asked before a rule grows."""

    name: str
    wanted: str
    found: str
    met: bool


class ChoiceOut(BaseModel):
    """What was tried for a pattern where no rule decided, and whether it may become a rule."""

    choice: str
    succeeded: int
    failed: int
    recent: str = Field(description="The latest outcomes, newest last: 1 healed, 0 did not.")
    lower_bound: float
    eligible: bool
    criteria: list[CriterionOut]
    rule: dict[str, Any] | None = Field(description="The rule that would grow, None where none does.")
    detail: str | None = Field(description="Why none does.")
    last_at: datetime


class PatternOut(PatternItem):
    """A pattern with its evidence."""

    choices: list[ChoiceOut]


class ShadowOut(BaseModel):
    """How a rule did in shadow."""

    seen: int = Field(description="Incidents that it would have acted on.")
    right: int = Field(description="What it would have done was done, and healed.")
    wrong: int = Field(description="What it would have done was done, and did not heal.")
    other: int = Field(description="Something else healed.")


class PromotionItem(BaseModel):
    """A rule that grew from what healed, and where it stands."""

    id: UUID
    rule_id: str
    pattern: str
    choice: str
    check_type: str
    state: Stage
    version: int
    successes: int = Field(description="Heals that it grew from.")
    shadow: ShadowOut
    healed: int
    failed: int
    recent: str
    proposed_at: datetime
    stage_at: datetime
    promoted_by: str | None
    ended_by: str | None
    ended_reason: str | None


class PromotionPage(BaseModel):
    """Promotions, newest first."""

    items: list[PromotionItem]
    next_cursor: str | None = None


class RuleBeside(BaseModel):
    """A rule of today that looks at the same kind of check."""

    rule_id: str
    priority: int
    source: str
    action: str


class BackTestExample(BaseModel):
    """An incident that a grown rule would have taken on."""

    id: UUID
    number: int
    title: str
    state: str
    decided_by: str | None
    opened_at: datetime


class BackTestOut(BaseModel):
    """What a grown rule would have done on the incidents of the days before it was proposed."""

    days: int
    considered: int
    matched: int
    won: int = Field(description="Those of the matched that no rule of then would have had.")
    decided_by_others: dict[str, int] = Field(description="How many each other rule would have had.")
    ended: dict[str, int] = Field(description="How those that it would have had ended.")
    examples: list[BackTestExample]


class PromotionOut(PromotionItem):
    """A grown rule with all that speaks for and against it."""

    rule: dict[str, Any]
    evidence: dict[str, Any]
    back_test: BackTestOut
    changes: list[FieldChangeOut] = Field(
        description="Against the rule that it takes the place of, or against none."
    )
    beside: list[RuleBeside]
    objection: str | None = Field(description="Why it may not be promoted as things are now.")


class PromotionMove(Input):
    """A person moves a grown rule."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Looked at its evidence.", "version": 1}]}
    )

    reason: Why
    version: Annotated[int, Field(ge=1, description="As it was read; another by now is a conflict.")]


class PromotionAccepted(BaseModel):
    """A grown rule was moved."""

    id: UUID
    status: Literal["accepted"] = "accepted"
    href: str
    state: Stage
    version: int


class PooledFigure(BaseModel):
    """What at least five tenants that agreed know together, about, of a pattern that this one has met."""

    pattern: str
    choice: str
    tenants: int
    succeeded: int
    failed: int
    lower_bound: float


class PoolPage(BaseModel):
    """The pool, as far as it concerns this tenant."""

    shares: bool = Field(description="Whether this tenant's policy shares; without it, it sees nothing.")
    items: list[PooledFigure]
    next_cursor: str | None = None


class DayOfLevels(BaseModel):
    """Who decided the incidents that were opened on a day, UTC."""

    day: date
    l1: int
    l2: int
    l3: int
    grown: int = Field(description="Of L1: those that a grown rule decided.")


class WheelSavings(BaseModel):
    """What healing without a person saved, by the policy's own assumptions."""

    heals: int
    grown_heals: int
    hours: float
    grown_hours: float
    money: float
    grown_money: float
    currency: str
    minutes_by_hand: float
    cost_per_hour: float


class FlywheelSummary(BaseModel):
    """Where the flywheel stands."""

    days: int
    by_day: list[DayOfLevels]
    saved: WheelSavings
    states: dict[str, int] = Field(description="How many grown rules are in which stage.")
    promotion: Literal["by_person", "by_itself"]
    enabled: bool


class SignatureOut(BaseModel):
    """Ed25519 over the canonical form (RFC 8785) of everything else, after `fettle.l1_rules/1` and a line feed."""

    algorithm: Literal["ed25519"]
    key_id: str
    value: str


class RuleBundleOut(BaseModel):
    """`l1_rules.json`: the rules that an appliance does not have built in."""

    format: Literal["fettle.l1_rules/1"]
    tenant_id: UUID
    version: int
    made_at: datetime
    rules: list[dict[str, Any]]
    signature: SignatureOut
