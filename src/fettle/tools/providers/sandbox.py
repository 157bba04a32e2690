"""Files below one folder and nowhere else: every path is walked component by component, and no link is followed."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final, Self

from fettle.tools.registry import ToolError

MAX_FILE_BYTES: Final = 1_000_000
_DEFAULT_MODE: Final = 0o640
_MAX_DEPTH: Final = 20
_PATH_ONLY: Final = getattr(os, "O_PATH", os.O_RDONLY)


class Sandbox:
    """A host's declared folder, and the paths in it that a runbook declares.

    The folder is opened once. A path is opened relative to it, one component after the other, and a symbolic
    link anywhere on the way is refused by the kernel; so is a file that has a second name, for that name may
    lie outside.

    Args:
        root: The folder.
        declared: Globs of what may be touched; `*` stays within one component, `**` does not.

    Raises:
        ToolError: The folder is not there.
    """

    def __init__(self, root: str, declared: Sequence[str]) -> None:
        self._declared = [glob.split("/") for glob in declared]
        try:
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ToolError("no_sandbox", f"the host's folder cannot be opened: {error.strerror}") from None
        self.path = os.path.realpath(root)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, path: str) -> list[str]:
        """Return a path's components.

        Raises:
            ToolError: It leads out of the folder, or the runbook does not declare it.
        """
        parts = path.split("/")
        if "\x00" in path or len(parts) > _MAX_DEPTH or any(part in ("", ".", "..") for part in parts):
            raise ToolError("path", f"{path!r} is no plain path below the host's folder")
        if not any(_matches(parts, glob) for glob in self._declared):
            raise ToolError("path", f"the runbook does not declare {path!r}")
        return parts

    def mode(self, path: str) -> int:
        """Return a file's permission bits."""
        with self._file(path) as descriptor:
            return stat.S_IMODE(os.fstat(descriptor).st_mode)

    def set_mode(self, path: str, mode: int) -> None:
        """Give a file these permission bits."""
        with self._file(path) as descriptor:
            if _PATH_ONLY == os.O_RDONLY:
                os.fchmod(descriptor, mode)
            else:
                os.chmod(f"/proc/self/fd/{descriptor}", mode)  # noqa: PTH101 - the descriptor is what was checked

    def read(self, path: str) -> bytes | None:
        """Return what a file holds, None when it is not there.

        Raises:
            ToolError: It is no plain file, or too large.
        """
        with self._parent(path) as (folder, name):
            try:
                descriptor = os.open(
                    name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
                )
            except FileNotFoundError:
                return None
            except OSError as error:
                raise _refused(path, error) from None
            with os.fdopen(descriptor, "rb") as file:
                _check_plain(path, os.fstat(descriptor))
                content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ToolError("file", f"{path} is larger than {MAX_FILE_BYTES} bytes")
        return content

    def write(self, path: str, content: bytes, mode: int | None = None) -> None:
        """Put a file in place whole; readers see the old content or the new.

        Args:
            path: Where.
            content: What it holds then.
            mode: Its permission bits; None keeps those that it has.

        Raises:
            ToolError: The path leads out of the folder, or what stands there is no plain file.
        """
        with self._parent(path) as (folder, name):
            with contextlib.suppress(FileNotFoundError):
                before = os.stat(name, dir_fd=folder, follow_symlinks=False)
                _check_plain(path, before)
                mode = stat.S_IMODE(before.st_mode) if mode is None else mode
            draft = f".{name}.{secrets.token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(draft, flags, 0o600, dir_fd=folder), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fchmod(file.fileno(), _DEFAULT_MODE if mode is None else mode)
                    os.fsync(file.fileno())
                os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.unlink(draft, dir_fd=folder)
                raise _refused(path, error) from None

    def remove(self, path: str) -> None:
        """Remove a file that is there."""
        with self._parent(path) as (folder, name), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)

    def program(self, path: str) -> str:
        """Return the absolute path of a program in the folder, once it is found to be a plain file there."""
        with self._file(path):
            return f"{self.path}/{path}"

    @contextlib.contextmanager
    def _file(self, path: str) -> Iterator[int]:
        with self._parent(path) as (folder, name):
            try:
                descriptor = os.open(name, _PATH_ONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            except OSError as error:
                raise _refused(path, error) from None
            try:
                _check_plain(path, os.fstat(descriptor))
                yield descriptor
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        *folders, name = self.check(path)
        current = os.dup(self._root)
        try:
            for folder in folders:
                try:
                    below = os.open(
                        folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current
                    )
                except OSError as error:
                    raise _refused(path, error) from None
                os.close(current)
                current = below
            yield current, name
        finally:
            os.close(current)


def _matches(parts: Sequence[str], glob: Sequence[str]) -> bool:
    if not glob:
        return not parts
    if glob[0] == "**":
        return any(_matches(parts[skip:], glob[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], glob[0]) and _matches(parts[1:], glob[1:])


def _check_plain(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ToolError("file", f"{path} is no plain file; links and devices are left alone")
    if found.st_nlink != 1:
        raise ToolError("file", f"{path} has a second name, which may lie outside; it is left alone")


def _refused(path: str, error: OSError) -> ToolError:
    return ToolError("file", f"{path}: {error.strerror}")
