"""Scheduled work of webhooks in: what was kept for a time is forgotten."""

from typing import Final

from fettle.kernel.jobs import Schedule
from fettle.kernel.platform import Platform

_FORGET: Final = (
    """DELETE FROM hook_payloads p USING hook_sources s
       WHERE s.id = p.source_id AND p.received_at < now() - make_interval(days => s.keep_days)""",
    "DELETE FROM hook_receipts WHERE ends_at < now()",
    "DELETE FROM hook_secrets WHERE ends_at < now() - interval '30 days'",
    "DELETE FROM hook_subscriptions WHERE state <> 'held' AND asked_at < now() - interval '90 days'",
    # Amazon forgets a wish that nobody answered after three days.
    "DELETE FROM hook_subscriptions WHERE state = 'held' AND asked_at < now() - interval '3 days'",
)


async def forget(platform: Platform) -> None:
    """Forget payloads, receipts, secrets and wishes whose time is over."""
    async with platform.database.raw_system() as connection:
        for statement in _FORGET:
            await connection.execute(statement)


SCHEDULE = [Schedule("incidents.hooks.forget", 3_600.0, forget)]
