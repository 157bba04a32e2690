"""The pattern of an incident: what is the same about it wherever and whenever it happens.

A signature reads `v1:<check type>:<platform>:<error class>:<digest>`. The digest is over the check type,
the platform, the error class, the names in `CLASSES`, and the incident's text with its particulars taken
out: the incident's own host and site, addresses, identifiers, times, quoted values, the variable parts of
paths, and every number. Neither the order of keys nor a host, an id, a time or a count changes it.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

VERSION: Final = "v1"

ERROR_CLASSES: Final = ("error_class", "error_type", "error_code", "exception", "code")
CLASSES: Final = ("category", "component", "reason", "resource_type", "service", "unit")
TEXTS: Final = ("summary", "message", "error")
PARTICULARS: Final = ("host", "hostname", "site", "agent", "appliance", "user", "username", "instance")

_MAX_TEXT = 4_096
_MAX_CLASS = 80
_MAX_TOKEN = 256
_TAKEN_OUT = "<\0>"  # no text holds it

_URL = re.compile(r"\b[a-z][a-z0-9+.\-]{1,15}://[^\s\"'<>]*")
_TOKEN = re.compile(r"[^\s\"'<>()\[\]{},;=|]+")
_FORMS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"[\w.+\-]+@[\w\-]+(\.[\w\-]+)+", "<mail>"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}([t_][0-9:.]+(z|[+\-][0-9:]+)?)?", "<time>"),
        (r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?z?", "<time>"),
        (r"([0-9a-f]{2}[:\-]){5}[0-9a-f]{2}", "<mac>"),
        (r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2}|:[0-9]{1,5})?", "<ip>"),
        (r"[a-z]:\\.*|(/[^/]+){2,}/?", "<path>"),
        (r"([a-z0-9\-]+\.){2,}[a-z]{2,24}", "<name>"),
        (r"(?=.*[0-9])([0-9a-f]{8,}|0x[0-9a-f]+|[\w:.]+(-[\w:.]+)+)", "<n>"),
    )
)
_NUMBER = re.compile(r"[+\-]?[0-9][0-9.]*")
_SPACES = re.compile(r"\s+")
_REPEATED = re.compile(r"(<\w+>)(?:[\s,;]*\1)+")


def pattern_signature(incident: Mapping[str, Any]) -> str:
    """Return the stable pattern of an incident, without its particulars.

    Two incidents of one pattern differ only in where, when and to whom it happened; the flywheel learns
    on patterns. A change of this function is a new `VERSION`.

    Args:
        incident: A normalised incident: `check_type`, `platform`, texts (`summary`), `details`. Whatever
            else it holds does not count, and nothing in it makes this raise.
    """
    sources = [incident, *(part for part in (incident.get("details"),) if isinstance(part, Mapping))]
    particulars = _particulars(
        [*sources, *(part for part in (incident.get("labels"),) if isinstance(part, Mapping))]
    )
    check_type = _class(incident.get("check_type"))
    platform = _class(incident.get("platform"))
    error = next(iter(_named(sources, ERROR_CLASSES)), "")
    parts = [check_type, platform, error]
    parts += [f"{name}={_class(value)}" for source in sources for name, value in _scalars(source, CLASSES)]
    parts += [template(value, particulars) for source in sources for _, value in _scalars(source, TEXTS)]
    digest = sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:16]
    return ":".join((VERSION, *(_readable(part) for part in (check_type, platform, error)), digest))


def ground_of(incident: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a pattern rests on, with names of its own taken out where they stand by themselves.

    Incidents of one ground have one pattern, and a ground costs little: what a signature names stands in it as it
    came, and a name that is left within a longer word stands in it, too.

    Args:
        incident: As for `pattern_signature`.
    """
    sources = [incident, *(part for part in (incident.get("details"),) if isinstance(part, Mapping))]
    particulars = _particulars(
        [*sources, *(part for part in (incident.get("labels"),) if isinstance(part, Mapping))]
    )
    classes = tuple((name, value) for source in sources for name, value in _scalars(source, ERROR_CLASSES))
    classes += tuple((name, value) for source in sources for name, value in _scalars(source, CLASSES))
    texts = tuple(_without(value, particulars) for source in sources for _, value in _scalars(source, TEXTS))
    left = tuple(name for name in particulars if any(name in text for text in texts))
    return (_text(incident.get("check_type")), _text(incident.get("platform")), classes, texts, left)


