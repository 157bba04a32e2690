"""How a command ends: its exit status, and errors that are said in one line."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of every command; ``docs/cli.md`` explains them."""

    OK = 0
    FOUND_WRONG = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    REFUSED = 6
    CANNOT_START = 7
    BAD_SETTING = 8
    FILE = 9
    INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot do what was asked; the text is one line that says why and what to do.

    Args:
        message: What is said.
        status: How the process ends.
    """

    def __init__(self, message: str, status: Exit) -> None:
        super().__init__(message)
        self.status = status
