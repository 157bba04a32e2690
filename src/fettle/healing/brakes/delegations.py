"""Deputies: who may decide approvals as somebody else may, from when to when, and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.audit import Who, record
from fettle.identity.names import permissions_of_person
from fettle.kernel import context, events
from fettle.kernel.clock import rfc3339
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id

DECIDE: Final = "approvals:decide"
APPOINT: Final = "users:write"
"""Whoever may change what people may do may appoint a deputy for somebody else."""

LONGEST: Final = timedelta(days=90)
FURTHEST: Final = timedelta(days=366)
"""A deputy is appointed no longer before their time begins."""

_COLUMNS: Final = (
    "id, from_user, to_user, begins_at, ends_at, reason, created_by, created_at, ended_at, ended_by"
)
_ACTIVE: Final = """
SELECT from_user FROM approval_delegations
WHERE tenant_id = $1 AND to_user = $2 AND begins_at <= $3 AND ends_at > $3 AND ended_at IS NULL ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Authority:
    """Somebody on whose behalf a deputy may decide, and what they may do now."""

    actor: str
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True)
class NewDelegation:
    """A deputy to be."""

    from_user: UUID
    to_user: UUID
    begins_at: datetime
    ends_at: datetime
    reason: str


async def authorities(session: AsyncSession, tenant_id: UUID, actor: str, now: datetime) -> list[Authority]:
    """Return on whose behalf an actor may decide at a moment; a deputy's deputy is nobody's.

    What somebody may do counts as it is now: who left, or may no longer decide, has no deputy.
    """
    if not actor.startswith("user:"):
        return []
    try:
        user_id = UUID(actor.removeprefix("user:"))
    except ValueError:
        return []
    connection = await driver(session)
    rows = await connection.fetch(_ACTIVE, tenant_id, user_id, now)
    found = []
    for row in rows:
        held = await permissions_of_person(session, tenant_id, row["from_user"])
        if DECIDE in held:
            found.append(Authority(f"user:{row['from_user']}", held))
    return found


async def create(
    session: AsyncSession,
    tenant_id: UUID,
    wanted: NewDelegation,
    *,
    who: Who,
    permissions: frozenset[str],
    now: datetime,
) -> UUID:
    """Appoint a deputy.

    Args:
        session: With the tenant bound.
        tenant_id: Where.
        wanted: Who for whom, and when.
        who: Who appoints: the person themselves, or whoever may change what people may do.
        permissions: What that one may do.
        now: The time.

    Raises:
        Forbidden: They may appoint no deputy for somebody else.
        Invalid: The times are none, or one of the two may not decide approvals.
    """
    if who.actor != f"user:{wanted.from_user}" and APPOINT not in permissions:
        raise Forbidden("You may appoint a deputy for yourself only.")
    await _check(session, tenant_id, wanted, now)
    connection = await driver(session)
    delegation_id = new_id()
    await connection.execute(
        "INSERT INTO approval_delegations (id, tenant_id, from_user, to_user, begins_at, ends_at, reason, created_by) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        delegation_id, tenant_id, wanted.from_user, wanted.to_user, wanted.begins_at, wanted.ends_at,
        wanted.reason, who.actor,
    )  # fmt: skip
    data = {
        "from": f"user:{wanted.from_user}",
        "to": f"user:{wanted.to_user}",
        "begins_at": rfc3339(wanted.begins_at),
        "ends_at": rfc3339(wanted.ends_at),
        "reason": wanted.reason,
    }
    await _tell(session, tenant_id, delegation_id, "delegation.created", data, who)
    return delegation_id


async def _check(session: AsyncSession, tenant_id: UUID, wanted: NewDelegation, now: datetime) -> None:
    faults = []
    if wanted.from_user == wanted.to_user:
        faults.append(FieldError("/to_user", "is the same person"))
    if wanted.begins_at > now + FURTHEST:
        faults.append(FieldError("/begins_at", f"must be at most {FURTHEST.days} days from now"))
    if wanted.ends_at <= max(wanted.begins_at, now):
        faults.append(FieldError("/ends_at", "must lie in the future, and after begins_at"))
    elif wanted.ends_at - wanted.begins_at > LONGEST:
        faults.append(FieldError("/ends_at", f"must be at most {LONGEST.days} days after begins_at"))
    for name, person in (("from_user", wanted.from_user), ("to_user", wanted.to_user)):
        if DECIDE not in await permissions_of_person(session, tenant_id, person):
            faults.append(FieldError(f"/{name}", "is nobody who may decide approvals in this tenant"))
    if faults:
        raise Invalid("There can be no such deputy.", errors=faults)


async def end(
    session: AsyncSession, tenant_id: UUID, delegation_id: UUID, *, who: Who, permissions: frozenset[str]
) -> None:
    """End a delegation before its time.

    Raises:
        NotFound: The tenant has no such delegation.
        Forbidden: It is not theirs.
        Conflict: It has ended.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM approval_delegations WHERE tenant_id = $1 AND id = $2 FOR UPDATE",  # noqa: S608 - a constant
        tenant_id, delegation_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("There is no such delegation.")
    own = {f"user:{row['from_user']}", f"user:{row['to_user']}"}
    if who.actor not in own and APPOINT not in permissions:
        raise Forbidden("Only the two people, and who may change what people may do, can end this.")
    if row["ended_at"] is not None:
        raise Conflict("It has ended already.")
    await connection.execute(
        "UPDATE approval_delegations SET ended_at = now(), ended_by = $3 WHERE tenant_id = $1 AND id = $2",
        tenant_id, delegation_id, who.actor,
    )  # fmt: skip
    data = {"from": f"user:{row['from_user']}", "to": f"user:{row['to_user']}"}
    await _tell(session, tenant_id, delegation_id, "delegation.ended", data, who)


async def listed(
    session: AsyncSession, tenant_id: UUID, *, active: bool | None, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Return delegations, newest first."""
    connection = await driver(session)
    rows: list[asyncpg.Record] = await connection.fetch(
        f"SELECT {_COLUMNS}, ended_at IS NULL AND ends_at > now() AS is_active FROM approval_delegations "  # noqa: S608 - a constant
        "WHERE tenant_id = $1 AND ($2::boolean IS NULL OR (ended_at IS NULL AND ends_at > now()) = $2) "
        "AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        tenant_id, active, before, limit,
    )  # fmt: skip
    return rows


async def _tell(
    session: AsyncSession,
    tenant_id: UUID,
    delegation_id: UUID,
    kind: str,
    data: dict[str, str],
    who: Who,
) -> None:
    event = NewEvent(
        stream_type="delegation",
        stream_id=delegation_id,
        type=kind,
        data={"delegation_id": str(delegation_id), **data},
        actor=who.actor,
        request_id=context.request_id.get(),
    )
    await events.append(session, tenant_id, [event])
    await record(session, who, kind, tenant_id=tenant_id, target=("delegation", delegation_id), after=data)
