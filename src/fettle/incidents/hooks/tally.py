"""Counts what was refused because nothing proved its sender, and writes the figures down every moment.

A stranger must not be able to have a row written for each request, so nothing of a request is kept, and many
refusals are one write.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from fettle.incidents.hooks.standing import Source
from fettle.kernel.clock import utcnow
from fettle.kernel.database import is_unreachable
from fettle.kernel.platform import Platform

_PART: Final = "hooks.tally"
_PAUSE_SECONDS: Final = 1.0
_MOST: Final = 10_000

_WRITE = """
UPDATE hook_figures s SET refused = s.refused + t.times, refused_at = t.at, refusal = t.reason,
  received_at = greatest(s.received_at, t.at)
FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[]) AS t(id, times, at, reason)
WHERE s.source_id = t.id
"""


@dataclass(slots=True)
class _Refusals:
    times: int
    at: datetime
    reason: str


class Tally:
    """The refusals that were not written down yet."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._waiting: dict[UUID, _Refusals] = {}
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def refused(self, source: Source, reason: str) -> None:
        """Count one."""
        known = self._waiting.get(source.id)
        times = known.times if known is not None else 0
        if known is not None or len(self._waiting) < _MOST:
            self._waiting[source.id] = _Refusals(times + 1, utcnow(), reason[:500])
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._soon())

    async def write(self) -> None:
        """Write down what waits, and wait for what is being written; while the database is away it goes on waiting."""
        async with self._writing:
            waiting, self._waiting = self._waiting, {}
            if waiting:
                await self._write(waiting)

    async def _write(self, waiting: dict[UUID, _Refusals]) -> None:
        rows = list(waiting.values())
        try:
            async with self._platform.database.raw_system() as connection:
                await connection.execute(
                    _WRITE, list(waiting), [row.times for row in rows], [row.at for row in rows],
                    [row.reason for row in rows],
                )  # fmt: skip
        except Exception as error:
            if not is_unreachable(error):
                raise
            for source_id, row in waiting.items():
                newer = self._waiting.get(source_id)
                if newer is None:
                    self._waiting[source_id] = row
                else:
                    newer.times += row.times

    async def _soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(_PAUSE_SECONDS)
            await self.write()


def tally_of(platform: Platform) -> Tally:
    """Return the process's tally."""
    found = platform.parts.get(_PART)
    if not isinstance(found, Tally):
        found = platform.parts[_PART] = Tally(platform)
    return found
