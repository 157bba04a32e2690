"""HTTP of rules over time."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from fettle.healing.own_rules import Stored
from fettle.healing.rule_edits import RuleEdits, versions_page
from fettle.healing.schemas import Version
from fettle.healing.temporal import keeping, queries, service
from fettle.healing.temporal.current import Current, current_rules
from fettle.healing.temporal.dry_run import DAYS, dry_run
from fettle.healing.temporal.forgetting import forget_key
from fettle.healing.temporal.rules import TemporalRule
from fettle.healing.temporal.schemas import (
    Kind,
    TemporalDryRunDay,
    TemporalDryRunIn,
    TemporalDryRunOut,
    TemporalFiguresOut,
    TemporalFiringOut,
    TemporalFiringPage,
    TemporalKeyOut,
    TemporalKeyPage,
    TemporalMemory,
    TemporalRuleAccepted,
    TemporalRuleBody,
    TemporalRuleChange,
    TemporalRuleHistory,
    TemporalRuleId,
    TemporalRuleItem,
    TemporalRulePage,
    TemporalRuleRestore,
    TemporalRuleSwitch,
    WouldFire,
)
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.kernel.errors import NotFound
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.packs.schema import temporal_rule_schema

router = APIRouter(route_class=StrictRoute, prefix="/temporal-rules", tags=["rules over time"])

Reader = Annotated[Access, Depends(require("rules:read"))]
Writer = Annotated[Access, Depends(require("rules:write"))]
Named = Annotated[TemporalRuleId, Path(description="The id of a rule over time.")]


@router.get("")
async def list_temporal_rules(
    platform: CurrentPlatform,
    access: Reader,
    session: TenantSession,
    paging: Paging,
    kind: Annotated[Kind | None, Query()] = None,
    enabled: Annotated[bool | None, Query()] = None,
    q: Annotated[str | None, Query(max_length=200, description="Part of the id or the title.")] = None,
) -> TemporalRulePage:
    """List the rules over time that hold for the tenant, packs' and its own, by id."""
    current = await _current(platform, session, access)
    own = await service.RULES.all(session, access.tenant_id)
    figures = await queries.figures(session, access.tenant_id)
    after = paging.after(str)
    wanted = [
        rule
        for rule in current.rules.rules.values()
        if (kind is None or rule.kind == kind)
        and (enabled is None or rule.enabled is enabled)
        and (q is None or q.lower() in f"{rule.id} {rule.title}".lower())
        and (after is None or rule.id > after[0])
    ]
    page, cursor = paging.cut(wanted[: paging.limit + 1], lambda rule: [rule.id])
    items = [_item(rule, own.get(rule.id), figures.get(rule.id)) for rule in page]
    return TemporalRulePage(items=items, next_cursor=cursor)


@router.post("", status_code=202)
async def create_temporal_rule(
    body: TemporalRuleBody, access: Writer, session: TenantSession, who: CurrentWho
) -> TemporalRuleAccepted:
    """Add a rule over time of the tenant's own; with the id of a pack's rule it takes that one's place."""
    version = await RuleEdits(service.RULES, session, access, who).create(body.document())
    return _accepted(body.id, version)


@router.get("/schema", dependencies=[Depends(require("rules:read"))])
async def show_temporal_rule_schema() -> dict[str, Any]:
    """Show the JSON Schema of a rule over time."""
    return temporal_rule_schema()


@router.get("/memory")
async def show_temporal_memory(
    platform: CurrentPlatform, access: Reader, session: TenantSession
) -> TemporalMemory:
    """Say how much the tenant's rules over time remember, and how much they may."""
    current = await _current(platform, session, access)
    figures = (await queries.figures(session, access.tenant_id)).values()
    return TemporalMemory(
        rules=sum(rule.enabled for rule in current.rules.rules.values()),
        keys=sum(one["keys"] for one in figures),
        most_keys=keeping.MOST_KEYS,
        bytes=sum(one["bytes"] for one in figures),
        evicted=sum(one["evicted"] for one in figures),
        refused=sum(one["refused"] for one in figures),
    )


