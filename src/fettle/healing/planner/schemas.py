"""The API's words for the planner: its chain, budgets, costs, decisions and calibration."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from fettle.kernel.http.pages import Page

Breaker = Literal["closed", "open", "half_open"]
PlanOutcome = Literal["chosen", "unsure", "abstained", "no_candidate", "failed"]


class Money(BaseModel):
    """An amount of money."""

    amount: Annotated[str, Field(description="Decimal, such as 0.0011.", examples=["0.0011"])]
    currency: Literal["USD"] = "USD"


class ChainLink(BaseModel):
    """A provider, in the order in which it is asked."""

    name: Annotated[str, Field(examples=["openai:qwen3@10.1.2.3:8000"])]
    kind: Literal["retrieval", "openai", "anthropic"]
    model: str
    breaker: Annotated[Breaker, Field(description="open: it failed too often just now and is left alone.")]
    is_charged: bool
    asked_today: Annotated[int, Field(description="By this tenant, UTC.")]
    answered_today: int
    mean_latency_ms: Annotated[int | None, Field(description="Today's; null where it was not asked.")]


class BudgetState(BaseModel):
    """What of a day's budget is used, with what is held for calls under way."""

    kind: Literal["calls", "tokens", "usd"]
    used: Annotated[str, Field(examples=["12"])]
    most: Annotated[str | None, Field(description="The policy's limit; null for none.")]
    is_used_up: bool


class ReliabilityPoint(BaseModel):
    """Choices with like confidence."""

    claimed: Annotated[float, Field(ge=0, le=1, description="Their mean confidence.")]
    came_true: Annotated[float, Field(ge=0, le=1, description="The share after which the check passed.")]
    number: int


class Calibration(BaseModel):
    """How well confidence and truth agree, over the last 500 choices that were run."""

    number: int
    error: Annotated[
        float | None, Field(description="Expected calibration error; null where nothing was run yet.")
    ]
    points: list[ReliabilityPoint]
    corrects_from: Annotated[
        int, Field(description="Outcomes of a provider from which its claims are corrected.")
    ]


class PlannerOut(BaseModel):
    """The planner as it works for the tenant."""

    enabled: Annotated[bool, Field(description="The policy lets it look at incidents that no rule matches.")]
    prose: Annotated[Literal["withheld", "masked"], Field(description="What becomes of free text.")]
    autonomy: Annotated[str, Field(description="The most that a plan of its own may do by itself.")]
    least_confidence: float
    sovereign: Annotated[bool, Field(description="Only endpoints that the operator listed are reached.")]
    chain: list[ChainLink]
    budgets: list[BudgetState]
    calibration: Calibration
    waiting: Annotated[int, Field(description="Incidents that wait for a plan.")]


class UsageRow(BaseModel):
    """What was spent in a day or a month, or on a model."""

    key: Annotated[str, Field(description="The day, the month or the provider.", examples=["2026-11-21"])]
    model: str
    asked: int
    answered: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost: Money
    mean_latency_ms: int | None


class UsageOut(BaseModel):
    """What planning cost over some days."""

    by: Literal["day", "month", "model"]
    first: Annotated[str, Field(examples=["2026-11-01"])]
    last: Annotated[str, Field(examples=["2026-11-30"])]
    items: list[UsageRow]
    total: UsageRow


class PlannerDecisionItem(BaseModel):
    """One decision of the planner, and what came of it."""

    id: UUID
    incident_id: UUID
    incident_title: str | None
    decided_at: datetime
    outcome: PlanOutcome
    choice: Annotated[str | None, Field(examples=["runbook:RB-LNX-CLAMAV-001"])]
    provider: str
    model: str
    confidence: float
    claimed: Annotated[float, Field(description="What the provider said, before it was corrected.")]
    requires_human_review: bool
    cached: bool
    calls: int
    input_tokens: int
    output_tokens: int
    cost: Money
    latency_ms: int
    result: Annotated[
        Literal["healed", "not_healed"] | None,
        Field(description="null: nothing was run, or it has not ended."),
    ]


PlannerDecisionPage = Page[PlannerDecisionItem]
