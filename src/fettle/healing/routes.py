"""HTTP of rules and approvals."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Path, Query, Response

from fettle.healing import approval_decisions, approvals, routes_authoring, service
from fettle.healing.approval_decisions import Verdict, may_decide
from fettle.healing.brakes import delegations
from fettle.healing.brakes.delegations import Authority
from fettle.healing.dry_run import DAYS, dry_run, one_incident
from fettle.healing.own_rules import Stored
from fettle.healing.rule_sets import CompiledRules, rule_sets
from fettle.healing.rules import Rule, RuleExplanation, RuleSet
from fettle.healing.schemas import (
    ApprovalAccepted,
    ApprovalOut,
    ApprovalPage,
    ApprovalState,
    ExplainIn,
    ExplainOut,
    RuleAccepted,
    RuleBody,
    RuleChange,
    RuleDryRunDay,
    RuleDryRunIn,
    RuleDryRunOut,
    RuleExplanationOut,
    RuleId,
    RuleItem,
    RulePage,
    VerdictIn,
    Version,
)
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Invalid, NotFound
from fettle.kernel.http.answers import answer_of
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute)
router.include_router(routes_authoring.router)

RuleReader = Annotated[Access, Depends(require("rules:read"))]
RuleWriter = Annotated[Access, Depends(require("rules:write"))]
IncidentReader = Annotated[Access, Depends(require("incidents:read"))]
Decider = Annotated[Access, Depends(require("approvals:decide"))]
NamedRule = Annotated[RuleId, Path(description="A rule's id.")]

_EXPLAINED = 50


@router.get("/rules", tags=["rules"])
async def list_rules(
    platform: CurrentPlatform,
    access: RuleReader,
    session: TenantSession,
    paging: Paging,
    source: Annotated[Literal["builtin", "pack", "tenant", "synced", "promoted"] | None, Query()] = None,
    enabled: Annotated[bool | None, Query()] = None,
    q: Annotated[str | None, Query(max_length=200, description="Part of the id or the title.")] = None,
) -> RulePage:
    """List the rules that hold for the tenant, packs' and its own, in the order in which they win."""
    rules, _ = await rule_sets(platform).current(platform, session, access.tenant_id)
    own = await service.RULES.all(session, access.tenant_id)
    after = paging.after(int, str)
    wanted = [
        rule
        for rule in rules.rules.rules
        if (source is None or rule.source == source)
        and (enabled is None or rule.enabled is enabled)
        and (q is None or q.lower() in f"{rule.id} {rule.document.get('title', '')}".lower())
        and (after is None or (rule.priority, rule.id) > after)
    ]
    page, cursor = paging.cut(wanted[: paging.limit + 1], lambda rule: (rule.priority, rule.id))
    return RulePage(items=[_item(rule, own.get(rule.id)) for rule in page], next_cursor=cursor)


@router.post("/rules", status_code=202, tags=["rules"])
async def create_rule(
    body: RuleBody, access: RuleWriter, session: TenantSession, who: CurrentWho
) -> RuleAccepted:
    """Add a rule of the tenant's own; with the id of a pack's rule it takes that one's place."""
    version = await service.create_rule(session, access.tenant_id, body.document(), actor=access.actor)
    await _audit(session, access, who, "rule.created", body.id, after=body.document())
    return RuleAccepted(id=body.id, href=f"/api/v1/rules/{body.id}", version=version)


@router.post("/rules/explain", tags=["rules"])
async def explain_rules(
    body: ExplainIn, platform: CurrentPlatform, access: RuleReader, session: TenantSession
) -> ExplainOut:
    """Say which rule wins for an incident, and why others do not; changes nothing."""
    if (body.incident is None) is (body.incident_id is None):
        raise Invalid("Give an incident or an incident_id, one of the two.")
    compiled, _ = await rule_sets(platform).current(platform, session, access.tenant_id)
    incident: Mapping[str, Any] = body.incident or {}
    if body.incident_id is not None:
        incident = await one_incident(session, access.tenant_id, body.incident_id, compiled.parts.packs)
    rules = compiled.rules
    if body.rule is not None:
        tried = service.checked(body.rule.document())
        rules = RuleSet([*(rule for rule in rules.rules if rule.id != tried.id), tried])
    explained = rules.explain(incident)
    winner = next((one.rule_id for one in explained if one.winner), None)
    wanted = body.rule.id if body.rule is not None else None
    best = sorted(explained, key=lambda one: (one.rule_id != wanted, *_distance(one)))[:_EXPLAINED]
    return ExplainOut(
        winner=winner,
        considered=len(explained),
        matched=sum(one.matched for one in explained),
        items=[RuleExplanationOut.model_validate(one) for one in best],
    )