@router.post("/dry-run")
async def try_temporal_rule(
    body: TemporalDryRunIn, platform: CurrentPlatform, access: Reader, session: TenantSession
) -> TemporalDryRunOut:
    """Try a rule over time on the exceptions of the last 30 days; changes nothing."""
    rule = service.checked(body.rule.document())
    current = await _current(platform, session, access)
    found = await dry_run(session, access.tenant_id, rule, current.packs)
    return TemporalDryRunOut(
        rule_id=rule.id,
        days=DAYS,
        considered=found.considered,
        truncated=found.truncated,
        outcomes=found.outcomes,
        fired=found.fired,
        keys=found.keys,
        bytes=found.bytes,
        forgotten=found.forgotten,
        by_day=[
            TemporalDryRunDay(day=day, seen=seen, fired=fired)
            for day, (seen, fired) in sorted(found.by_day.items())
        ],
        firings=[WouldFire.model_validate(one) for one in found.firings],
    )


@router.get("/{temporal_rule_id}")
async def show_temporal_rule(
    temporal_rule_id: Named, platform: CurrentPlatform, access: Reader, session: TenantSession
) -> TemporalRuleItem:
    """Show one rule over time."""
    rule = _named(await _current(platform, session, access), temporal_rule_id)
    own = await service.RULES.all(session, access.tenant_id)
    figures = await queries.figures(session, access.tenant_id)
    return _item(rule, own.get(rule.id), figures.get(rule.id))


@router.put("/{temporal_rule_id}", status_code=202)
async def change_temporal_rule(
    temporal_rule_id: Named, body: TemporalRuleChange, access: Writer, session: TenantSession, who: CurrentWho
) -> TemporalRuleAccepted:
    """Replace a rule over time of the tenant's own, unless somebody changed it meanwhile."""
    edits = RuleEdits(service.RULES, session, access, who)
    version = await edits.change(temporal_rule_id, body.document(), version=body.version)
    return _accepted(temporal_rule_id, version)


