"""Which tools a tenant has switched off, remembered for a second, because every call asks."""

from typing import Final
from uuid import UUID

from fettle.kernel.platform import Platform
from fettle.tools.remembering import Remembered

_FRESH_SECONDS: Final = 1.0
_PART: Final = "tools.disabled"


async def disabled_tools(platform: Platform, tenant_id: UUID) -> frozenset[str]:
    """Return the names of the tools that a tenant has switched off, at most a second old."""
    known: Remembered[UUID, frozenset[str]] | None = platform.parts.get(_PART)
    if known is None:
        known = platform.parts[_PART] = Remembered(
            lambda tenant: _read(platform, tenant), fresh_seconds=_FRESH_SECONDS
        )
    return await known.get(tenant_id)


async def _read(platform: Platform, tenant_id: UUID) -> frozenset[str]:
    async with platform.database.raw_tenant(tenant_id) as connection:
        rows = await connection.fetch(
            "SELECT tool FROM tool_settings WHERE tenant_id = $1 AND NOT enabled", tenant_id
        )
    return frozenset(row["tool"] for row in rows)
