"""Takes secrets, personal and health data out of JSON before an event, a log or a prompt sees it."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from fettle.kernel import context
from fettle.kernel.jsonio import escape_pointer
from fettle.kernel.redaction_keys import HARMLESS_WORDS, Holds, KeyClass, classify_key
from fettle.kernel.redaction_patterns import (
    DETECTORS,
    PLACEHOLDER,
    QUIET,
    Detector,
    PatternError,
    pack_detector,
)

__all__ = ["Finding", "PatternError", "Redactor", "redact", "redact_text", "redactor_of", "use_for_tenant"]

DEEPEST: Final = 200
"""Deepest nesting looked at; what lies deeper is replaced, for it cannot be vouched for."""

_CARD_LENGTH: Final = 10**12
"""Integers from here on may be card numbers, so they are looked at as text."""

_ALWAYS_CLEAN: Final = frozenset({bool, int, float, datetime, type(None)})
_REMEMBERED_KEYS: Final = 4096
_LEAST_DIGITS: Final = 4
_LONG_TEXT: Final = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was taken out.

    Attributes:
        kind: What it was: ``email``, ``password``, a pack pattern's id.
        pointer: RFC 6901 JSON pointer to where it stood; never the thing itself.
    """

    kind: str
    pointer: str


class Redactor:
    """Detectors compiled once: the built-in ones and a pack's.

    Args:
        patterns: What packs declare in addition: ``id``, ``pattern`` (RE2), optional ``replacement``.

    Raises:
        PatternError: A pack's pattern cannot be used.
    """

    def __init__(self, patterns: Iterable[Mapping[str, Any]] = ()) -> None:
        from_packs = [pack_detector(pattern) for pattern in patterns]
        detectors = [*DETECTORS, *from_packs]
        self._detectors = [(detector, re2.compile(detector.pattern, QUIET)) for detector in detectors]
        # Texts are joined by newlines for one look at all; a pattern matches there wherever it would match
        # in one text alone, because (?m) lets ^ and $ see the newlines. What speaks of the ends of a whole
        # text in another way is looked for in each text by itself.
        self._anchored = [pair for pair in self._detectors if pair[0].anchored]
        self._any_detector = _union(detectors)
        self._keys: dict[str, KeyClass | bool] = {}
        self._harmless_keys: set[str] = set()

    def redact(self, value: Any) -> tuple[Any, list[Finding]]:
        """Replace everything sensitive in a JSON value.

        Args:
            value: A parsed JSON value; it is not changed.

        Returns:
            The value itself and no findings where nothing was found, else a changed copy and what was found.
        """
        if self._is_clean(value):
            return value, []
        findings: list[Finding] = []
        cleaned = self._walk(value, "", findings, 0)
        return (cleaned if findings else value), findings

    def redact_each(self, values: Sequence[Any]) -> list[tuple[Any, list[Finding]]]:
        """Replace everything sensitive in each of many JSON values, as `redact` does.

        Where none holds anything, as is usual, one look at them all together says so.
        """
        if len(values) > 1 and self._is_clean(values):
            return [(value, []) for value in values]
        return [self.redact(value) for value in values]

    def redact_text(self, text: str) -> str:
        """Replace everything sensitive in one text."""
        return self._replace(text, "", [])

    def _is_clean(self, value: Any) -> bool:
        """Say whether nothing at all is to be found; this is what clean data costs on the hot path."""
        if self._anchored:
            return False
        texts: list[str] = []
        pending: list[Any] = [[value]]
        while pending:
            item = pending.pop()
            if type(item) is dict:
                if self._has_telling_key(item):
                    return False
                item = item.values()
            for child in item:
                kind = type(child)
                if kind is str:
                    texts.append(child)
                elif kind is dict or kind is list:
                    pending.append(child)
                elif kind is int and abs(child) >= _CARD_LENGTH:
                    texts.append(str(child))
                elif kind not in _ALWAYS_CLEAN:
                    return False
        return self._any_detector.search("\n".join(texts).encode(errors="replace")) is None

    def _has_telling_key(self, item: dict[Any, Any]) -> bool:
        if not self._harmless_keys.issuperset(item):
            for key in item:
                if self._key(str(key)) is not False:
                    return True
        return "value" in item and ("name" in item or "key" in item)

    def _key(self, key: str) -> KeyClass | bool:
        """Return what a key says of its value; True where the key itself is sensitive; False for neither."""
        known = self._keys.get(key)
        if known is not None:
            return known
        found: KeyClass | bool = classify_key(key) or False
        if self._any_detector.search(key.encode(errors="replace")) is not None:
            found = True
        if len(self._keys) >= _REMEMBERED_KEYS:
            self._keys.clear()
            self._harmless_keys.clear()
        self._keys[key] = found
        if found is False:
            self._harmless_keys.add(key)
        return found

    def _walk(self, value: Any, pointer: str, findings: list[Finding], depth: int) -> Any:
        if depth > DEEPEST:
            findings.append(Finding("too_deep", pointer))
            return "[redacted:too_deep]"
        if isinstance(value, str):
            return self._replace(value, pointer, findings)
        if isinstance(value, dict):
            return self._walk_object(value, pointer, findings, depth)
        if isinstance(value, list | tuple):
            return [
                self._walk(item, f"{pointer}/{index}", findings, depth + 1)
                for index, item in enumerate(value)
            ]
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _CARD_LENGTH:
            digits = str(value)
            replaced = self._replace(digits, pointer, findings)
            return value if replaced == digits else replaced
        return value

    def _walk_object(
        self, value: dict[str, Any], pointer: str, findings: list[Finding], depth: int
    ) -> dict[str, Any]:
        named = _class_of_named_value(value)
        copy: dict[str, Any] = {}
        for key, child in value.items():
            key_class = self._key(str(key))
            name = str(key)
            if key_class is True:
                name = self._replace(name, f"{pointer}/*", findings)
                key_class = classify_key(name) or False
                name = _free_name(name, copy)
            if named is not None and key == "value":
                key_class = named
            where = f"{pointer}/{escape_pointer(name)}"
            if isinstance(key_class, KeyClass):
                copy[name] = self._withhold(child, key_class, where, findings, depth + 1)
            else:
                copy[name] = self._walk(child, where, findings, depth + 1)
        return copy

    def _withhold(
        self, value: Any, key_class: KeyClass, pointer: str, findings: list[Finding], depth: int
    ) -> Any:
        """Replace what a sensitive key holds, where it is of the sort that is sensitive."""
        if depth > DEEPEST:
            return self._walk(value, pointer, findings, depth)
        if isinstance(value, dict):
            if key_class.holds in {Holds.DIGITS, Holds.NAME, Holds.LONG_TEXT}:
                return self._walk(value, pointer, findings, depth)
            inside = KeyClass(key_class.kind, Holds.ANY)
            return {
                str(key): self._withhold(
                    child, inside, f"{pointer}/{escape_pointer(str(key))}", findings, depth + 1
                )
                for key, child in value.items()
            }
        if isinstance(value, list | tuple):
            return [
                self._withhold(item, key_class, f"{pointer}/{index}", findings, depth + 1)
                for index, item in enumerate(value)
            ]
        if not _is_withheld(value, key_class.holds):
            return self._walk(value, pointer, findings, depth)
        findings.append(Finding(key_class.kind, pointer))
        return f"[redacted:{key_class.kind}]"

    def _replace(self, text: str, pointer: str, findings: list[Finding]) -> str:
        data = text.encode(errors="replace")
        found = False
        detectors = self._anchored if self._any_detector.search(data) is None else self._detectors
        for detector, pattern in detectors:
            replaced = _replace_all(detector, pattern, data)
            if replaced is not None:
                data, found = replaced, True
                findings.append(Finding(detector.kind, pointer))
        return data.decode(errors="replace") if found else text


