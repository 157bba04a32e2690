"""An embedded server that runs: how it is ended, cleanly or as a crash would."""

import signal
import subprocess
from dataclasses import dataclass
from typing import ClassVar, Self

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
