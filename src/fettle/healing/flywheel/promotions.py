"""Promoted rules from stage to stage: each move one conditional change, with its rule, its history and its event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing import service
from fettle.healing.flywheel import stages
from fettle.healing.flywheel.evaluating import Criteria
from fettle.healing.flywheel.figures import BADLY, WELL, added
from fettle.healing.flywheel.growing import narrowed
from fettle.healing.flywheel.stages import ACTING, CANARY, FULL, LIVE, RETIRED, SHADOW, Watched
from fettle.incidents.schemas import ExceptionIn
from fettle.kernel import context, events
from fettle.kernel.bus import TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound, Problem
from fettle.kernel.events import Event, NewEvent
from fettle.kernel.ids import new_id
from fettle.packs.service import active_packs

ACTOR: Final = "system:flywheel"
NOTICE: Final = "promoted_rule_retired"
"""The check type of the notice that a rule retired by itself."""

SOMEBODY: Final = "somebody"
"""Who ended what was ended in a way that no version tells of."""

log = structlog.get_logger("fettle.flywheel")

_FIND: Final = "SELECT * FROM promotions WHERE tenant_id = $1 AND id = $2"
# With the one that it is about to take the place of, in the order in which all are locked.
_LOCK: Final = """
SELECT q.id FROM promotions p JOIN promotions q ON q.tenant_id = p.tenant_id AND q.pattern = p.pattern
  AND q.choice = p.choice
  AND (q.id = p.id OR (q.state = 'full' AND (p.state = 'canary' OR p.ended_from = 'full')))
WHERE p.tenant_id = $1 AND p.id = $2 ORDER BY q.id FOR UPDATE OF q
"""
_REPLACED: Final = """
SELECT * FROM promotions WHERE tenant_id = $1 AND pattern = $2 AND choice = $3 AND state = 'full' AND id <> $4
"""
_MOVE: Final = """
UPDATE promotions SET state = $4, version = version + 1, stage_at = now(), stage_well = 0,
  recent = CASE WHEN $4 IN ('canary', 'full') THEN '' ELSE recent END,
  shadow_seen = CASE WHEN $4 = 'shadow' THEN 0 ELSE shadow_seen END,
  shadow_right = CASE WHEN $4 = 'shadow' THEN 0 ELSE shadow_right END,
  shadow_wrong = CASE WHEN $4 = 'shadow' THEN 0 ELSE shadow_wrong END,
  shadow_other = CASE WHEN $4 = 'shadow' THEN 0 ELSE shadow_other END,
  promoted_by = coalesce($5, promoted_by), rule_version = $6, ended_from = NULL, ended_by = NULL, ended_reason = NULL
WHERE tenant_id = $1 AND id = $2 AND state = $3 RETURNING *
"""
_END: Final = """
UPDATE promotions SET state = $4, version = version + 1, stage_at = now(), ended_from = $3, ended_by = $5,
  ended_reason = $6, rule_version = NULL
WHERE tenant_id = $1 AND id = $2 AND state = $3 RETURNING *
"""
_RUNS: Final = """
SELECT p.*, r.version AS rule_now FROM promotions p
LEFT JOIN rules r ON r.tenant_id = p.tenant_id AND r.id = p.rule_id
WHERE p.tenant_id = $1 AND p.rule_id = ANY($2) AND p.state = ANY($3) ORDER BY p.id FOR UPDATE OF p
"""
_COUNT_RUNS: Final = """
UPDATE promotions p SET acted_well = p.acted_well + n.well, acted_badly = p.acted_badly + n.badly,
  stage_well = p.stage_well + n.well, recent = n.recent
