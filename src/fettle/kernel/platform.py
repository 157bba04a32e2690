"""The parts that a process of the platform stands on, opened once and handed to whoever needs them."""

from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from fettle.kernel.database import Database
from fettle.kernel.settings import Settings


@dataclass(slots=True)
class Platform:
    """One process's settings and connections.

    Attributes:
        settings: What the operator chose.
        database: Both doors to PostgreSQL.
        redis: Cache, limits and live fan-out; None where a process needs none.
        parts: What modules lend each other by name without importing each other, set once at start.
    """

    settings: Settings
    database: Database
    redis: Redis | None = None
    parts: dict[str, Any] = field(default_factory=dict)

    async def close(self) -> None:
        """Close the connections."""
        if self.redis is not None:
            await self.redis.aclose()
        await self.database.close()
