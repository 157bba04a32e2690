"""Healing's scheduled work: approvals that nobody decided expire; what planners and rules tried is forgotten."""

from fettle.healing.approval_decisions import expire_due
from fettle.healing.planner.cache import forget_expired
from fettle.healing.planner.costs import forget_old
from fettle.kernel.jobs import Schedule
from fettle.kernel.platform import Platform


async def forget_decisions(platform: Platform) -> None:
    """Delete what is known of the planner's single decisions once it is too old."""
    await forget_old(platform.database)


async def forget_answers(platform: Platform) -> None:
    """Delete the planner's kept answers that are too old to be given again."""
    await forget_expired(platform.database)


async def forget_attempts(platform: Platform) -> None:
    """Delete what was tried on incidents that have been closed for a month."""
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "DELETE FROM rule_attempts a USING incidents i WHERE a.last_at < now() - interval '30 days' "
            "AND i.tenant_id = a.tenant_id AND i.id = a.incident_id AND i.state = 'closed' "
            "AND i.closed_at < now() - interval '30 days'"
        )


SCHEDULE = [
    Schedule("healing.expire_approvals", every_seconds=30, run=expire_due),
    Schedule("healing.forget_answers", every_seconds=3_600, run=forget_answers),
    Schedule("healing.forget_decisions", every_seconds=86_400, run=forget_decisions),
    Schedule("healing.forget_attempts", every_seconds=86_400, run=forget_attempts),
]
