"""API keys as they are used: found by their public part, and their use noted beside the request, once a minute."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from fettle.identity.tokens import ApiKeyParts, TokenRefused, same_secret
from fettle.kernel.clock import utcnow
from fettle.kernel.database import DATABASE_TROUBLE
from fettle.kernel.platform import Platform

_NOTED_EVERY: Final = timedelta(minutes=1)
_NO_SECRET: Final = bytes(32)

# A rotated key has two secrets until its overlap ends.
_FIND: Final = """
SELECT id, tenant_id, scopes, secret_hash, expires_at, revoked_at, last_used_at FROM api_keys WHERE prefix = $1
UNION ALL
SELECT id, tenant_id, scopes, old_secret_hash, least(expires_at, old_until), revoked_at, last_used_at
FROM api_keys WHERE old_prefix = $1
"""
_NOTE: Final = """
UPDATE api_keys SET last_used_at = $2 WHERE id = ANY($1) AND (last_used_at IS NULL OR last_used_at < $3)
"""


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A key that was proved.

    Attributes:
        good_until: When the secret that was shown stops working; None for never.
    """

    id: UUID
    tenant_id: UUID
    scopes: Sequence[str]
    good_until: datetime | None


class KeyUse:
    """Finds keys for one process and notes their use, without any request waiting for it."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._due: set[UUID] = set()
        self._noting: asyncio.Task[None] | None = None

    async def holder(self, shown: ApiKeyParts) -> KeyHolder:
        """Return the key whose secret was shown.

        Raises:
            TokenRefused: There is none such, or not any more.
        """
        now = utcnow()
        async with self._platform.database.raw_system() as connection:
            row = await connection.fetchrow(_FIND, shown.prefix)
        right = same_secret(row["secret_hash"] if row else _NO_SECRET, shown.secret_hash)
        if row is None or not right:
            raise TokenRefused("no such API key")
        if row["revoked_at"] is not None or (row["expires_at"] is not None and row["expires_at"] <= now):
            raise TokenRefused("API key revoked or expired")
        if row["last_used_at"] is None or now - row["last_used_at"] > _NOTED_EVERY:
            self._note(row["id"])
        return KeyHolder(row["id"], row["tenant_id"], row["scopes"], row["expires_at"])

    async def close(self) -> None:
        """Write what is still to be noted."""
        if self._noting is not None:
            await asyncio.wait({self._noting})

    def _note(self, key_id: UUID) -> None:
        self._due.add(key_id)
        if self._noting is None or self._noting.done():
            self._noting = asyncio.get_running_loop().create_task(self._write(), name="identity-key-use")

    async def _write(self) -> None:
        while self._due:
            due, self._due = self._due, set()
            now = utcnow()
            # That a key was used is told again a minute later; a request must not fail for it.
            with contextlib.suppress(*DATABASE_TROUBLE):
                async with self._platform.database.raw_system() as connection:
                    await connection.execute(_NOTE, list(due), now, now - _NOTED_EVERY)
