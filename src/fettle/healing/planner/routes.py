"""HTTP of the planner: whom it asks and how well, what it decided, and what that cost."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.autonomy import ACT
from fettle.healing.planner import costs
from fettle.healing.planner.breaker import breakers_of
from fettle.healing.planner.budgets import Budget
from fettle.healing.planner.candidates import may_plan
from fettle.healing.planner.confidence import LEAST_KNOWN, calibration_error, reliability
from fettle.healing.planner.endpoints import RETRIEVAL, read_chain
from fettle.healing.planner.masking import WITHHELD
from fettle.healing.planner.schemas import (
    BudgetState,
    Calibration,
    ChainLink,
    Money,
    PlannerDecisionItem,
    PlannerDecisionPage,
    PlannerOut,
    PlanOutcome,
    ReliabilityPoint,
    UsageOut,
    UsageRow,
)
from fettle.healing.planner.words import SURE
from fettle.identity.access import Access, CurrentPlatform, TenantSession, require
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import FieldError, Invalid
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

router = APIRouter(route_class=StrictRoute, tags=["planner"])

Reader = Annotated[Access, Depends(require("planner:read"))]
_DAYS = 30
_MOST_DAYS = 732
_FIRST_DAY = date(2000, 1, 1)


@router.get("/planner")
async def show_planner(access: Reader, platform: CurrentPlatform, session: TenantSession) -> PlannerOut:
    """Show the chain with each provider's health, today's budgets, and how well its confidence comes true."""
    policy = (await active_packs(platform, access.tenant_id)).policy
    chosen = policy.get("planner") or {}
    return PlannerOut(
        enabled=may_plan(policy),
        prose=chosen.get("prose", WITHHELD),
        autonomy=chosen.get("autonomy", ACT),
        least_confidence=max(SURE, float(chosen.get("least_confidence", SURE))),
        sovereign=platform.settings.sovereign,
        chain=await _chain(platform, session, access.tenant_id),
        budgets=await _budgets(session, access.tenant_id, policy),
        calibration=await _calibration(platform, access.tenant_id),
        waiting=await _waiting(session, access.tenant_id),
    )


@router.get("/planner/usage")
async def show_planner_usage(
    access: Reader,
    session: TenantSession,
    by: Annotated[Literal["day", "month", "model"], Query(description="What each row stands for.")] = "day",
    first: Annotated[
        date | None, Query(description="First day, UTC; 30 days before the last without it.")
    ] = None,
    last: Annotated[date | None, Query(description="Last day, UTC; today without it.")] = None,
) -> UsageOut:
    """Show what planning cost, by day, month or model."""
    until = last or utcnow().date()
    begin = first or max(until, _FIRST_DAY) - timedelta(days=_DAYS - 1)
    if not 0 <= (until - begin).days < _MOST_DAYS:
        raise Invalid(
            "These days cannot be summed.",
            errors=[
                FieldError("/first", f"Give a first day before the last, at most {_MOST_DAYS} days apart.")
            ],
        )
    rows = await costs.usage_by(session, access.tenant_id, by, begin, until)
    names = ("asked", "answered", "calls", "input_tokens", "output_tokens", "cost_micros", "latency_ms")
    total = {name: sum(row[name] for row in rows) for name in names}
    return UsageOut(
        by=by,
        first=begin.isoformat(),
        last=until.isoformat(),
        items=[_usage(row) for row in rows],
        total=_usage({**total, "key": "total", "model": ""}),
    )


@router.get("/planner/decisions")
async def list_planner_decisions(
    access: Reader,
    session: TenantSession,
    paging: Paging,
    incident_id: Annotated[UUID | None, Query(description="Of one incident.")] = None,
    outcome: Annotated[PlanOutcome | None, Query(description="With this outcome.")] = None,
) -> PlannerDecisionPage:
    """List what the planner decided, the newest first, with its cost and what came of it."""
    rows = await costs.decisions(
        session,
        access.tenant_id,
        before=paging.last_id(),
        limit=paging.limit + 1,
        incident_id=incident_id,
        outcome=outcome,
    )
    page, cursor = paging.cut(rows, lambda row: (row["id"],))
    return PlannerDecisionPage(items=[_decision(row) for row in page], next_cursor=cursor)


async def _chain(platform: Platform, session: AsyncSession, tenant_id: UUID) -> list[ChainLink]:
    today = utcnow().date()
    rows = await costs.usage_by(session, tenant_id, costs.MODEL, today, today)
    by_provider = {row["key"]: row for row in rows}
    breakers = breakers_of(platform)
    links = []
    for entry in read_chain(platform.settings):
        row = by_provider.get(entry.name)
        links.append(
            ChainLink.model_validate(
                {
                    "name": entry.name,
                    "kind": entry.kind,
                    "model": entry.model,
                    "breaker": await breakers.state(entry.name),
                    "is_charged": entry.kind != RETRIEVAL,
                    "asked_today": row["asked"] if row else 0,
                    "answered_today": row["answered"] if row else 0,
                    "mean_latency_ms": _mean_latency(row) if row else None,
                }
            )
        )
    return links


async def _budgets(session: AsyncSession, tenant_id: UUID, policy: Mapping[str, Any]) -> list[BudgetState]:
    budget = Budget.of(policy)
    calls, tokens, spent = await costs.spent_today(session, tenant_id)
    return [
        BudgetState(
            kind="calls", used=str(calls), most=_most(budget.calls), is_used_up=_is_up(calls, budget.calls)
        ),
        BudgetState(
            kind="tokens",
            used=str(tokens),
            most=_most(budget.tokens),
            is_used_up=_is_up(tokens, budget.tokens),
        ),
        BudgetState(
            kind="usd",
            used=f"{spent:f}",
            most=_most(budget.cost_usd),
            is_used_up=_is_up(spent, budget.cost_usd),
        ),
    ]


async def _calibration(platform: Platform, tenant_id: UUID) -> Calibration:
    known = await costs.claims(platform.database, tenant_id)
    claims = [(one.confidence, one.healed) for one in known]
    return Calibration(
        number=len(claims),
        error=round(calibration_error(claims), 4) if claims else None,
        points=[
            ReliabilityPoint(claimed=round(mean, 4), came_true=round(share, 4), number=number)
            for mean, share, number in reliability(claims)
        ],
        corrects_from=LEAST_KNOWN,
    )


async def _waiting(session: AsyncSession, tenant_id: UUID) -> int:
    connection = await driver(session)
    return int(
        await connection.fetchval("SELECT count(*) FROM plan_requests WHERE tenant_id = $1", tenant_id)
    )


def _most(limit: object) -> str | None:
    return None if limit is None else str(limit)


def _is_up(used: Any, limit: Any) -> bool:
    return limit is not None and used >= limit


def _usage(row: Mapping[str, Any]) -> UsageRow:
    named = ("key", "model", "asked", "answered", "calls", "input_tokens", "output_tokens")
    return UsageRow(
        **{name: row[name] for name in named},
        cost=_money(row["cost_micros"]),
        mean_latency_ms=_mean_latency(row),
    )


def _decision(row: Mapping[str, Any]) -> PlannerDecisionItem:
    same = {name: row[name] for name in PlannerDecisionItem.model_fields if name in row}
    return PlannerDecisionItem.model_validate(
        {
            **same,
            "incident_title": row["title"],
            "confidence": round(row["confidence"], 4),
            "claimed": round(row["claimed"], 4),
            "cost": _money(row["cost_micros"]),
        }
    )


def _money(micros: int) -> Money:
    return Money(amount=f"{costs.money(micros):f}")


def _mean_latency(row: Mapping[str, Any]) -> int | None:
    return round(row["latency_ms"] / row["asked"]) if row["asked"] else None
