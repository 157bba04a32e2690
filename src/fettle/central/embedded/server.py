"""An embedded server that runs: how it is ended, cleanly or as a crash would."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from fettle.central.embedded.home import make_home
from fettle.central.processes import FileLock, end


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        process: Our child.
        lock: Of its data; nobody else starts a server on it meanwhile.
    """

    END_SIGNAL: ClassVar[signal.Signals]
    PATIENCE_SECONDS: ClassVar[float]

    process: subprocess.Popen[bytes]
    lock: FileLock

    def stop(self) -> None:
        """End it cleanly."""
        end(self.process, self.END_SIGNAL, patience_seconds=self.PATIENCE_SECONDS)
        self.lock.release()

    def kill(self) -> None:
        """End it as a crash would; the next start recovers."""
        self.process.kill()
        self.process.wait()
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()


@contextmanager
def starting(home: Path, name: str, called: str) -> Iterator[FileLock]:
    """Hold the lock of a server's data while it starts; it stays held where that succeeds.

    Args:
        home: The folder of data; it is made when missing.
        name: Of the lock's file.
        called: What the server is, to whoever finds it taken.

    Raises:
        StartError: The home cannot be made, or another Fettle has the lock.
    """
    make_home(home)
    lock = FileLock(
        home / f"{name}.lock",
        taken=f"another Fettle (process {{pid}}) uses the {called} in {home}; stop it, or set FETTLE_HOME.",
    ).acquire()
    try:
        yield lock
    except BaseException:  # Ctrl-C, too: a lock that stays held is of a server that runs
        lock.release()
        raise
