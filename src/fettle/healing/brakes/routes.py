"""HTTP of brakes: stop switches, flapping checks, circuit breakers, what is held, deputies, and what-if."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.autonomy import EFFECTS
from fettle.healing.brakes import admissions, breakers, delegations, flaps, schemas, stops, what_if
from fettle.healing.brakes.delegations import NewDelegation
from fettle.healing.brakes.limiting import used
from fettle.healing.brakes.limits import TENANT, action_limits
from fettle.identity.access import Access, CurrentPlatform, CurrentWho, SignedInCaller, TenantSession, require
from fettle.identity.names import names_of
from fettle.identity.partners import check_platform_admin
from fettle.identity.routes_people import CallerWho
from fettle.incidents.wording import clean
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import FieldError, Invalid
from fettle.kernel.http.pages import Page, Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.packs.service import active_packs

router = APIRouter(route_class=StrictRoute, tags=["brakes"])

Reader = Annotated[Access, Depends(require("brakes:read"))]
Writer = Annotated[Access, Depends(require("brakes:write"))]
IncidentReader = Annotated[Access, Depends(require("incidents:read"))]
Decider = Annotated[Access, Depends(require("approvals:decide"))]

_COUNTS = """
SELECT (SELECT count(*) FROM flap_suppressions WHERE tenant_id = $1 AND cleared_at IS NULL) AS flapping,
       (SELECT count(*) FROM circuit_breakers WHERE tenant_id = $1 AND state <> 'closed') AS breakers,
       (SELECT count(*) FROM held_runs WHERE tenant_id = $1) AS held
"""
_BRAKES = "/api/v1/brakes"


@router.get("/brakes")
async def show_brakes(platform: CurrentPlatform, access: Reader, session: TenantSession) -> schemas.BrakesOut:
    """Show what stands in the way of what heals by itself, and how much of each budget is used."""
    switches = await stops.pressed(session, access.tenant_id)
    shown = await _named(
        session, access.tenant_id, [row for row in switches.values() if row is not None], "stopped_by"
    )
    by_id = {row["id"]: row for row in shown}
    connection = await driver(session)
    counts = await connection.fetchrow(_COUNTS, access.tenant_id)
    packs = await active_packs(platform, access.tenant_id)
    limits = action_limits(packs.policy)
    taken: Mapping[str, int] = {}
    if limits.any:
        now = utcnow()
        taken = used(await admissions.actions(session, access.tenant_id, now), now)
    most = {"actions_per_hour": limits.per_hour, "disruptive_per_day": limits.disruptive_per_day}
    return schemas.BrakesOut.model_validate(
        {
            **{name: by_id[row["id"]] if row else None for name, row in switches.items()},
            **dict(counts or {}),
            "limits": [
                {"name": name, "used": taken.get(name, 0), "most": limit}
                for name, limit in most.items()
                if limit is not None
            ],
        }
    )


@router.post("/brakes/stop", status_code=202)
async def stop_tenant(
    body: schemas.BrakeReason,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.Moved:
    """Stop all that acts by itself in the tenant, within a second and mid-playbook.

    The step that is under way comes to its end, and no other begins, not even one that undoes or verifies: the run
    ends as `cancelled` and its incident goes to a person. What is decided while it is pressed goes to a person, too.
    """
    reason = await clean(platform, access.tenant_id, body.reason)
    stop_id = await stops.press(platform, session, access.tenant_id, reason, who=who)
    return schemas.Moved(id=str(stop_id), href=_BRAKES)


@router.post("/brakes/resume", status_code=202)
async def resume_tenant(
    body: schemas.BrakeReason,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.Moved:
    """Lift the tenant's stop switch; what went to a person meanwhile stays with them."""
    reason = await clean(platform, access.tenant_id, body.reason)
    stop_id = await stops.lift(platform, session, access.tenant_id, reason, who=who)
    return schemas.Moved(id=str(stop_id), href=_BRAKES)


