"""HTTP for those who write rules and policies: schema, history, switches, matches, and what would change."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path

from fettle.healing import service
from fettle.healing.by_hand import ByHand, run_by_hand
from fettle.healing.dry_run import DAYS, matches
from fettle.healing.policy_preview import preview_policy
from fettle.healing.rule_edits import RuleEdits, versions_page
from fettle.healing.rule_schema import rule_schema
from fettle.healing.rule_sets import rule_sets
from fettle.healing.schemas import (
    PolicyPreviewIn,
    PolicyPreviewOut,
    RuleAccepted,
    RuleHistory,
    RuleId,
    RuleMatchIn,
    RuleMatchOut,
    RuleMatchPage,
    RuleRestore,
    RuleSchema,
    RuleSwitch,
    RunByHandIn,
    RunByHandOut,
)
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.kernel.http.pages import Paging, decode_cursor, encode_cursor
from fettle.kernel.http.routes import StrictRoute
from fettle.packs.policies import refuse_invalid
from fettle.tools.own_playbooks import library_of
from fettle.tools.schemas import PlaybookId

router = APIRouter(route_class=StrictRoute)

RuleReader = Annotated[Access, Depends(require("rules:read"))]
RuleWriter = Annotated[Access, Depends(require("rules:write"))]
PackReader = Annotated[Access, Depends(require("packs:read"))]
Runner = Annotated[Access, Depends(require("playbooks:run"))]
NamedRule = Annotated[RuleId, Path(description="A rule's id.")]
NamedPlaybook = Annotated[PlaybookId, Path(description="A playbook's id.")]


@router.get("/rules/schema", tags=["rules"])
async def show_rule_schema(
    platform: CurrentPlatform, access: RuleReader, session: TenantSession
) -> RuleSchema:
    """Show what a rule is made of here: schema, operators, known fields with values, and what can be run."""
    rules, packs = await rule_sets(platform).current(platform, session, access.tenant_id)
    library = await library_of(platform, session, access.tenant_id)
    return rule_schema(packs, rules.rules.rules, library.documents)


@router.post("/rules/dry-run/incidents", tags=["rules"])
async def list_matches(
    body: RuleMatchIn, platform: CurrentPlatform, access: RuleReader, session: TenantSession
) -> RuleMatchPage:
    """List the incidents of the last 30 days for which a rule's conditions hold; changes nothing."""
    rule = service.checked(body.rule.document())
    rules, _ = await rule_sets(platform).current(platform, session, access.tenant_id)
    before = decode_cursor(body.cursor, UUID)[0] if body.cursor is not None else None
    found, end = await matches(
        session, access.tenant_id, rule, rules.rules, rules.parts.packs, before=before, limit=body.limit
    )
    items = [
        RuleMatchOut.model_validate({**dict(one.incident), "wins": one.wins, "instead_of": one.instead_of})
        for one in found
    ]
    return RuleMatchPage(items=items, next_cursor=None if end is None else encode_cursor([end]))


@router.patch("/rules/{rule_id}", status_code=202, tags=["rules"])
async def switch_rule(
    rule_id: NamedRule,
    body: RuleSwitch,
    platform: CurrentPlatform,
    access: RuleWriter,
    session: TenantSession,
    who: CurrentWho,
) -> RuleAccepted:
    """Switch a rule on or off; a pack's rule by one of the tenant's own in its place."""
    rules, packs = await rule_sets(platform).current(platform, session, access.tenant_id)
    rule = service.named(rules.rules, rule_id)
    version = await RuleEdits(service.RULES, session, access, who).switch(
        rule, enabled=body.enabled, version=body.version, of_packs={one["id"]: one for one in packs.rules}
    )
    return RuleAccepted(id=rule_id, href=f"/api/v1/rules/{rule_id}", version=version)


@router.get("/rules/{rule_id}/history", tags=["rules"])
async def list_rule_versions(
    rule_id: NamedRule, platform: CurrentPlatform, access: RuleReader, session: TenantSession, paging: Paging
) -> RuleHistory:
    """List what a rule of the tenant's own was, newest first; empty for one that only packs have."""
    items, cursor = await versions_page(service.RULES, session, access, rule_id, paging)
    if not items and paging.cursor is None:
        rules, _ = await rule_sets(platform).current(platform, session, access.tenant_id)
        service.named(rules.rules, rule_id)
    return RuleHistory.model_validate({"items": items, "next_cursor": cursor})


@router.post("/rules/{rule_id}/restore", status_code=202, tags=["rules"])
async def restore_rule(
    rule_id: NamedRule, body: RuleRestore, access: RuleWriter, session: TenantSession, who: CurrentWho
) -> RuleAccepted:
    """Let a rule be again what it was in a version, as a new version."""
    edits = RuleEdits(service.RULES, session, access, who)
    version = await edits.restore(rule_id, to=body.to, version=body.version)
    return RuleAccepted(id=rule_id, href=f"/api/v1/rules/{rule_id}", version=version)


@router.post("/playbooks/{playbook_id}/run", status_code=202, tags=["playbooks"])
async def run_playbook(
    playbook_id: NamedPlaybook,
    body: RunByHandIn,
    platform: CurrentPlatform,
    access: Runner,
    session: TenantSession,
    who: CurrentWho,
) -> RunByHandOut:
    """Run a playbook on an incident that is with a person; policy and trust gate decide as ever."""
    wanted = ByHand(playbook_id, body.incident_id, body.parameters, body.reason, access.actor)
    answer = await run_by_hand(platform, session, access.tenant_id, wanted)
    await record(
        session,
        who,
        "playbook.run_by_hand",
        tenant_id=access.tenant_id,
        target=("playbook", playbook_id),
        after={"incident_id": str(body.incident_id), "parameters": body.parameters, "reason": body.reason},
    )
    if answer.run_id is not None:
        href = f"/api/v1/runs/{answer.run_id}"
        return RunByHandOut(id=answer.run_id, href=href, decision="started", detail=answer.detail)
    assert answer.approval_id is not None
    href = f"/api/v1/approvals/{answer.approval_id}"
    return RunByHandOut(id=answer.approval_id, href=href, decision="approval_requested", detail=answer.detail)


@router.post("/policy/preview", tags=["packs"])
async def show_policy_effect(
    body: PolicyPreviewIn, platform: CurrentPlatform, access: PackReader, session: TenantSession
) -> PolicyPreviewOut:
    """Say what another policy would have changed for the incidents of the last 30 days; changes nothing."""
    refuse_invalid(body.policy)
    rules, packs = await rule_sets(platform).current(platform, session, access.tenant_id)
    effect = await preview_policy(session, access.tenant_id, rules, packs.policy, body.policy)
    return PolicyPreviewOut.model_validate(
        {
            "days": DAYS,
            "considered": effect.considered,
            "truncated": effect.truncated,
            "before": dict(effect.before),
            "after": dict(effect.after),
            "changed": effect.changed,
            "examples": effect.examples,
        }
    )
