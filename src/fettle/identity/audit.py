"""Who changed what, and who read what is sensitive: added to the audit and never changed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import events
from fettle.kernel.clock import utcnow
from fettle.kernel.context import request_id
from fettle.kernel.database import DriverConnection, driver, wake_after_commit
from fettle.kernel.events import NewEvent
from fettle.kernel.group_commit import GroupCommitter
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.platform import Platform
from fettle.kernel.redaction import redactor_of

RECORDED: Final = "audit_recorded"
"""Key in `AsyncSession.info`: this unit of work has told the audit about itself."""

_READS: Final = "identity.audit_reads"

_INSERT = """
INSERT INTO audit_records (id, tenant_id, actor, action, target_type, target_id, before, after, address, request_id,
                           occurred_at)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8::text::jsonb, $9, $10, $11)
"""


@dataclass(frozen=True, slots=True)
class Who:
    """Whose change it is.

    Attributes:
        actor: ``user:<id>``, ``key:<id>`` or ``system:<part>``.
        address: The network address that the request came from.
    """

    actor: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One record to be.

    Attributes:
        target: What was changed or read: its kind and its id.
        before: What it was, without secrets; redacted here once more.
        after: What it is now; of a read, what was asked for.
    """

    who: Who
    action: str
    target: tuple[str, object | None]
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


async def record(
    session: AsyncSession,
    who: Who,
    action: str,
    *,
    tenant_id: UUID | None,
    target: tuple[str, object | None],
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add one record, and for a tenant the event ``audit.recorded``, to the change's transaction.

    Args:
        session: The transaction of the change.
        who: Whose change it is.
        action: ``noun.past_tense``.
        tenant_id: The tenant that it concerns; None for the installation.
        target: What was changed: its kind and its id.
        before: What it was, without secrets; redacted here once more.
        after: What it is now.
    """
    connection = await driver(session)
    await _add(connection, tenant_id, [Entry(who, action, target, before, after)])
    session.info[RECORDED] = True
    if tenant_id is not None:
        wake_after_commit(session)


async def record_read(platform: Platform, tenant_id: UUID, entry: Entry) -> None:
    """Add the record of a sensitive read before its answer is made, with others that come at the same time."""
    reads = platform.parts.get(_READS)
    if not isinstance(reads, GroupCommitter):

        async def write(batch: list[tuple[UUID, Entry]]) -> list[BaseException | None]:
            return await _write_reads(platform, batch)

        reads = platform.parts[_READS] = GroupCommitter(write)
    await reads.submit((tenant_id, entry))


@asynccontextmanager
async def watched(
    session: AsyncSession, who: Who, action: str, *, tenant_id: UUID, target: tuple[str, object | None]
) -> AsyncIterator[None]:
    """Record a change in general terms where whoever makes it does not record it in particular."""
    yield
    if not session.info.get(RECORDED):
        await record(session, who, action, tenant_id=tenant_id, target=target)


async def _write_reads(platform: Platform, batch: list[tuple[UUID, Entry]]) -> list[BaseException | None]:
    for tenant_id in dict.fromkeys(tenant for tenant, _ in batch):
        async with platform.database.raw_tenant(tenant_id) as connection:
            await _add(connection, tenant_id, [entry for tenant, entry in batch if tenant == tenant_id])
    platform.database.poke()
    return [None] * len(batch)


async def _add(connection: DriverConnection, tenant_id: UUID | None, entries: Sequence[Entry]) -> None:
    now, request = utcnow(), request_id.get()
    ids = [new_id() for _ in entries]
    rows = [
        (
            record_id, tenant_id, entry.who.actor, entry.action, entry.target[0], _text(entry.target[1]),
            _redacted(tenant_id, entry.before), _redacted(tenant_id, entry.after), entry.who.address, request, now,
        )
        for record_id, entry in zip(ids, entries, strict=True)
    ]  # fmt: skip
    await connection.executemany(_INSERT, rows)
    if tenant_id is None:
        return
    # What it was and is stands in the record alone, so that it goes with the record when its time is over.
    told = [
        NewEvent(
            stream_type="audit",
            stream_id=record_id,
            type="audit.recorded",
            data={
                "action": entry.action,
                "target_type": entry.target[0],
                "target_id": _text(entry.target[1]),
            },
            actor=entry.who.actor,
            request_id=request,
        )
        for record_id, entry in zip(ids, entries, strict=True)
    ]
    await events.append_new_streams(connection, tenant_id, told)


def _redacted(tenant_id: UUID | None, value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else dumps_str(redactor_of(tenant_id).redact(dict(value))[0])


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
