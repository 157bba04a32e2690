"""What unfinished sign-ins and ended sessions leave behind goes when its time is over."""

from typing import Final

from fettle.kernel.platform import Platform

_STATEMENTS: Final = (
    "DELETE FROM sign_in_challenges WHERE expires_at < now()",
    "DELETE FROM passkey_challenges WHERE expires_at < now()",
    "DELETE FROM sign_on_states WHERE expires_at < now()",
    "DELETE FROM totp_factors WHERE confirmed_at IS NULL AND created_at < now() - interval '1 day'",
    "DELETE FROM login_attempts WHERE last_at < now() - interval '2 days'",
    # Who accepted is a member, and an invitation names an address that may belong to nobody here.
    "DELETE FROM invitations WHERE coalesce(accepted_at, revoked_at, expires_at) < now() - interval '90 days'",
    # With its refresh tokens, of which a used one is kept for as long as its return would be noticed.
    "DELETE FROM refresh_sessions s WHERE coalesce(s.ended_at, s.expires_at) < now() - interval '30 days'",
)


async def forget_expired(platform: Platform) -> int:
    """Delete what is over; returns how many rows that were."""
    gone = 0
    for statement in _STATEMENTS:
        async with platform.database.raw_system() as connection:
            gone += int((await connection.execute(statement)).rpartition(" ")[2])
    return gone
