"""Takes a pack's files out of a folder or an archive, within limits and without ever writing to disk.

An archive comes from outside: it is told by its first bytes and not by its name, its members are read one by
one under a budget of really unpacked bytes (what its headers claim counts for nothing), and a name that could
mean a place outside the pack, a link or a device ends the reading.
"""

import gzip
import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Protocol

from fettle.kernel.archives import DAMAGED, UNSUPPORTED, open_plain
from fettle.packs.problems import PackInvalid, refuse

MAX_ARCHIVE_BYTES: Final = 4_000_000
MAX_FILE_BYTES: Final = 1_000_000
MAX_TOTAL_BYTES: Final = 16_000_000
MAX_FILES: Final = 1_000
MAX_NAME: Final = 200
SIGNATURE_FILE: Final = "signature.json"

PackFiles = dict[str, bytes]

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\Z")
_KINDS = (".yaml", ".md")
_FREE_NAMES = ("LICENSE", SIGNATURE_FILE)
_HEADERS_BYTES = 2_000 * MAX_FILES


def read_folder(folder: Path) -> PackFiles:
    """Return the files of a pack's folder by their path inside it.

    Hidden files and folders are passed over; links are refused, since they may lead outside.

    Raises:
        PackInvalid: The folder is not there, holds something that is no part of a pack, or too much.
    """
    if not folder.is_dir():
        raise refuse("", f"There is no folder {folder.name!r}.", "Name the folder that holds pack.yaml.")
    budget = _Budget()
    for path in sorted(_walk(folder)):
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as stream:
            budget.take(name, stream)
    return budget.files


def read_archive(data: bytes) -> PackFiles:
    """Return the files of a pack's archive (zip, tar or tar.gz) by their path inside the pack.

    The pack may stand in one folder at the top of the archive.

    Raises:
        PackInvalid: It is no such archive, it is damaged, or it holds what a pack may not hold.
    """
    if len(data) > MAX_ARCHIVE_BYTES:
        raise refuse("", f"The archive is larger than {MAX_ARCHIVE_BYTES} bytes.", "Send a smaller pack.")
    budget = _Budget()
    try:
        if data[:2] == b"PK":
            _read_zip(data, budget)
        elif data[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(data)) as stream:
                _read_tar(stream, budget)
        else:
            _read_tar(io.BytesIO(data), budget)
    except (*DAMAGED, tarfile.TarError, OSError, IndexError) as error:
        raise refuse(
            "", f"The archive cannot be read: {error}.", "Pack it again as zip, tar or tar.gz."
        ) from None
    except UNSUPPORTED as error:
        raise refuse(
            "", f"The archive cannot be read: {error}.", "Use plain deflate and no password."
        ) from None
    return _without_top_folder(budget.files)


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class _Budget:
    """Collects files and stops at the first that is out of bounds."""

    def __init__(self) -> None:
        self.files: PackFiles = {}
        self._total = 0

    def take(self, name: str, stream: IO[bytes]) -> None:
        check_name(name)
        if name in self.files:
            raise refuse(name, "The file stands in the archive twice.", "Pack it once.")
        if len(self.files) >= MAX_FILES:
            raise refuse("", f"The pack holds more than {MAX_FILES} files.", "Put several items in one file.")
        data = stream.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise refuse(name, f"The file is larger than {MAX_FILE_BYTES} bytes.", "Split it.")
        self._total += len(data)
        if self._total > MAX_TOTAL_BYTES:
            raise refuse("", f"The pack is larger than {MAX_TOTAL_BYTES} bytes unpacked.", "Make it smaller.")
        self.files[name] = data


def check_name(name: str) -> None:
    """Refuse a path that is not plainly inside the pack, or not of a kind that packs hold.

    Raises:
        PackInvalid: With the name as the file at fault.
    """
    shown = name[:MAX_NAME].encode("unicode_escape").decode()
    parts = name.split("/")
    if len(name) > MAX_NAME or len(parts) > 4 or not all(_PART.match(part) for part in parts):  # noqa: PLR2004 - section, two folders, file
        raise refuse(
            shown,
            "The path is not one that a pack may hold.",
            "Use relative paths of letters, digits, dot, hyphen and underscore, at most three folders deep.",
        )
    if not name.endswith(_KINDS) and parts[-1] not in _FREE_NAMES:
        raise refuse(
            shown,
            "A pack holds no file of this kind.",
            "Keep .yaml and .md files, LICENSE and signature.json.",
        )


def _walk(folder: Path) -> Iterator[Path]:
    seen = 0
    pending = [folder]
    while pending:
        for path in pending.pop().iterdir():
            if path.name.startswith("."):
                continue
            seen += 1
            if seen > 2 * MAX_FILES:
                raise refuse(
                    "", f"The folder holds more than {MAX_FILES} files.", "Name the pack's own folder."
                )
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                pending.append(path)
            elif stat.S_ISREG(mode):
                yield path
            else:
                raise refuse(
                    path.relative_to(folder).as_posix(),
                    "This is a link or a device, not a file.",
                    "Put the file itself there.",
                )


def _read_zip(data: bytes, budget: _Budget) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > 2 * MAX_FILES:
            raise refuse("", f"The archive holds more than {MAX_FILES} files.", "Pack only the pack.")
        for member in members:
            # zipfile rewrites back-slashes and cuts at NUL; the name as it was written is what is judged.
            name = member.orig_filename
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _not_a_file(name)
            if name.endswith("/"):
                _check_folder(name)
                continue
            with open_plain(archive, member) as stream:
                budget.take(name, stream)


def _read_tar(stream: _Readable, budget: _Budget) -> None:
    limited = _LimitedStream(stream, MAX_TOTAL_BYTES + _HEADERS_BYTES)
    with tarfile.open(fileobj=limited, mode="r|", format=tarfile.PAX_FORMAT) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isdir():
                if name not in ("", "."):
                    _check_folder(name + "/")
                continue
            if not member.isreg() or member.issparse():
                raise _not_a_file(name)
            content = archive.extractfile(member)
            if content is None:
                raise _not_a_file(name)
            budget.take(name, content)


class _LimitedStream(io.RawIOBase):
    """A stream that ends with an error rather than give more than its share."""

    def __init__(self, stream: _Readable, most: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = most

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise refuse("", f"The archive unpacks to more than {MAX_TOTAL_BYTES} bytes.", "Make it smaller.")
        return data


def _not_a_file(name: str) -> PackInvalid:
    shown = name[:MAX_NAME].encode("unicode_escape").decode()
    return refuse(shown, "This member is a link or a device, not a file.", "Pack plain files only.")


def _check_folder(name: str) -> None:
    check_name(f"{name}x.yaml")


def _without_top_folder(files: PackFiles) -> PackFiles:
    tops = {name.split("/", 1)[0] for name in files}
    if "pack.yaml" in files or len(tops) != 1:
        return files
    top = f"{tops.pop()}/"
    if f"{top}pack.yaml" not in files:
        return files
    return {name.removeprefix(top): data for name, data in files.items()}
