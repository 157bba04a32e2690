"""Reads advisories in OSV's form from files, folders and archives, and says which components they are about.

A file comes from outside: an archive is read entry by entry, under bounds of really unpacked bytes, and nothing of it
is ever written to disk.
"""

import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ValidationError

from fettle.central.components.inventory import Component, Kind
from fettle.central.components.versions import ORDERS, UnclearVersionError, first_fix, is_in_range, is_listed
from fettle.kernel.archives import DAMAGED, UNSUPPORTED, open_plain

MAX_ENTRIES: Final = 1_000_000
MAX_ADVISORY_BYTES: Final = 8_000_000
MAX_TOTAL_BYTES: Final = 4_000_000_000
MAX_DIRECTORY_BYTES: Final = 100_000_000

_ECOSYSTEMS: Final[Mapping[str, Kind]] = {"PyPI": "pypi", "npm": "npm"}
_LONGEST_TEXT: Final = 200
_SHOWN_UNREAD: Final = 5


class AdvisoriesError(Exception):
    """A file of advisories cannot be used; the text is one line that says why."""


class _Package(BaseModel):
    ecosystem: str = ""
    name: str = ""


class _Range(BaseModel):
    type: str = ""
    events: list[dict[str, str]] = []


class _Affected(BaseModel):
    package: _Package | None = None
    ranges: list[_Range] | None = None
    versions: list[str] | None = None


class _Advisory(BaseModel):
    id: str
    withdrawn: str | None = None
    aliases: list[str] | None = None
    summary: str = ""
    affected: list[_Affected] | None = None
    database_specific: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A component that an advisory is about.

    Attributes:
        component: The component.
        advisory: The advisory's id.
        aliases: Its other ids, such as that of the CVE.
        severity: As the advisory's source calls it; empty where it does not.
        summary: What is wrong.
        mended_in: The first version in which it is not; empty where none is known.
        is_unclear: Whether the component is affected cannot be told: a version is written as nobody else does.
    """

    component: Component
    advisory: str
    aliases: tuple[str, ...]
    severity: str
    summary: str
    mended_in: str
    is_unclear: bool = False


@dataclass(slots=True)
class Judged:
    """What came of some files of advisories.

    Attributes:
        faults: What the components have.
        read: How many advisories there were for each ecosystem that we have components of.
        withdrawn: How many of all were taken back.
        unread: How many could not be read.
        unread_shown: The first of them, with the reason.
    """

    faults: list[Fault] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_ECOSYSTEMS, 0))
    withdrawn: int = 0
    unread: int = 0
    unread_shown: list[str] = field(default_factory=list)


def judge(components: Iterable[Component], paths: Iterable[Path]) -> Judged:
    """Say which components have known faults.

    Args:
        components: Of this installation.
        paths: An advisory (``.json``), a folder of them, or an archive as osv.dev exports it (``all.zip``).

    Raises:
        AdvisoriesError: A file is not there, is damaged or out of bounds, or there is no advisory in any.
        OSError: A file cannot be read.
    """
    by_name: dict[tuple[str, str], list[Component]] = {}
    for component in components:
        by_name.setdefault((component.kind, _normal(component.kind, component.name)), []).append(component)
    judged = Judged()
    for path in paths:
        for name, content in _entries(path):
            try:
                advisory = _Advisory.model_validate_json(content)
            except ValidationError as error:
                judged.unread += 1
                if len(judged.unread_shown) < _SHOWN_UNREAD:
                    judged.unread_shown.append(f"{plain(name)}: {plain(error.errors()[0]['msg'])}")
                continue
            _judge(advisory, by_name, judged)
    if not (sum(judged.read.values()) or judged.unread):
        raise AdvisoriesError("there is no advisory about PyPI or npm in it; name the export of one of them.")
    judged.faults = _each_once(judged.faults)
    return judged


def plain(text: str) -> str:
    """Return a text of others as one short line that no terminal takes for a command."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:_LONGEST_TEXT]).strip()


