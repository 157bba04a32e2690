"""Runs programs for runbooks: argument arrays without a shell, a clean environment, bounded in time and output."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fettle.tools.registry import ToolError

MAX_OUTPUT_BYTES: Final = 8_192
_CHUNK_BYTES: Final = 4_096
_PATIENCE_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.02

# Started through a process that ends at once, so that what keeps running is nobody's child and outlives us.
_DETACH: Final = (
    "import os,sys\n"
    "child=os.fork()\n"
    "if child:\n"
    "    print(child); sys.stdout.flush(); os._exit(0)\n"
    "os.setsid()\n"
    "null=os.open(os.devnull,os.O_RDWR)\n"
    "os.dup2(null,0); os.dup2(null,1); os.dup2(null,2)\n"
    "os.execv(sys.argv[1],sys.argv[1:])\n"
)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended."""

    exit_status: int
    stdout: str
    stderr: str


async def run(argv: Sequence[str], folder: str, timeout_seconds: float) -> Finished:
    """Run a program to its end; it and whatever it started are killed when the time is up.

    Raises:
        ToolError: It cannot be started, or takes too long.
    """
    process = await _start(argv, folder)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(timeout_seconds):
            stdout, stderr = await asyncio.gather(_bounded(process.stdout), _bounded(process.stderr))
            status = await process.wait()
    except TimeoutError:
        raise ToolError(
            "timeout", f"{argv[0]} took longer than {timeout_seconds:g} s and was ended"
        ) from None
    finally:
        _kill_group(process.pid)
        if process.returncode is None:
            await process.wait()
    return Finished(status, stdout, stderr)


async def start_detached(argv: Sequence[str], folder: str) -> int:
    """Start a program that keeps running by itself; returns its process id.

    Raises:
        ToolError: It cannot be started.
    """
    if not os.access(argv[0], os.X_OK):
        raise ToolError("command", f"{argv[0]} is not there or cannot be executed")
    helper = await _start([sys.executable, "-I", "-S", "-c", _DETACH, *argv], folder)
    assert helper.stdout is not None
    text = await helper.stdout.read(64)
    await helper.wait()
    if not text.strip().isdigit():
        raise ToolError("command", f"{argv[0]} could not be started")
    return int(text)


def alive(pid: int, folder: str) -> bool:
    """Say whether a process lives and works in the folder, so that a reused process id is not mistaken for it."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError, OverflowError):
        return False
    process = Path(f"/proc/{pid}")
    if not process.exists():
        return True
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and (process / "cwd").readlink().is_relative_to(folder)
    except OSError:
        return False


async def stop(pid: int, folder: str) -> None:
    """End a process of the folder: asked first, then made to."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
        for _ in range(int(_PATIENCE_SECONDS / _POLL_SECONDS)):
            if not alive(pid, folder):
                return
            await asyncio.sleep(_POLL_SECONDS)


async def _start(argv: Sequence[str], folder: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": folder},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            close_fds=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "an argument holds U+0000"
        raise ToolError("command", f"{argv[0]} could not be started: {reason}") from None


async def _bounded(stream: asyncio.StreamReader) -> str:
    kept = bytearray()
    while chunk := await stream.read(_CHUNK_BYTES):
        kept += chunk[: max(0, MAX_OUTPUT_BYTES - len(kept))]
    return kept.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