@router.post("/rules/dry-run", tags=["rules"])
async def try_new_rule(
    body: RuleDryRunIn, platform: CurrentPlatform, access: RuleReader, session: TenantSession
) -> RuleDryRunOut:
    """Try a rule on the incidents of the last 30 days; changes nothing."""
    rule = service.checked(body.rule.document())
    rules, _ = await rule_sets(platform).current(platform, session, access.tenant_id)
    return await _tried(session, access, rule, rules)


@router.get("/rules/{rule_id}", tags=["rules"])
async def show_rule(
    rule_id: NamedRule, platform: CurrentPlatform, access: RuleReader, session: TenantSession
) -> RuleItem:
    """Show one rule."""
    rules, _ = await rule_sets(platform).current(platform, session, access.tenant_id)
    own = await service.RULES.all(session, access.tenant_id)
    return _item(_named(rules.rules, rule_id), own.get(rule_id))


@router.put("/rules/{rule_id}", status_code=202, tags=["rules"])
async def change_rule(
    rule_id: NamedRule, body: RuleChange, access: RuleWriter, session: TenantSession, who: CurrentWho
) -> RuleAccepted:
    """Replace a rule of the tenant's own, unless somebody changed it meanwhile."""
    before = await service.RULES.read(session, access.tenant_id, rule_id)
    version = await service.change_rule(
        session, access.tenant_id, rule_id, body.document(), version=body.version, actor=access.actor
    )
    await _audit(
        session, access, who, "rule.changed", rule_id, before=before.rule.document, after=body.document()
    )
    return RuleAccepted(id=rule_id, href=f"/api/v1/rules/{rule_id}", version=version)


@router.delete("/rules/{rule_id}", status_code=202, tags=["rules"])
async def delete_rule(
    rule_id: NamedRule,
    version: Annotated[Version, Query()],
    access: RuleWriter,
    session: TenantSession,
    who: CurrentWho,
) -> RuleAccepted:
    """Delete a rule of the tenant's own; the pack's rule of the same id, if any, holds again."""
    before = await service.RULES.read(session, access.tenant_id, rule_id)
    await service.RULES.delete(session, access.tenant_id, rule_id, version=version, actor=access.actor)
    await _audit(session, access, who, "rule.deleted", rule_id, before=before.rule.document)
    return RuleAccepted(id=rule_id, href=f"/api/v1/rules/{rule_id}")


@router.post("/rules/{rule_id}/dry-run", tags=["rules"])
async def try_rule(
    rule_id: NamedRule, platform: CurrentPlatform, access: RuleReader, session: TenantSession
) -> RuleDryRunOut:
    """Try a rule that is there, enabled or not, on the incidents of the last 30 days; changes nothing."""
    rules, _ = await rule_sets(platform).current(platform, session, access.tenant_id)
    return await _tried(session, access, _named(rules.rules, rule_id), rules)


@router.get("/approvals", tags=["approvals"], response_model=ApprovalPage)
async def list_approvals(
    access: IncidentReader,
    platform: CurrentPlatform,
    paging: Paging,
    state: Annotated[list[ApprovalState] | None, Query(description="Any of these states.")] = None,
    incident_id: Annotated[UUID | None, Query(description="Of this incident.")] = None,
) -> Response:
    """List plans that wait, or waited, for a person, newest first."""
    rows = await approvals.listed(
        platform.database,
        access.tenant_id,
        states=state,
        incident_id=incident_id,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: [row["id"]])
    # Most plans of a list ask for the same few roles.
    asked = {tuple(row["approvers"]) for row in page}
    allowed = {roles for roles in asked if _may_decide(roles, access)}
    deputed: list[Authority] = []
    if asked - allowed and access.user_id is not None and "approvals:decide" in access.permissions:
        async with platform.database.tenant(access.tenant_id) as session:
            deputed = await delegations.authorities(session, access.tenant_id, access.actor, utcnow())
    items = [
        _approval(
            row,
            may_decide_it=tuple(row["approvers"]) in allowed or approval_decisions.is_deputed(row, deputed),
        )
        for row in page
    ]
    return answer_of({"items": items, "next_cursor": cursor})