@router.patch("/{temporal_rule_id}", status_code=202)
async def switch_temporal_rule(
    temporal_rule_id: Named,
    body: TemporalRuleSwitch,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> TemporalRuleAccepted:
    """Switch a rule over time on or off; a pack's rule by one of the tenant's own in its place."""
    current = await _current(platform, session, access)
    rule = _named(current, temporal_rule_id)
    of_packs = {one["id"]: one for one in current.packs.packs.temporal_rules}
    version = await RuleEdits(service.RULES, session, access, who).switch(
        rule, enabled=body.enabled, version=body.version, of_packs=of_packs
    )
    return _accepted(rule.id, version)


@router.delete("/{temporal_rule_id}", status_code=202)
async def delete_temporal_rule(
    temporal_rule_id: Named,
    version: Annotated[Version, Query()],
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> TemporalRuleAccepted:
    """Delete a rule over time of the tenant's own; the pack's rule of the same id, if any, holds again."""
    await RuleEdits(service.RULES, session, access, who).delete(temporal_rule_id, version=version)
    return _accepted(temporal_rule_id, None)


@router.get("/{temporal_rule_id}/history")
async def list_temporal_rule_versions(
    temporal_rule_id: Named, platform: CurrentPlatform, access: Reader, session: TenantSession, paging: Paging
) -> TemporalRuleHistory:
    """List what a rule over time of the tenant's own was, newest first; empty for one that only packs have."""
    items, cursor = await versions_page(service.RULES, session, access, temporal_rule_id, paging)
    if not items and paging.cursor is None:
        _named(await _current(platform, session, access), temporal_rule_id)
    return TemporalRuleHistory.model_validate({"items": items, "next_cursor": cursor})


@router.post("/{temporal_rule_id}/restore", status_code=202)
async def restore_temporal_rule(
    temporal_rule_id: Named,
    body: TemporalRuleRestore,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> TemporalRuleAccepted:
    """Let a rule over time be again what it was in a version, as a new version."""
    edits = RuleEdits(service.RULES, session, access, who)
    version = await edits.restore(temporal_rule_id, to=body.to, version=body.version)
    return _accepted(temporal_rule_id, version)


@router.get("/{temporal_rule_id}/keys")
async def list_temporal_keys(
    temporal_rule_id: Named,
    platform: CurrentPlatform,
    access: Reader,
    session: TenantSession,
    paging: Paging,
    q: Annotated[str | None, Query(min_length=1, max_length=200, description="Part of the key.")] = None,
) -> TemporalKeyPage:
    """List what a rule over time remembers now, key by key."""
    _named(await _current(platform, session, access), temporal_rule_id)
    after = paging.after(str)
    rows = await queries.keys(
        session,
        access.tenant_id,
        temporal_rule_id,
        part=q,
        after=after[0] if after else None,
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: [row["key_hash"]])
    items = [TemporalKeyOut.model_validate(queries.shown(dict(row))) for row in page]
    return TemporalKeyPage(items=items, next_cursor=cursor)


@router.delete("/{temporal_rule_id}/keys/{temporal_key_id}", status_code=204)
async def forget_temporal_key(
    temporal_rule_id: Named,
    temporal_key_id: Annotated[str, Path(max_length=64, description="The `id` in the list of keys.")],
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> None:
    """Forget what a rule over time remembers of one key; a key that it expects is looked for anew."""
    rule = _named(await _current(platform, session, access), temporal_rule_id)
    before = await forget_key(session, access.tenant_id, rule, temporal_key_id, actor=access.actor)
    await record(
        session, who, "temporal_rule.key_forgotten", tenant_id=access.tenant_id, target=("temporal_rule", rule.id),
        before={name: before[name] for name in ("key", "remembered", "total", "is_told")},
    )  # fmt: skip


@router.get("/{temporal_rule_id}/firings")
async def list_temporal_firings(
    temporal_rule_id: Named, platform: CurrentPlatform, access: Reader, session: TenantSession, paging: Paging
) -> TemporalFiringPage:
    """List what a rule over time found, newest first, with the incidents that led to it and that came of it."""
    _named(await _current(platform, session, access), temporal_rule_id)
    rows = await queries.firings(
        session, access.tenant_id, temporal_rule_id, before=paging.last_id(), limit=paging.limit + 1
    )
    page, cursor = paging.cut(rows, lambda row: [row["id"]])
    items = [TemporalFiringOut.model_validate(dict(row)) for row in page]
    return TemporalFiringPage(items=items, next_cursor=cursor)


async def _current(platform: CurrentPlatform, session: TenantSession, access: Access) -> Current:
    return await current_rules(platform, session, access.tenant_id, is_fresh=True)


def _accepted(rule_id: str, version: int | None) -> TemporalRuleAccepted:
    return TemporalRuleAccepted(id=rule_id, href=f"/api/v1/temporal-rules/{rule_id}", version=version)


def _named(current: Current, rule_id: str) -> TemporalRule:
    rule = current.rules.rules.get(rule_id)
    if rule is None:
        raise NotFound(f"There is no rule over time {rule_id}.")
    return rule


def _item(
    rule: TemporalRule, stored: Stored[TemporalRule] | None, figures: Mapping[str, Any] | None
) -> TemporalRuleItem:
    return TemporalRuleItem.model_validate(
        {
            "id": rule.id,
            "title": rule.title,
            "description": rule.document.get("description"),
            "kind": rule.kind,
            "enabled": rule.enabled,
            "source": rule.source,
            "pack_id": rule.document.get("pack_id"),
            "rule": service.own_form(rule.document),
            "figures": TemporalFiguresOut.model_validate(figures or {}),
            "version": stored.version if stored is not None else None,
            "updated_at": stored.updated_at if stored is not None else None,
            "updated_by": stored.updated_by if stored is not None else None,
        }
    )
