"""Reading the SSH server's configuration as sshd does: first value wins, Include in place, Match apart."""

import fnmatch
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from fettle.fleet.observation import HostView

_DEEPEST_INCLUDE: Final = 16


@dataclass(slots=True)
class SshSettings:
    """What sshd would use.

    Attributes:
        everyone: Values that hold for every connection, by lower-case keyword.
        conditional: Each ``(condition, keyword, value)`` that a Match block sets.
        files: The files that were read.
    """

    everyone: dict[str, str] = field(default_factory=dict)
    conditional: list[tuple[str, str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def value(self, keyword: str, default: str) -> str:
        """Return the value for everyone, or sshd's default."""
        return self.everyone.get(keyword.lower(), default)


def read_ssh_settings(view: HostView, file: str = "/etc/ssh/sshd_config") -> SshSettings | None:
    """Return the SSH server's settings, or None when there is no readable configuration."""
    if view.text(file) is None:
        return None
    settings = SshSettings()
    _read(view, file, settings, condition=None, depth=0)
    return settings


def _read(view: HostView, file: str, settings: SshSettings, *, condition: str | None, depth: int) -> None:
    text = view.text(file)
    if text is None or depth > _DEEPEST_INCLUDE:
        return
    settings.files.append(file)
    for keyword, words in _directives(text):
        if keyword == "match":
            condition = None if [word.lower() for word in words] == ["all"] else " ".join(words)
        elif keyword == "include":
            for pattern in words:
                for included in _included(view, pattern):
                    # A Match inside an included file ends with that file.
                    _read(view, included, settings, condition=condition, depth=depth + 1)
        elif condition is None:
            settings.everyone.setdefault(keyword, " ".join(words))
        else:
            settings.conditional.append((condition, keyword, " ".join(words)))


def _included(view: HostView, pattern: str) -> list[str]:
    absolute = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
    folder, _, name = absolute.rpartition("/")
    if any(sign in folder for sign in "*?["):
        return view.matching(absolute)
    return [path for path in view.matching(f"{folder}/*") if fnmatch.fnmatch(path.rpartition("/")[2], name)]


def _directives(text: str) -> Iterator[tuple[str, list[str]]]:
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        keyword, _, rest = stripped.replace("=", " ", 1).replace("\t", " ").partition(" ")
        try:
            words = shlex.split(rest, comments=True)
        except ValueError:
            words = rest.split()
        yield keyword.lower(), words
