"""What was proved while the database was away: it waits on this machine's disk, sealed, and is taken in order."""

import asyncio
from collections import defaultdict
from typing import Final
from uuid import UUID

import structlog

from fettle.incidents.hooks.deliveries import Delivery, refuse, take
from fettle.incidents.hooks.spool import Spool
from fettle.incidents.hooks.standing import Source, box, sources_of
from fettle.kernel import context, metrics
from fettle.kernel.background import Background
from fettle.kernel.database import is_unreachable
from fettle.kernel.errors import Problem, Unavailable
from fettle.kernel.platform import Platform
from fettle.kernel.secrets import SecretUnreadable

_PART: Final = "hooks.waiting"
_SEALED_FOR: Final = b"hooks.spool"
_LOOK_SECONDS: Final = 1.0
_AT_ONCE: Final = 200

log = structlog.get_logger("fettle.hooks")


def is_away(error: BaseException) -> bool:
    """Say whether an error means that the database does not answer."""
    return isinstance(error, Unavailable | TimeoutError) or is_unreachable(error)


class Waiting:
    """The deliveries that wait on this machine, and the task that takes them in.

    Args:
        platform: The process's parts.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        settings = platform.settings
        self._spool = Spool(settings.home / "spool" / "hooks", most_bytes=settings.hooks_spool_bytes)
        self._taking = Background()

    def has_some(self) -> bool:
        """Say whether something waits, behind which whatever comes now has to wait, too."""
        return self._spool.is_waiting()

    def size(self) -> int:
        """Return how many bytes wait."""
        return self._spool.size()

    async def add(self, delivery: Delivery) -> None:
        """Let a delivery wait; returns when it is on the disk.

        Raises:
            Unavailable: There is no room.
        """
        await self._spool.add(box(self._platform).encrypt(delivery.record(), _SEALED_FOR))

    def start(self) -> None:
        """Take in what waits from now on, whenever the database answers."""
        self._taking.begin(self._run)

    async def close(self) -> None:
        """Stop; what still waits is taken in by the next process."""
        await self._taking.end()

    async def take_in(self) -> int:
        """Take in what waits now, unless another process does; returns how much that was.

        Raises:
            OSError, asyncpg.PostgresError: The database went away; the rest goes on waiting.
        """
        done = 0
        with self._spool.reading() as is_ours:
            while is_ours and (records := await asyncio.to_thread(self._spool.read, _AT_ONCE)):
                opened = [self._opened(record) for _, record in records]
                await self._take_all([delivery for delivery in opened if delivery is not None])
                await asyncio.to_thread(self._spool.taken, records[-1][0])
                done += len(records)
        return done

    async def _run(self) -> None:
        while True:
            try:
                if self.has_some():
                    taken = await self.take_in()
                    if taken:
                        log.info("deliveries that had waited were taken in", deliveries=taken)
            except Exception as error:
                if not is_away(error):
                    log.exception("deliveries go on waiting", error=type(error).__name__)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _take_all(self, deliveries: list[Delivery]) -> None:
        """Take deliveries in order within a source; sources do not wait for each other."""
        by_source: defaultdict[UUID | None, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            by_source[delivery.source_id].append(delivery)
        # All have ended before any is tried again, so that none is under way twice.
        ends = await asyncio.gather(
            *(self._take_each(of_source) for of_source in by_source.values()), return_exceptions=True
        )
        for end in ends:
            if end is not None:
                raise end

    async def _take_each(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            await self._take(delivery)

    async def _take(self, delivery: Delivery) -> None:
        source = await sources_of(self._platform).find(delivery.source_id)
        if source is None:
            log.warning("a delivery waited for a source that is gone", source_id=str(delivery.source_id))
            return
        token = context.tenant_id.set(str(delivery.tenant_id))
        try:
            taken = await take(self._platform, source, delivery, waited=True)
            metrics.HOOKS_TAKEN_IN.labels(taken.outcome).inc()
        except Problem as problem:
            if is_away(problem):
                raise
            metrics.HOOKS_TAKEN_IN.labels("refused").inc()
            log.info("a delivery that had waited was refused", source_id=str(source.id), reason=problem.slug)
        except Exception as error:
            if is_away(error):
                raise
            metrics.HOOKS_TAKEN_IN.labels("refused").inc()
            log.exception("a delivery that had waited could not be taken", source_id=str(source.id))
            await self._refuse(source, delivery)
        finally:
            context.tenant_id.reset(token)

    async def _refuse(self, source: Source, delivery: Delivery) -> None:
        """Write down that one could not be taken; what cannot even be written down holds up none behind it."""
        try:
            await refuse(self._platform, source, delivery, "It had waited, and could not be taken in then.")
        except Exception as error:
            if is_away(error):
                raise
            log.exception("a delivery that had waited could not be refused", source_id=str(source.id))

    def _opened(self, record: bytes) -> Delivery | None:
        try:
            return Delivery.of_record(box(self._platform).decrypt(record, _SEALED_FOR))
        except SecretUnreadable as error:
            log.error("a delivery that waited cannot be opened", reason=str(error))  # noqa: TRY400 - the reason is all
        except (Problem, ValueError, KeyError, TypeError) as error:
            # It would hold up every tenant's deliveries behind it, and no later look could read it either.
            log.error("a delivery that waited cannot be read", error=type(error).__name__)  # noqa: TRY400 - it may quote
        return None


def waiting_of(platform: Platform) -> Waiting:
    """Return what waits on this machine, as this process knows it."""
    found = platform.parts.get(_PART)
    if not isinstance(found, Waiting):
        found = platform.parts[_PART] = Waiting(platform)
    return found