def template(text: str, particulars: tuple[str, ...] = ()) -> str:
    """Return a text with its particulars masked and its spacing and case evened out.

    Args:
        text: Any text; only its first 4,096 characters count.
        particulars: Names that are particulars wherever they stand, such as this incident's host.
    """
    kept = text[:_MAX_TEXT].lower()
    for name in particulars:
        if not _TOKEN.fullmatch(name):  # a name of several words, such as a site's
            kept = kept.replace(name, "<name>")
    kept = _TOKEN.sub(lambda found: _masked(found[0], particulars), _URL.sub("<url>", kept))
    return _REPEATED.sub(r"\1", _SPACES.sub(" ", kept).strip())


def _without(text: str, particulars: tuple[str, ...]) -> str:
    """Return a text without the particulars that `template` masks wherever it finds them by themselves."""
    kept = text[:_MAX_TEXT].lower()
    said = [name for name in particulars if name in kept]
    if not said:
        return kept
    for name in said:
        if not _TOKEN.fullmatch(name):
            kept = kept.replace(name, _TAKEN_OUT)
    return _TOKEN.sub(lambda found: _named_apart(found[0], particulars), kept)


def _named_apart(token: str, particulars: tuple[str, ...]) -> str:
    core = token.rstrip(".:!?")
    return _TAKEN_OUT + token[len(core) :] if core in particulars else token


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _masked(token: str, particulars: tuple[str, ...]) -> str:
    core = token.rstrip(".:!?")
    ending = token[len(core) :]
    if core in particulars:
        return f"<name>{ending}"
    if len(core) > _MAX_TOKEN:
        return f"<n>{ending}"
    for form, stand_in in _FORMS:
        if form.fullmatch(core):
            return stand_in + ending
    # An address of version 6 may itself end in a colon.
    if any(_is_address(part) for part in (token, core) if part.count(":") > 1):
        return f"<ip>{ending}" if _is_address(core) else "<ip>"
    for name in particulars:
        core = re.sub(rf"(?<![\w\-]){re.escape(name)}(?![\w\-])", "<name>", core)
    return _NUMBER.sub("<n>", core) + ending


def _is_address(token: str) -> bool:
    try:
        ipaddress.ip_interface(token)
    except ValueError:
        return False
    return True


def _particulars(sources: list[Mapping[str, Any]]) -> tuple[str, ...]:
    names: set[str] = set()
    for source in sources:
        for _, value in _scalars(source, PARTICULARS):
            name = value.strip().lower()
            if 0 < len(name) <= _MAX_TOKEN:
                names.update((name, name.split(".")[0]))
    return tuple(sorted((name for name in names if name), key=lambda name: (-len(name), name)))


def _named(sources: list[Mapping[str, Any]], names: tuple[str, ...]) -> Iterator[str]:
    for source in sources:
        for _, value in _scalars(source, names):
            yield _class(value)


def _scalars(source: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        value = source.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            yield name, str(value) if isinstance(value, str) or -(2**63) <= value < 2**64 else "<n>"


def _class(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    word = _SPACES.sub(" ", value[:_MAX_TEXT].strip().lower())
    # What is longer than a name is a text, and a text has particulars.
    return word if len(word) <= _MAX_CLASS else template(word)


def _readable(part: str) -> str:
    return re.sub(r"[^\w.\-]+", "_", part)[:48] or "-"
