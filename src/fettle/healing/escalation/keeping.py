"""A tenant's schedules, channels and policies in people's hands: read by the page, each change in the audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends

from fettle.healing.escalation import service
from fettle.healing.escalation.models import EscalationChannel, EscalationPolicy, OnCallSchedule
from fettle.healing.escalation.service import Kept
from fettle.identity.access import Access, TenantSession, require
from fettle.identity.audit import Who, record
from fettle.kernel.http.pages import PageParams

Reader = Annotated[Access, Depends(require("escalation:read"))]
Writer = Annotated[Access, Depends(require("escalation:write"))]

_NOUNS: Final[Mapping[type, str]] = {
    OnCallSchedule: "schedule",
    EscalationChannel: "channel",
    EscalationPolicy: "escalation_policy",
}


@dataclass(frozen=True, slots=True)
class Keeping:
    """What one person changes among what their tenant keeps.

    Attributes:
        session: With the tenant bound.
        tenant_id: The tenant.
        who: The person, as the audit names them.
    """

    session: TenantSession
    tenant_id: UUID
    who: Who

    async def add(self, kind: type[Kept], fields: Mapping[str, Any]) -> Kept:
        """Add one; see `service.create`."""
        made = await service.create(self.session, kind, self.tenant_id, fields)
        await self._tell(kind, "created", made.id, after=fields)
        return made

    async def find(self, kind: type[Kept], kept_id: UUID) -> Kept:
        """Return one that is to be changed; see `service.find`."""
        return await service.find(self.session, kind, self.tenant_id, kept_id)

    async def replace(self, kept: Kept, fields: Mapping[str, Any], *, version: int) -> Kept:
        """Put another in the place of one; see `service.change`."""
        kind, kept_id, before = type(kept), kept.id, kept.document
        changed = await service.change(self.session, kind, self.tenant_id, kept_id, fields, version=version)
        await self._tell(kind, "changed", kept_id, before=before, after=fields)
        return changed

    async def remove(self, kind: type[Kept], kept_id: UUID) -> None:
        """Take one away; see `service.remove`."""
        gone = await service.remove(self.session, kind, self.tenant_id, kept_id)
        await self._tell(kind, "deleted", kept_id, before=gone.document)

    async def _tell(self, kind: type[Kept], done: str, kept_id: UUID, **was: Mapping[str, Any]) -> None:
        noun = _NOUNS[kind]
        await record(
            self.session,
            self.who,
            f"{noun}.{done}",
            tenant_id=self.tenant_id,
            target=(noun, kept_id),
            **was,
        )


async def page(
    session: TenantSession, kind: type[Kept], tenant_id: UUID, paging: PageParams
) -> tuple[Sequence[Kept], str | None]:
    """Return one page of what a tenant keeps of a kind, and the cursor of the next."""
    rows = await service.listed(session, kind, tenant_id, after=paging.last_id(), limit=paging.limit + 1)
    return paging.cut(rows, lambda row: (row.id,))
