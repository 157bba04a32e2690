"""What a tenant sets: silences, windows, inhibition, dependencies; changed, ended early, undone, looked back on."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.muting.current import current_mutes, inhibitor_of
from fettle.healing.muting.inhibition import Firing, Inhibitor
from fettle.healing.muting.matching import labels_of
from fettle.healing.muting.models import MutedIncident, StoredMute
from fettle.healing.muting.mutes import MuteSet, Timed
from fettle.healing.muting.reading import dependency_of, inhibition_of, timed_of
from fettle.incidents.commands import By
from fettle.kernel import events
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound
from fettle.kernel.events import Event, NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

MOST: Final = 2_000
"""Most that a tenant has set at once."""

STREAM: Final = "mute"
TIMED: Final = frozenset({"silence", "window"})
PREVIEWED: Final = 5_000
SHOWN: Final = 50

_BUMP: Final = """
INSERT INTO mute_sets (tenant_id) VALUES ($1)
ON CONFLICT (tenant_id) DO UPDATE SET version = mute_sets.version + 1
"""
_OPEN: Final = """
SELECT id, number, title, state, severity, check_type, host, site, platform, source, labels FROM incidents
WHERE tenant_id = $1 AND state <> 'closed' AND state <> 'resolved' ORDER BY id DESC LIMIT $2
"""


async def listed(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    kind: str | None,
    state: str | None,
    text: str | None,
    before: UUID | None,
    limit: int,
) -> Sequence[StoredMute]:
    """Return what a tenant has set, newest first.

    Args:
        session: With the tenant bound.
        tenant_id: Whose.
        kind: Of this kind only.
        state: ``active`` for what is not over, ``pending`` for what has not begun, ``ended`` for the rest.
        text: In its title.
        before: Older than this one.
        limit: How many at most.
    """
    query = select(StoredMute).where(StoredMute.tenant_id == tenant_id)
    if kind is not None:
        query = query.where(StoredMute.kind == kind)
    if text:
        query = query.where(StoredMute.title.icontains(text, autoescape=True))
    over, begun = StoredMute.ends_at <= func.now(), StoredMute.starts_at <= func.now()
    if state == "ended":
        query = query.where(over)
    elif state is not None:
        query = query.where(or_(StoredMute.ends_at.is_(None), ~over))
        pending = ~or_(StoredMute.starts_at.is_(None), begun)
        query = query.where(pending if state == "pending" else ~pending)
    if before is not None:
        query = query.where(StoredMute.id < before)
    return (await session.scalars(query.order_by(StoredMute.id.desc()).limit(limit))).all()


async def find(session: AsyncSession, tenant_id: UUID, mute_id: UUID) -> StoredMute:
    """Return one.

    Raises:
        NotFound: The tenant has none of this id.
    """
    query = select(StoredMute).where(StoredMute.tenant_id == tenant_id, StoredMute.id == mute_id)
    found = await session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound("There is no such silence, window, inhibition or dependency.")
    return found


async def create(
    session: AsyncSession, tenant_id: UUID, by: By, kind: str, document: Mapping[str, Any]
) -> StoredMute:
    """Set something.

    Args:
        session: With the tenant bound.
        tenant_id: Whose.
        by: Who sets it.
        kind: ``silence``, ``window``, ``inhibition`` or ``dependency``.
        document: As the API takes it, its times as text.

    Raises:
        Invalid: It is over before it begins to hold.
        Conflict: There is too much.
    """
    _refuse_over(document)
    await hold_lock(await driver(session), "mutes", tenant_id)
    held = await session.scalar(
        select(func.count())
        .select_from(StoredMute)
        .where(
            StoredMute.tenant_id == tenant_id,
            or_(StoredMute.ends_at.is_(None), StoredMute.ends_at > func.now()),
        )
    )
    if (held or 0) >= MOST:
        raise Conflict(f"{MOST} are set already. End some first.")
    mute_id = new_id()
    document = {**document, "starts_at": document.get("starts_at") or rfc3339(utcnow())}
    await session.execute(
        insert(StoredMute).values(
            id=mute_id,
            tenant_id=tenant_id,
            kind=kind,
            created_by=by.actor,
            updated_by=by.actor,
            **_columns(document),
        )
    )
    await _tell(session, tenant_id, by, "mute.created", mute_id, {"kind": kind, "after": document})
    return await find(session, tenant_id, mute_id)


async def change(
    session: AsyncSession, tenant_id: UUID, by: By, mute_id: UUID, kind: str, document: Mapping[str, Any],
    *, version: int,
) -> StoredMute:  # fmt: skip
    """Put something else in the place of what is set.

    Raises:
        NotFound: The tenant has none of this id.
        Invalid: It is of another kind, or over already.
        Conflict: It has another version by now.
    """
    before = await find(session, tenant_id, mute_id)
    if before.kind != kind:
        fault = FieldError("/mute/kind", f"it is a {before.kind}")
        raise Invalid("A mute keeps its kind. Set a new one instead.", errors=[fault])
    _refuse_over(document)
    document = {**document, "starts_at": document.get("starts_at") or before.document.get("starts_at")}
    return await _put(session, by, before, document, "mute.changed", version)


async def end(session: AsyncSession, tenant_id: UUID, by: By, mute_id: UUID, *, version: int) -> StoredMute:
    """End something now; what it muted and still fires is released.

    Raises:
        NotFound: The tenant has none of this id.
        Conflict: It is over already, or has another version by now.
    """
    before = await find(session, tenant_id, mute_id)
    now = utcnow()
    if before.ends_at is not None and before.ends_at <= now:
        raise Conflict("It is over already.")
    document = {**before.document, "ends_at": rfc3339(now)}
    return await _put(session, by, before, document, "mute.ended", version)


async def undo(session: AsyncSession, tenant_id: UUID, by: By, mute_id: UUID, *, version: int) -> StoredMute:
    """Let it be as it was before its last change; undone again, as after it.

    Raises:
        NotFound: The tenant has none of this id.
        Conflict: It was never changed, was over before as well, or has another version by now.
    """
    current = await find(session, tenant_id, mute_id)
    # Each change is one event and one version, however many there were.
    last = await events.read_stream(
        session, tenant_id, STREAM, mute_id, after_version=current.version - 1, limit=1
    )
    before = last[0].data.get("before") if last else None
    if before is None:
        raise Conflict("It was never changed. End it instead.")
    ends_at = before.get("ends_at")
    if ends_at is not None and datetime.fromisoformat(ends_at) <= utcnow():
        raise Conflict("What it was before is over as well. Set a new one instead.")
    return await _put(session, by, current, before, "mute.restored", version)


async def history(
    session: AsyncSession, tenant_id: UUID, mute_id: UUID, *, before: int | None, limit: int
) -> list[Event]:
    """Return the changes of one, newest first.

    Args:
        session: With the tenant bound.
        tenant_id: Whose.
        mute_id: Its id.
        before: Only what came before this version.
        limit: How many at most.

    Raises:
        NotFound: The tenant has none of this id.
    """
    current = await find(session, tenant_id, mute_id)
    # Each change is one event and one version.
    newest = current.version if before is None else min(before - 1, current.version)
    oldest = max(0, newest - limit)
    found = await events.read_stream(
        session, tenant_id, STREAM, mute_id, after_version=oldest, limit=newest - oldest
    )
    return found[::-1]


async def muted_by(session: AsyncSession, tenant_id: UUID) -> dict[str, int]:
    """Return how many incidents keep still because of what."""
    query = select(MutedIncident.muted_by, func.count()).where(MutedIncident.tenant_id == tenant_id)
    return {row[0]: row[1] for row in await session.execute(query.group_by(MutedIncident.muted_by))}


async def preview(
    session: AsyncSession, tenant_id: UUID, kind: str, document: Mapping[str, Any]
) -> tuple[int, list[Mapping[str, Any]]]:
    """Return how many incidents that are not over were looked at, and which of them something would mute now."""
    connection = await driver(session)
    rows = [dict(row) for row in await connection.fetch(_OPEN, tenant_id, PREVIEWED)]
    labels = {row["id"]: labels_of(row) for row in rows}
    if kind in TIMED:
        matchers = timed_of("new", kind, document).matchers
        return len(rows), [row for row in rows if matchers.hold(labels[row["id"]])]
    firing = [Firing(row["id"], labels[row["id"]]) for row in rows]
    inhibitor = (
        Inhibitor([inhibition_of("new", document)], (), firing)
        if kind == "inhibition"
        else Inhibitor((), [dependency_of("new", document)], firing)
    )
    return len(rows), [row for row in rows if inhibitor.inhibited(row["id"], labels[row["id"]]) is not None]


async def calendar(
    platform: Platform, session: AsyncSession, tenant_id: UUID, *, days: int
) -> list[tuple[Timed, datetime, datetime]]:
    """Return when silences and windows hold from now on, in the order in which they begin."""
    mutes = await current_mutes(platform, session, tenant_id, is_fresh=True)
    now = utcnow()
    ahead = now + timedelta(days=days)
    found = [(one, begin, end) for one in mutes.timed for begin, end in one.when.spans(now, ahead)]
    return sorted(found, key=lambda span: (span[1], span[2], span[0].id))


async def everything(platform: Platform, session: AsyncSession, tenant_id: UUID) -> tuple[MuteSet, Inhibitor]:
    """Return what is set as it holds in this transaction, and what says what it inhibits."""
    mutes = await current_mutes(platform, session, tenant_id, is_fresh=True)
    return mutes, await inhibitor_of(session, tenant_id, mutes, utcnow())


async def _put(
    session: AsyncSession, by: By, before: StoredMute, document: Mapping[str, Any], kind: str, version: int
) -> StoredMute:
    tenant_id, mute_id, was = before.tenant_id, before.id, dict(before.document)
    done = await session.scalar(
        update(StoredMute)
        .where(StoredMute.tenant_id == tenant_id, StoredMute.id == mute_id, StoredMute.version == version)
        .values(version=version + 1, updated_at=func.now(), updated_by=by.actor, **_columns(document))
        .returning(StoredMute.id)
    )
    found = await find(session, tenant_id, mute_id)
    if done is None:
        raise Conflict(f"It has version {found.version} by now, not {version}. Read it again and repeat.")
    await _tell(
        session, tenant_id, by, kind, mute_id, {"kind": found.kind, "before": was, "after": dict(document)}
    )
    return found


async def _tell(
    session: AsyncSession, tenant_id: UUID, by: By, kind: str, mute_id: UUID, data: Mapping[str, Any]
) -> None:
    connection = await driver(session)
    await connection.execute(_BUMP, tenant_id)
    event = NewEvent(
        stream_type=STREAM,
        stream_id=mute_id,
        type=kind,
        data=dict(data),
        actor=by.actor,
        request_id=by.request_id,
    )
    await events.append(session, tenant_id, [event])


def _columns(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": document["title"],
        "document": dict(document),
        "starts_at": _moment(document.get("starts_at")),
        "ends_at": _moment(document.get("ends_at")),
    }


def _refuse_over(document: Mapping[str, Any]) -> None:
    ends_at = _moment(document.get("ends_at"))
    if ends_at is not None and ends_at <= utcnow():
        raise Invalid("It would be over already.", errors=[FieldError("/mute/ends_at", "lies in the past")])


def _moment(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(str(text))