@router.get("/approvals/{approval_id}", tags=["approvals"])
async def show_approval(approval_id: UUID, access: IncidentReader, session: TenantSession) -> ApprovalOut:
    """Show one approval with its plan in full."""
    row = await approvals.read(session, access.tenant_id, approval_id)
    allowed = _may_decide(row["approvers"], access)
    if not allowed and "approvals:decide" in access.permissions:
        deputed = await delegations.authorities(session, access.tenant_id, access.actor, utcnow())
        allowed = approval_decisions.is_deputed(row, deputed)
    return ApprovalOut.model_validate(_approval(row, may_decide_it=allowed))


@router.post("/approvals/{approval_id}/approve", status_code=202, tags=["approvals"])
async def approve(
    approval_id: UUID, body: VerdictIn, access: Decider, session: TenantSession
) -> ApprovalAccepted:
    """Approve the plan of this hash; it starts once as many people did as the policy wants. A second time is 409."""
    left = await approval_decisions.approve(session, access.tenant_id, approval_id, _verdict(body, access))
    return ApprovalAccepted(id=approval_id, href=f"/api/v1/approvals/{approval_id}", left=left)


@router.post("/approvals/{approval_id}/reject", status_code=202, tags=["approvals"])
async def reject(
    approval_id: UUID, body: VerdictIn, access: Decider, session: TenantSession
) -> ApprovalAccepted:
    """Reject the plan of this hash; its incident goes to a person."""
    await approval_decisions.reject(session, access.tenant_id, approval_id, _verdict(body, access))
    return ApprovalAccepted(id=approval_id, href=f"/api/v1/approvals/{approval_id}")


async def _audit(
    session: TenantSession,
    access: Access,
    who: CurrentWho,
    action: str,
    rule_id: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    await record(
        session, who, action, tenant_id=access.tenant_id, target=("rule", rule_id), before=before, after=after
    )


def _verdict(body: VerdictIn, access: Access) -> Verdict:
    return Verdict(body.plan_hash, body.reason, access.actor, access.permissions)


async def _tried(
    session: TenantSession, access: Access, rule: Rule, compiled: CompiledRules
) -> RuleDryRunOut:
    found = await dry_run(session, access.tenant_id, rule, compiled.rules, compiled.parts.packs)
    return RuleDryRunOut(
        rule_id=rule.id,
        days=DAYS,
        considered=found.considered,
        matched=found.matched,
        won=found.won,
        instead_of=found.instead_of,
        truncated=found.truncated,
        examples=found.examples,
        by_day=[
            RuleDryRunDay(day=day, considered=counts[0], matched=counts[1], won=counts[2])
            for day, counts in sorted(found.by_day.items())
        ],
    )


def _named(rules: RuleSet, rule_id: str) -> Rule:
    for rule in rules.rules:
        if rule.id == rule_id:
            return rule
    raise NotFound(f"There is no rule {rule_id}.")


def _distance(one: RuleExplanation) -> tuple[bool, bool, int]:
    """Sort the winner first, then what matches, then by how many comparisons fail."""
    return (not one.winner, not one.matched, sum(not condition.holds for condition in one.conditions))


def _item(rule: Rule, stored: Stored[Rule] | None) -> RuleItem:
    document = rule.document
    return RuleItem(
        id=rule.id,
        title=document.get("title"),
        description=document.get("description"),
        priority=rule.priority,
        enabled=rule.enabled,
        conditions=list(document["conditions"]),
        action=document["action"],
        runbook_id=rule.runbook_id,
        playbook_id=rule.playbook_id,
        parameters=document.get("parameters"),
        reason=document.get("reason"),
        cooldown_seconds=rule.cooldown_seconds,
        max_attempts=rule.max_attempts,
        source=rule.source,
        pack_id=document.get("pack_id"),
        version=stored.version if stored is not None else None,
        updated_at=stored.updated_at if stored is not None else None,
        updated_by=stored.updated_by if stored is not None else None,
    )


def _may_decide(approvers: Sequence[str], access: Access) -> bool:
    return "approvals:decide" in access.permissions and may_decide(approvers, access.permissions)


def _approval(row: asyncpg.Record, *, may_decide_it: bool) -> dict[str, Any]:
    """Return what `ApprovalOut` describes."""
    values = dict(row)
    values["incident_number"] = values.pop("number")
    values["incident_title"] = values.pop("title")
    values["may_decide"] = may_decide_it
    return values
