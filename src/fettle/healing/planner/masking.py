"""Takes out of what a model sees all that names a machine, a place or a person, and puts it back afterwards; pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from fettle.kernel.redaction import Redactor

_ADDRESSES: Final = re.compile(
    r"(?P<mac>\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b)"
    r"|(?P<ip>\b(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?\b|(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.]))"
    r"|(?P<mail>\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b)"
)
_STAND_IN: Final = re.compile(r"<(?:host|site|user|name|ip|mac|mail|literal)-\d{1,6}>")
_KINDS: Final = {
    "host": "host",
    "hostname": "host",
    "fqdn": "host",
    "computer": "host",
    "computer_name": "host",
    "server": "host",
    "site": "site",
    "location": "site",
    "user": "user",
    "username": "user",
    "account": "user",
    "owner": "user",
    "login": "user",
    "logged_in_user": "user",
    "person": "name",
    "patient": "name",
    "full_name": "name",
    "customer": "name",
}
_LEAST_LENGTH: Final = 2
_DEEPEST: Final = 40


class Mask:
    """The stand-ins of one question. It stays here; only what it wrote leaves.

    What a redactor takes out is gone for good. What names a machine, a place or a person gets a stand-in
    such as `<host-1>`, because a plan may have to name it.

    Args:
        redactor: The tenant's.
        incident: The incident, whose own host, site and people are masked wherever they stand.
    """

    def __init__(self, redactor: Redactor, incident: Mapping[str, Any]) -> None:
        self._redactor = redactor
        self._stand_ins: dict[str, str] = {}
        self._originals: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._collect(incident, 0)
        names = sorted(self._known, key=lambda name: (-len(name), name))
        self._names = (
            re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names), re.IGNORECASE)
            if names
            else None
        )

    def hide(self, value: Any) -> Any:
        """Return a JSON value as a model may see it."""
        # First what is secret, by the keys and shapes that tell it; what is left is then named by stand-ins.
        return self._walk(self._redactor.redact(value)[0], 0)

    def redact(self, text: str) -> str:
        """Return a text of ours without what a redactor takes out."""
        return self._redactor.redact_text(text)

    def reveal(self, value: Any) -> Any:
        """Return a JSON value with each stand-in that this mask gave out replaced by what it stands for."""
        if isinstance(value, str):
            return _STAND_IN.sub(lambda found: self._originals.get(found[0], found[0]), value)
        if isinstance(value, Mapping):
            return {str(name): self.reveal(child) for name, child in value.items()}
        if isinstance(value, list | tuple):
            return [self.reveal(child) for child in value]
        return value

    def _collect(self, value: Any, depth: int, kind: str | None = None) -> None:
        if depth > _DEEPEST:
            return
        if isinstance(value, Mapping):
            for name, child in value.items():
                self._collect(child, depth + 1, _KINDS.get(str(name).lower()))
        elif isinstance(value, list | tuple):
            for child in value:
                self._collect(child, depth + 1, kind)
        elif kind is not None and isinstance(value, str) and len(value.strip()) >= _LEAST_LENGTH:
            name = value.strip()
            self._known.setdefault(name.lower(), kind)
            first = name.split(".")[0]
            if kind == "host" and len(first) > _LEAST_LENGTH and not first.isdigit():
                self._known.setdefault(first.lower(), kind)

    def _walk(self, value: Any, depth: int) -> Any:
        if depth > _DEEPEST:
            return "[redacted:too_deep]"
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {self._text(str(name)): self._walk(child, depth + 1) for name, child in value.items()}
        if isinstance(value, list | tuple):
            return [self._walk(child, depth + 1) for child in value]
        return value

    def _text(self, text: str) -> str:
        pieces: list[str] = []
        kept = 0
        # A payload that holds a stand-in's form must not be able to name what another stands for.
        for found in _STAND_IN.finditer(text):
            pieces += [self._plain(text[kept : found.start()]), self._stand_in("literal", found[0])]
            kept = found.end()
        return "".join([*pieces, self._plain(text[kept:])])

    def _plain(self, text: str) -> str:
        if self._names is None:
            return self._addresses(text)
        pieces: list[str] = []
        kept = 0
        for found in self._names.finditer(text):
            kind = self._known.get(found[0].lower(), "name")
            pieces += [self._addresses(text[kept : found.start()]), self._stand_in(kind, found[0])]
            kept = found.end()
        return "".join([*pieces, self._addresses(text[kept:])])

    def _addresses(self, text: str) -> str:
        return _ADDRESSES.sub(lambda found: self._stand_in(found.lastgroup or "name", found[0]), text)

    def _stand_in(self, kind: str, original: str) -> str:
        known = self._stand_ins.get(original)
        if known is None:
            number = sum(1 for given in self._originals if given.startswith(f"<{kind}-")) + 1
            known = self._stand_ins[original] = f"<{kind}-{number}>"
            self._originals[known] = original
        return known
