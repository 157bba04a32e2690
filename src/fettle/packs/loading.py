"""Makes a checked Domain Pack of a folder, an archive or stored content."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from fettle.packs import files as pack_files
from fettle.packs.checks import cross_check
from fettle.packs.files import PackFiles
from fettle.packs.parts import Item
from fettle.packs.problems import PackInvalid, PackProblem
from fettle.packs.schema import (
    SECTIONS,
    domain_pack_schema,
    item_validator,
    policy_pack_schema,
    policy_validator,
)
from fettle.packs.schema_errors import findings
from fettle.packs.signing import pack_digest
from fettle.packs.yaml_reader import Document, pointer, read_yaml

MANIFEST = "pack.yaml"


@dataclass(frozen=True, slots=True)
class DomainPack:
    """One version of a Domain Pack that passed every check.

    Attributes:
        content: The whole pack as one document, as its JSON Schema describes it.
        digest: SHA-256 over its files, in hex.
        warnings: What is allowed and probably not meant.
    """

    content: Mapping[str, Any]
    digest: str
    warnings: tuple[PackProblem, ...] = ()

    @property
    def id(self) -> str:
        """The pack's name."""
        return str(self.content["id"])

    @property
    def version(self) -> str:
        """The version, as major.minor.patch."""
        return str(self.content["version"])

    @property
    def title(self) -> str:
        """What people call it."""
        return str(self.content["title"])

    def section(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the items of a section, such as ``rules``."""
        items: Sequence[Mapping[str, Any]] = self.content.get(name, ())
        return items


@dataclass(frozen=True, slots=True)
class Examination:
    """What came of reading a pack: every problem, and the pack if none of them is an error."""

    pack: DomainPack | None
    problems: tuple[PackProblem, ...]

    @property
    def errors(self) -> tuple[PackProblem, ...]:
        """The problems that keep the pack from being used."""
        return tuple(problem for problem in self.problems if problem.level == "error")


def examine(files: PackFiles, *, tools: Collection[str] | None = None) -> Examination:
    """Check a pack's files and report everything that is wrong with them, not only the first.

    Args:
        files: Path inside the pack to content.
        tools: Names of the tools that this installation has; None when they are not known.
    """
    problems: list[PackProblem] = []
    documents = list(_documents(files, problems))
    manifest = _manifest(documents, problems)
    items = [item for document in documents for item in _items(document, problems)]
    problems.extend(_schema_problems(manifest, items))
    if not any(problem.level == "error" for problem in problems) and manifest is not None:
        problems.extend(cross_check(manifest, items, tools=tools))
    ordered = tuple(sorted(problems, key=lambda found: (found.level, found.file, found.line, found.pointer)))
    if manifest is None or any(problem.level == "error" for problem in ordered):
        return Examination(None, ordered)
    content = dict(manifest.value)
    for section in SECTIONS:
        content[section] = [item.value for item in items if item.section == section]
    return Examination(DomainPack(content, pack_digest(files), ordered), ordered)


def load_files(files: PackFiles, *, tools: Collection[str] | None = None) -> DomainPack:
    """Return the pack of these files.

    Raises:
        PackInvalid: With every error that was found.
    """
    examination = examine(files, tools=tools)
    if examination.pack is None:
        raise PackInvalid(examination.errors)
    return examination.pack


def load_folder(folder: FilePath, *, tools: Collection[str] | None = None) -> DomainPack:
    """Return the pack of a folder; see `load_files`."""
    return load_files(pack_files.read_folder(folder), tools=tools)


def load_policy(data: bytes, *, file: str = "policy.yaml") -> dict[str, Any]:
    """Return the Policy Pack of a YAML file.

    Raises:
        PackInvalid: With every error that was found.
    """
    document = read_yaml(file, data)
    problems = [
        PackProblem(file, document.line(path), pointer(path), message, fix)
        for path, message, fix in policy_findings(document.value)
    ]
    if problems:
        raise PackInvalid(problems)
    value: dict[str, Any] = document.value
    return value


def policy_findings(policy: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield what is wrong with a Policy Pack: path, message and fix."""
    return findings(policy_validator(), policy_pack_schema(), policy)


def _documents(files: PackFiles, problems: list[PackProblem]) -> Iterator[Document]:
    for name, data in sorted(files.items()):
        if not name.endswith(".yaml"):
            continue
        section = name.split("/", 1)[0].removesuffix(".yaml")
        if name != MANIFEST and section not in SECTIONS:
            problems.append(
                PackProblem(
                    name, 0, "", "The file belongs to no section.", f"Sections are: {', '.join(SECTIONS)}."
                )
            )
            continue
        try:
            yield read_yaml(name, data)
        except PackInvalid as error:
            problems.extend(error.problems)


def _manifest(documents: Iterable[Document], problems: list[PackProblem]) -> Item | None:
    for document in documents:
        if document.file == MANIFEST:
            return Item("manifest", document, (), document.value)
    if not any(problem.file == MANIFEST for problem in problems):
        problems.append(
            PackProblem(
                MANIFEST, 0, "", "There is no pack.yaml.", "Add it at the top, with id, version and title."
            )
        )
    return None


def _items(document: Document, problems: list[PackProblem]) -> Iterator[Item]:
    if document.file == MANIFEST or document.value is None:
        return
    section = document.file.split("/", 1)[0].removesuffix(".yaml")
    if isinstance(document.value, dict):
        yield Item(section, document, (), document.value)
    elif isinstance(document.value, list):
        for index, value in enumerate(document.value):
            yield Item(section, document, (index,), value)
    else:
        problems.append(
            PackProblem(document.file, 1, "", "The file holds neither an item nor a list.", "Write a list.")
        )


def _schema_problems(manifest: Item | None, items: Iterable[Item]) -> Iterator[PackProblem]:
    schema = domain_pack_schema()
    for item in ([manifest] if manifest is not None else []) + list(items):
        definition = SECTIONS.get(item.section, item.section)
        target = {"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]}
        for path, message, fix in findings(item_validator(definition), target, item.value):
            yield item.problem(path, message, fix)


def with_version(pack: DomainPack, version: str) -> DomainPack:
    """Return the same pack under another version."""
    return dataclasses.replace(pack, content={**pack.content, "version": version})
