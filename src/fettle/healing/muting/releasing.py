"""Looks at what keeps still: releases what still fires once nothing mutes it, and lets keep still what now is muted.

A tenant is looked at when something begins or ends there, when something is set, and when what inhibits changed.
Whoever looks holds the tenant's row, so that no two do at once; whoever dies has changed nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.escalation import clocks
from fettle.healing.muting import ledger
from fettle.healing.muting.current import current_mutes, inhibitor_of
from fettle.healing.muting.inhibition import Inhibitor
from fettle.healing.muting.ledger import ACTOR, RELEASED, Muted
from fettle.healing.muting.matching import labels_of
from fettle.healing.muting.mutes import HELD, Mute, MuteSet, hold_of, mute_of
from fettle.incidents import opening
from fettle.incidents import service as incidents
from fettle.incidents.service import Transition
from fettle.incidents.states import State
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.per_tenant import contain_failure
from fettle.kernel.platform import Platform

AT_ONCE: Final = 500
"""Most incidents that one transaction releases or lets keep still."""

_COLUMNS: Final = (
    "i.id, i.number, i.fingerprint, i.severity, i.opened_at, i.state, i.check_type, i.host, i.site, i.platform, "
    "i.source, i.summary, i.pack_id, i.labels, i.details, i.title"
)
_DUE: Final = "SELECT tenant_id FROM mute_sets WHERE due_at <= now() ORDER BY due_at LIMIT 1000"
_TAKE: Final = "SELECT version FROM mute_sets WHERE tenant_id = $1 FOR UPDATE SKIP LOCKED"
_MUTED: Final = f"""
SELECT m.reason, m.muted_by, m.until, m.source_id, m.is_disruptive, m.returns_to, {_COLUMNS}
FROM muted_incidents m JOIN incidents i ON i.tenant_id = m.tenant_id AND i.id = m.incident_id
WHERE m.tenant_id = $1 ORDER BY i.id
"""  # noqa: S608 - a constant
_ESCALATED: Final = f"""
SELECT {_COLUMNS} FROM incidents i WHERE i.tenant_id = $1 AND i.state = 'escalated' ORDER BY i.id DESC LIMIT 10000
"""  # noqa: S608 - a constant
_NAMES: Final = ("id", "number", "fingerprint", "severity", "opened_at", *opening.OWN_FIELDS)


async def look_at_due(platform: Platform) -> int:
    """Look at every tenant that is due; returns how many incidents were released or let keep still."""
    async with platform.database.raw_system() as connection:
        due = [row["tenant_id"] for row in await connection.fetch(_DUE)]
    changed = 0
    for tenant_id in due:
        changed += await contain_failure(tenant_id, "muting.look_at_due", look_at_tenant(platform, tenant_id))
    return changed


async def look_at_tenant(platform: Platform, tenant_id: UUID) -> int:
    """Look at one tenant until nothing is to be changed there; returns how many incidents were."""
    total = 0
    while True:
        async with platform.database.tenant(tenant_id) as session:
            changed = await look_once(platform, session, tenant_id, utcnow())
        total += changed
        if changed < AT_ONCE:
            return total


async def look_once(platform: Platform, session: AsyncSession, tenant_id: UUID, now: datetime) -> int:
    """Look at a tenant in one transaction.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: Whom to look at.
        now: The moment that counts.

    Returns:
        How many incidents were released or let keep still; `AT_ONCE` where there may be more.
    """
    connection = await driver(session)
    if await connection.fetchrow(_TAKE, tenant_id) is None:
        return 0
    mutes = await current_mutes(platform, session, tenant_id, is_fresh=True)
    inhibitor = await inhibitor_of(session, tenant_id, mutes, now)
    seen = [dict(row) for row in await connection.fetch(_MUTED, tenant_id)]
    over = [row for row in seen if row["state"] != State.SUPPRESSED]
    await _end(connection, tenant_id, over)
    wanted = [(row, _wanted(mutes, inhibitor, row, now)) for row in seen if row["state"] == State.SUPPRESSED]
    free = [row for row, mute in wanted if mute is None][:AT_ONCE]
    await _release(session, tenant_id, free)
    otherwise = [(row, mute) for row, mute in wanted if mute is not None and _differs(row, mute)][
        : AT_ONCE - len(free)
    ]
    await _mute_otherwise(session, tenant_id, otherwise, now)
    room = AT_ONCE - len(free) - len(otherwise)
    fresh = [] if mutes.is_empty else await _mutable(connection, tenant_id, mutes, inhibitor, now)
    await _mute(session, tenant_id, fresh[:room], now)
    await clocks.look_again(connection, tenant_id, now)
    held = [mute for _, mute in wanted if mute is not None] + [one.mute for one in fresh]
    again = [ledger.again_at(mute, now) for mute in held]
    following = mutes.next_change(now)
    await connection.execute(
        "UPDATE mute_sets SET due_at = $2 WHERE tenant_id = $1",
        tenant_id,
        min((*again, *([following] if following else [])), default=None),
    )
    return min(AT_ONCE, len(free) + len(otherwise) + len(fresh))


def _wanted(mutes: MuteSet, inhibitor: Inhibitor, row: Mapping[str, Any], now: datetime) -> Mute | None:
    labels = labels_of(row)
    mute = mute_of(mutes, inhibitor, row["id"], labels, now)
    if mute is None and row["reason"] == HELD:
        return hold_of(mutes, labels, now, is_disruptive=row["is_disruptive"])
    return mute


def _differs(row: Mapping[str, Any], mute: Mute) -> bool:
    kept = row["reason"], row["muted_by"], row["until"], row["source_id"]
    return bool(kept != (mute.reason, mute.by, mute.until, mute.source))


async def _release(session: AsyncSession, tenant_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
    """Give incidents back the state that they had; what was not decided yet is decided now."""
    if not rows:
        return
    moves: list[Transition] = []
    for row in rows:
        was = {"was": row["reason"], "by": row["muted_by"]}
        back = State(row["returns_to"])
        moves.append(_move(row["id"], RELEASED, back, was))
        if back is State.TRIAGED:
            content = {name: row[name] for name in _NAMES if name in row}
            incident = {**content, "id": str(row["id"])}
            moves.append(
                _move(
                    row["id"], "incident.triaged", back, {"severity": row["severity"], "incident": incident}
                )
            )
    await incidents.transition(session, tenant_id, moves, if_allowed=True)
    await _end(await driver(session), tenant_id, rows)


async def _end(connection: asyncpg.Connection, tenant_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        await ledger.forget(connection, tenant_id, [row["id"] for row in rows])


async def _mute_otherwise(
    session: AsyncSession, tenant_id: UUID, changed: Sequence[tuple[Mapping[str, Any], Mute]], now: datetime
) -> None:
    """Write down that incidents keep still for another reason or source, or longer or shorter, than before."""
    muted = [
        (row, Muted(row["id"], mute, State(row["returns_to"]), is_disruptive=row["is_disruptive"]))
        for row, mute in changed
    ]
    told = [
        one.transition()
        for row, one in muted
        if (row["reason"], row["muted_by"]) != (one.mute.reason, one.mute.by)
    ]
    await incidents.transition(session, tenant_id, told, if_allowed=True)
    await ledger.note(await driver(session), tenant_id, [one for _, one in muted], now)


async def _mutable(
    connection: asyncpg.Connection, tenant_id: UUID, mutes: MuteSet, inhibitor: Inhibitor, now: datetime
) -> list[Muted]:
    """Return what waits for a person and is muted by now."""
    found = []
    for row in await connection.fetch(_ESCALATED, tenant_id):
        mute = mute_of(mutes, inhibitor, row["id"], labels_of(dict(row)), now)
        if mute is not None:
            found.append(Muted(row["id"], mute, State.ESCALATED))
    return found


async def _mute(session: AsyncSession, tenant_id: UUID, muted: Sequence[Muted], now: datetime) -> None:
    if not muted:
        return
    standings = await incidents.lock(session, tenant_id, [one.incident_id for one in muted])
    # A person may have done something since it was read.
    those = [one for one in muted if standings[one.incident_id].state is State.ESCALATED]
    await incidents.transition(session, tenant_id, [one.transition() for one in those])
    await ledger.note(await driver(session), tenant_id, those, now)


def _move(incident_id: UUID, kind: str, to: State, data: Mapping[str, Any]) -> Transition:
    return Transition(incident_id=incident_id, type=kind, to=to, data=data, actor=ACTOR)
