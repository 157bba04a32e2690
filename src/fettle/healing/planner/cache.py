"""Answers that were given before for the same pattern and the same choices: nobody is paid for them twice."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fettle.healing.planner.answers import taken_again
from fettle.healing.planner.words import Answer, Candidate
from fettle.kernel.database import Database
from fettle.kernel.jsonio import dumps_str

_KEPT_SECONDS: Final = 86_400

_READ: Final = (
    "SELECT choice, answer FROM plan_cache WHERE tenant_id = $1 AND key = $2 AND expires_at > now()"
)

_KEEP: Final = """
INSERT INTO plan_cache (tenant_id, key, pattern, choice, answer, expires_at)
VALUES ($1, $2, $3, $4, $5::text::jsonb, now() + make_interval(secs => $6))
ON CONFLICT (tenant_id, key) DO UPDATE SET choice = excluded.choice, answer = excluded.answer,
  created_at = now(), expires_at = excluded.expires_at
"""


def cache_key(
    signature: str, candidates: Sequence[Candidate], providers: Sequence[str], guidance: str = ""
) -> str:
    """Return what two questions must have in common for one answer."""
    ordered = sorted(candidates, key=lambda one: one.key)
    offered = [[one.key, one.title, one.description, dict(one.parameters)] for one in ordered]
    parts = [signature, offered, list(providers), guidance]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def known_answer(
    database: Database,
    tenant_id: UUID,
    key: str,
    candidates: Sequence[Candidate],
    incident: Mapping[str, Any],
) -> tuple[Answer, str, str] | None:
    """Return an earlier answer with this incident's own parameters, its provider and model; None for none."""
    async with database.raw_tenant(tenant_id) as connection:
        row = await connection.fetchrow(_READ, tenant_id, key)
    chosen = next((one for one in candidates if row is not None and one.key == row["choice"]), None)
    if row is None or chosen is None:
        return None
    kept = row["answer"]
    parameters = taken_again(chosen, kept["origins"], incident)
    if parameters is None:
        return None
    answer = Answer(chosen, parameters, kept["origins"], kept["reasoning"], kept["confidence"])
    return answer, kept["provider"], kept["model"]


async def keep_answer(
    database: Database, tenant_id: UUID, key: str, signature: str, answer: Answer, provider: str, model: str
) -> None:
    """Keep an answer for a day, without the particulars of the incident that it was given for."""
    if answer.choice is None:
        return
    kept = {
        "origins": dict(answer.origins),
        "reasoning": answer.reasoning,
        "confidence": answer.confidence,
        "provider": provider,
        "model": model,
    }
    async with database.raw_tenant(tenant_id) as connection:
        await connection.execute(
            _KEEP, tenant_id, key, signature, answer.choice.key, dumps_str(kept), _KEPT_SECONDS
        )


async def forget_expired(database: Database) -> None:
    """Delete answers that are too old to be given again."""
    async with database.raw_system() as connection:
        await connection.execute("DELETE FROM plan_cache WHERE expires_at < now()")
