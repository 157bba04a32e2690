"""What a process knows of the sources that are sent to: their ways of proof, their secrets, their mappings.

It is looked up again every two seconds while it is used. While the database is away, what was known before
holds, so that a sender can still be told from a stranger.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from fettle.kernel.database import is_unreachable
from fettle.kernel.errors import Unavailable
from fettle.kernel.platform import Platform
from fettle.kernel.secrets import SecretBox, SecretUnreadable

FRESH_SECONDS: Final = 2.0
"""A secret that was withdrawn is good for no longer than this."""

KEPT_SECONDS: Final = 3_600.0
"""For so long a source is known while the database is away."""

_PART: Final = "hooks.sources"
_MOST: Final = 5_000
_MOST_STRANGERS: Final = 1_000
"""Ids of which there is no source are kept apart: whoever makes them up pushes out no source."""
_PATIENCE_SECONDS: Final = 2.0

_LOOK_UP = """
SELECT s.id, s.tenant_id, s.kind, s.origin, s.authentication, s.format, s.topic, s.enabled, s.keep_days, s.mapping,
       s.mapping_version, k.id AS secret_id, k.token_hash, k.sealed, k.ends_at
FROM hook_sources s LEFT JOIN hook_secrets k ON k.source_id = s.id AND k.tenant_id = s.tenant_id
WHERE s.id = $1 ORDER BY k.id
"""

log = structlog.get_logger("fettle.hooks")


@dataclass(frozen=True, slots=True)
class Secret:
    """One that holds until it ends.

    Attributes:
        token_hash: Of a token.
        value: What signatures are checked with.
    """

    token_hash: bytes | None
    value: bytes | None
    ends_at: datetime | None

    def holds(self, now: datetime) -> bool:
        """Say whether it has not ended."""
        return self.ends_at is None or now < self.ends_at


@dataclass(frozen=True, slots=True)
class Source:
    """A source as requests meet it.

    Attributes:
        origin: What its exceptions say as their source.
        mapping: The tenant's own; None for the pack's.
    """

    id: UUID
    tenant_id: UUID
    kind: str
    origin: str
    authentication: str
    format: str
    topic: str | None
    enabled: bool
    keep_days: int
    mapping: dict[str, Any] | None
    mapping_version: int
    secrets: tuple[Secret, ...]

    def token_hashes(self, now: datetime) -> list[bytes]:
        """Return the digests of the tokens that hold."""
        return [one.token_hash for one in self.secrets if one.token_hash and one.holds(now)]

    def secret_values(self, now: datetime) -> list[bytes]:
        """Return the secrets that hold."""
        return [one.value for one in self.secrets if one.value and one.holds(now)]


@dataclass(slots=True)
class _Entry:
    looked_at: float
    source: Source | None


class Sources:
    """A process's knowledge of sources, by id."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._entries: OrderedDict[UUID, _Entry] = OrderedDict()
        self._strangers: OrderedDict[UUID, _Entry] = OrderedDict()

    async def find(self, source_id: UUID) -> Source | None:
        """Return a source, None where there is none.

        Raises:
            Unavailable: The database is away, and the source was not asked for lately.
        """
        entry = self._entries.get(source_id) or self._strangers.get(source_id)
        if entry is not None and time.monotonic() - entry.looked_at < FRESH_SECONDS:
            return entry.source
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                source = await self._look_up(source_id)
        except Exception as error:
            if not (isinstance(error, TimeoutError) or is_unreachable(error)):
                raise
            if entry is None or time.monotonic() - entry.looked_at > KEPT_SECONDS:
                raise Unavailable("The database does not answer. Send it again in a moment.") from None
            return entry.source
        self.forget(source_id)
        kept, most = (self._strangers, _MOST_STRANGERS) if source is None else (self._entries, _MOST)
        kept[source_id] = _Entry(time.monotonic(), source)
        while len(kept) > most:
            kept.popitem(last=False)
        return source

    def forget(self, source_id: UUID) -> None:
        """Look a source up anew the next time."""
        self._entries.pop(source_id, None)
        self._strangers.pop(source_id, None)

    async def _look_up(self, source_id: UUID) -> Source | None:
        async with self._platform.database.raw_system() as connection:
            rows = await connection.fetch(_LOOK_UP, source_id)
        if not rows:
            return None
        first = rows[0]
        return Source(
            id=source_id,
            tenant_id=UUID(int=first["tenant_id"].int),
            kind=first["kind"],
            origin=first["origin"],
            authentication=first["authentication"],
            format=first["format"],
            topic=first["topic"],
            enabled=first["enabled"],
            keep_days=first["keep_days"],
            mapping=first["mapping"],
            mapping_version=first["mapping_version"],
            secrets=tuple(self._opened(source_id, row) for row in rows if row["secret_id"] is not None),
        )

    def _opened(self, source_id: UUID, row: Any) -> Secret:
        value: bytes | None = None
        if row["sealed"] is not None:
            try:
                value = box(self._platform).decrypt(row["sealed"], bound_to(source_id))
            except SecretUnreadable as error:
                log.warning("a source's secret cannot be opened", source_id=str(source_id), reason=str(error))
        return Secret(row["token_hash"], value, row["ends_at"])


def sources_of(platform: Platform) -> Sources:
    """Return the process's knowledge of sources."""
    found = platform.parts.get(_PART)
    if not isinstance(found, Sources):
        found = platform.parts[_PART] = Sources(platform)
    return found


def box(platform: Platform) -> SecretBox:
    """Return the process's box, opened once."""
    found = platform.parts.get("hooks.secret_box")
    if not isinstance(found, SecretBox):
        found = platform.parts["hooks.secret_box"] = SecretBox(platform.settings)
    return found


def bound_to(source_id: UUID) -> bytes:
    """Return what a source's sealed secret belongs to; it opens for no other source."""
    return f"hook_sources:{source_id}".encode()
