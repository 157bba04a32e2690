"""HTTP of a tenant's rules: list, show, create, change, delete, explain, try."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query

from fettle.healing import service
from fettle.healing.dry_run import DAYS, dry_run, one_incident
from fettle.healing.own_rules import Stored
from fettle.healing.rule_edits import RuleEdits
from fettle.healing.rule_sets import CompiledRules, rule_sets
from fettle.healing.rules import Rule, RuleExplanation, RuleSet
from fettle.healing.schemas import (
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
    Version,
)
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.kernel.errors import Invalid
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute)

RuleReader = Annotated[Access, Depends(require("rules:read"))]
RuleWriter = Annotated[Access, Depends(require("rules:write"))]
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
    version = await RuleEdits(service.RULES, session, access, who).create(body.document())
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
    return _item(service.named(rules.rules, rule_id), own.get(rule_id))


@router.put("/rules/{rule_id}", status_code=202, tags=["rules"])
async def change_rule(
    rule_id: NamedRule, body: RuleChange, access: RuleWriter, session: TenantSession, who: CurrentWho
) -> RuleAccepted:
    """Replace a rule of the tenant's own, unless somebody changed it meanwhile."""
    edits = RuleEdits(service.RULES, session, access, who)
    version = await edits.change(rule_id, body.document(), version=body.version)
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
    await RuleEdits(service.RULES, session, access, who).delete(rule_id, version=version)
    return RuleAccepted(id=rule_id, href=f"/api/v1/rules/{rule_id}")


@router.post("/rules/{rule_id}/dry-run", tags=["rules"])
async def try_rule(
    rule_id: NamedRule, platform: CurrentPlatform, access: RuleReader, session: TenantSession
) -> RuleDryRunOut:
    """Try a rule that is there, enabled or not, on the incidents of the last 30 days; changes nothing."""
    rules, _ = await rule_sets(platform).current(platform, session, access.tenant_id)
    return await _tried(session, access, service.named(rules.rules, rule_id), rules)


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
