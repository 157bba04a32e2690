"""The demo's sandbox: a folder with a service that is broken on purpose, so that something can be healed.

Nothing here, and nothing that heals it, touches a path outside the folder.
"""

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fettle.fleet.observation import Observation, failed, passed, unknown

CONFIG: Final = "service/app.conf"
POLICY: Final = "managed/policy.txt"
PRISTINE: Final = "pristine/policy.txt"
PROGRAM: Final = "bin/heartbeat"
PID_FILE: Final = "run/heartbeat.pid"

WATCHED: Final = "run/watched"

CONFIG_MODE: Final = 0o640
_BROKEN_MODE: Final = 0o666
_PATIENCE_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.02

_CONFIG_TEXT: Final = "# The demo service's settings.\nlisten = 127.0.0.1\ntoken_file = secret.key\n"
_POLICY_TEXT: Final = "# Managed: changes are undone.\nremote_access = denied\naudit = on\n"
_PROGRAM_TEXT: Final = """\
#!/bin/sh
# A service that only says that it lives. It ends when nobody has watched it for a minute, so that a demo
# that is over leaves nothing behind, whoever started the service last.
cd "$(dirname "$0")/.." || exit 1
echo "$$" > run/heartbeat.pid
while [ -n "$(find run/watched -mmin -1 2>/dev/null)" ]; do
  date > run/heartbeat.beat
  sleep 1
done
"""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One sandbox folder.

    Attributes:
        root: The folder; every path is inside it.
    """

    root: Path

    def make(self) -> None:
        """Make the folder, its files as they should be, and start its process; what is in order stays."""
        for folder in ("service", "managed", "pristine", "bin", "run"):
            (self.root / folder).mkdir(parents=True, exist_ok=True, mode=0o750)
        for name, text, mode in (
            (CONFIG, _CONFIG_TEXT, CONFIG_MODE),
            (PRISTINE, _POLICY_TEXT, 0o440),
            (POLICY, _POLICY_TEXT, 0o640),
            (PROGRAM, _PROGRAM_TEXT, 0o750),
        ):
            self._write(name, text, mode)
        self.watch()
        if self.process() is None:
            self.start_process()

    def watch(self) -> None:
        """Note that somebody watches the sandbox now: its service ends by itself a minute after the last."""
        (self.root / WATCHED).touch()

    def start_process(self) -> int:
        """Start the service and return its process id when it has noted it."""
        child = subprocess.Popen(  # noqa: S603 - our own program, in our own folder
            [str(self.root / PROGRAM)],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.process() is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return child.pid

    def process(self) -> int | None:
        """Return the service's process id, or None when it does not run."""
        try:
            pid = int((self.root / PID_FILE).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return pid if self._is_ours(pid) else None

    def stop_process(self) -> None:
        """End the service, if it runs."""
        pid = self.process()
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._is_ours(pid) and time.monotonic() < deadline:
            _reap(pid)
            time.sleep(_POLL_SECONDS)

    def break_(self, check_type: str) -> str:
        """Break what a check looks after, and say what was done.

        Raises:
            KeyError: The sandbox has no such check.
        """
        return _BREAKS[check_type](self)

    def inspect(self, check_type: str) -> Observation:
        """Look at what a check looks after.

        Raises:
            KeyError: The sandbox has no such check.
        """
        try:
            return SANDBOX_CHECKS[check_type](self)
        except OSError as error:
            return unknown(f"The sandbox could not be looked at: {error.strerror}.", root=str(self.root))

    def _write(self, name: str, text: str, mode: int) -> None:
        path = self.root / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        if path.exists() and not os.access(path, os.W_OK):
            path.chmod(0o640)
        with os.fdopen(os.open(path, flags, mode), "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)

    def _is_ours(self, pid: int) -> bool:
        process = Path(f"/proc/{pid}")
        if not Path("/proc/self").exists():
            return _answers_signals(pid)
        try:
            words = (process / "cmdline").read_bytes()
            return b"bin/heartbeat" in words and (process / "cwd").readlink() == self.root.resolve()
        except OSError:
            return False


def _break_config(sandbox: Sandbox) -> str:
    (sandbox.root / CONFIG).chmod(_BROKEN_MODE)
    return f"made {CONFIG} writable by everybody ({_BROKEN_MODE:04o})"


def _break_policy(sandbox: Sandbox) -> str:
    sandbox._write(POLICY, _POLICY_TEXT.replace("denied", "allowed"), 0o640)  # noqa: SLF001 - same file's class
    return f"changed {POLICY}: remote access allowed"


def _break_process(sandbox: Sandbox) -> str:
    sandbox.stop_process()
    return f"killed {PROGRAM}"


def _inspect_config(sandbox: Sandbox) -> Observation:
    entry = (sandbox.root / CONFIG).lstat()
    if not stat.S_ISREG(entry.st_mode):
        return failed(f"{CONFIG} is not a regular file.", path=CONFIG)
    mode = f"{stat.S_IMODE(entry.st_mode):04o}"
    wanted = f"{CONFIG_MODE:04o}"
    if mode != wanted:
        return failed(f"{CONFIG} has mode {mode}, {wanted} is wanted.", path=CONFIG, mode=mode, wanted=wanted)
    return passed(f"{CONFIG} has mode {mode}.", path=CONFIG, mode=mode, wanted=wanted)


def _inspect_policy(sandbox: Sandbox) -> Observation:
    managed, pristine = sandbox.root / POLICY, sandbox.root / PRISTINE
    if not managed.is_file() or managed.read_bytes() != pristine.read_bytes():
        return failed(f"{POLICY} differs from its pristine copy.", path=POLICY, pristine=PRISTINE)
    return passed(f"{POLICY} is as it should be.", path=POLICY, pristine=PRISTINE)


def _inspect_process(sandbox: Sandbox) -> Observation:
    pid = sandbox.process()
    if pid is None:
        return failed(f"{PROGRAM} does not run.", program=PROGRAM, running=False)
    return passed(f"{PROGRAM} runs as process {pid}.", program=PROGRAM, running=True, pid=pid)


def _answers_signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


SANDBOX_CHECKS: Final[Mapping[str, Callable[[Sandbox], Observation]]] = MappingProxyType(
    {
        "sandbox_config_mode": _inspect_config,
        "sandbox_managed_file": _inspect_policy,
        "sandbox_process": _inspect_process,
    }
)

_BREAKS: Final[Mapping[str, Callable[[Sandbox], str]]] = MappingProxyType(
    {
        "sandbox_config_mode": _break_config,
        "sandbox_managed_file": _break_policy,
        "sandbox_process": _break_process,
    }
)
