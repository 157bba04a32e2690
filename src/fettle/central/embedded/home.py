"""What both embedded servers stand on: their home, the folder of their sockets, and what a server said last."""

import hashlib
import os
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fettle.central.processes import Account, StartError, let_through, own_folder

PATIENCE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02

_LONGEST_SOCKET: Final = 103
"""Bytes of a socket's path: 107 on Linux, 103 on macOS."""


def socket_folder(home: Path) -> Path:
    """Return where the sockets of a home are: in it, or, when that path is too long, in a short folder.

    The same home always gives the same folder, so that another process finds a running server.
    """
    inside = home.resolve() / "run"
    if len(os.fsencode(inside / ".s.PGSQL.5432.lock")) <= _LONGEST_SOCKET:
        return inside
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    digest = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
    return Path(base) / f"fettle-{os.geteuid()}-{digest}"


def make_home(home: Path) -> None:
    """Make a home that others cannot read.

    Raises:
        StartError: It cannot be made.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "logs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartError(f"{home} cannot be used as FETTLE_HOME: {error.strerror}") from error


def package_folder(name: str) -> Path:
    """Return the folder of an installed package.

    Raises:
        StartError: It is not installed.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StartError(f"the package {name} is not installed; run: make setup")
    return Path(spec.origin).resolve().parent


def own_socket_folder(home: Path, account: Account | None) -> Path:
    """Return the folder of a home's sockets, made for us alone.

    Raises:
        StartError: It is somebody else's.
    """
    folder = socket_folder(home)
    let_through(folder, account)
    ours = {os.geteuid(), account.uid if account else os.geteuid()}
    if folder.is_symlink() or (folder.exists() and folder.stat().st_uid not in ours):
        raise StartError(
            f"{folder} belongs to somebody else; remove it, or set FETTLE_HOME to a shorter path."
        )
    own_folder(folder, account)
    return folder


def last_line(log: Path, begin: int, pid: int | None = None) -> str:
    """Return what a program said last, of errors where there are any.

    Args:
        log: Where it writes.
        begin: Where its words begin.
        pid: Only what this process said; the last ones of an older server may still write into the same log.
    """
    with log.open("rb") as file:
        file.seek(begin)
        text = file.read().decode(errors="replace")
    if "No space left on device" in text:
        return "the disk is full"
    said = text.splitlines()
    own = said if pid is None else [line for line in said if f"[{pid}]" in line] or said
    telling = [line for line in own if re.search(r"FATAL|PANIC|error|Fatal", line)]
    lines = telling or own or ["it said nothing"]
    return lines[-1].strip()
