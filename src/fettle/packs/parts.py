"""The items of a pack, each knowing where it stands, for the checks to look each other up."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from fettle.packs.problems import Level, PackProblem
from fettle.packs.schema import ITEM_KEYS
from fettle.packs.schema_errors import closest
from fettle.packs.yaml_reader import Document, Path, pointer

Problems = Iterator[PackProblem]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a section and where it stands.

    Attributes:
        section: Such as ``rules``.
        document: The file it is in.
        base: Its path inside that file.
        value: Its plain data.
    """

    section: str
    document: Document
    base: Path
    value: Any

    @property
    def key(self) -> str:
        """What tells it from its neighbours: id, check_type or name."""
        return str(self.value[ITEM_KEYS[self.section]])

    def problem(self, path: Path, message: str, fix: str, level: Level = "error") -> PackProblem:
        """Return a problem at a path inside the item."""
        whole = (*self.base, *path)
        return PackProblem(self.document.file, self.document.line(whole), pointer(whole), message, fix, level)


class Parts:
    """The items of a pack by section and key, for the checks to look each other up."""

    def __init__(self, manifest: Item, items: Sequence[Item], tools: Collection[str] | None) -> None:
        self.manifest = manifest
        self.items = items
        self.installed_tools = tools
        self.tools: Sequence[str] = manifest.value.get("tools", [])
        self._by_section: dict[str, dict[str, Item]] = {section: {} for section in ITEM_KEYS}
        for item in items:
            self._by_section[item.section].setdefault(item.key, item)

    def section(self, name: str) -> Mapping[str, Item]:
        """Return a section's items by key."""
        return self._by_section[name]

    def unknown(self, section: str, key: str) -> tuple[str, str] | None:
        """Return message and fix when a section has no such item."""
        known = self._by_section[section]
        if key in known:
            return None
        noun = section.rstrip("s").replace("_", " ")
        hint = closest(key, list(known)) or f" Add it under {section}/ or name another."
        return f"There is no {noun} '{key}' in this pack.", f"Correct the name.{hint}"

    def unknown_tool(self, name: str) -> tuple[str, str] | None:
        """Return message and fix when the manifest does not list a tool."""
        if name in self.tools:
            return None
        return (
            f"The tool '{name}' is not among the pack's tools.",
            f"Add it to tools in pack.yaml, or correct the name.{closest(name, self.tools)}",
        )


def dotted_path(text: str) -> Path:
    """Return a place such as ``conditions[1].value`` as a path."""
    words = text.replace("]", "").replace("[", ".").split(".")
    return tuple(int(word) if word.isdigit() else word for word in words if word)


def parameter_problems(item: Item) -> Problems:
    """Yield what is wrong with the JSON Schemas of an item's parameters."""
    for name, schema in item.value.get("parameters", {}).items():
        try:
            jsonschema_rs.Draft202012Validator(
                schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            reason = getattr(error, "message", str(error))
            yield item.problem(
                ("parameters", name), f"This is no JSON Schema: {reason}.", "Correct the schema."
            )
