"""What each decision of the planner cost and came to: noted with its outcome, summed by day, month and model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.planner.budgets import micros
from fettle.healing.planner.words import MICRO, L2Decision
from fettle.kernel.database import Database, driver
from fettle.kernel.ids import new_id

KEPT_DAYS: Final = 400
DAY, MONTH, MODEL = "day", "month", "model"

_ANSWERS: Final = frozenset({"chosen", "unsure", "abstained", "cached"})
_HEALED: Final = "verified"
_NOT_HEALED: Final = frozenset({"failed", "rolled_back"})

_NOTE: Final = """
INSERT INTO planner_decisions (tenant_id, id, incident_id, pattern, outcome, choice, plan_hash, provider, model,
  confidence, claimed, requires_human_review, cached, calls, input_tokens, output_tokens, cost_micros, latency_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""

_ADD: Final = """
INSERT INTO planner_costs AS c (tenant_id, day, provider, model, asked, answered, calls, input_tokens, output_tokens,
  cost_micros, latency_ms)
SELECT $1, (now() AT TIME ZONE 'utc')::date, n.provider, n.model, 1, n.answered, n.calls, n.input_tokens,
  n.output_tokens, n.cost_micros, n.latency_ms
FROM unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
  AS n(provider, model, answered, calls, input_tokens, output_tokens, cost_micros, latency_ms)
ORDER BY n.provider
ON CONFLICT (tenant_id, day, provider) DO UPDATE SET asked = c.asked + 1, answered = c.answered + excluded.answered,
  calls = c.calls + excluded.calls, input_tokens = c.input_tokens + excluded.input_tokens,
  output_tokens = c.output_tokens + excluded.output_tokens, cost_micros = c.cost_micros + excluded.cost_micros,
  latency_ms = c.latency_ms + excluded.latency_ms, model = excluded.model
"""

_RESULT: Final = """
UPDATE planner_decisions d SET result = n.result, ended_at = now()
FROM unnest($2::uuid[], $3::text[], $4::text[]) AS n(incident_id, plan_hash, result)
WHERE d.tenant_id = $1 AND d.incident_id = n.incident_id AND d.plan_hash = n.plan_hash AND d.result IS NULL
"""

_SUMS: Final = """
  sum(asked)::bigint AS asked, sum(answered)::bigint AS answered, sum(calls)::bigint AS calls,
  sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
  sum(cost_micros)::bigint AS cost_micros, sum(latency_ms)::bigint AS latency_ms
FROM planner_costs WHERE tenant_id = $1 AND day BETWEEN $2 AND $3
"""
_USAGE: Final = {
    DAY: f"SELECT to_char(day, 'YYYY-MM-DD') AS key, '' AS model, {_SUMS} GROUP BY 1 ORDER BY 1",
    MONTH: f"SELECT to_char(day, 'YYYY-MM') AS key, '' AS model, {_SUMS} GROUP BY 1 ORDER BY 1",
    MODEL: f"SELECT provider AS key, max(model) AS model, {_SUMS} GROUP BY provider ORDER BY provider",
}

_LIST: Final = """
SELECT d.*, i.title, i.state FROM planner_decisions d
LEFT JOIN incidents i ON i.tenant_id = d.tenant_id AND i.id = d.incident_id
WHERE d.tenant_id = $1 AND ($2::uuid IS NULL OR d.id < $2) AND ($3::uuid IS NULL OR d.incident_id = $3)
  AND ($4::text IS NULL OR d.outcome = $4) ORDER BY d.id DESC LIMIT $5
"""

_CLAIMS: Final = """
SELECT claimed, confidence, result = 'healed' AS healed FROM planner_decisions
WHERE tenant_id = $1 AND ($2::text IS NULL OR provider = $2) AND result IS NOT NULL ORDER BY id DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a provider claimed, what was made of it, and whether the check passed afterwards."""

    claimed: float
    confidence: float
    healed: bool


async def note_decision(
    session: AsyncSession, tenant_id: UUID, incident_id: UUID, decision: L2Decision, plan_hash: str | None
) -> None:
    """Note a decision and what it cost, in the transaction of its outcome.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        incident_id: The incident.
        decision: The decision.
        plan_hash: Of the plan that came of it, None where none did.
    """
    connection = await driver(session)
    usage, chosen = decision.usage, decision.choice
    await connection.execute(
        _NOTE, tenant_id, new_id(), incident_id, decision.pattern_signature, outcome_of(decision),
        chosen.key if chosen is not None else None, plan_hash, decision.provider, decision.model,
        decision.confidence, decision.claimed, decision.requires_human_review, decision.cached,
        sum(attempt.calls for attempt in decision.attempts), usage.input_tokens, usage.output_tokens,
        micros(usage.cost_usd), decision.latency_ms,
    )  # fmt: skip
    await note_spent(session, tenant_id, decision)


async def note_spent(session: AsyncSession, tenant_id: UUID, decision: L2Decision) -> None:
    """Add what a decision cost to the sums of the day, whatever came of it.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        decision: The decision.
    """
    connection = await driver(session)
    asked = [attempt for attempt in decision.attempts if attempt.model or attempt.calls]
    if asked:
        columns = [
            (
                one.provider, one.model, int(one.outcome in _ANSWERS), one.calls, one.usage.input_tokens,
                one.usage.output_tokens, micros(one.usage.cost_usd), one.latency_ms,
            )
            for one in asked
        ]  # fmt: skip
        await connection.execute(_ADD, tenant_id, *(list(column) for column in zip(*columns, strict=True)))


def outcome_of(decision: L2Decision) -> str:
    """Return what a decision came to, in a word: `chosen`, `unsure`, `abstained`, `no_candidate` or `failed`."""
    if decision.choice is not None:
        return "unsure" if decision.requires_human_review else "chosen"
    outcomes = {attempt.outcome for attempt in decision.attempts}
    return next((word for word in ("no_candidate", "abstained") if word in outcomes), "failed")


async def note_results(
    session: AsyncSession, tenant_id: UUID, ended: Sequence[tuple[UUID, str, str]]
) -> None:
    """Note what the runs of decisions came to.

    Args:
        session: With the tenant bound.
        tenant_id: The owner.
        ended: Incident, hash of the plan, and the outcome of its run.
    """
    told = [
        (incident_id, plan_hash, "healed" if outcome == _HEALED else "not_healed")
        for incident_id, plan_hash, outcome in ended
        if outcome == _HEALED or outcome in _NOT_HEALED
    ]
    if told:
        connection = await driver(session)
        await connection.execute(_RESULT, tenant_id, *(list(part) for part in zip(*told, strict=True)))


async def usage_by(
    session: AsyncSession, tenant_id: UUID, by: str, first: date, last: date
) -> list[Mapping[str, Any]]:
    """Return what was spent, by `day`, `month` or `model`, in order."""
    connection = await driver(session)
    rows = await connection.fetch(_USAGE[by], tenant_id, first, last)
    return [dict(row) for row in rows]


async def decisions(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    before: UUID | None,
    limit: int,
    incident_id: UUID | None = None,
    outcome: str | None = None,
) -> list[Mapping[str, Any]]:
    """Return decisions, the newest first."""
    connection = await driver(session)
    rows = await connection.fetch(_LIST, tenant_id, before, incident_id, outcome, limit)
    return [dict(row) for row in rows]


async def spent_today(session: AsyncSession, tenant_id: UUID) -> tuple[int, int, Decimal]:
    """Return calls, tokens and money of today, with what is held for calls under way."""
    connection = await driver(session)
    row = await connection.fetchrow(
        "SELECT calls, input_tokens + output_tokens AS tokens, cost_micros FROM planner_usage "
        "WHERE tenant_id = $1 AND day = (now() AT TIME ZONE 'utc')::date",
        tenant_id,
    )
    return (0, 0, Decimal(0)) if row is None else (row["calls"], row["tokens"], money(row["cost_micros"]))


async def claims(
    database: Database, tenant_id: UUID, provider: str | None = None, most: int = 500
) -> list[Claim]:
    """Return the last claims whose runs have ended, of one provider or of all."""
    async with database.raw_tenant(tenant_id) as connection:
        rows = await connection.fetch(_CLAIMS, tenant_id, provider, most)
    return [Claim(*row.values()) for row in rows]


async def forget_old(database: Database) -> None:
    """Delete decisions that are older than they are kept; what they cost stays in the sums by day."""
    async with database.raw_system() as connection:
        await connection.execute(
            "DELETE FROM planner_decisions WHERE decided_at < now() - make_interval(days => $1)", KEPT_DAYS
        )


def money(amount_micros: int) -> Decimal:
    """Return an amount of money that is kept in millionths."""
    return Decimal(amount_micros) / MICRO
