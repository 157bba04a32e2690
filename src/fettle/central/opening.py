"""Opening the platform for one process: settings to connections."""

import contextlib
from collections.abc import AsyncIterator

from fettle.kernel.database import Database
from fettle.kernel.platform import Platform
from fettle.kernel.redis import connect_redis
from fettle.kernel.settings import Settings


async def open_platform(settings: Settings) -> Platform:
    """Connect a process to its database and, where one is set, its Redis; the caller closes it.

    Raises:
        SettingsError: No database is configured.
        OSError: The database cannot be reached.
    """
    database = await Database.connect(settings)
    redis = connect_redis(settings) if settings.redis_url is not None else None
    return Platform(settings=settings, database=database, redis=redis)


@contextlib.asynccontextmanager
async def opened_platform(settings: Settings) -> AsyncIterator[Platform]:
    """Open the platform for a block."""
    platform = await open_platform(settings)
    try:
        yield platform
    finally:
        await platform.close()
