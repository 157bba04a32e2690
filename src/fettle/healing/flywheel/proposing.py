"""Looks at what patterns came to, and proposes the rules that their evidence makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
import jsonschema_rs
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.flywheel import promotions, stages
from fettle.healing.flywheel.back_test import back_test, beside
from fettle.healing.flywheel.evaluating import BY_ITSELF, Criteria, Criterion, Evaluation, Record, evaluate
from fettle.healing.flywheel.growing import Ground, NotGrown, grow, rule_id_of
from fettle.healing.flywheel.incidents_seen import as_decided, read_seen
from fettle.healing.planner.candidates import allowed
from fettle.healing.planner.words import Candidate
from fettle.healing.rule_sets import CompiledRules, rule_sets
from fettle.healing.rules import Rule
from fettle.healing.service import RULES
from fettle.kernel import events
from fettle.kernel.database import driver, is_unreachable
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks
from fettle.packs.diff import changes

log = structlog.get_logger("fettle.flywheel")

# Who has something to look at: a pattern that changed, a stage that may be passed, a rule that somebody changed, or
# a proposal that waits for nobody. What merely holds costs nothing.
_DUE: Final = """
SELECT tenant_id FROM pattern_choices WHERE changed_at IS NOT NULL
UNION SELECT tenant_id FROM promotions
WHERE state = 'shadow' AND shadow_right + shadow_wrong > 0 OR state = 'canary' AND stage_well > 0
UNION SELECT p.tenant_id FROM promotions p LEFT JOIN rules r ON r.tenant_id = p.tenant_id AND r.id = p.rule_id
WHERE p.state IN ('canary', 'full') AND r.version IS DISTINCT FROM p.rule_version
UNION SELECT p.tenant_id FROM promotions p JOIN LATERAL (
  SELECT content FROM policy_packs k WHERE k.tenant_id = p.tenant_id ORDER BY version DESC LIMIT 1
) latest ON latest.content #>> '{flywheel,promotion}' = 'by_itself' WHERE p.state = 'proposed'
"""
_CHANGED: Final = """
SELECT * FROM pattern_choices WHERE tenant_id = $1 AND changed_at IS NOT NULL
ORDER BY pattern, choice LIMIT 200
"""
# What changed again while it was looked at is looked at again.
_LOOKED_AT: Final = """
UPDATE pattern_choices c SET changed_at = NULL
FROM unnest($2::text[], $3::text[], $4::timestamptz[]) AS n(pattern, choice, changed_at)
WHERE c.tenant_id = $1 AND c.pattern = n.pattern AND c.choice = n.choice AND c.changed_at = n.changed_at
"""
_BEFORE: Final = """
SELECT state, successes, rule_id, document, ended_by FROM promotions
WHERE tenant_id = $1 AND pattern = $2 AND choice = $3 ORDER BY id DESC
"""
_PROPOSE: Final = """
INSERT INTO promotions (tenant_id, id, pattern, choice, rule_id, check_type, state, document, evidence, back_test,
                        changes, successes)
VALUES ($1, $2, $3, $4, $5, $6, 'proposed', $7::text::jsonb, $8::text::jsonb, $9::text::jsonb, $10::text::jsonb, $11)
ON CONFLICT DO NOTHING RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a pattern and a choice came to.

    Attributes:
        evaluation: What was asked, and whether it is there.
        document: The rule that would grow, None where none does.
        detail: Why none does.
    """

    evaluation: Evaluation
    document: dict[str, Any] | None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for a tenant while its patterns are looked at."""

    tenant_id: UUID
    compiled: CompiledRules
    packs: ActivePacks
    criteria: Criteria


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule that evidence makes, with what speaks for and against it."""

    document: dict[str, Any]
    evidence: dict[str, Any]
    back_test: dict[str, Any]
    difference: dict[str, Any]


async def turn(platform: Platform) -> int:
    """Look at every tenant that has something to look at; returns how many rules were moved or proposed."""
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(_DUE)
    count = 0
    for row in rows:
        try:
            count += await turn_for(platform, row["tenant_id"])
        except Exception as error:
            if is_unreachable(error):
                raise
            # What breaks over one tenant must not keep the others from their turn.
            log.exception("flywheel.turn_broke", tenant_id=str(row["tenant_id"]))
    return count


async def turn_for(platform: Platform, tenant_id: UUID) -> int:
    """Watch over a tenant's promoted rules, propose new ones, promote those that policy lets promote themselves.

    Each writes in a transaction of its own, and finds what the one before it wrote, whoever wrote it: a process
    that dies in between leaves nothing half done, and nothing that is done twice.

    A trial on 30 days of incidents takes its time. It reads in a transaction that writes and locks nothing: an
    event that waits for its commit holds up every reader of the store, and a lock the count of what heals.
    """
    async with platform.database.tenant(tenant_id) as session:
        setting = await setting_of(platform, session, tenant_id)
        moved = await promotions.watch_over(session, tenant_id, setting.criteria)
    async with platform.database.tenant(tenant_id) as session:
        setting = await setting_of(platform, session, tenant_id)
        found = await look_at_changed(session, setting)
    async with platform.database.tenant(tenant_id) as session:
        proposed = await propose(session, tenant_id, found)
    async with platform.database.tenant(tenant_id) as session:
        promoted = await promote_due(session, setting)
    return moved + proposed + promoted


async def setting_of(platform: Platform, session: AsyncSession, tenant_id: UUID) -> Setting:
    """Return what holds for a tenant in the session's transaction."""
    compiled, packs = await rule_sets(platform).current(platform, session, tenant_id)
    return Setting(tenant_id, compiled, packs, Criteria.of(packs.policy))


