"""Takes secrets, personal and health data out of what people write, by the patterns of the tenant's packs."""

from uuid import UUID

from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs


async def clean(platform: Platform, tenant_id: UUID, text: str) -> str:
    """Return a person's text without what must not be stored."""
    packs = await active_packs(platform, tenant_id)
    return packs.packs.redactor.redact_text(text)
