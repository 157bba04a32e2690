"""The pool: what tenants that agreed know together, without a word of any of them.

A row is a pattern's signature, a choice and sums. It is written only where at least three tenants stand behind it,
so what one tenant alone knows is never in the table at all.
"""

from typing import Any, Final
from uuid import UUID

from fettle.kernel.database import Database
from fettle.kernel.platform import Platform

LEAST_TENANTS: Final = 3

_REFRESH: Final = """
WITH agreed AS (
  SELECT p.tenant_id FROM policy_packs p
  JOIN (SELECT tenant_id, max(version) AS version FROM policy_packs GROUP BY tenant_id) latest
    USING (tenant_id, version)
  WHERE p.content #> '{flywheel,pool}' = 'true'::jsonb
), summed AS (
  SELECT pattern, choice, count(*)::int AS tenants, sum(succeeded)::int AS succeeded, sum(failed)::int AS failed
  FROM pattern_choices JOIN agreed USING (tenant_id) WHERE succeeded + failed > 0
  GROUP BY pattern, choice HAVING count(*) >= $1
), gone AS (
  DELETE FROM pattern_pool p WHERE NOT EXISTS (
    SELECT FROM summed s WHERE s.pattern = p.pattern AND s.choice = p.choice)
)
INSERT INTO pattern_pool (pattern, choice, tenants, succeeded, failed) SELECT * FROM summed
ON CONFLICT (pattern, choice) DO UPDATE SET tenants = excluded.tenants, succeeded = excluded.succeeded,
  failed = excluded.failed
"""
# Of what others know, a tenant sees what concerns it: the patterns that it has met itself.
_MINE: Final = """
SELECT p.pattern, p.choice, p.tenants, p.succeeded, p.failed FROM pattern_pool p
WHERE EXISTS (SELECT FROM pattern_stats s WHERE s.tenant_id = bound.tenant_id AND s.pattern = p.pattern)
  AND ($2::text IS NULL OR (p.pattern, p.choice) > ($2, $3)) ORDER BY p.pattern, p.choice LIMIT $4
"""


async def refresh(platform: Platform) -> None:
    """Sum up anew; who agrees no more is out of the sums."""
    async with platform.database.raw_system() as connection, connection.transaction():
        await connection.execute(_REFRESH, LEAST_TENANTS)


async def known_elsewhere(
    database: Database, tenant_id: UUID, *, after: tuple[str, str] | None, limit: int
) -> list[Any]:
    """Return what the pool says of patterns that a tenant has met."""
    pattern, choice = after if after is not None else (None, None)
    return list(await database.fetch_bound(tenant_id, _MINE, pattern, choice, limit))