@router.post("/platform/stop", status_code=202)
async def stop_platform(
    body: schemas.BrakeReason, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> schemas.Moved:
    """Stop all that acts by itself in every tenant; for platform administrators."""
    caller.refuse_one_time_password()
    check_platform_admin(caller)
    stop_id = await stops.press_everywhere(platform, body.reason, who=who)
    return schemas.Moved(id=str(stop_id), href=_BRAKES)


@router.post("/platform/resume", status_code=202)
async def resume_platform(
    body: schemas.BrakeReason, platform: CurrentPlatform, caller: SignedInCaller, who: CallerWho
) -> schemas.Moved:
    """Lift the installation's stop switch; a tenant's own stays as it is. For platform administrators."""
    caller.refuse_one_time_password()
    check_platform_admin(caller)
    stop_id = await stops.lift_everywhere(platform, body.reason, who=who)
    return schemas.Moved(id=str(stop_id), href=_BRAKES)


@router.get("/brakes/stops")
async def list_stops(access: Reader, session: TenantSession, paging: Paging) -> Page[schemas.StopOut]:
    """List when the tenant's stop switch was pressed and lifted, by whom and why, newest first."""
    rows = await stops.listed(session, access.tenant_id, before=paging.last_id(), limit=paging.limit + 1)
    page, cursor = paging.cut(rows, lambda row: [row["id"]])
    shown = await _named(session, access.tenant_id, page, "stopped_by", "lifted_by")
    return Page(items=[schemas.StopOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.get("/brakes/flaps")
async def list_flaps(
    access: Reader,
    session: TenantSession,
    paging: Paging,
    state: Annotated[
        Literal["suppressed", "cleared"] | None, Query(description="Only what still is, or what was.")
    ] = None,
    q: Annotated[str | None, Query(max_length=200, description="Part of the check, host or site.")] = None,
) -> Page[schemas.FlapOut]:
    """List checks that are left to a person because they flap, newest first."""
    rows = await flaps.listed(
        session,
        access.tenant_id,
        cleared=None if state is None else state == "cleared",
        q=q,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: [row["id"]])
    shown = await _named(session, access.tenant_id, page, "cleared_by")
    items = [
        schemas.FlapOut.model_validate({**row, "host": row["host"] or None, "site": row["site"] or None})
        for row in shown
    ]
    return Page(items=items, next_cursor=cursor)


@router.post("/brakes/flaps/{suppression_id}/clear", status_code=202)
async def clear_flap(
    suppression_id: UUID,
    body: schemas.BrakeReason,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.Moved:
    """Let a check be healed again; its incidents that rested are decided anew."""
    reason = await clean(platform, access.tenant_id, body.reason)
    await flaps.clear(session, access.tenant_id, suppression_id, reason, who=who)
    return schemas.Moved(id=str(suppression_id), href=f"{_BRAKES}/flaps")


@router.get("/brakes/breakers")
async def list_breakers(
    access: Reader,
    session: TenantSession,
    paging: Paging,
    state: Annotated[schemas.BreakerState | None, Query()] = None,
    kind: Annotated[schemas.Kind | None, Query()] = None,
) -> Page[schemas.BreakerOut]:
    """List circuit breakers that ever counted a failure, by kind and key; any other is closed."""
    after = paging.after(str, str)
    rows = await breakers.listed(
        session,
        access.tenant_id,
        state=state,
        kind=kind,
        after=None if after is None else (after[0], after[1]),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: [row["kind"], row["key"]])
    shown = await _named(session, access.tenant_id, page, "changed_by")
    items = [schemas.BreakerOut.model_validate({**row, "failures": len(row["failures"])}) for row in shown]
    return Page(items=items, next_cursor=cursor)


@router.post("/brakes/breakers/open", status_code=202)
async def open_breaker(
    body: schemas.BreakerOpening,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.Moved:
    """Open a circuit breaker by hand, for a time or until somebody resets it."""
    name = _breaker(body)
    reason = await clean(platform, access.tenant_id, body.reason)
    await breakers.open_by_hand(
        platform, session, access.tenant_id, name, now=utcnow(), seconds=body.seconds, reason=reason, who=who
    )
    return schemas.Moved(id=":".join(name), href=f"{_BRAKES}/breakers")


@router.post("/brakes/breakers/reset", status_code=202)
async def reset_breaker(
    body: schemas.BreakerName,
    platform: CurrentPlatform,
    access: Writer,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.Moved:
    """Close a circuit breaker and forget the failures that it counted."""
    name = _breaker(body)
    reason = await clean(platform, access.tenant_id, body.reason)
    await breakers.reset(platform, session, access.tenant_id, name, reason=reason, who=who)
    return schemas.Moved(id=":".join(name), href=f"{_BRAKES}/breakers")


@router.get("/brakes/held")
async def list_held(access: Reader, session: TenantSession, paging: Paging) -> Page[schemas.HeldOut]:
    """List runs that a limit holds, why, and when each is looked at again; newest first."""
    rows = await admissions.listed(session, access.tenant_id, before=paging.last_id(), limit=paging.limit + 1)
    page, cursor = paging.cut(rows, lambda row: [row["run_id"]])
    items = [schemas.HeldOut.model_validate({**dict(row), "host": row["host"] or None}) for row in page]
    return Page(items=items, next_cursor=cursor)


@router.get("/delegations", tags=["approvals"])
async def list_delegations(
    access: IncidentReader,
    session: TenantSession,
    paging: Paging,
    active: Annotated[
        bool | None, Query(description="Only those that hold or will, or that are over.")
    ] = None,
) -> Page[schemas.DelegationOut]:
    """List who may decide approvals in whose place, newest first."""
    rows = await delegations.listed(
        session, access.tenant_id, active=active, before=paging.last_id(), limit=paging.limit + 1
    )
    page, cursor = paging.cut(rows, lambda row: [row["id"]])
    people = {f"user:{row[end]}" for row in page for end in ("from_user", "to_user")}
    names = await names_of(session, access.tenant_id, people)
    items = [
        schemas.DelegationOut.model_validate(
            {
                **dict(row),
                "from_name": names.get(f"user:{row['from_user']}"),
                "to_name": names.get(f"user:{row['to_user']}"),
            }
        )
        for row in page
    ]
    return Page(items=items, next_cursor=cursor)


@router.post("/delegations", status_code=202, tags=["approvals"])
async def create_delegation(
    body: schemas.DelegationIn,
    platform: CurrentPlatform,
    access: Decider,
    session: TenantSession,
    who: CurrentWho,
) -> schemas.Moved:
    """Let somebody decide approvals in one's place for a time; who may change roles may do so for others."""
    from_user = body.from_user or access.user_id
    if from_user is None:
        raise Invalid("A key is nobody, so say for whom.", errors=[FieldError("/from_user", "is missing")])
    reason = await clean(platform, access.tenant_id, body.reason)
    made = await delegations.create(
        session,
        access.tenant_id,
        NewDelegation(from_user, body.to_user, body.begins_at, body.ends_at, reason),
        who=who,
        permissions=access.permissions,
        now=utcnow(),
    )
    return schemas.Moved(id=str(made), href="/api/v1/delegations")


@router.post("/delegations/{delegation_id}/end", status_code=202, tags=["approvals"])
async def end_delegation(
    delegation_id: UUID, access: Decider, session: TenantSession, who: CurrentWho
) -> schemas.Moved:
    """End a delegation before its time."""
    await delegations.end(session, access.tenant_id, delegation_id, who=who, permissions=access.permissions)
    return schemas.Moved(id=str(delegation_id), href="/api/v1/delegations")


@router.get("/autonomy/what-if")
async def show_what_if(access: IncidentReader, session: TenantSession) -> schemas.WhatIfOut:
    """Show what became of the incidents of the last 30 days, and what would have at each level of autonomy."""
    found = await what_if.what_if(session, access.tenant_id, utcnow())
    return schemas.WhatIfOut(
        considered=found.considered,
        unproposed=found.unproposed,
        truncated=found.truncated,
        now=_every(found.now),
        levels={level: _every(counts) for level, counts in found.levels.items()},
        raised=schemas.RaisedOut.model_validate(found.raised, from_attributes=True),
        by_playbook=[
            schemas.RaisedPlaybook(
                pack_id=name[0],
                playbook_id=name[1],
                incidents=count,
                acting=raised.acting,
                healed=raised.healed,
                failed=raised.failed,
            )
            for name, count, raised in found.by_playbook
        ],
    )


@router.get("/autonomy/what-if/incidents")
async def list_what_if(
    access: IncidentReader,
    session: TenantSession,
    paging: Paging,
    level: Annotated[schemas.Level, Query(description="The level to look at.")] = "act",
    effect: Annotated[
        schemas.Effect | None, Query(description="Only what would have become this at the level.")
    ] = None,
    changed: Annotated[bool, Query(description="Only what would have gone otherwise than it did.")] = False,
) -> Page[schemas.WhatIfIncident]:
    """List incidents of the last 30 days with what would have become of them at a level, newest first."""
    rows = await what_if.listed(
        session,
        access.tenant_id,
        utcnow(),
        level=level,
        effect=effect,
        changed=changed,
        before=paging.last_id(),
        limit=paging.limit + 1,
    )
    page, cursor = paging.cut(rows, lambda row: [row["id"]])
    return Page(items=[schemas.WhatIfIncident.model_validate(dict(row)) for row in page], next_cursor=cursor)


def _every(counts: Mapping[str, int]) -> dict[str, int]:
    return {effect: counts.get(effect, 0) for effect in EFFECTS}


def _breaker(body: schemas.BreakerName) -> tuple[str, str]:
    if (body.kind == TENANT) is bool(body.key):
        raise Invalid(
            "Name the tool, host or playbook; the tenant's own breaker has no key.",
            errors=[FieldError("/key", "must be empty for the tenant, and is missing otherwise")],
        )
    return body.kind, breakers.host_key(body.key) if body.kind == "host" else body.key


async def _named(
    session: AsyncSession, tenant_id: UUID, rows: Sequence[asyncpg.Record], *columns: str
) -> list[dict[str, Any]]:
    """Return rows with the name of each actor beside it."""
    actors: Iterable[Any] = {row[column] for row in rows for column in columns if row[column] is not None}
    names = await names_of(session, tenant_id, set(actors))
    return [
        {**dict(row), **{f"{column}_name": names.get(row[column] or "") for column in columns}}
        for row in rows
    ]
