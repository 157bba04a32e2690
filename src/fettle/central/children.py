"""The platform's own processes: started, watched, started again when one dies, and ended in order."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fettle.central.processes import end, spawn

_FIRST_BACKOFF_SECONDS: Final = 0.5
_LONGEST_BACKOFF_SECONDS: Final = 30.0
_GOOD_LIFE_SECONDS: Final = 30.0
_LARGEST_LOG_BYTES: Final = 64_000_000


@dataclass(slots=True)
class Child:
    """One of our own processes.

    Attributes:
        name: What it is called in notes and logs.
        argv: How it is started.
        log: Where it writes.
        env: Its environment.
        pass_fds: Open files that it inherits.
        patience_seconds: How long it may take to end.
    """

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str]
    pass_fds: Sequence[int] = ()
    patience_seconds: float = 20.0
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    _started_at: float = 0.0
    _due_at: float = 0.0
    _backoff_seconds: float = field(default=_FIRST_BACKOFF_SECONDS)

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = spawn(
                self.argv, log=log, end_signal=signal.SIGTERM, env=self.env, pass_fds=self.pass_fds
            )
        self._started_at = time.monotonic()

    def watch(self, note: Callable[[str], None]) -> None:
        """Start it again when it died, later each time that it dies soon; say so."""
        now = time.monotonic()
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return
            lived = now - self._started_at
            self._backoff_seconds = (
                _FIRST_BACKOFF_SECONDS
                if lived > _GOOD_LIFE_SECONDS
                else min(self._backoff_seconds * 2, _LONGEST_BACKOFF_SECONDS)
            )
            self._due_at = now + self._backoff_seconds
            self.process = None
            note(f"{self.name} ended ({_ending(status)}); it is started again. Its log: {self.log}")
        if now >= self._due_at:
            self.restarts += 1
            self.start()

    def stop(self) -> None:
        """End it and wait until it has."""
        if self.process is not None:
            end(self.process, signal.SIGTERM, patience_seconds=self.patience_seconds)

    def trim_log(self) -> None:
        """Put a log that grew large aside, once; the process goes on writing to the same file."""
        if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            with self.log.open("r+b") as log:
                log.truncate(0)


def own_process(part: str) -> list[str]:
    """Return how one of our parts is started."""
    return [sys.executable, "-m", "fettle.central.run", part]


def _ending(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
