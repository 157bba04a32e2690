"""Evidence as a file: JSON lines with everything that a reader needs to check it without us."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from fettle.evidence.canonical import canonical
from fettle.evidence.chain import ChainReport, Failure, Fault, verify
from fettle.evidence.signing import trusted_keys
from fettle.kernel.jsonio import dumps

EXPORT_FORMAT: Final = "fettle.evidence-export/1"
_LONGEST_LINE: Final = 8_000_000


class ExportError(Exception):
    """The file is no export of evidence; the text says what it is missing."""


class DuplicateKeyError(ValueError):
    """A JSON object names one key twice, which two readers may read differently."""


@dataclass(frozen=True, slots=True)
class ExportHeader:
    """The first line of an export.

    Attributes:
        keys: The installation's public keys at the time, oldest first. Their word is only as good as
            where the file came from: compare the oldest with one that came another way.
        rollovers: Statements by which one key handed over to the next.
        checkpoint: How long the chain was and what it ended in.
    """

    tenant_id: str
    exported_at: str
    keys: tuple[str, ...]
    rollovers: tuple[Mapping[str, Any], ...] = ()
    checkpoint: Mapping[str, Any] | None = None
    first_sequence: int = 1

    def line(self) -> bytes:
        """Return the header as the export's first line."""
        return dumps(
            {
                "format": EXPORT_FORMAT,
                "tenant_id": self.tenant_id,
                "exported_at": self.exported_at,
                "keys": list(self.keys),
                "rollovers": list(self.rollovers),
                "checkpoint": self.checkpoint,
                "first_sequence": self.first_sequence,
            }
        )


@dataclass(slots=True)
class Verification:
    """What `verify_export` found.

    Attributes:
        header: Of the file.
        report: Of its chain.
        pinned: The key or the checkpoint was given apart from the file; else the file vouches for itself.
    """

    header: ExportHeader
    report: ChainReport
    pinned: bool = field(default=False)


def verify_export(
    path: Path, *, keys: Iterable[str] = (), checkpoint: Mapping[str, Any] | None = None
) -> Verification:
    """Check an export with nothing but the file, and a key and checkpoint that the reader holds.

    Args:
        path: The file.
        keys: Trusted public keys in base64; none trusts the oldest key that the file names.
        checkpoint: The newest checkpoint that the reader holds; none uses the file's own.

    Raises:
        ExportError: It is no export.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        lines = iter(_lines(file))
        header = _header(next(lines, b""))
        anchors = list(keys) or list(header.keys[:1])
        trusted = trusted_keys(anchors, header.rollovers)
        report = verify(
            (parse_bundle(line) for line in lines),
            trusted,
            checkpoint=checkpoint if checkpoint is not None else header.checkpoint,
            first_sequence=header.first_sequence,
        )
    if report.ok and report.tenant_id not in {None, header.tenant_id}:
        failure = Failure(
            0, header.first_sequence, Fault.FOREIGN, "The bundles are not those of the header's tenant."
        )
        report = ChainReport(
            ok=False, checked=0, tenant_id=report.tenant_id, first_sequence=None, head=None, beyond_checkpoint=None,
            failure=failure,
        )  # fmt: skip
    return Verification(header, report, pinned=bool(list(keys)) or checkpoint is not None)


def parse_strict(line: bytes) -> Any:
    """Parse one line of JSON; an object that names a key twice is refused.

    Raises:
        ValueError: It is not JSON, or has a twin key.
    """
    try:
        return json.loads(line, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_bundle(line: bytes) -> Any:
    """Parse one bundle's line, which must be written canonically: no flipped bit leaves it to mean the same.

    Raises:
        ValueError: It is not JSON, has a twin key, or is written in another way than it was exported.
    """
    bundle = parse_strict(line)
    if canonical(bundle) != line.removesuffix(b"\n"):
        raise ValueError("it is not written as it was exported")
    return bundle


def _lines(file: BinaryIO) -> Iterator[bytes]:
    # No more of a line is read than may be in it, for the file may be anybody's and of any size.
    while line := file.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise ExportError("A line of the file is longer than any bundle can be.")
        if line.strip():
            yield line


def _header(line: bytes) -> ExportHeader:
    try:
        found = parse_strict(line)
        if found["format"] != EXPORT_FORMAT:
            raise ExportError(f"The file's format is {found['format']!r}, not {EXPORT_FORMAT!r}.")
        return ExportHeader(
            tenant_id=str(found["tenant_id"]),
            exported_at=str(found["exported_at"]),
            keys=tuple(str(key) for key in found["keys"]),
            rollovers=tuple(found["rollovers"]),
            checkpoint=found["checkpoint"],
            first_sequence=int(found["first_sequence"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        raise ExportError(
            "The file is no export of evidence: its first line is not an export's header."
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKeyError("an object names one key twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