async def look_at_changed(
    session: AsyncSession, setting: Setting
) -> list[tuple[asyncpg.Record, Proposal | None]]:
    """Return the patterns that changed since they were looked at, each with the rule that it makes; reads only."""
    connection = await driver(session)
    rows = await connection.fetch(_CHANGED, setting.tenant_id)
    if not setting.criteria.enabled:
        return [(row, None) for row in rows]
    return [(row, await _proposal(session, setting, row)) for row in rows]


async def propose(
    session: AsyncSession, tenant_id: UUID, found: Sequence[tuple[asyncpg.Record, Proposal | None]]
) -> int:
    """Propose rules, and take note of what was looked at; returns how many were proposed.

    Args:
        session: With the tenant bound.
        tenant_id: Whose.
        found: As `look_at_changed` returned it.
    """
    if not found:
        return 0
    count = 0
    for row, proposal in found:
        if proposal is not None:
            count += await _propose(session, tenant_id, row, proposal)
    rows = [row for row, _ in found]
    connection = await driver(session)
    await connection.execute(
        _LOOKED_AT, tenant_id, *([row[name] for row in rows] for name in ("pattern", "choice", "changed_at"))
    )
    return count


async def promote_due(session: AsyncSession, setting: Setting) -> int:
    """Promote what is proposed, where policy lets it; what was retired before is for a person to promote."""
    if setting.criteria.promotion != BY_ITSELF or not setting.criteria.enabled:
        return 0
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT p.* FROM promotions p WHERE p.tenant_id = $1 AND p.state = 'proposed' AND NOT EXISTS ("
        "SELECT FROM promotions q WHERE q.tenant_id = $1 AND q.pattern = p.pattern AND q.choice = p.choice "
        "AND q.state = 'retired' AND q.ended_reason NOT LIKE '% takes its place.') "
        "ORDER BY p.id FOR UPDATE SKIP LOCKED",
        setting.tenant_id,
    )
    count = 0
    for row in rows:
        if (await still_good(session, setting, row)) is None:
            by = promotions.By(reason="The policy lets it.")
            await promotions.go_on(
                session, setting.tenant_id, row["id"], setting.criteria, by, version=row["version"]
            )
            count += 1
    return count


async def still_good(session: AsyncSession, setting: Setting, row: asyncpg.Record) -> str | None:
    """Return why a proposed rule may not be promoted as things are now, None where it may."""
    connection = await driver(session)
    choice = await connection.fetchrow(
        "SELECT * FROM pattern_choices WHERE tenant_id = $1 AND pattern = $2 AND choice = $3",
        setting.tenant_id, row["pattern"], row["choice"],
    )  # fmt: skip
    if choice is None:
        return "Nothing is known of its pattern any more."
    looked = await look(session, setting, choice, str(row["rule_id"]))
    unmet = [one for one in looked.evaluation.criteria if not one.met]
    if unmet:
        return "; ".join(f"{one.name}: {one.found}, wanted: {one.wanted}" for one in unmet)
    return looked.detail


async def look(session: AsyncSession, setting: Setting, row: asyncpg.Record, rule_id: str) -> Looked:
    """Ask everything of a choice, and grow its rule.

    Args:
        session: With the tenant bound.
        setting: What holds for the tenant.
        row: Of `pattern_choices`.
        rule_id: The id that the rule would have.
    """
    candidate, why = await _allowed(session, setting, row)
    record = Record(row["succeeded"], row["failed"], row["recent"], row["profile"], row["origins"])
    further = (Criterion("allowed", "the policy allows it", why or "allowed", candidate is not None),)
    evaluation = evaluate(record, setting.criteria, further)
    if candidate is None or record.profile is None or record.origins is None:
        return Looked(evaluation, None, why)
    ground = Ground(row["pattern"], candidate, record.profile, record.origins)
    try:
        document = grow(ground, setting.criteria, rule_id)
        _check_parameters(document, candidate)
        Rule.parse(document)
    except NotGrown as error:
        return Looked(evaluation, None, error.detail)
    return Looked(evaluation, document)