def _union(detectors: Iterable[Detector]) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = 64 << 20
    return re2.compile("|".join(f"(?m:{detector.pattern})" for detector in detectors), options)


def _replace_all(detector: Detector, pattern: Any, data: bytes) -> bytes | None:
    pieces: list[bytes] = []
    kept_to = 0
    for match in pattern.finditer(data):
        group = next((index for index in range(1, pattern.groups + 1) if match.start(index) >= 0), 0)
        start, end = match.span(group)
        found = data[start:end]
        if start < kept_to or start == end or PLACEHOLDER.fullmatch(found) is not None:
            continue
        if detector.accept is not None and not detector.accept(found):
            continue
        pieces += [data[kept_to:start], detector.placeholder]
        kept_to = end
    if not pieces:
        return None
    return b"".join([*pieces, data[kept_to:]])


def _is_withheld(value: Any, holds: Holds) -> bool:
    if isinstance(value, str):
        return _is_withheld_text(value, holds)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if holds is Holds.DIGITS:
        return len(str(abs(value))) >= _LEAST_DIGITS
    return holds is Holds.ANY


def _is_withheld_text(text: str, holds: Holds) -> bool:
    if not text.strip() or text.strip().lower() in HARMLESS_WORDS:
        return False
    if PLACEHOLDER.fullmatch(text.encode(errors="replace")) is not None:
        return False
    if holds is Holds.DIGITS:
        return sum(character.isdigit() for character in text) >= _LEAST_DIGITS
    if holds is Holds.NAME:
        return "/" not in text
    return holds is not Holds.LONG_TEXT or len(text) >= _LONG_TEXT


def _class_of_named_value(value: Mapping[str, Any]) -> KeyClass | None:
    """Return what ``{"name": "DB_PASSWORD", "value": ...}`` says about its value."""
    if "value" not in value:
        return None
    for key in ("name", "key"):
        if isinstance(name := value.get(key), str) and (found := classify_key(name)) is not None:
            return found
    return None


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    """Return a key that is still free, for two keys may become the same placeholder."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    return candidate


_BUILT_IN: Final = Redactor()
_MOST_TENANTS: Final = 10_000
_OF_TENANTS: Final[OrderedDict[str, Redactor]] = OrderedDict()


def use_for_tenant(tenant_id: UUID, redactor: Redactor) -> None:
    """Have this process redact all that is done for a tenant by its packs' rules, too: logs, events, answers.

    Args:
        tenant_id: The tenant.
        redactor: Of the tenant's packs; those of tenants with the same packs may share one.
    """
    _OF_TENANTS[str(tenant_id)] = redactor
    _OF_TENANTS.move_to_end(str(tenant_id))
    if len(_OF_TENANTS) > _MOST_TENANTS:
        _OF_TENANTS.popitem(last=False)


def redactor_of(tenant_id: UUID | str | None) -> Redactor:
    """Return what redacts for a tenant: its packs' rules and the built-in ones, or these alone."""
    return _BUILT_IN if tenant_id is None else _OF_TENANTS.get(str(tenant_id), _BUILT_IN)


def redact(value: Any) -> tuple[Any, list[Finding]]:
    """Replace everything sensitive in a JSON value, by the rules of the tenant that is being worked for."""
    return redactor_of(context.tenant_id.get()).redact(value)


def redact_text(text: str) -> str:
    """Replace everything sensitive in one text, by the rules of the tenant that is being worked for."""
    return redactor_of(context.tenant_id.get()).redact_text(text)
