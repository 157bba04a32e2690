"""The auditor's scheduled work: its rounds, and forgetting what moved long ago."""

from typing import Final

from fettle.healing.auditing.auditing import audit
from fettle.kernel.jobs import Schedule
from fettle.kernel.platform import Platform

EVERY_SECONDS: Final = 30.0
MOVED_DAYS: Final = 400


async def forget_moved(platform: Platform) -> None:
    """Delete what was overdue and moved long ago; its incidents and their events stay."""
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "DELETE FROM overdue_items WHERE moved_at < now() - make_interval(days => $1)", MOVED_DAYS
        )


SCHEDULE: Final = [
    Schedule("auditing.audit", EVERY_SECONDS, audit),
    Schedule("auditing.forget_moved", 86_400.0, forget_moved),
]
