"""A place on this machine's disk where what was proved waits while the database is away.

One file of records, added to at its end and read from its beginning, by every process of the machine that
serves the API: a lock of the file system makes them one. A record is on the disk (fsync) before its sender is
told that it was accepted. A record that a crash cut in half was never answered; it is cut off when the next is
added. What was read is remembered in a second file, so that a crash while reading reads a few again, which does
no harm: each record is done once by its own key.
"""

import asyncio
import contextlib
import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fettle.kernel.errors import Unavailable
from fettle.kernel.group_commit import GroupCommitter

_HEAD: Final = struct.Struct(">4sII")
_MARK: Final = b"FtL1"
_LARGEST: Final = 8_000_000
_PLACE: Final = struct.Struct(">QQ")


class Spool:
    """The records that wait.

    Args:
        folder: Made where it is missing; nobody else may look into it.
        most_bytes: Beyond this nothing is taken, and senders are told to come again.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._records = folder / "records"
        self._place = folder / "place"
        self._most_bytes = most_bytes
        self._known = (0, 0)
        self._writing: GroupCommitter[bytes, None] = GroupCommitter(self._write)

    async def add(self, record: bytes) -> None:
        """Add a record; returns when it is on the disk.

        Raises:
            Unavailable: There is no room.
        """
        await self._writing.submit(record)

    def is_waiting(self) -> bool:
        """Say whether there is a record that was not taken off yet."""
        try:
            return self._records.stat().st_size > 0
        except FileNotFoundError:
            return False

    def size(self) -> int:
        """Return how many bytes wait."""
        return self._records.stat().st_size if self.is_waiting() else 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[bool]:
        """Be the one process that takes records off; yields whether this one is it."""
        self._make()
        with (self._folder / "reader").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def read(self, most: int) -> list[tuple[int, bytes]]:
        """Return the first records with where each ends; for the one that is `reading`."""
        if not self.is_waiting():
            return []
        found: list[tuple[int, bytes]] = []
        with self._records.open("rb") as file:
            _, place = self._read_place()
            while len(found) < most and (record := _record_at(file.fileno(), place)) is not None:
                place += _HEAD.size + len(record)
                found.append((place, record))
        return found

    def taken(self, place: int) -> None:
        """Take off everything before a place; for the one that is `reading`."""
        with self._locked(), self._records.open("r+b") as file:
            generation, _ = self._read_place()
            if _record_at(file.fileno(), place) is None:
                # Nothing whole is behind it, so the file begins anew, and says so to the other processes.
                self._put_place(generation + 1, 0)
                file.truncate(0)
                os.fsync(file.fileno())
            else:
                self._put_place(generation, place)

    async def _write(self, batch: list[bytes]) -> list[BaseException | None]:
        return await asyncio.to_thread(self._append, batch)

    def _append(self, batch: list[bytes]) -> list[BaseException | None]:
        results: list[BaseException | None] = []
        with self._locked(), self._records.open("ab") as file:
            size = os.fstat(file.fileno()).st_size
            generation, _ = self._read_place()
            end = self._whole_end(generation, size)
            if end < size:
                file.truncate(end)
            for record in batch:
                if end + _HEAD.size + len(record) > self._most_bytes or len(record) > _LARGEST:
                    results.append(
                        Unavailable(
                            "The database is away, and no more can wait here. Send it again later.",
                            retry_after_seconds=30,
                        )
                    )
                    continue
                file.write(_HEAD.pack(_MARK, len(record), zlib.crc32(record)) + record)
                end += _HEAD.size + len(record)
                results.append(None)
            file.flush()
            os.fsync(file.fileno())
            self._known = (generation, end)
        return results

    def _whole_end(self, generation: int, size: int) -> int:
        """Return where the last whole record ends; another process may have added some, or died in the middle."""
        known_generation, end = self._known
        if known_generation != generation or end > size:
            end = 0
        if size == end:
            return size
        with self._records.open("rb") as file:
            while (record := _record_at(file.fileno(), end)) is not None:
                end += _HEAD.size + len(record)
        return end

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._make()
        with (self._folder / "writer").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._records.exists():
            descriptor = os.open(self._records, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
            os.close(descriptor)
            self._sync_folder()

    def _read_place(self) -> tuple[int, int]:
        """Return how often the file began anew, and up to where it was read since."""
        try:
            data = self._place.read_bytes()
        except FileNotFoundError:
            return 0, 0
        generation, place = _PLACE.unpack(data)
        return generation, place if place <= self._records.stat().st_size else 0

    def _put_place(self, generation: int, place: int) -> None:
        fresh = self._folder / "place.new"
        with fresh.open("wb") as file:
            file.write(_PLACE.pack(generation, place))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._place)
        self._sync_folder()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _record_at(descriptor: int, place: int) -> bytes | None:
    """Return the record that begins at a place, None where none is whole."""
    head = os.pread(descriptor, _HEAD.size, place)
    if len(head) < _HEAD.size:
        return None
    mark, length, checksum = _HEAD.unpack(head)
    if mark != _MARK or length > _LARGEST:
        return None
    record = os.pread(descriptor, length, place + _HEAD.size)
    return record if len(record) == length and zlib.crc32(record) == checksum else None
