"""Group commit without a timer: whatever waits when the last flush ends goes into the next one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fettle.kernel.database import is_unreachable

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommitter(Generic[Item, Result]):
    """Turns many small writes into few transactions.

    A caller is answered only after the transaction that holds its item has ended.

    Args:
        flush: Writes a batch in one transaction and returns one result for each item, in order; an
            exception in place of a result goes to that item's caller. When it raises as a whole and
            the batch has more than one item, each is flushed alone, so that one bad item fails nobody else;
            unless the database went away, for then nobody knows whether the batch was committed.
        max_batch: Most items in one flush.
        lanes: Flushes under way at once; with more than one, a batch is written while another
            waits for the disk.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[list[Result | BaseException]]],
        *,
        max_batch: int = 500,
        lanes: int = 1,
    ) -> None:
        self._flush = flush
        self._max_batch = max_batch
        self._idle = lanes
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Result:
        """Write an item with whichever others are due.

        Raises:
            BaseException: Whatever the flush says of this item.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._idle:
            self._idle -= 1
            task = asyncio.get_running_loop().create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def drain(self) -> None:
        """Wait until everything submitted so far is answered."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[: self._max_batch]
                del self._waiting[: self._max_batch]
                await self._flush_batch(batch)
        finally:
            self._idle += 1

    async def _flush_batch(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to the caller whose item it is
            if len(batch) == 1 or is_unreachable(error):
                for _, future in batch:
                    _settle(future, error)
                return
            for entry in batch:
                await self._flush_batch([entry])
            return
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), result in zip(batch, results, strict=True):
            _settle(future, result)


def _settle(future: asyncio.Future[Result], result: Result | BaseException) -> None:
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
