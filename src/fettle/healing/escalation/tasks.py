"""What escalation does on its own: it forgets what came back, and messages and clocks, of long ago."""

from typing import Final

from fettle.kernel.jobs import Schedule
from fettle.kernel.platform import Platform

MESSAGES_DAYS: Final = 400
CALLBACKS_DAYS: Final = 7


async def forget_old_messages(platform: Platform) -> None:
    """Delete what nobody looks back at any more; of messages and clocks, their events stay."""
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "DELETE FROM escalation_callbacks WHERE received_at < now() - make_interval(days => $1)",
            CALLBACKS_DAYS,
        )
        await connection.execute(
            "DELETE FROM escalation_deliveries WHERE ended_at < now() - make_interval(days => $1)",
            MESSAGES_DAYS,
        )
        # Those that belong to a storm go with the clock that led it.
        await connection.execute(
            "DELETE FROM escalations e WHERE state = 'resolved' AND ended_at < now() - make_interval(days => $1) "
            "AND NOT EXISTS (SELECT FROM escalations l WHERE l.tenant_id = e.tenant_id AND l.id = e.storm_id "
            "AND l.state <> 'resolved')",
            MESSAGES_DAYS,
        )


SCHEDULE: Final = [Schedule("escalation.forget_old_messages", 86_400.0, forget_old_messages)]
