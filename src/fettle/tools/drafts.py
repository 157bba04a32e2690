"""Checks a playbook that an author wrote as YAML: everything that is wrong with it, each with its line."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fettle.kernel.errors import FieldError, Invalid
from fettle.packs.problems import PackInvalid, PackProblem
from fettle.packs.schema import domain_pack_schema, item_validator
from fettle.packs.schema_errors import closest, findings
from fettle.packs.yaml_reader import Document, Path, pointer, pointer_path, read_yaml
from fettle.tools.playbook_reader import parse_playbook
from fettle.tools.playbooks import PlaybookError, collect

LONGEST_SOURCE: Final = 100_000
RESERVED_IDS: Final = frozenset({"schema", "check", "dry-run", "new"})
_FILE: Final = "playbook.yaml"
_MOST_PROBLEMS: Final = 100


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a playbook may name.

    Attributes:
        playbooks: The tenant's playbooks by id.
        tools: Names of the tools of this installation.
        runbooks: Ids of the runbooks of the tenant's active packs.
    """

    playbooks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tools: Collection[str] = ()
    runbooks: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A playbook as it was written, and what came of reading it.

    Attributes:
        document: The playbook, None where its text cannot be read at all.
        problems: What is wrong with it; only errors keep it from being used.
    """

    document: dict[str, Any] | None
    problems: tuple[PackProblem, ...]

    @property
    def errors(self) -> tuple[PackProblem, ...]:
        """The problems that keep the playbook from being used."""
        return tuple(problem for problem in self.problems if problem.level == "error")


def check_playbook(source: str, around: Surroundings) -> Draft:
    """Read a playbook and report everything that is wrong with it, not only the first.

    Args:
        source: YAML.
        around: What it may name.
    """
    try:
        read = read_yaml(_FILE, source.encode())
    except PackInvalid as refused:
        return Draft(None, tuple(_plainly(problem) for problem in refused.problems))
    if not isinstance(read.value, dict):
        fix = "Begin with id, title and steps."
        return Draft(None, (PackProblem(_FILE, 1, "", "A playbook is a mapping.", fix),))
    problems = list(_schema_problems(read))
    if not problems:
        problems = [*_fit(read, around)]
    ordered = sorted(problems, key=lambda problem: (problem.line, problem.pointer))
    return Draft(read.value, tuple(ordered[:_MOST_PROBLEMS]))


def accepted(source: str, around: Surroundings) -> dict[str, Any]:
    """Return the document of a playbook.

    Raises:
        Invalid: It cannot be used; each error has its pointer and names its line.
    """
    draft = check_playbook(source, around)
    if draft.document is None or draft.errors:
        faults = [
            FieldError(f"/yaml{problem.pointer}", f"line {problem.line}: {problem.message} {problem.fix}")
            for problem in draft.errors
        ]
        raise Invalid("The playbook cannot be used as it is written.", errors=faults)
    return draft.document


def _schema_problems(read: Document) -> Iterator[PackProblem]:
    target = {"$ref": "#/$defs/playbook", "$defs": domain_pack_schema()["$defs"]}
    for path, message, fix in findings(item_validator("playbook"), target, read.value):
        yield _problem(read, path, message, fix)


def _fit(read: Document, around: Surroundings) -> Iterator[PackProblem]:
    document = read.value
    if document["id"] in RESERVED_IDS:
        yield _problem(read, ("id",), f"'{document['id']}' has a meaning of its own.", "Choose another id.")
    try:
        parse_playbook(document)
        collect(document, around.playbooks)
    except PlaybookError as error:
        for fault in error.faults:
            what, _, mend = fault.detail.partition("; ")
            fix = f"{mend[0].upper()}{mend[1:]}." if mend else "Correct it."
            yield _problem(read, pointer_path(fault.path), f"{what[0].upper()}{what[1:]}.", fix)
        return
    for path, call in _calls(document):
        yield from _unknown_names(read, path, call, around)
    if "verify" not in document:
        message = "Nothing says that it worked."
        fix = "Add verify, or rely on that of the incident's exception type."
        yield _problem(read, ("steps",), message, fix, "warning")


def _unknown_names(
    read: Document, path: Path, call: Mapping[str, Any], around: Surroundings
) -> Iterator[PackProblem]:
    if call["tool"] not in around.tools:
        hint = closest(call["tool"], list(around.tools))
        message = f"There is no tool '{call['tool']}' here."
        yield _problem(read, (*path, "tool"), message, f"The tools screen lists them.{hint}")
    runbook = (call.get("with") or {}).get("runbook_id")
    if isinstance(runbook, str) and "${{" not in runbook and runbook not in around.runbooks:
        hint = closest(runbook, list(around.runbooks))
        message = f"No active pack has a runbook '{runbook}'."
        yield _problem(
            read, (*path, "with", "runbook_id"), message, f"Activate its pack, or correct it.{hint}"
        )


def _calls(document: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    pending: list[tuple[Path, Any]] = [
        (("steps", index), step) for index, step in enumerate(document["steps"])
    ]
    while pending:
        path, step = pending.pop()
        if "tool" in step:
            yield path, step
        if "rollback" in step:
            yield (*path, "rollback"), step["rollback"]
        pending.extend(
            ((*path, "parallel", index), inner) for index, inner in enumerate(step.get("parallel", ()))
        )
    if "verify" in document:
        yield ("verify",), document["verify"]


def _problem(read: Document, path: Path, message: str, fix: str, level: Any = "error") -> PackProblem:
    return PackProblem(_FILE, read.line(path), pointer(path), message, fix, level)


def _plainly(problem: PackProblem) -> PackProblem:
    return replace(problem, message=problem.message.replace(" in a pack.", " here."))
