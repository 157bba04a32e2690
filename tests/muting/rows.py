"""Rows of muting that only the pipeline makes, put in as they are."""

from uuid import UUID

from fettle.kernel.database import Database
from fettle.kernel.ids import new_id


async def insert_correlation(database: Database, tenant_id: UUID, key: str) -> str:
    """Put in a candidate group without incidents, and return its id."""
    correlation_id = new_id()
    async with database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO correlations (id, tenant_id, rule_id, key, title, last_at) "
            "VALUES ($1, $2, 'test/none', $3, $3, now())",
            correlation_id,
            tenant_id,
            key,
        )
    return str(correlation_id)
