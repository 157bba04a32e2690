"""Forgets patterns that a tenant has not met for as long as its policy says: their figures, evidence and memories."""

from typing import Final

from fettle.kernel.platform import Platform

PATTERNS_DAYS: Final = 400
"""Where the policy says nothing: a year, and what comes back once a year a little late."""

_LIMITS: Final = """
WITH due AS (
  SELECT t.id AS tenant_id, now() - make_interval(days => coalesce((
    SELECT (p.content #>> '{retention,patterns_days}')::int FROM policy_packs p WHERE p.tenant_id = t.id
    ORDER BY p.version DESC LIMIT 1), $1)) AS before
  FROM tenants t
)
"""
_FORGET: Final = (
    # What a rule grew from, or is about to, is its evidence.
    """DELETE FROM pattern_choices c USING due WHERE c.tenant_id = due.tenant_id AND c.last_at < due.before
         AND NOT EXISTS (SELECT FROM promotions p WHERE p.tenant_id = c.tenant_id AND p.pattern = c.pattern
                         AND p.choice = c.choice AND p.state NOT IN ('retired', 'dismissed'))""",
    """DELETE FROM pattern_stats s USING due WHERE s.tenant_id = due.tenant_id AND s.last_at < due.before
         AND NOT EXISTS (SELECT FROM pattern_choices c WHERE c.tenant_id = s.tenant_id AND c.pattern = s.pattern)""",
    "DELETE FROM plan_memories m USING due WHERE m.tenant_id = due.tenant_id AND m.last_at < due.before",
)


async def forget_unmet(platform: Platform) -> None:
    """Delete what is known of patterns that were not met for too long, of every tenant."""
    async with platform.database.raw_system() as connection:
        for statement in _FORGET:
            await connection.execute(_LIMITS + statement, PATTERNS_DAYS)
