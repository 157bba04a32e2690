"""Rules in shadow: what each would have done for an incident, beside what was done; it acts on nothing."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.healing.derived import PATTERN
from fettle.healing.flywheel.stages import SHADOW
from fettle.healing.planner.words import PLAYBOOK, RUNBOOK
from fettle.healing.rules import Rule, RuleError, RuleSet
from fettle.healing.service import RULES
from fettle.kernel.bus import TenantBatch
from fettle.kernel.database import driver
from fettle.kernel.events import NewEvent
from fettle.kernel.expressions import ExpressionError, compile_template

ACTOR: Final = "system:flywheel"

RIGHT: Final = "right"
WRONG: Final = "wrong"
OTHER: Final = "other"
UNTRIED: Final = "untried"

_IN_SHADOW: Final = """
SELECT id, pattern, choice, rule_id, document FROM promotions
WHERE tenant_id = $1 AND state = $2 AND pattern = ANY($3) ORDER BY id
"""
_COUNT: Final = """
UPDATE promotions p SET shadow_seen = p.shadow_seen + n.seen, shadow_right = p.shadow_right + n.right_,
  shadow_wrong = p.shadow_wrong + n.wrong, shadow_other = p.shadow_other + n.other
FROM unnest($2::uuid[], $3::int[], $4::int[], $5::int[], $6::int[]) AS n(id, seen, right_, wrong, other)
WHERE p.tenant_id = $1 AND p.id = n.id AND p.state = $7
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """An incident that somebody else had in hand.

    Attributes:
        choice: What was done, None for nothing.
        parameters: With which parameters.
        healed: Whether it helped.
    """

    incident_id: UUID
    pattern: str
    incident: Mapping[str, Any]
    choice: str | None
    parameters: Mapping[str, Any]
    healed: bool


def judged(document: Mapping[str, Any], choice: str, seen: Seen) -> str | None:
    """Return how a rule would have done, None where it would not have acted; pure.

    Args:
        document: The rule.
        choice: What it runs.
        seen: The incident, and what was done.
    """
    return judge_of(document, choice)(seen)


def judge_of(document: Mapping[str, Any], choice: str) -> Callable[[Seen], str | None]:
    """Return what judges a rule on many incidents, compiled once; pure."""
    try:
        rules = RuleSet([Rule.parse(document)])
        parameters = compile_template(dict(document.get("parameters") or {}))
    except (RuleError, ExpressionError):
        return lambda _: None

    def judge(seen: Seen) -> str | None:
        # The pattern is known by now; to work it out for each would take longer than all else.
        if rules.match({**seen.incident, PATTERN: seen.pattern}) is None:
            return None
        try:
            wanted = parameters.render({"incident": seen.incident})
        except ExpressionError:
            return None
        if seen.choice is None:
            return UNTRIED
        if seen.choice == choice and dict(seen.parameters) == wanted:
            return RIGHT if seen.healed else WRONG
        return OTHER if seen.healed else UNTRIED

    return judge


async def watch(batch: TenantBatch, seen: Sequence[Seen]) -> None:
    """Record what rules in shadow would have done for these incidents."""
    if not seen:
        return
    connection = await driver(batch.session)
    patterns = sorted({one.pattern for one in seen})
    rows = await connection.fetch(_IN_SHADOW, batch.tenant_id, SHADOW, patterns)
    if not rows:
        return
    counts: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    told: list[NewEvent] = []
    for row in rows:
        judge = judge_of(row["document"], row["choice"])
        for one in seen:
            verdict = judge(one) if one.pattern == row["pattern"] else None
            if verdict is not None:
                counts[row["id"]][verdict] += 1
                told.append(_told(batch.tenant_id, row, one, verdict))
    if not told:
        return
    await connection.execute(
        _COUNT,
        batch.tenant_id,
        list(counts),
        [count.total() for count in counts.values()],
        [count[RIGHT] for count in counts.values()],
        [count[WRONG] for count in counts.values()],
        [count[OTHER] for count in counts.values()],
        SHADOW,
    )
    await batch.append(told)


def _told(tenant_id: UUID, row: asyncpg.Record, seen: Seen, verdict: str) -> NewEvent:
    kind, _, name = str(row["choice"]).partition(":")
    would = {RUNBOOK: "runbook_id", PLAYBOOK: "playbook_id"}[kind]
    return NewEvent(
        stream_type="rule",
        stream_id=RULES.kept.stream(tenant_id, row["rule_id"]),
        type="rule.shadowed",
        data={
            "rule_id": row["rule_id"],
            "promotion_id": str(row["id"]),
            "incident_id": str(seen.incident_id),
            "would": {would: name},
            "did": seen.choice,
            "healed": seen.healed,
            "verdict": verdict,
        },
        actor=ACTOR,
        correlation_id=seen.incident_id,
    )