async def _proposal(session: AsyncSession, setting: Setting, row: asyncpg.Record) -> Proposal | None:
    connection = await driver(session)
    before = await connection.fetch(_BEFORE, setting.tenant_id, row["pattern"], row["choice"])
    if before and not _is_news(before, row, setting.criteria):
        return None
    rule_id = rule_id_of(row["pattern"], row["choice"], len(before) + 1)
    looked = await look(session, setting, row, rule_id)
    if looked.document is None or not looked.evaluation.eligible:
        return None
    if before and any(
        _says_the_same(one["document"], looked.document) for one in before if one["state"] == "full"
    ):
        return None
    tried = await back_test(
        session, setting.tenant_id, looked.document, setting.compiled.rules, setting.packs
    )
    if tried["matched"] and not tried["won"]:
        return None  # the rules of today decide all of it
    previous = next((one["document"] for one in before if one["state"] == "full"), None)
    difference = {
        "changes": [change.document() for change in changes(previous or {}, looked.document)],
        "beside": beside(setting.compiled.rules, looked.document),
    }
    evidence = {**looked.evaluation.document(), "succeeded": row["succeeded"], "failed": row["failed"]}
    return Proposal(looked.document, evidence, tried, difference)


async def _propose(session: AsyncSession, tenant_id: UUID, row: asyncpg.Record, proposal: Proposal) -> bool:
    connection = await driver(session)
    rule_id = str(proposal.document["id"])
    proposed = await connection.fetchval(
        _PROPOSE,
        tenant_id,
        new_id(),
        row["pattern"],
        row["choice"],
        rule_id,
        _check_type(proposal.document),
        dumps_str(proposal.document),
        dumps_str(proposal.evidence),
        dumps_str(proposal.back_test),
        dumps_str(proposal.difference),
        row["succeeded"],
    )
    if proposed is None:
        return False
    told = NewEvent(
        stream_type="rule",
        stream_id=RULES.kept.stream(tenant_id, rule_id),
        type="rule.proposed",
        data={
            "rule_id": rule_id,
            "promotion_id": str(proposed),
            "rule": proposal.document,
            "evidence": proposal.evidence,
        },
        actor=promotions.ACTOR,
    )
    await events.append(session, tenant_id, [told])
    return True


async def _allowed(
    session: AsyncSession, setting: Setting, row: asyncpg.Record
) -> tuple[Candidate | None, str | None]:
    """Return the choice as policy allows it now for an incident such as the last one, or why it does not."""
    connection = await driver(session)
    seen = await read_seen(connection, setting.tenant_id, [row["last_incident_id"]], [])
    if not seen:
        return None, "The incident that showed it is gone."
    incident = as_decided(seen[0], setting.packs)
    found = {one.key: one for one in allowed(setting.compiled.parts, setting.packs.policy, incident)}
    candidate = found.get(row["choice"])
    return candidate, None if candidate is not None else "The policy lets the planner not choose it here."


def _check_parameters(document: Mapping[str, Any], candidate: Candidate) -> None:
    """Refuse a literal that the playbook's schema does not take; what an incident gives is checked at the run."""
    schema = candidate.parameters.get("properties", {})
    for name, value in (document.get("parameters") or {}).items():
        if isinstance(value, str) and value.startswith("${{"):
            continue
        if not jsonschema_rs.is_valid(
            dict(schema.get(name, {})), value, pattern_options=jsonschema_rs.RegexOptions()
        ):
            raise NotGrown(f"The parameter {name} does not fit {candidate.name}.")


def _is_news(before: list[asyncpg.Record], row: asyncpg.Record, criteria: Criteria) -> bool:
    """Say whether there is enough that earlier proposals did not know; one on its way is not overtaken."""
    if any(one["state"] in {stages.PROPOSED, stages.SHADOW, stages.CANARY} for one in before):
        return False
    last = before[0]
    # Of one that retired by itself the evidence was forgotten; after a person's word there has to be more of it.
    forgotten = last["state"] == stages.RETIRED and last["ended_by"] == promotions.ACTOR
    known = 0 if forgotten else last["successes"]
    return bool(row["succeeded"] >= known + criteria.least_successes)


def _says_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = ("conditions", "action", "runbook_id", "playbook_id", "parameters")
    return all(one.get(name) == other.get(name) for name in names)


def _check_type(document: Mapping[str, Any]) -> str:
    for one in document["conditions"]:
        if one["field"] == "check_type" and one["operator"] == "eq":
            return str(one["value"])
    return "several"