FROM unnest($2::uuid[], $3::int[], $4::int[], $5::text[]) AS n(id, well, badly, recent)
WHERE p.tenant_id = $1 AND p.id = n.id
"""
_LAST_BY: Final = """
SELECT changed_by FROM rule_versions WHERE tenant_id = $1 AND rule_id = $2 ORDER BY version DESC LIMIT 1
"""
# What it was grown from is not believed any more: the next rule needs evidence of its own.
_FORGET: Final = """
UPDATE pattern_choices SET succeeded = 0, failed = 0, recent = '', profile = NULL, origins = NULL, changed_at = NULL
WHERE tenant_id = $1 AND pattern = $2 AND choice = $3
"""


@dataclass(frozen=True, slots=True)
class By:
    """Who moves a rule, and why.

    Attributes:
        actor: As in events.
        reason: In their words.
        cause: The incident that showed it.
    """

    actor: str = ACTOR
    reason: str | None = None
    cause: UUID | None = None


async def find(
    session: AsyncSession, tenant_id: UUID, promotion_id: UUID, *, lock: bool = False
) -> asyncpg.Record:
    """Return a promotion; locked together with the one that it is about to take the place of.

    Raises:
        NotFound: The tenant has none of this id.
    """
    connection = await driver(session)
    if lock:
        await connection.execute(_LOCK, tenant_id, promotion_id)
    row = await connection.fetchrow(_FIND, tenant_id, promotion_id)
    if row is None:
        raise NotFound(f"There is no promotion {promotion_id}.")
    return row


async def go_on(
    session: AsyncSession, tenant_id: UUID, promotion_id: UUID, criteria: Criteria, by: By, *, version: int
) -> asyncpg.Record:
    """Move a rule to its next stage: shadow, canary, full.

    Raises:
        NotFound: The tenant has no such promotion.
        Conflict: It has another version by now, or there is no next stage.
    """
    row = await find(session, tenant_id, promotion_id, lock=True)
    _refuse_stale(row, version)
    to = stages.FOLLOWING.get(row["state"])
    if to is None:
        raise Conflict(f"The rule is {row['state']}; there is no stage after that.")
    return await _enter(session, tenant_id, row, to, criteria, by)


async def end(
    session: AsyncSession, tenant_id: UUID, promotion_id: UUID, by: By, *, version: int
) -> asyncpg.Record:
    """Retire a rule that is on its way or holds; dismiss one that is only proposed.

    Raises:
        NotFound: The tenant has no such promotion.
        Conflict: It has another version by now, or has ended already.
    """
    row = await find(session, tenant_id, promotion_id, lock=True)
    _refuse_stale(row, version)
    if row["state"] not in (*LIVE, stages.PROPOSED):
        raise Conflict(f"The rule is {row['state']} already.")
    return await _leave(session, tenant_id, row, by)


async def restore(
    session: AsyncSession, tenant_id: UUID, promotion_id: UUID, criteria: Criteria, by: By, *, version: int
) -> asyncpg.Record:
    """Take back that a rule was retired or dismissed: it is again what it was.

    Raises:
        NotFound: The tenant has no such promotion.
        Conflict: It has another version by now, has not ended, or another has taken its place.
    """
    row = await find(session, tenant_id, promotion_id, lock=True)
    _refuse_stale(row, version)
    if row["state"] not in (RETIRED, stages.DISMISSED) or row["ended_from"] is None:
        raise Conflict(f"The rule is {row['state']}; there is nothing to take back.")
    to = str(row["ended_from"])
    rivals = (FULL,) if to == FULL else (stages.PROPOSED, SHADOW, CANARY)
    connection = await driver(session)
    rival = await connection.fetchval(
        "SELECT rule_id FROM promotions WHERE tenant_id = $1 AND pattern = $2 AND choice = $3 AND state = ANY($4)",
        tenant_id, row["pattern"], row["choice"], list(rivals),
    )  # fmt: skip
    if rival is not None:
        raise Conflict(f"{rival} has taken its place. Retire that one first.")
    return await _enter(session, tenant_id, row, to, criteria, by)


async def count_runs(batch: TenantBatch, by_rule: Mapping[str, Sequence[Event]]) -> None:
    """Count what grown rules did, and retire at once what has regressed."""
    if not by_rule:
        return
    connection = await driver(batch.session)
    rows = await connection.fetch(_RUNS, batch.tenant_id, sorted(by_rule), list(ACTING))
    counted = []
    for row in rows:
        ran = by_rule[row["rule_id"]]
        outcomes = "".join(WELL if event.data.get("outcome") == "verified" else BADLY for event in ran)
        recent = added(row["recent"], outcomes)
        counted.append((row["id"], outcomes.count(WELL), outcomes.count(BADLY), recent))
    if not counted:
        return
    await connection.execute(
        _COUNT_RUNS, batch.tenant_id, *(list(part) for part in zip(*counted, strict=True))
    )
    criteria = Criteria.of((await active_packs(batch.platform, batch.tenant_id)).policy)
    for row, (_, _, _, recent) in zip(rows, counted, strict=True):
        why = stages.regressed(Watched(row["state"], 0, 0, 0, recent), criteria)
        # What a person has changed since is that person's rule.
        if why is not None and row["rule_now"] == row["rule_version"]:
            failing = next(
                (
                    event
                    for event in reversed(by_rule[row["rule_id"]])
                    if event.data.get("outcome") != "verified"
                ),
                None,
            )
            cause = failing.correlation_id if failing is not None else None
            await _leave(batch.session, batch.tenant_id, row, By(reason=why, cause=cause))


async def watch_over(session: AsyncSession, tenant_id: UUID, criteria: Criteria) -> int:
    """Let rules go on that earned it, retire those that regressed in shadow, leave changed ones to who changed them.

    Returns:
        How many were moved.
    """
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT p.*, r.version AS rule_now FROM promotions p "
        "LEFT JOIN rules r ON r.tenant_id = p.tenant_id AND r.id = p.rule_id "
        "WHERE p.tenant_id = $1 AND p.state = ANY($2) ORDER BY p.id FOR UPDATE OF p SKIP LOCKED",
        tenant_id, list(LIVE),
    )  # fmt: skip
    moved = 0
    for row in rows:
        try:
            async with session.begin_nested():
                moved += await _watch_one(session, tenant_id, row, criteria)
        except Problem as problem:
            # One that cannot move, such as where the tenant has no room for another rule, keeps none from moving.
            log.warning("flywheel.rule_stays", rule_id=row["rule_id"], reason=problem.detail)
    return moved


async def _watch_one(session: AsyncSession, tenant_id: UUID, row: asyncpg.Record, criteria: Criteria) -> bool:
    if row["state"] in ACTING and row["rule_now"] != row["rule_version"]:
        gone = row["rule_now"] is None
        reason = "Somebody deleted the rule." if gone else "Somebody changed the rule; it is theirs now."
        connection = await driver(session)
        ending = RETIRED if gone else stages.ADOPTED
        # Whoever did it is asked for more evidence than there was, as anybody who retires a rule.
        last = await connection.fetchval(_LAST_BY, tenant_id, row["rule_id"])
        person = SOMEBODY if last in {None, ACTOR} else str(last)
        await connection.fetchrow(_END, tenant_id, row["id"], row["state"], ending, person, reason)
        if gone:
            await _tell(session, tenant_id, row, "rule.retired", By(reason=reason), from_=row["state"])
        return True
    watched = Watched(
        row["state"], row["shadow_right"], row["shadow_wrong"], row["stage_well"], row["recent"]
    )
    why = stages.regressed(watched, criteria)
    if why is not None:
        await _leave(session, tenant_id, row, By(reason=why))
        return True
    to = stages.goes_on(watched, criteria)
    if to is None:
        return False
    await _enter(session, tenant_id, row, to, criteria, By(reason="It has passed the stage before."))
    return True


async def _enter(
    session: AsyncSession, tenant_id: UUID, row: asyncpg.Record, to: str, criteria: Criteria, by: By
) -> asyncpg.Record:
    connection = await driver(session)
    if to == FULL:
        await _replace(session, tenant_id, row)
    version = await _put_rule(session, tenant_id, row, to, criteria)
    promoted_by = by.actor if row["state"] == stages.PROPOSED else None
    moved = await connection.fetchrow(_MOVE, tenant_id, row["id"], row["state"], to, promoted_by, version)
    if moved is None:
        raise Conflict("The rule was moved meanwhile. Look at it again.")
    if to in LIVE:
        await _tell(session, tenant_id, moved, "rule.promoted", by, from_=row["state"])
    return moved


async def _put_rule(
    session: AsyncSession, tenant_id: UUID, row: asyncpg.Record, to: str, criteria: Criteria
) -> int | None:
    """Let the tenant's rules say what the stage wants; returns the rule's version, None where it does not act."""
    if to not in ACTING:
        return None
    document = row["document"] if to == FULL else narrowed(row["document"], criteria.canary_share)
    own = (await service.RULES.all(session, tenant_id)).get(row["rule_id"])
    if own is None:
        return await service.create_rule(session, tenant_id, document, actor=ACTOR, source="promoted")
    if own.version != row["rule_version"]:
        raise Conflict(f"Somebody changed the rule {row['rule_id']}; it is theirs now.")
    return await service.change_rule(
        session, tenant_id, row["rule_id"], document, version=own.version, actor=ACTOR, source="promoted"
    )


async def _replace(session: AsyncSession, tenant_id: UUID, row: asyncpg.Record) -> None:
    """Retire the rule that an earlier generation of evidence made; the one that follows knows all of it."""
    connection = await driver(session)
    of = (tenant_id, row["pattern"], row["choice"], row["id"])
    # Whoever moves rules has locked it with this one. A turn passes over what somebody else has in hand, and must not
    # wait for it now, with others locked.
    before = await connection.fetchrow(f"{_REPLACED} FOR UPDATE SKIP LOCKED", *of)
    if before is None and await connection.fetchval(f"SELECT EXISTS ({_REPLACED})", *of):
        raise Conflict("The rule that it takes the place of is being moved. Look at both again.")
    if before is not None:
        await _leave(
            session, tenant_id, before, By(reason=f"{row['rule_id']} takes its place."), replaced=True
        )


async def _leave(
    session: AsyncSession, tenant_id: UUID, row: asyncpg.Record, by: By, *, replaced: bool = False
) -> asyncpg.Record:
    connection = await driver(session)
    to = stages.DISMISSED if row["state"] == stages.PROPOSED else RETIRED
    if row["rule_version"] is not None:
        own = (await service.RULES.all(session, tenant_id)).get(row["rule_id"])
        if own is not None:
            await service.RULES.delete(
                session, tenant_id, row["rule_id"], version=own.version, actor=by.actor
            )
    moved = await connection.fetchrow(_END, tenant_id, row["id"], row["state"], to, by.actor, by.reason)
    if moved is None:
        raise Conflict("The rule was moved meanwhile. Look at it again.")
    if to == RETIRED:
        await _tell(session, tenant_id, moved, "rule.retired", by, from_=row["state"])
        if by.actor == ACTOR and not replaced:
            await connection.execute(_FORGET, tenant_id, row["pattern"], row["choice"])
            await _notice(session, tenant_id, moved, by)
    return moved


async def _tell(
    session: AsyncSession, tenant_id: UUID, row: asyncpg.Record, kind: str, by: By, *, from_: str
) -> None:
    told = NewEvent(
        stream_type="rule",
        stream_id=service.RULES.kept.stream(tenant_id, row["rule_id"]),
        type=kind,
        data={
            "rule_id": row["rule_id"],
            "promotion_id": str(row["id"]),
            "pattern": row["pattern"],
            "choice": row["choice"],
            "from": from_,
            "stage": row["state"] if kind == "rule.promoted" else None,
            "reason": by.reason,
            "successes": row["successes"],
        },
        actor=by.actor,
        correlation_id=by.cause,
        request_id=context.request_id.get(),
    )
    await events.append(session, tenant_id, [told])


async def _notice(session: AsyncSession, tenant_id: UUID, row: asyncpg.Record, by: By) -> None:
    """Report that a rule retired by itself, as anything that is out of order is reported: a person looks at it."""
    notice = ExceptionIn(
        check_type=NOTICE,
        source="fettle",
        severity="medium",
        summary=f"The rule {row['rule_id']} has retired by itself: {by.reason}",
        dedup_key=str(row["id"]),
        details={"rule_id": row["rule_id"], "promotion_id": str(row["id"]), "runs": row["choice"]},
    )
    told = NewEvent(
        stream_type="exception",
        stream_id=new_id(),
        type="exception.ingested",
        data={
            "exception": {name: value for name, value in notice.__dict__.items() if value is not None},
            "received_at": utcnow(),
        },
        actor=ACTOR,
    )
    await events.append(session, tenant_id, [told])


def _refuse_stale(row: asyncpg.Record, version: int) -> None:
    if row["version"] != version:
        raise Conflict(
            f"It has version {row['version']} by now, not {version}. Look at it again, and repeat what still applies."
        )
