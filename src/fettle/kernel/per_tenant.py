"""Scheduled work for one tenant after the other: what goes wrong at one keeps nobody from the next."""

from collections.abc import Awaitable
from uuid import UUID

import structlog

from fettle.kernel.database import is_unreachable

log = structlog.get_logger("fettle.per_tenant")


async def contain_failure(
    tenant_id: UUID, work: str, doing: Awaitable[int], *, overtaken: type[Exception] | tuple[()] = ()
) -> int:
    """Return what came of doing something for one tenant; 0, and a line in the log, where it broke.

    Args:
        tenant_id: For whom.
        work: What is done, as its schedule is called.
        doing: It.
        overtaken: What it raises where somebody decided at this moment; the next time sees what came of that.

    Raises:
        OSError, asyncpg.PostgresError: The database is away, for every tenant.
    """
    try:
        return await doing
    except overtaken:
        log.info("per_tenant.overtaken", work=work, tenant_id=str(tenant_id))
    except Exception as error:
        if is_unreachable(error):
            raise
        log.exception("per_tenant.tenant_failed", work=work, tenant_id=str(tenant_id))
    return 0
