"""Reads one YAML document as plain data and remembers the line of every value.

Packs come from outside, so the reader takes a small part of YAML: mappings with text keys, lists and scalars
under the core schema of YAML 1.2. Tags, anchors, aliases, merge keys, duplicate keys and further documents
are refused, each with the line and what to write instead.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from fettle.kernel.jsonio import escape_pointer
from fettle.packs.problems import PackInvalid, refuse

MAX_DEPTH: Final = 32
MAX_NODES: Final = 200_000

Path = tuple[str | int, ...]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+\Z|0[oxb][0-9a-fA-F_]+\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]{1,3})?\Z")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INT64 = 2**63
_MOST_DIGITS = 20


@dataclass(slots=True)
class Document:
    """A file's value and where its parts stand.

    Attributes:
        file: Path inside the pack.
        value: The plain data.
        lines: Path of each key and item to its line, counted from 1.
    """

    file: str
    value: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Return the line of the value at a path, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def pointer(path: Path) -> str:
    """Return a path as an RFC 6901 JSON pointer."""
    return "".join(f"/{escape_pointer(str(part))}" for part in path)


def pointer_path(text: str) -> Path:
    """Return an RFC 6901 JSON pointer as a path."""
    words = [word.replace("~1", "/").replace("~0", "~") for word in text.split("/")[1:]]
    return tuple(int(word) if word.isdecimal() else word for word in words)


def read_yaml(file: str, data: bytes) -> Document:
    """Read one document.

    Args:
        file: Path to name in errors.
        data: UTF-8 text.

    Raises:
        PackInvalid: The text is not the plain YAML described above.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise refuse(file, "The file is not UTF-8 text.", "Save it in UTF-8.", line=line) from None
    return _Reader(file, text).read()


def is_read_as_text(text: str) -> bool:
    """Say whether a plain scalar, without quotes, is read as the text that it is."""
    return text not in _WORDS and not any(form.match(text) for form in (_INT, _LEADING_ZERO, _FLOAT))


class _Reader:
    """Builds values from the parser's events, so that nothing is built before it was looked at."""

    def __init__(self, file: str, text: str) -> None:
        self._document = Document(file, None)
        self._loader = _Loader(text)
        self._nodes = 0

    def read(self) -> Document:
        try:
            self._expect_start()
            event = self._next()
            if not isinstance(event, yaml.StreamEndEvent):
                self._document.value = self._value(self._next(), ())
                self._expect_end()
        except yaml.YAMLError as error:
            raise self._syntax(error) from None
        except RecursionError:
            raise self._refuse(None, (), "The file is nested too deeply.", "Write it flatter.") from None
        finally:
            self._loader.dispose()
        return self._document

    def _next(self) -> Any:
        return self._loader.get_event()

    def _expect_start(self) -> None:
        self._next()

    def _expect_end(self) -> None:
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._refuse(
                event,
                (),
                "The file holds more than one document.",
                "Remove '---' and put each in its own file.",
            )

    def _value(self, event: Any, path: Path) -> Any:
        self._guard(event, path)
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_unstorable(event, path)
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        return self._mapping(path)

    def _guard(self, event: Any, path: Path) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refuse(event, path, f"The file holds more than {MAX_NODES} values.", "Split it.")
        if len(path) > MAX_DEPTH:
            raise self._refuse(event, path, f"Nested more than {MAX_DEPTH} levels deep.", "Write it flatter.")
        if isinstance(event, yaml.AliasEvent):
            raise self._refuse(
                event, path, f"The alias *{event.anchor} is not allowed in a pack.", "Write the value out."
            )
        if event.anchor is not None:
            raise self._refuse(
                event, path, f"The anchor &{event.anchor} is not allowed in a pack.", "Remove it."
            )
        if event.tag is not None:
            raise self._refuse(
                event,
                path,
                f"The tag {event.tag} is not allowed in a pack.",
                "Remove the tag; write plain data.",
            )

    def _refuse_unstorable(self, event: Any, path: Path) -> None:
        if _UNSTORABLE.search(event.value):
            raise self._refuse(event, path, "The text holds U+0000 or half a character.", "Remove it.")

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self._document.lines[here] = event.start_mark.line + 1
            items.append(self._value(event, here))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            here = (*path, key)
            if key in mapping:
                first = self._document.lines[here]
                raise self._refuse(
                    event,
                    here,
                    f"The key '{key}' stands twice, first in line {first}.",
                    "Keep one of the two.",
                )
            self._document.lines[here] = event.start_mark.line + 1
            mapping[key] = self._value(self._next(), here)
        return mapping

    def _key(self, event: Any, path: Path) -> str:
        self._guard(event, path)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._refuse(event, path, "A key must be text.", "Write a plain word before the colon.")
        self._refuse_unstorable(event, path)
        if event.value == "<<":
            raise self._refuse(
                event, path, "The merge key << is not allowed in a pack.", "Write the keys out."
            )
        return str(event.value)

    def _scalar(self, event: Any, path: Path) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.match(text):
            if len(text) > _MOST_DIGITS or not -_INT64 <= int(text) < _INT64:
                raise self._refuse(event, path, f"{text[:40]} is beyond 64 bits.", "Write it in quotes.")
            return int(text)
        if _LEADING_ZERO.match(text):
            raise self._refuse(
                event, path, f"{text} is read as different numbers by different readers.", f'Write "{text}".'
            )
        if _FLOAT.match(text):
            return self._float(event, path)
        return text

    def _float(self, event: Any, path: Path) -> float:
        value = float(event.value)
        if not math.isfinite(value):
            raise self._refuse(event, path, f"{event.value} is too large.", "Write a smaller number.")
        return value

    def _refuse(self, event: Any, path: Path, message: str, fix: str) -> PackInvalid:
        line = event.start_mark.line + 1 if event is not None else 0
        return refuse(self._document.file, message, fix, line=line, pointer=pointer(path))

    def _syntax(self, error: yaml.YAMLError) -> PackInvalid:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        line = mark.line + 1 if mark is not None else 0
        return refuse(
            self._document.file,
            f"The YAML cannot be read: {reason}.",
            "Look at indentation, colons and quotes in this line and the one above.",
            line=line,
        )
