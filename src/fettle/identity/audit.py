"""Who changed what, when and from where: added in the change's own transaction and never changed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.models import AuditRecord
from fettle.kernel import events
from fettle.kernel.clock import utcnow
from fettle.kernel.context import request_id
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.redaction import redact

RECORDED: Final = "audit_recorded"
"""Key in `AsyncSession.info`: this unit of work has told the audit about itself."""


@dataclass(frozen=True, slots=True)
class Who:
    """Whose change it is.

    Attributes:
        actor: ``user:<id>``, ``key:<id>`` or ``system:<part>``.
        address: The network address that the request came from.
    """

    actor: str
    address: str | None = None


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
    kind, target_id = target
    change: dict[str, Any] = {
        "action": action,
        "target_type": kind,
        "target_id": None if target_id is None else str(target_id),
        "before": None if before is None else redact(before)[0],
        "after": None if after is None else redact(after)[0],
    }
    record_id, request = new_id(), request_id.get()
    row = {
        "id": record_id,
        "tenant_id": tenant_id,
        "actor": who.actor,
        "address": who.address,
        "request_id": request,
        "occurred_at": utcnow(),
    }
    await session.execute(insert(AuditRecord), [row | change])
    session.info[RECORDED] = True
    if tenant_id is not None:
        event = NewEvent(
            stream_type="audit",
            stream_id=record_id,
            type="audit.recorded",
            data=change,
            actor=who.actor,
            request_id=request,
        )
        await events.append(session, tenant_id, [event])


@asynccontextmanager
async def watched(
    session: AsyncSession, who: Who, action: str, *, tenant_id: UUID, target: tuple[str, object | None]
) -> AsyncIterator[None]:
    """Record a change in general terms where whoever makes it does not record it in particular."""
    yield
    if not session.info.get(RECORDED):
        await record(session, who, action, tenant_id=tenant_id, target=target)
