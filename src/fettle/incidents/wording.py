"""Takes secrets, personal and health data out of what people write, by the patterns of the tenant's packs."""

from uuid import UUID

from fettle.kernel.platform import Platform
from fettle.kernel.redaction import Redactor
from fettle.packs.service import active_packs

_IN_MEMORY = "incidents.redactors"
_KEPT = 100


async def redactor_of(platform: Platform, tenant_id: UUID) -> Redactor:
    """Return the redactor of the packs that hold for a tenant, compiled once for all tenants that share them.

    Args:
        platform: The process's parts.
        tenant_id: The tenant.
    """
    packs = await active_packs(platform, tenant_id)
    known: dict[str, Redactor] = platform.parts.setdefault(_IN_MEMORY, {})
    redactor = known.get(packs.version)
    if redactor is None:
        if len(known) >= _KEPT:
            known.clear()
        redactor = known[packs.version] = Redactor(packs.redaction)
    return redactor


async def clean(platform: Platform, tenant_id: UUID, text: str) -> str:
    """Return a person's text without what must not be stored."""
    return (await redactor_of(platform, tenant_id)).redact_text(text)
