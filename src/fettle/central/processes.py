"""Starting child processes so that none outlives its parent, and none runs as root that need not."""

import ctypes
import fcntl
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

_PR_SET_PDEATHSIG: Final = 1
_ACCOUNTS: Final = ("fettle", "postgres", "nobody")


class StartError(Exception):
    """Something cannot be started; the text is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that a server runs as when Fettle itself runs as root.

    Attributes:
        name: Its name.
        uid: Its user id.
        gid: Its primary group's id.
    """

    name: str
    uid: int
    gid: int


def unprivileged_account(owner_of: Path) -> Account | None:
    """Return the account that servers run as, or None where we are not root and they run as ourselves.

    No account is created: ``fettle`` is taken where the operator made one, else ``postgres``, else
    ``nobody``. A folder that has an owner already keeps it.

    Args:
        owner_of: A data folder; its owner wins when it is not root.

    Raises:
        StartError: We are root, and there is none of these accounts.
    """
    if os.geteuid() != 0:
        return None
    if owner_of.exists() and owner_of.stat().st_uid != 0:
        entry = pwd.getpwuid(owner_of.stat().st_uid)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise StartError(
        "PostgreSQL refuses to run as root, and there is no account to run it as: useradd --system fettle"
    )


def let_through(path: Path, account: Account | None) -> list[Path]:
    """Let an account pass through the folders above a path, and return those that had to be opened.

    Only the right to pass is given, not the right to list: a folder of mode 0700 becomes 0711.
    """
    if account is None:
        return []
    opened = []
    for folder in path.resolve().parents:
        entry = folder.stat()
        if entry.st_uid == account.uid or entry.st_mode & stat.S_IXOTH:
            continue
        folder.chmod(stat.S_IMODE(entry.st_mode) | stat.S_IXOTH)
        opened.append(folder)
    return opened


def own_folder(path: Path, account: Account | None) -> None:
    """Make a folder that only its owner may enter, and give it to the account."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    if account is not None:
        os.chown(path, account.uid, account.gid)


def die_with_parent(with_signal: signal.Signals) -> Callable[[], None] | None:
    """Return what a child runs before it starts, so that the kernel signals it when its parent dies.

    Linux only. The signal is bound to the thread that starts the child: start children from a thread
    that lives as long as they shall.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arm


def spawn(
    argv: Sequence[str],
    *,
    log: IO[bytes] | None,
    end_signal: signal.Signals,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C reaches the supervisor alone.

    Args:
        argv: Program and arguments.
        log: Where its output goes; None lets it write where we write.
        end_signal: What the kernel sends it when we are killed.
        account: Whom it runs as, when not as ourselves.
        env: Its whole environment; None hands ours down.
        cwd: Its folder.
        pass_fds: Our open files that it gets.

    Raises:
        StartError: The program cannot be started.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - argv is ours, and no shell reads it
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT if log is not None else None,
            start_new_session=True,
            preexec_fn=die_with_parent(end_signal),  # noqa: PLW1509 - only prctl, which takes no lock
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            umask=0o077,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            pass_fds=pass_fds,
        )
    except OSError as error:
        raise StartError(f"{argv[0]} could not be started: {error.strerror}") from error


def end(process: subprocess.Popen[bytes], end_signal: signal.Signals, *, patience_seconds: float) -> int:
    """Ask a child to end, kill it when it does not, and return its exit status."""
    if process.poll() is None:
        process.send_signal(end_signal)
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


class FileLock:
    """A lock that the kernel lets go of when its holder dies, whatever kills it.

    Args:
        path: The lock's file; it holds the holder's process id.
        taken: What to say when another process has it; ``{pid}`` is filled in.
    """

    def __init__(self, path: Path, *, taken: str) -> None:
        self.path = path
        self._taken = taken
        self._file: IO[str] | None = None

    def acquire(self) -> Self:
        """Take the lock.

        Raises:
            StartError: Another process has it.
        """
        file = self.path.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "?"
            file.close()
            raise StartError(self._taken.format(pid=holder)) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return self

    def release(self) -> None:
        """Let go; a lock that is not held is left alone."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(self, *_exc: object) -> None:
        self.release()
