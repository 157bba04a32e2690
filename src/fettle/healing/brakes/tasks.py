"""What brakes forget in time: flaps, admissions and closed breakers that count no more."""

from typing import Final

from fettle.kernel.jobs import Schedule
from fettle.kernel.platform import Platform

_FORGET: Final = (
    # No window is longer than a week.
    "DELETE FROM flap_counts WHERE last_at < now() - interval '8 days'",
    "DELETE FROM action_admissions WHERE admitted_at < now() - interval '2 days'",
    "DELETE FROM circuit_breakers WHERE state = 'closed' AND changed_at < now() - interval '8 days'",
    """DELETE FROM held_runs h WHERE EXISTS (SELECT FROM playbook_runs r
         WHERE r.tenant_id = h.tenant_id AND r.id = h.run_id AND r.state = 'finished')""",
)


async def forget_old(platform: Platform) -> None:
    """Delete what no limit asks for any more."""
    async with platform.database.raw_system() as connection:
        for statement in _FORGET:
            await connection.execute(statement)


SCHEDULE: Final = [Schedule("brakes.forget_old", 3_600.0, forget_old)]
