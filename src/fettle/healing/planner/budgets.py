"""What a tenant's planner may spend in a day: reserved before a call in one statement, corrected after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from fettle.healing.planner.words import MICRO, Usage
from fettle.kernel.database import Database

_NO_LIMIT: Final = 2**62

# The row is locked by its own update, so that of two calls that would go over the limit together one is refused.
_RESERVE: Final = """
INSERT INTO planner_usage AS u (tenant_id, calls, input_tokens, output_tokens, cost_micros)
SELECT $1, 1, $2::bigint, $3::bigint, $4::bigint WHERE $5::bigint >= 1 AND $6::bigint >= $2 + $3 AND $7::bigint >= $4
ON CONFLICT (tenant_id, day) DO UPDATE SET calls = u.calls + 1, input_tokens = u.input_tokens + excluded.input_tokens,
  output_tokens = u.output_tokens + excluded.output_tokens, cost_micros = u.cost_micros + excluded.cost_micros
WHERE u.calls + 1 <= $5 AND u.input_tokens + u.output_tokens + $2 + $3 <= $6 AND u.cost_micros + $4 <= $7
RETURNING day
"""

_CORRECT: Final = """
UPDATE planner_usage SET input_tokens = greatest(0, input_tokens + $3::bigint),
  output_tokens = greatest(0, output_tokens + $4::bigint), cost_micros = greatest(0, cost_micros + $5::bigint)
WHERE tenant_id = $1 AND day = $2
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a tenant's planner may spend in a day, UTC; what is not limited is None."""

    calls: int | None = None
    tokens: int | None = None
    cost_usd: Decimal | None = None

    @classmethod
    def of(cls, policy: Mapping[str, Any]) -> "Budget":
        """Return what a Policy Pack says."""
        chosen = policy.get("planner") or {}
        cost = chosen.get("usd_per_day")
        return cls(
            chosen.get("calls_per_day"),
            chosen.get("tokens_per_day"),
            None if cost is None else Decimal(str(cost)),
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is held for one call."""

    day: Any
    usage: Usage


async def reserve(database: Database, tenant_id: UUID, budget: Budget, most: Usage) -> Reservation | None:
    """Hold what a call may take at most; None where the day's budget does not hold that much more."""
    async with database.raw_tenant(tenant_id) as connection:
        day = await connection.fetchval(
            _RESERVE,
            tenant_id,
            most.input_tokens,
            most.output_tokens,
            micros(most.cost_usd),
            _NO_LIMIT if budget.calls is None else budget.calls,
            _NO_LIMIT if budget.tokens is None else budget.tokens,
            _NO_LIMIT if budget.cost_usd is None else micros(budget.cost_usd),
        )
    return None if day is None else Reservation(day, most)


async def correct(database: Database, tenant_id: UUID, held: Reservation, spent: Usage) -> None:
    """Count what a call took in the place of what was held for it."""
    async with database.raw_tenant(tenant_id) as connection:
        await connection.execute(
            _CORRECT,
            tenant_id,
            held.day,
            spent.input_tokens - held.usage.input_tokens,
            spent.output_tokens - held.usage.output_tokens,
            micros(spent.cost_usd) - micros(held.usage.cost_usd),
        )


def micros(amount: Decimal) -> int:
    """Return an amount of money in millionths, rounded up."""
    return int((amount * MICRO).to_integral_value(rounding="ROUND_CEILING"))
