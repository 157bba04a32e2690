"""HTTP of the flywheel: patterns, grown rules and their stages, the pool, what it saved, and rules for appliances."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Header, Path, Query, Response

from fettle.healing.flywheel import pool, promotions, proposing, queries, stages
from fettle.healing.flywheel.bundle import is_known, rule_bundle
from fettle.healing.flywheel.evaluating import Criteria
from fettle.healing.flywheel.figures import lower_bound
from fettle.healing.flywheel.growing import rule_id_of
from fettle.healing.flywheel.promotions import By
from fettle.healing.flywheel.schemas import (
    ChoiceOut,
    DayOfLevels,
    FlywheelSummary,
    PatternItem,
    PatternOut,
    PatternPage,
    PooledFigure,
    PoolPage,
    PromotionAccepted,
    PromotionItem,
    PromotionMove,
    PromotionOut,
    PromotionPage,
    RuleBundleOut,
    ShadowOut,
    Signature,
    Stage,
    WheelSavings,
)
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.kernel.errors import Conflict
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.packs.service import active_packs

router = APIRouter(route_class=StrictRoute, tags=["flywheel"])

Reader = Annotated[Access, Depends(require("rules:read"))]
Writer = Annotated[Access, Depends(require("rules:write"))]
Appliance = Annotated[Access, Depends(require("rules:sync"))]


@router.get("/flywheel/summary")
async def show_flywheel(
    access: Reader,
    platform: CurrentPlatform,
    session: TenantSession,
    days: Annotated[int, Query(ge=1, le=365, description="Up to today.")] = 30,
) -> FlywheelSummary:
    """Show who decided over the last days, what healing without a person saved, and how many rules have grown."""
    policy = (await active_packs(platform, access.tenant_id)).policy
    criteria = Criteria.of(policy)
    if "minutes_by_hand" not in (policy.get("flywheel") or {}):
        criteria = replace(criteria, minutes_by_hand=platform.settings.minutes_per_incident)
    rows = await queries.by_day(platform.database, access.tenant_id, days)
    return FlywheelSummary(
        days=days,
        by_day=[
            DayOfLevels.model_validate({name: row[name] for name in DayOfLevels.model_fields}) for row in rows
        ],
        saved=_saved(rows, criteria),
        states=await queries.counts(session, access.tenant_id),
        promotion="by_itself" if criteria.promotion == "by_itself" else "by_person",
        enabled=criteria.enabled,
    )


@router.get("/flywheel/patterns")
async def list_patterns(
    access: Reader,
    platform: CurrentPlatform,
    paging: Paging,
    q: Annotated[
        str | None, Query(min_length=1, max_length=200, description="In signature or title.")
    ] = None,
    check_type: Annotated[
        str | None, Query(min_length=1, max_length=200, description="Of this check.")
    ] = None,
    on: Annotated[
        str | None, Query(alias="platform", min_length=1, max_length=40, description="Such as linux.")
    ] = None,
    state: Annotated[Stage | None, Query(description="Whose rule is in this stage.")] = None,
) -> PatternPage:
    """List patterns and what became of them, those seen last first."""
    after = paging.after(datetime, str)
    criteria = Criteria.of((await active_packs(platform, access.tenant_id)).policy)
    rows = await queries.patterns(
        platform.database,
        access.tenant_id,
        q=q,
        check_type=check_type,
        platform=on,
        state=state,
        after=(after[0], after[1]) if after else None,
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: (row["last_at"], row["pattern"]))
    items = [
        PatternItem.model_validate({**queries.figures(row, criteria), "promotion": row["promotion"]})
        for row in page
    ]
    return PatternPage(items=items, next_cursor=cursor)


@router.get("/flywheel/patterns/{pattern}")
async def show_pattern(
    pattern: Annotated[Signature, Path(description="A pattern's signature.")],
    access: Reader,
    platform: CurrentPlatform,
    session: TenantSession,
) -> PatternOut:
    """Show a pattern with what was tried for it, and whether that may become a rule."""
    row, choices = await queries.one_pattern(session, access.tenant_id, pattern)
    setting = await proposing.setting_of(platform, session, access.tenant_id)
    found = [await _choice(session, setting, choice) for choice in choices]
    return PatternOut.model_validate({**queries.figures(row, setting.criteria), "choices": found})


@router.get("/flywheel/promotions")
async def list_promotions(
    access: Reader,
    platform: CurrentPlatform,
    paging: Paging,
    state: Annotated[list[Stage] | None, Query(description="In any of these stages.")] = None,
    pattern: Annotated[Signature | None, Query(description="Of this pattern.")] = None,
) -> PromotionPage:
    """List rules that grew from what healed, newest first."""
    rows = await queries.promotions_of(
        platform.database,
        access.tenant_id,
        states=state,
        pattern=pattern,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: (row["id"],))
    return PromotionPage(items=[PromotionItem.model_validate(_item(row)) for row in page], next_cursor=cursor)


@router.get("/flywheel/promotions/{promotion_id}")
async def show_promotion(
    promotion_id: UUID, access: Reader, platform: CurrentPlatform, session: TenantSession
) -> PromotionOut:
    """Show a grown rule: its conditions, what it grew from, its trial on the last 30 days, its neighbours."""
    row = await promotions.find(session, access.tenant_id, promotion_id)
    objection = None
    if row["state"] == stages.PROPOSED:
        setting = await proposing.setting_of(platform, session, access.tenant_id)
        objection = await proposing.still_good(session, setting, row)
    return PromotionOut.model_validate(
        {
            **_item(row),
            "rule": row["document"],
            "evidence": row["evidence"],
            "back_test": row["back_test"],
            "changes": row["changes"]["changes"],
            "beside": row["changes"]["beside"],
            "objection": objection,
        }
    )


@router.post("/flywheel/promotions/{promotion_id}/promote", status_code=202)
async def promote(
    promotion_id: UUID,
    body: PromotionMove,
    access: Writer,
    platform: CurrentPlatform,
    session: TenantSession,
    who: CurrentWho,
) -> PromotionAccepted:
    """Move a grown rule to its next stage: shadow, canary, full; policy and gate decide on its plans as ever."""
    before = await promotions.find(session, access.tenant_id, promotion_id)
    setting = await proposing.setting_of(platform, session, access.tenant_id)
    if before["state"] == stages.PROPOSED:
        objection = await proposing.still_good(session, setting, before)
        if objection is not None:
            raise Conflict(f"It may not be promoted as things are now: {objection}.")
    moved = await promotions.go_on(
        session, access.tenant_id, promotion_id, setting.criteria, _by(access, body), version=body.version
    )
    await _audit(session, access, who, "rule.promoted", before, moved, body)
    return _accepted(moved)


@router.post("/flywheel/promotions/{promotion_id}/retire", status_code=202)
async def retire(
    promotion_id: UUID, body: PromotionMove, access: Writer, session: TenantSession, who: CurrentWho
) -> PromotionAccepted:
    """Retire a grown rule, or dismiss one that is only proposed; it can be taken back."""
    before = await promotions.find(session, access.tenant_id, promotion_id)
    moved = await promotions.end(
        session, access.tenant_id, promotion_id, _by(access, body), version=body.version
    )
    await _audit(session, access, who, "rule.retired", before, moved, body)
    return _accepted(moved)


@router.post("/flywheel/promotions/{promotion_id}/restore", status_code=202)
async def restore(
    promotion_id: UUID,
    body: PromotionMove,
    access: Writer,
    platform: CurrentPlatform,
    session: TenantSession,
    who: CurrentWho,
) -> PromotionAccepted:
    """Take back that a grown rule was retired or dismissed: it is in the stage again in which it was."""
    before = await promotions.find(session, access.tenant_id, promotion_id)
    criteria = Criteria.of((await active_packs(platform, access.tenant_id)).policy)
    moved = await promotions.restore(
        session, access.tenant_id, promotion_id, criteria, _by(access, body), version=body.version
    )
    await _audit(session, access, who, "rule.restored", before, moved, body)
    return _accepted(moved)


@router.get("/flywheel/pool")
async def list_pool(access: Reader, platform: CurrentPlatform, paging: Paging) -> PoolPage:
    """List about what at least five tenants that agreed know together of the patterns that this one has met."""
    after = paging.after(str, str)
    criteria = Criteria.of((await active_packs(platform, access.tenant_id)).policy)
    if not criteria.pool:
        return PoolPage(shares=False, items=[])
    rows = await pool.known_elsewhere(
        platform.database,
        access.tenant_id,
        after=(after[0], after[1]) if after else None,
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: (row["pattern"], row["choice"]))
    return PoolPage(shares=True, items=[_pooled(row, criteria) for row in page], next_cursor=cursor)


@router.get(
    "/flywheel/l1_rules.json",
    response_model=RuleBundleOut,
    responses={304: {"description": "The caller has this version."}},
)
async def fetch_rules(
    access: Appliance,
    platform: CurrentPlatform,
    session: TenantSession,
    if_none_match: Annotated[
        str | None, Header(max_length=1_000, description="The ETag of the version that the caller has.")
    ] = None,
) -> Response:
    """Fetch the signed rules of this tenant, as an appliance does; without what is built into every appliance."""
    bundle = await rule_bundle(platform, session, access.tenant_id)
    headers = {"ETag": bundle.etag, "Cache-Control": "private, no-cache"}
    if is_known(bundle.etag, if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(bundle.text, media_type="application/json", headers=headers)


def _by(access: Access, body: PromotionMove) -> By:
    return By(access.actor, body.reason)


async def _audit(
    session: TenantSession,
    access: Access,
    who: CurrentWho,
    action: str,
    before: asyncpg.Record,
    after: asyncpg.Record,
    body: PromotionMove,
) -> None:
    await record(
        session,
        who,
        action,
        tenant_id=access.tenant_id,
        target=("rule", before["rule_id"]),
        before={"stage": before["state"]},
        after={"stage": after["state"], "reason": body.reason},
    )


async def _choice(session: TenantSession, setting: proposing.Setting, row: asyncpg.Record) -> ChoiceOut:
    looked = await proposing.look(session, setting, row, rule_id_of(row["pattern"], row["choice"]))
    evaluation = looked.evaluation.document()
    return ChoiceOut.model_validate(
        {
            **evaluation,
            **{name: row[name] for name in ("choice", "succeeded", "failed", "recent", "last_at")},
            "rule": looked.document,
            "detail": looked.detail,
        }
    )


def _item(row: asyncpg.Record) -> dict[str, Any]:
    same = (
        "id", "rule_id", "pattern", "choice", "check_type", "state", "version", "successes", "recent", "proposed_at",
        "stage_at", "promoted_by", "ended_by", "ended_reason",
    )  # fmt: skip
    return {
        **{name: row[name] for name in same},
        "shadow": ShadowOut(
            seen=row["shadow_seen"],
            right=row["shadow_right"],
            wrong=row["shadow_wrong"],
            other=row["shadow_other"],
        ),
        "healed": row["acted_well"],
        "failed": row["acted_badly"],
    }


def _accepted(row: asyncpg.Record) -> PromotionAccepted:
    return PromotionAccepted(
        id=row["id"],
        href=f"/api/v1/flywheel/promotions/{row['id']}",
        state=row["state"],
        version=row["version"],
    )


def _pooled(row: asyncpg.Record, criteria: Criteria) -> PooledFigure:
    tried = row["succeeded"] + row["failed"]
    bound = round(lower_bound(row["succeeded"], tried, criteria.confidence), 4)
    return PooledFigure(**{**dict(row), "lower_bound": bound})


def _saved(rows: Sequence[asyncpg.Record], criteria: Criteria) -> WheelSavings:
    heals = sum(row["healed"] for row in rows)
    grown = sum(row["grown_healed"] for row in rows)
    hours, money = queries.saved(heals, criteria)
    grown_hours, grown_money = queries.saved(grown, criteria)
    return WheelSavings(
        heals=heals,
        grown_heals=grown,
        hours=hours,
        grown_hours=grown_hours,
        money=money,
        grown_money=grown_money,
        currency=criteria.currency,
        minutes_by_hand=criteria.minutes_by_hand,
        cost_per_hour=criteria.cost_per_hour,
    )
