"""What differs between two versions of a pack, by rule, playbook, exception type and field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fettle.kernel.jsonio import escape_pointer
from fettle.packs.loading import DomainPack
from fettle.packs.schema import ITEM_KEYS

_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value that differs.

    Attributes:
        pointer: JSON pointer inside the item.
        before: The old value; None together with `added`.
        after: The new value; None together with `removed`.
        kind: ``added``, ``removed`` or ``changed``.
    """

    pointer: str
    kind: str
    before: Any
    after: Any

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"pointer": self.pointer, "kind": self.kind, "before": self.before, "after": self.after}


@dataclass(slots=True)
class SectionDiff:
    """What differs in one section.

    Attributes:
        added: Keys that are new.
        removed: Keys that are gone.
        changed: Keys that stayed, with what differs in them.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: dict[str, list[FieldChange]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "added": self.added,
            "removed": self.removed,
            "changed": {key: [change.document() for change in found] for key, found in self.changed.items()},
        }


@dataclass(frozen=True, slots=True)
class PackDiff:
    """What differs between two versions.

    Attributes:
        before: The old version.
        after: The new version.
        manifest: Fields of pack.yaml that differ.
        sections: What differs in each section, those with no difference left out.
    """

    before: str
    after: str
    manifest: tuple[FieldChange, ...]
    sections: Mapping[str, SectionDiff]

    @property
    def empty(self) -> bool:
        """Whether nothing differs but the version."""
        return not self.manifest and not self.sections

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "from": self.before,
            "to": self.after,
            "empty": self.empty,
            "manifest": [change.document() for change in self.manifest],
            "sections": {name: section.document() for name, section in self.sections.items()},
        }


def diff(before: DomainPack, after: DomainPack) -> PackDiff:
    """Compare two versions; the order of items and of keys does not count, that of a list's values does."""
    sections: dict[str, SectionDiff] = {}
    for name, key in ITEM_KEYS.items():
        section = _section(before, after, name, key)
        if section:
            sections[name] = section
    ignored = {*ITEM_KEYS, "version"}
    old = {name: value for name, value in before.content.items() if name not in ignored}
    new = {name: value for name, value in after.content.items() if name not in ignored}
    return PackDiff(before.version, after.version, tuple(_changes(old, new, "")), sections)


def changes(before: Any, after: Any) -> list[FieldChange]:
    """Return what differs between two JSON values."""
    return list(_changes(before, after, ""))


def _section(before: DomainPack, after: DomainPack, name: str, key: str) -> SectionDiff:
    old = {item[key]: item for item in before.section(name)}
    new = {item[key]: item for item in after.section(name)}
    section = SectionDiff(added=sorted(new.keys() - old.keys()), removed=sorted(old.keys() - new.keys()))
    for shared in sorted(old.keys() & new.keys()):
        changes = list(_changes(old[shared], new[shared], ""))
        if changes:
            section.changed[shared] = changes
    return section


def _changes(before: Any, after: Any, pointer: str) -> Iterator[FieldChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{pointer}/{escape_pointer(name)}"
            yield from _changes(before.get(name, _MISSING), after.get(name, _MISSING), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else _MISSING
            new = after[index] if index < len(after) else _MISSING
            yield from _changes(old, new, f"{pointer}/{index}")
    elif before is _MISSING:
        yield FieldChange(pointer, "added", None, after)
    elif after is _MISSING:
        yield FieldChange(pointer, "removed", before, None)
    elif before != after or isinstance(before, bool) is not isinstance(after, bool):
        yield FieldChange(pointer, "changed", before, after)
