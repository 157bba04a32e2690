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


async def insert_storm_members(
    database: Database, tenant_id: UUID, incident_id: UUID, *, firing: int, over: int
) -> None:
    """Let an incident stand for many things, as one of a storm does."""
    async with database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO storm_members (tenant_id, fingerprint, incident_id, host, is_firing, first_at, last_at, "
            "occurrences) SELECT $1, $2::uuid::text || n, $2, 'h' || n, n <= $3::int, now(), now(), 1 "
            "FROM generate_series(1, $3::int + $4::int) AS n",
            tenant_id, incident_id, firing, over,
        )  # fmt: skip
        await connection.execute(
            "UPDATE incidents SET source = 'fettle:storm' WHERE tenant_id = $1 AND id = $2",
            tenant_id, incident_id,
        )  # fmt: skip
