"""The stop switches: while one is pressed nothing acts by itself, for a tenant or for the whole installation."""

from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.brakes.standing import Stop, brakes_of
from fettle.identity.audit import Who, record
from fettle.kernel import context, events, metrics
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

_COLUMNS: Final = "id, reason, stopped_by, stopped_at, lifted_at, lifted_by, lift_reason"

_PRESS: Final = f"""
INSERT INTO healing_stops (id, tenant_id, reason, stopped_by) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
"""  # noqa: S608 - a constant
_LIFT: Final = f"""
UPDATE healing_stops SET lifted_at = now(), lifted_by = $2, lift_reason = $3
WHERE tenant_id = $1 AND lifted_at IS NULL RETURNING {_COLUMNS}
"""  # noqa: S608 - a constant
_PRESS_ALL: Final = f"""
INSERT INTO platform_stops (id, reason, stopped_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
"""  # noqa: S608 - a constant
_LIFT_ALL: Final = f"""
UPDATE platform_stops SET lifted_at = now(), lifted_by = $1, lift_reason = $2 WHERE lifted_at IS NULL
RETURNING {_COLUMNS}
"""  # noqa: S608 - a constant


async def press(platform: Platform, session: AsyncSession, tenant_id: UUID, reason: str, *, who: Who) -> UUID:
    """Stop all that acts by itself in a tenant.

    Raises:
        Conflict: It is stopped already.
    """
    connection = await driver(session)
    row = await connection.fetchrow(_PRESS, new_id(), tenant_id, reason, who.actor)
    if row is None:
        raise Conflict("The stop switch is pressed already. See who pressed it, and why.")
    await _tell(session, tenant_id, row["id"], "stop.pressed", {"reason": reason}, who)
    metrics.after_commit(session, brakes_of(platform).forget)
    return UUID(int=row["id"].int)


async def lift(platform: Platform, session: AsyncSession, tenant_id: UUID, reason: str, *, who: Who) -> UUID:
    """Let things act by themselves again; what a person took over meanwhile stays with them.

    Raises:
        Conflict: It is not pressed.
    """
    connection = await driver(session)
    row = await connection.fetchrow(_LIFT, tenant_id, who.actor, reason)
    if row is None:
        raise Conflict("The stop switch of this tenant is not pressed.")
    await _tell(session, tenant_id, row["id"], "stop.lifted", {"reason": reason}, who)
    metrics.after_commit(session, brakes_of(platform).forget)
    return UUID(int=row["id"].int)


async def press_everywhere(platform: Platform, reason: str, *, who: Who) -> UUID:
    """Stop all that acts by itself in every tenant.

    Raises:
        Conflict: It is stopped already.
    """
    async with platform.database.system() as session:
        connection = await driver(session)
        row = await connection.fetchrow(_PRESS_ALL, new_id(), reason, who.actor)
        if row is None:
            raise Conflict("The installation's stop switch is pressed already. See who pressed it, and why.")
        await record(
            session, who, "stop.pressed", tenant_id=None, target=("stop", row["id"]), after={"reason": reason}
        )
    brakes_of(platform).forget()
    return UUID(int=row["id"].int)


async def lift_everywhere(platform: Platform, reason: str, *, who: Who) -> UUID:
    """Let things act by themselves again, but where a tenant's own switch is pressed.

    Raises:
        Conflict: It is not pressed.
    """
    async with platform.database.system() as session:
        connection = await driver(session)
        row = await connection.fetchrow(_LIFT_ALL, who.actor, reason)
        if row is None:
            raise Conflict("The installation's stop switch is not pressed.")
        await record(
            session, who, "stop.lifted", tenant_id=None, target=("stop", row["id"]), after={"reason": reason}
        )
    brakes_of(platform).forget()
    return UUID(int=row["id"].int)


async def pressed(session: AsyncSession, tenant_id: UUID) -> dict[str, asyncpg.Record | None]:
    """Return the switches that are pressed as of this moment: `platform` and `tenant`."""
    connection = await driver(session)
    everywhere = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM platform_stops WHERE lifted_at IS NULL"  # noqa: S608 - a constant
    )
    own = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM healing_stops WHERE tenant_id = $1 AND lifted_at IS NULL",  # noqa: S608 - a constant
        tenant_id,
    )
    return {"platform": everywhere, "tenant": own}


async def overall(platform: Platform) -> dict[str, Any]:
    """Return the installation's switch where it is pressed, and in how many tenants their own is."""
    async with platform.database.raw_system() as connection:
        row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM platform_stops WHERE lifted_at IS NULL")  # noqa: S608 - a constant
        tenants = await connection.fetchval("SELECT count(*) FROM healing_stops WHERE lifted_at IS NULL")
    shown = ("id", "reason", "stopped_by", "stopped_at")
    return {"stop": {name: row[name] for name in shown} if row is not None else None, "tenants": tenants}


async def standing(session: AsyncSession, tenant_id: UUID) -> Stop | None:
    """Return the switch that is pressed as of this moment, the installation's first."""
    for tenant, row in zip((None, tenant_id), (await pressed(session, tenant_id)).values(), strict=True):
        if row is not None:
            return Stop(row["id"], tenant, row["reason"], row["stopped_by"], row["stopped_at"])
    return None


async def listed(
    session: AsyncSession, tenant_id: UUID, *, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Return when the tenant's switch was pressed and lifted, newest first."""
    connection = await driver(session)
    rows: list[asyncpg.Record] = await connection.fetch(
        f"SELECT {_COLUMNS} FROM healing_stops WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) "  # noqa: S608 - a constant
        "ORDER BY id DESC LIMIT $3",
        tenant_id, before, limit,
    )  # fmt: skip
    return rows


async def _tell(
    session: AsyncSession, tenant_id: UUID, stop_id: UUID, kind: str, data: dict[str, Any], who: Who
) -> None:
    event = NewEvent(
        stream_type="stop",
        stream_id=stop_id,
        type=kind,
        data={"stop_id": str(stop_id), "by": who.actor, **data},
        actor=who.actor,
        request_id=context.request_id.get(),
    )
    await events.append(session, tenant_id, [event])
    await record(session, who, kind, tenant_id=tenant_id, target=("stop", stop_id), after=data)
