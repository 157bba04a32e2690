"""Links that people are sent: a token of 256 random bits in the fragment of an address of the console's own.

A fragment is not sent to any server, so the token stands in no log and in no ``Referer``. Only its hash is kept.
"""

import re
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity.models_people import LinkToken
from fettle.identity.tokens import hash_secret, random_secret
from fettle.kernel.platform import Platform
from fettle.kernel.settings import Settings

Page = Literal["invitation", "reset-password"]

_TOKEN: Final = re.compile(r"ft[ip]_[A-Za-z0-9]{43}", re.ASCII)
_ANYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not listened on


async def mint(
    session: AsyncSession,
    *,
    expires_at: datetime,
    invitation_id: UUID | None = None,
    user_id: UUID | None = None,
) -> str:
    """Return a new token, of which the transaction keeps the hash alone.

    Args:
        session: Of the system.
        expires_at: Until when it is good.
        invitation_id: The invitation that it accepts; or
        user_id: whose password it resets.
    """
    token = f"{'fti' if invitation_id is not None else 'ftp'}_{random_secret()}"
    session.add(
        LinkToken(
            token_hash=hash_secret(token),
            invitation_id=invitation_id,
            user_id=user_id,
            expires_at=expires_at,
        )
    )
    await session.flush()
    return token


def hash_of(token: str) -> bytes | None:
    """Return the hash by which a token is found, or None where it does not have the form of one."""
    return hash_secret(token) if _TOKEN.fullmatch(token) is not None else None


async def forget(session: AsyncSession, token: str) -> None:
    """Delete a token whose link nobody can have got."""
    await session.execute(delete(LinkToken).where(LinkToken.token_hash == hash_secret(token)))


async def forget_links(platform: Platform) -> None:
    """Delete the tokens whose time is over, and what is remembered of mails for a month."""
    async with platform.database.raw_system() as connection:
        await connection.execute("DELETE FROM link_tokens WHERE expires_at < now()")
        await connection.execute(
            "DELETE FROM outgoing_mails WHERE state <> 'queued' AND finished_at < now() - interval '30 days'"
        )


def address_of(settings: Settings, page: Page, token: str) -> str:
    """Return the address of a link; its host comes from the settings, never from a request.

    Args:
        settings: Its ``public_url``, or else where this process listens.
        page: The console's page.
        token: What `mint` returned.
    """
    return f"{console_address(settings)}/{page}#token={token}"


def console_address(settings: Settings) -> str:
    """Return where people reach the console."""
    if settings.public_url is not None:
        return settings.public_url
    host = "localhost" if settings.host in _ANYWHERE else settings.host
    return f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"
