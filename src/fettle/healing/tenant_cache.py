"""What a tenant's packs and what it set itself say together: made once for a version, and never older than a second."""

import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Self, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.database import DriverConnection, driver
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks
from fettle.packs.service import active_packs

MAX_STALE_SECONDS: Final = 1.0

_KEPT: Final = 2_000

Made = TypeVar("Made")


@dataclass(slots=True)
class _Entry(Generic[Made]):
    checked_at: float
    stamp: str
    made: Made


class TenantCache(ABC, Generic[Made]):
    """A process's copies, one for each tenant; those of the tenants asked for least lately go first.

    Attributes:
        PART: Its name among the platform's parts.
        COUNTED_IN: The table that counts the changes of what a tenant sets, without a row where it set nothing.
        ENDS: Whether what is set may end by itself, without being counted: a fresh look then makes it anew.
    """

    PART: ClassVar[str]
    COUNTED_IN: ClassVar[str]
    ENDS: ClassVar[bool]

    def __init__(self) -> None:
        self._entries: OrderedDict[UUID, _Entry[Made]] = OrderedDict()

    @classmethod
    def of(cls, platform: Platform) -> Self:
        """Return the process's."""
        found = platform.parts.setdefault(cls.PART, cls())
        if not isinstance(found, cls):
            raise TypeError(f"{cls.PART} is not a {cls.__name__}")
        return found

    async def current(
        self, platform: Platform, session: AsyncSession, tenant_id: UUID, *, is_fresh: bool
    ) -> Made:
        """Return what holds for a tenant.

        Args:
            platform: The process's parts.
            session: With the tenant bound.
            tenant_id: Whose.
            is_fresh: As the session's transaction sees it, not as it was up to a second ago.
        """
        entry = self._entries.get(tenant_id)
        now = time.monotonic()
        if entry is not None and not is_fresh and now - entry.checked_at <= MAX_STALE_SECONDS:
            return entry.made
        packs = await active_packs(platform, tenant_id)
        connection = await driver(session)
        version: int | None = await connection.fetchval(
            f"SELECT version FROM {self.COUNTED_IN} WHERE tenant_id = $1",  # noqa: S608 - a table of ours
            tenant_id,
        )
        stamp = stamp_of(packs, version)
        if entry is None or entry.stamp != stamp or (is_fresh and self.ENDS):
            entry = _Entry(now, stamp, await self.make(connection, tenant_id, packs, version))
        entry.checked_at = now
        self._entries[tenant_id] = entry
        self._entries.move_to_end(tenant_id)
        while len(self._entries) > _KEPT:
            self._entries.popitem(last=False)
        return entry.made

    @abstractmethod
    async def make(
        self, connection: DriverConnection, tenant_id: UUID, packs: ActivePacks, version: int | None
    ) -> Made:
        """Make what holds.

        Args:
            connection: Of the session's transaction.
            tenant_id: Whose.
            packs: The tenant's.
            version: Of what the tenant set; None where it never set anything, so that nothing need be read.
        """


def stamp_of(packs: ActivePacks, version: int | None) -> str:
    """Return what changes whenever a tenant's packs do, or what it set."""
    return f"{packs.version}.{version or 0}"
