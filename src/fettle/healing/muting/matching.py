"""Matchers in Alertmanager's four forms, over what an incident is known by; pure.

A label that is missing equals an empty one. Patterns run on RE2, in linear time, and must match the whole value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

OPERATORS: Final = ("=", "!=", "=~", "!~")
FIELDS: Final = ("check_type", "host", "site", "severity", "platform", "source")
"""An incident's own fields; every other name is that of a label, and ``labels.x`` always is."""

_LABEL: Final = "labels."
_MOST_MEMORY: Final = 1 << 20


class MatcherError(ValueError):
    """A matcher that cannot be read; the text says why."""


def labels_of(incident: Mapping[str, Any]) -> dict[str, str]:
    """Return what an incident is known by: its labels, and over them its own fields."""
    known = {str(name): str(value) for name, value in (incident.get("labels") or {}).items()}
    known |= {f"{_LABEL}{name}": value for name, value in known.items()}
    for name in FIELDS:
        value = incident.get(name)
        known[name] = "" if value is None else str(value)
    return known


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one name.

    Attributes:
        name: A field of `FIELDS`, or a label.
        op: One of `OPERATORS`.
        value: A text, or for the last two a pattern.
    """

    name: str
    op: str
    value: str
    _pattern: Any = field(default=None, compare=False, repr=False)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "Matcher":
        """Return a matcher of what is stored.

        Raises:
            MatcherError: Its operator is unknown, or its pattern is none.
        """
        name, op, value = str(document["name"]), str(document["op"]), str(document["value"])
        if op not in OPERATORS:
            raise MatcherError(f"{op} is none of {', '.join(OPERATORS)}")
        if op in {"=", "!="}:
            return cls(name, op, value)
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MOST_MEMORY
        try:
            return cls(name, op, value, re2.compile(value, options))
        except (re2.error, UnicodeError) as error:
            raise MatcherError(f"'{value}' is no pattern that RE2 knows: {error}") from None

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Say whether it holds for what an incident is known by."""
        value = labels.get(self.name, "")
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        return (self._pattern.fullmatch(value) is not None) == (self.op == "=~")

    def __str__(self) -> str:
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.name}{self.op}"{quoted}"'


@dataclass(frozen=True, slots=True)
class Matchers:
    """Matchers that must all hold; none at all hold for everything."""

    members: tuple[Matcher, ...] = ()

    @classmethod
    def parse(cls, documents: Iterable[Mapping[str, Any]]) -> "Matchers":
        """Return matchers of what is stored.

        Raises:
            MatcherError: One of them cannot be read.
        """
        return cls(tuple(Matcher.parse(document) for document in documents))

    def hold(self, labels: Mapping[str, str]) -> bool:
        """Say whether all hold."""
        return all(member.holds(labels) for member in self.members)

    def exact(self, name: str) -> str | None:
        """Return the one value of a name that they hold for at most, None where it is not so."""
        return next((one.value for one in self.members if one.name == name and one.op == "="), None)

    def __str__(self) -> str:
        return ", ".join(str(member) for member in self.members) or "everything"


def any_of(name: str, values: Iterable[str]) -> dict[str, str]:
    """Return the matcher of one of some values, written as they are or with stars."""
    written = ["(?is:" + ".*".join(re2.escape(part) for part in value.split("*")) + ")" for value in values]
    return {"name": name, "op": "=~", "value": "|".join(written)}
