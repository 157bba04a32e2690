"""What the chain keeps of audit records: their hashes, so that a record may go and the chain still holds; pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fettle.evidence.canonical import NotCanonicalError, canonical
from fettle.evidence.content import i_json

KIND: Final = "audit"
"""What a bundle of audit records has in place of an incident's id."""

_PREFIX: Final = b"fettle.audit.record/1\n"
_FIELDS: Final = (
    "id", "tenant_id", "actor", "action", "target_type", "target_id", "before", "after", "address", "request_id",
    "occurred_at",
)  # fmt: skip


@dataclass(slots=True)
class AuditReport:
    """What the comparison of an audit export with a chain found.

    Attributes:
        held: Records that are what was sealed.
        changed: Ids of records that are not what was sealed.
        unsealed: Ids of records that no bundle names; the newest may not be sealed yet.
        absent: Records that were sealed and are not in the export: left out by a filter, or past their retention.
    """

    held: int = 0
    changed: list[str] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)
    absent: int = 0

    @property
    def ok(self) -> bool:
        """Say whether no record was changed."""
        return not self.changed


def line_of(record: Mapping[str, Any]) -> bytes:
    """Return a record in the one form that is hashed and exported.

    Args:
        record: With its fields as JSON, the moment in RFC 3339.

    Raises:
        NotCanonicalError: It has no canonical form.
    """
    return canonical(i_json({name: record.get(name) for name in _FIELDS}))


def hash_of(line: bytes) -> str:
    """Return the hash of a record's line, in hex."""
    return hashlib.sha256(_PREFIX + line).hexdigest()


def content_of(lines: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
    """Return the content of a bundle of records.

    Args:
        lines: Each record's id and line.
    """
    return {
        "kind": KIND,
        "records": [{"id": record_id, "hash": hash_of(line)} for record_id, line in lines],
    }


def compare(bundles: Iterable[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]) -> AuditReport:
    """Compare exported records with the hashes in a chain that was verified.

    Args:
        bundles: Of the chain.
        records: Of the audit's export.
    """
    sealed: dict[str, str] = {}
    for bundle in bundles:
        content = bundle["content"]
        if content.get("kind") == KIND:
            sealed |= {entry["id"]: entry["hash"] for entry in content["records"]}
    report = AuditReport()
    for record in records:
        record_id = str(record.get("id"))
        expected = sealed.pop(record_id, None)
        if expected is None:
            report.unsealed.append(record_id)
        elif _hash_of_record(record) == expected:
            report.held += 1
        else:
            report.changed.append(record_id)
    report.absent = len(sealed)
    return report


def _hash_of_record(record: Mapping[str, Any]) -> str | None:
    try:
        return hash_of(canonical(dict(record)))
    except NotCanonicalError:
        return None
