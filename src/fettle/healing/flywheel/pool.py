"""The pool: what tenants that agreed know together, without a word of any of them.

A row is a pattern's signature, a choice and sums. Nobody learns from it what one tenant did, also where all the others
tell each other what they did:

- at least five tenants stand behind a row, and their number is told in steps of five;
- a tenant counts with twenty runs of one pattern and choice at most, so that it makes little difference to a sum;
- on each sum lies noise (of Laplace, as wide as half of what one tenant can make), then it is rounded to fives;
- a row is summed up once a week, so that asking often, or changing one's own figures, averages nothing away. That
  holds for one that was withdrawn meanwhile, because fewer than five agreed, as well.

So whoever knows all figures but one, and subtracts them, learns of that one in a week no more than what noise of that
width lets through: at most two in the measure of differential privacy.
"""

from typing import Any, Final
from uuid import UUID

from fettle.kernel.database import Database
from fettle.kernel.platform import Platform

LEAST_TENANTS: Final = 5
MOST_RUNS: Final = 20
"""So many runs of one pattern and choice a tenant counts with at most; of more, with the same share of failures."""

NOISE: Final = 10.0
STEP: Final = 5

# The difference of two exponential draws is one of Laplace's.
_NOISE_SQL: Final = "$3::float8 * (ln(1 - random()) - ln(1 - random()))"

_REFRESH: Final = f"""
WITH agreed AS (
  SELECT p.tenant_id FROM policy_packs p
  JOIN (SELECT tenant_id, max(version) AS version FROM policy_packs GROUP BY tenant_id) latest
    USING (tenant_id, version)
  WHERE p.content #> '{{flywheel,pool}}' = 'true'::jsonb
), counted AS (
  SELECT pattern, choice, succeeded, failed, least(1.0, $2::float8 / (succeeded + failed)) AS share
  FROM pattern_choices JOIN agreed USING (tenant_id) WHERE succeeded + failed > 0
), summed AS (
  SELECT pattern, choice, (count(*) / {STEP} * {STEP})::int AS tenants, sum(succeeded * share) AS succeeded,
         sum(failed * share) AS failed
  FROM counted GROUP BY pattern, choice HAVING count(*) >= $1
), withdrawn AS (
  UPDATE pattern_pool p SET is_told = false, succeeded = 0, failed = 0 WHERE is_told AND NOT EXISTS (
    SELECT FROM summed s WHERE s.pattern = p.pattern AND s.choice = p.choice)
), forgotten AS (
  DELETE FROM pattern_pool p WHERE NOT is_told AND summed_at < now() - interval '7 days' AND NOT EXISTS (
    SELECT FROM summed s WHERE s.pattern = p.pattern AND s.choice = p.choice)
)
INSERT INTO pattern_pool (pattern, choice, tenants, succeeded, failed)
SELECT pattern, choice, tenants, greatest(0, {STEP} * round((succeeded + {_NOISE_SQL}) / {STEP}))::int,
       greatest(0, {STEP} * round((failed + {_NOISE_SQL}) / {STEP}))::int FROM summed s
WHERE NOT EXISTS (SELECT FROM pattern_pool p WHERE p.pattern = s.pattern AND p.choice = s.choice
                  AND p.summed_at > now() - interval '7 days')
ON CONFLICT (pattern, choice) DO UPDATE SET tenants = excluded.tenants, succeeded = excluded.succeeded,
  failed = excluded.failed, summed_at = now(), is_told = true
"""  # noqa: S608 - constants
# Of what others know, a tenant sees what concerns it: the patterns that it has met itself.
_MINE: Final = """
SELECT p.pattern, p.choice, p.tenants, p.succeeded, p.failed FROM pattern_pool p
WHERE p.is_told
  AND EXISTS (SELECT FROM pattern_stats s WHERE s.tenant_id = bound.tenant_id AND s.pattern = p.pattern)
  AND ($2::text IS NULL OR (p.pattern, p.choice) > ($2, $3)) ORDER BY p.pattern, p.choice LIMIT $4
"""


async def refresh(platform: Platform, *, noise: float = NOISE) -> None:
    """Sum up anew what was not for a week; what fewer than five tell is told no more."""
    async with platform.database.raw_system() as connection, connection.transaction():
        await connection.execute(_REFRESH, LEAST_TENANTS, MOST_RUNS, noise)


async def known_elsewhere(
    database: Database, tenant_id: UUID, *, after: tuple[str, str] | None, limit: int
) -> list[Any]:
    """Return what the pool says of patterns that a tenant has met."""
    pattern, choice = after if after is not None else (None, None)
    return list(await database.fetch_bound(tenant_id, _MINE, pattern, choice, limit))
