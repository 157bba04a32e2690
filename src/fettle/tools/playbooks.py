"""What a playbook is made of, and what it needs besides itself; no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs

from fettle.kernel.expressions import Expression, Template
from fettle.kernel.jsonio import escape_pointer

MAX_STEPS: Final = 200
MAX_ITEMS: Final = 1_000
MAX_NESTING: Final = 5
MAX_STEPS_IN_ALL: Final = 2_000
"""Most steps of a playbook with those of all that it calls, however often it calls them."""
MAX_ATTEMPTS: Final = 10
DEFAULT_TIMEOUT_SECONDS: Final = 60.0
DEFAULT_APPROVAL_SECONDS: Final = 3_600.0
WAIT_TOOL: Final = "wait"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a playbook.

    Attributes:
        path: JSON pointer into it.
        detail: What is wrong and what would be right.
    """

    path: str
    detail: str


class PlaybookError(ValueError):
    """A playbook that cannot be run; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.path or '/'}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call of a tool, as it is declared.

    Attributes:
        inputs: The template of its input.
        secrets: Pointers of the secret references that the author wrote, the only ones ever resolved.
    """

    tool: str
    version: str | None
    inputs: Template
    secrets: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Parallel:
    """Steps that run at the same time."""

    steps: tuple["Step", ...]


@dataclass(frozen=True, slots=True, eq=False)
class SubPlaybook:
    """Another playbook as a step."""

    playbook: str
    inputs: Template


@dataclass(frozen=True, slots=True, eq=False)
class Approval:
    """A person's decision as a step."""

    by: tuple[str, ...]
    expires_seconds: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a playbook."""

    id: str
    title: str
    body: Call | Parallel | SubPlaybook | Approval
    when: Expression | None = None
    for_each: Template | None = None
    attempts: int = 1
    backoff_seconds: float = 0.0
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    rollback: Call | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Playbook:
    """A playbook, compiled."""

    id: str
    version: int
    title: str
    steps: tuple[Step, ...]
    verify: Call | None
    parameters: jsonschema_rs.Validator
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def accept(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with defaults filled in.

        Raises:
            PlaybookError: They do not fit their schema.
        """
        filled = {**self.defaults, **parameters}
        faults = [
            Fault("/params" + pointer_of(error.instance_path), shortened(error.message))
            for error in self.parameters.iter_errors(filled)
        ]
        if faults:
            raise PlaybookError(faults)
        return filled


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A playbook with every playbook that it calls, so that a run is whole in itself."""

    main: Playbook
    library: Mapping[str, Playbook]


def collect(document: Mapping[str, Any], library: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a playbook's document with those of all playbooks that it calls, for `playbook_reader.load`.

    Args:
        document: The playbook.
        library: The tenant's playbooks by id.

    Raises:
        PlaybookError: One is missing, they call each other in a circle, or nest too deeply.
    """
    collector = _Collector(library)
    if collector.walk(document, (str(document.get("id", "")),)) > MAX_STEPS_IN_ALL:
        detail = f"runs more than {MAX_STEPS_IN_ALL} steps with the playbooks that it calls; call fewer"
        raise PlaybookError([Fault("/steps", detail)])
    return {
        "playbook": dict(document),
        "library": {key: dict(value) for key, value in collector.needed.items()},
    }


class _Collector:
    """Walks through the playbooks that one calls; each is looked at once for each depth, however often it is called."""

    def __init__(self, library: Mapping[str, Mapping[str, Any]]) -> None:
        self.needed: dict[str, Mapping[str, Any]] = {}
        self._library = library
        self._sizes: dict[tuple[str, int], int] = {}

    def walk(self, document: Mapping[str, Any], above: tuple[str, ...]) -> int:
        """Return how many steps a playbook has with those of the playbooks that it calls."""
        size = _count_steps(document)
        for name, pointer in called_playbooks(document):
            if name in above:
                circle = " -> ".join((*above[above.index(name) :], name))
                raise PlaybookError([Fault(pointer, f"playbooks call each other in a circle: {circle}")])
            if len(above) >= MAX_NESTING:
                raise PlaybookError(
                    [Fault(pointer, f"playbooks nest deeper than {MAX_NESTING}; flatten them")]
                )
            if name not in self._library:
                raise PlaybookError([Fault(pointer, f"there is no playbook {name}; add it, or name another")])
            self.needed[name] = self._library[name]
            known = (name, len(above))
            if known not in self._sizes:
                # A circle that is not seen from here nests without end, and so is found by its depth.
                self._sizes[known] = self.walk(self._library[name], (*above, name))
            size += self._sizes[known]
        return size


def _count_steps(document: Mapping[str, Any]) -> int:
    pending = _list(document.get("steps")).copy()
    count = 0
    while pending:
        step = pending.pop()
        count += 1
        if isinstance(step, Mapping):
            pending.extend(_list(step.get("parallel")))
    return count


def called_playbooks(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the id of each playbook that this one calls directly, with the pointer of the step."""
    pending = [(step, f"/steps/{index}") for index, step in enumerate(_list(document.get("steps")))]
    while pending:
        step, pointer = pending.pop()
        if not isinstance(step, Mapping):
            continue
        if isinstance(step.get("playbook"), str):
            yield step["playbook"], f"{pointer}/playbook"
        inner = enumerate(_list(step.get("parallel")))
        pending.extend((child, f"{pointer}/parallel/{index}") for index, child in inner)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def pointer_of(path: Sequence[str | int]) -> str:
    """Return the JSON pointer of a path."""
    return "".join(f"/{escape_pointer(str(part))}" for part in path)


def shortened(message: str) -> str:
    """Return a message of a line or three."""
    return message if len(message) <= 300 else message[:300] + "..."  # noqa: PLR2004 - a line or three