def _judge(advisory: _Advisory, by_name: Mapping[tuple[str, str], list[Component]], judged: Judged) -> None:
    listed = [
        (ecosystem, one)
        for one in advisory.affected or []
        if one.package is not None and (ecosystem := one.package.ecosystem.partition(":")[0]) in _ECOSYSTEMS
    ]
    for ecosystem in {name for name, _ in listed}:
        judged.read[ecosystem] += 1
    if advisory.withdrawn is not None:
        judged.withdrawn += 1
        return
    for ecosystem, one in listed:
        kind = _ECOSYSTEMS[ecosystem]
        name = _normal(kind, one.package.name if one.package is not None else "")
        for component in by_name.get((kind, name), ()):
            fault = _fault(component, advisory, one, ecosystem)
            if fault is not None:
                judged.faults.append(fault)


def _fault(component: Component, advisory: _Advisory, affected: _Affected, ecosystem: str) -> Fault | None:
    order = ORDERS[ecosystem]
    ranges = [one.events for one in affected.ranges or [] if one.type != "GIT"]
    is_hit, is_unclear, mended_in = False, False, ""
    try:
        is_hit = is_listed(component.version, affected.versions or [], order)
    except UnclearVersionError:
        is_unclear = True
    for events in ranges:
        try:
            if is_in_range(component.version, events, order):
                is_hit, mended_in = True, mended_in or first_fix(component.version, events, order)
        except UnclearVersionError:
            is_unclear = True
    if not (is_hit or is_unclear):
        return None
    if is_hit and not mended_in:
        mended_in = _fix_of(component.version, ranges, order)
    severity = (advisory.database_specific or {}).get("severity", "")
    return Fault(
        component,
        plain(advisory.id),
        tuple(plain(alias) for alias in advisory.aliases or ()),
        plain(severity) if isinstance(severity, str) else "",
        plain(advisory.summary),
        plain(mended_in),
        not is_hit,
    )


def _fix_of(version: str, ranges: Iterable[list[dict[str, str]]], order: Any) -> str:
    for events in ranges:
        try:
            if found := first_fix(version, events, order):
                return found
        except UnclearVersionError:
            continue
    return ""


def _each_once(faults: Iterable[Fault]) -> list[Fault]:
    """Return each fault of a component once, what is sure before what is unclear."""
    kept: dict[tuple[str, str], Fault] = {}
    for fault in sorted(faults, key=lambda one: one.is_unclear):
        kept.setdefault((fault.component.url, fault.advisory), fault)
    return sorted(
        kept.values(),
        key=lambda one: (one.component.kind, one.component.name, one.component.version, one.advisory),
    )


def _normal(kind: Kind, name: str) -> str:
    return canonicalize_name(name) if kind == "pypi" else name


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each advisory."""
    if path.is_dir():
        yield from _of_folder(path)
    elif path.suffix == ".json":
        with path.open("rb") as stream:
            yield path.name, _Budget(path).take(path.name, stream)
    else:
        yield from _of_archive(path)


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    budget = _Budget(folder)
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            if path.suffix == ".json" and path.is_file():
                with path.open("rb") as stream:
                    yield name, budget.take(name, stream)


def _of_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    budget = _Budget(path)
    try:
        with zipfile.ZipFile(_Bounded(path)) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".json"):
                    continue
                with open_plain(archive, member) as stream:
                    yield member.filename, budget.take(member.filename, stream)
    except (*DAMAGED, UNSUPPORTED) as error:
        raise AdvisoriesError(f"{path} cannot be read as a zip archive: {plain(str(error))}.") from None


class _Budget:
    """Counts what was really unpacked, and stops at the first that is out of bounds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = 0
        self._total = 0

    def take(self, name: str, stream: Any) -> bytes:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise AdvisoriesError(f"{self._path} holds more than {MAX_ENTRIES} advisories.")
        content: bytes = stream.read(MAX_ADVISORY_BYTES + 1)
        if len(content) > MAX_ADVISORY_BYTES:
            raise AdvisoriesError(f"{self._path}: {plain(name)} is larger than {MAX_ADVISORY_BYTES} bytes.")
        self._total += len(content)
        if self._total > MAX_TOTAL_BYTES:
            raise AdvisoriesError(f"{self._path} is larger than {MAX_TOTAL_BYTES} bytes unpacked.")
        return content


class _Bounded(io.FileIO):
    """An archive's file of which nobody reads very much at once: its own directory is as large as it says."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self._size - self.tell() if size is None or size < 0 else size
        if wanted > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"its directory is larger than {MAX_DIRECTORY_BYTES} bytes")
        return super().read(wanted) or b""
