"""What is wrong with a pack: file, line, path and the fix, for people and programs alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class PackProblem:
    """One finding.

    Attributes:
        file: Path inside the pack, ``""`` for the pack as a whole.
        line: Line in that file, counted from 1; 0 when there is none.
        pointer: RFC 6901 JSON pointer inside that file's document.
        message: What is wrong.
        fix: What to do about it.
        level: An error keeps the pack from being used, a warning does not.
    """

    file: str
    line: int
    pointer: str
    message: str
    fix: str
    level: Level = "error"

    def __str__(self) -> str:
        place = self.file or "pack"
        if self.line:
            place += f":{self.line}"
        if self.pointer:
            place += f" {self.pointer}"
        return f"{place}: {self.level}: {self.message} {self.fix}"

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "file": self.file,
            "line": self.line,
            "pointer": self.pointer,
            "message": self.message,
            "fix": self.fix,
            "level": self.level,
        }


class PackInvalid(Exception):  # noqa: N818 - says what the pack is
    """The pack cannot be used; `problems` holds every error that was found."""

    def __init__(self, problems: Iterable[PackProblem]) -> None:
        self.problems: Sequence[PackProblem] = tuple(problems)
        shown = "\n".join(str(problem) for problem in self.problems[:20])
        super().__init__(shown or "the pack is not valid")


def refuse(file: str, message: str, fix: str, *, line: int = 0, pointer: str = "") -> PackInvalid:
    """Return the exception for one problem that ends the reading."""
    return PackInvalid([PackProblem(file, line, pointer, message, fix)])
