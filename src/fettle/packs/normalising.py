"""Turns an exception in its sender's words into the words of the packs; compiled once per check type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fettle.healing.conditions import Group, parse_conditions
from fettle.packs.schema_terms import SEVERITIES

UNKNOWN_SEVERITY: Final = "medium"
"""Severity of what no active pack knows and whose sender gave none."""

TARGETS: Final = ("details", "labels", "host", "site", "platform", "severity", "summary")
"""Fields that a pack's normalisation may write; check_type changes through `reclassify` alone."""

_PLAIN_FIELDS: Final = ("host", "site", "platform")
_MISSING: Final = object()
_TRUE_WORDS: Final = frozenset(("true", "yes", "on", "1", "enabled"))
_FALSE_WORDS: Final = frozenset(("false", "no", "off", "0", "disabled"))


@dataclass(frozen=True, slots=True)
class ExceptionType:
    """What a pack says of one check type.

    Attributes:
        check_type: Its name.
        title: What people call it.
        description: What is out of order, and why it matters.
        category: Group for lists.
        platforms: Platforms that have the check.
        severity: Severity when nothing narrower is said.
        fingerprint: Fields besides check_type, host and site that make it another incident.
        verify: The tool call that says whether it is in order again.
        controls: Identifiers of controls that it bears on.
        pack_id: The pack that defines it.
    """

    check_type: str
    title: str
    description: str
    category: str
    platforms: tuple[str, ...]
    severity: str
    fingerprint: tuple[str, ...]
    verify: Mapping[str, Any]
    controls: tuple[str, ...]
    pack_id: str


class TypeNormaliser:
    """The compiled normalisation of one check type."""

    __slots__ = ("_assignments", "_cases", "_platforms", "reclassify", "type")

    def __init__(
        self, kind: ExceptionType, document: Mapping[str, Any], platforms: Mapping[str, str]
    ) -> None:
        self.type = kind
        self._platforms = platforms
        self._assignments = [
            _Assignment.compile(target, spec) for target, spec in document.get("normalise", {}).items()
        ]
        self._cases: list[tuple[Group, str]] = [
            (parse_conditions(case["when"]), case["severity"]) for case in document.get("severity_by", ())
        ]
        reclassify = document.get("reclassify")
        self.reclassify: tuple[tuple[str, ...], Mapping[str, str]] | None = (
            (tuple(reclassify["field"].split(".")), reclassify["map"]) if reclassify else None
        )

    def target(self, exception: Mapping[str, Any]) -> str | None:
        """Return the check type that a general exception really means, or None."""
        if self.reclassify is None:
            return None
        path, targets = self.reclassify
        value = lookup(exception, path)
        return targets.get(value) if isinstance(value, str) else None

    def assign(self, exception: dict[str, Any]) -> None:
        """Write the fields that this type derives from others; each reads what stood there before."""
        before = dict(exception)
        for assignment in self._assignments:
            assignment.write(exception, before)

    def finish(self, exception: dict[str, Any]) -> None:
        """Settle platform and severity, once every field stands."""
        platform = exception.get("platform")
        if platform is not None:
            exception["platform"] = self._platforms.get(platform.lower(), platform.lower())
        elif len(self.type.platforms) == 1:
            exception["platform"] = self.type.platforms[0]
        if exception.get("severity") not in SEVERITIES:
            exception["severity"] = self._severity(exception)

    def _severity(self, exception: Mapping[str, Any]) -> str:
        for group, severity in self._cases:
            if group.holds(exception):
                return severity
        return self.type.severity


@dataclass(frozen=True, slots=True)
class _Assignment:
    target: tuple[str, ...]
    sources: tuple[tuple[str, ...], ...]
    transforms: tuple[Callable[[Any], Any], ...]
    values: Mapping[str, Any]
    default: Any

    @classmethod
    def compile(cls, target: str, spec: Mapping[str, Any]) -> "_Assignment":
        sources = spec["from"] if isinstance(spec["from"], list) else [spec["from"]]
        return cls(
            target=tuple(target.split(".")),
            sources=tuple(tuple(source.split(".")) for source in sources),
            transforms=tuple(_TRANSFORMS[name] for name in spec.get("apply", ())),
            values=spec.get("map", {}),
            default=spec.get("default", _MISSING),
        )

    def write(self, exception: dict[str, Any], before: Mapping[str, Any]) -> None:
        value = next(
            (found for path in self.sources if (found := lookup(before, path)) is not None), self.default
        )
        if value is _MISSING:
            return
        for transform in self.transforms:
            value = transform(value)
        if isinstance(value, str | int | bool):
            value = self.values.get(_word(value), value)
        if self.target[0] in _PLAIN_FIELDS and not (isinstance(value, str) and value):
            return
        _set(exception, self.target, value)


def lookup(exception: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Return the value at a path, or None."""
    node: Any = exception
    for name in path:
        if not isinstance(node, Mapping):
            return None
        node = node.get(name)
    return node


def _set(exception: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Write a value, copying what is on the way: the sender's own document stays as it is."""
    node = exception
    for name in path[:-1]:
        inner = node.get(name)
        node[name] = node = dict(inner) if isinstance(inner, Mapping) else {}
    node[path[-1]] = value


def _word(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _on_text(change: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else value


def _strip_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].split("]", 1)[0]
    name, colon, port = text.rpartition(":")
    return name if colon and port.isdigit() and ":" not in name else text


def _integer(value: Any) -> Any:
    number = _number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        number = float(value.strip().removesuffix("%"))
    except ValueError:
        return value
    return number if abs(number) < 2**53 else value


def _boolean(value: Any) -> Any:
    word = _word(value).strip().lower() if isinstance(value, str | int | bool) else ""
    if word in _TRUE_WORDS:
        return True
    return False if word in _FALSE_WORDS else value


_TRANSFORMS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "lower": _on_text(str.lower),
    "upper": _on_text(str.upper),
    "trim": _on_text(str.strip),
    "strip_port": _on_text(_strip_port),
    "first_label": _on_text(lambda text: text.split(".", 1)[0]),
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": lambda value: _word(value) if isinstance(value, str | int | bool) else value,
}
