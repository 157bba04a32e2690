"""What a check sees: its result, what was observed, and a view of the host that can only read."""

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

Result = Literal["pass", "fail", "unknown"]

_LARGEST_FILE_BYTES: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Observation:
    """The outcome of one check.

    Attributes:
        result: ``pass``, ``fail`` (drift), or ``unknown`` when it could not be found out.
        message: One sentence for people.
        observed: What was seen, as JSON.
    """

    result: Result
    message: str
    observed: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it as the output of the tool ``check.run``."""
        return {"result": self.result, "message": self.message, "observed": dict(self.observed)}


def passed(message: str, **observed: Any) -> Observation:
    """Return the observation of a state that is as desired."""
    return Observation("pass", message, observed)


def failed(message: str, **observed: Any) -> Observation:
    """Return the observation of drift."""
    return Observation("fail", message, observed)


def unknown(message: str, **observed: Any) -> Observation:
    """Return the observation of a state that could not be found out."""
    return Observation("unknown", message, observed)


@dataclass(frozen=True, slots=True)
class HostView:
    """A host as its checks may look at it: they read files and run programs that only report.

    Attributes:
        root: Where its file system begins.
        programs: Folders searched for programs; None: PATH and the system's own.
        deadline: ``time.monotonic()`` at which a long walk gives up.
    """

    root: Path = Path("/")
    programs: tuple[Path, ...] | None = None
    deadline: float = float("inf")

    def path(self, name: str) -> Path:
        """Return where an absolute path of the host is."""
        return self.root / name.lstrip("/")

    def shown(self, path: Path) -> str:
        """Return a path as the host itself calls it."""
        return "/" + str(path.relative_to(self.root))

    def text(self, name: str) -> str | None:
        """Return a file's text, or None when there is none or it may not be read."""
        path = self.path(name)
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None
            with path.open("rb") as file:
                return file.read(_LARGEST_FILE_BYTES).decode(errors="replace")
        except OSError:
            return None

    def kernel_value(self, name: str) -> str | None:
        """Return a value below ``/proc/sys``, by its dotted name."""
        return value.strip() if (value := self.text("/proc/sys/" + name.replace(".", "/"))) else None

    def matching(self, pattern: str) -> list[str]:
        """Return the host's paths that match an absolute glob, in order."""
        return sorted(self.shown(path) for path in self.root.glob(pattern.lstrip("/")))

    def walk(self, name: str) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield every file and folder below a path, links not followed.

        Raises:
            TimeoutError: The deadline has passed.
        """
        for folder, names, files in os.walk(self.path(name), followlinks=False):
            if time.monotonic() > self.deadline:
                raise TimeoutError
            for entry in (*names, *files):
                path = Path(folder) / entry
                try:
                    yield path, path.lstat()
                except OSError:
                    continue

    def report(self, argv: Sequence[str], *, timeout_seconds: float = 20.0) -> str | None:
        """Run a program that only reports, and return its output, or None when it fails or is missing."""
        search = os.pathsep.join(map(str, self.programs)) if self.programs is not None else _search_path()
        program = shutil.which(argv[0], path=search)
        if program is None:
            return None
        try:
            done = subprocess.run(  # noqa: S603 - argv is a constant of a check, and no shell reads it
                [program, *argv[1:]],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
                check=True,
                stdin=subprocess.DEVNULL,
                env={"PATH": search, "LC_ALL": "C", "LANG": "C"},
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout


def _search_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
