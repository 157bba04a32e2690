"""What all the times that a choice helped have in common, kept as a sum that can be added to; pure.

A profile never holds a text of an alert: of what is no plain word it keeps a digest. So what grows from it
can compare with such a text, and cannot repeat it.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fettle.healing.derived import digest_of

CLASSES: Final = ("check_type", "platform", "severity", "category", "pack_id", "source")
"""Fields with few values, which a rule never leaves open."""

PLACES: Final = ("host", "site")

FLAG: Final = "flag"
NUMBER: Final = "number"
WORD: Final = "word"
TEXT: Final = "text"
MIXED: Final = "mixed"

VALUES_KEPT: Final = 12
"""Of a field with more values it is only known that there are many."""

MOST_FIELDS: Final = 64
"""An incident with more of them is no ground for a rule: nobody could read it."""

_COVERED: Final = frozenset({"summary", "message", "error"})
"""Texts that are in the pattern already."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]{0,39}")
_WORD: Final = re.compile(r"[A-Za-z0-9_./\\][A-Za-z0-9_.:/\\@+\-]{0,63}")
_DEPTH: Final = 3
_EXACT: Final = 2**53

Profile = dict[str, Any]
"""`n` successes; `fields`: by path its kind, `n`, `values` (None for many), and of numbers `least` and `most`."""


def profile_of(incident: Mapping[str, Any]) -> Profile:
    """Return the profile of one success.

    Args:
        incident: As it was decided on.
    """
    fields: dict[str, Any] = {}
    over = False
    for path, value in _facts(incident):
        if len(fields) >= MOST_FIELDS:
            over = True
            break
        fields[path] = _field(value)
    return {"n": 1, "over": over, "fields": fields}


def merged(one: Profile | None, other: Profile) -> Profile:
    """Return the profile of all the successes of two; in which order they are merged does not matter."""
    if one is None:
        return other
    fields = {
        path: _merged_field(one["fields"][path], other["fields"][path])
        for path in one["fields"]
        if path in other["fields"]
    }
    return {"n": one["n"] + other["n"], "over": one["over"] or other["over"], "fields": fields}


def origins_of(parameters: Mapping[str, Any], incident: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return where each parameter of a plan may have come from, None where that can never be said.

    Args:
        parameters: What the playbook was given.
        incident: What it was for.
    """
    places: dict[tuple[str, Any], list[str]] = {}
    for path, value in _facts(incident):
        if not isinstance(value, list | Mapping):
            places.setdefault(_same(value), []).append(path)
    origins: dict[str, Any] = {}
    for name, value in parameters.items():
        if not (isinstance(value, str | int | float | bool) and _NAME.fullmatch(name)):
            return None
        origins[name] = {"at": sorted(places.get(_same(value), ()))}
        if _is_plain(value):
            origins[name]["is"] = value
    return origins


def merged_origins(one: Any, other: Any) -> Any:
    """Return what holds of the parameters of both; None where they were not made alike."""
    if one is None or other is None or set(one) != set(other):
        return None
    whole: dict[str, Any] = {}
    for name, mine in one.items():
        theirs = other[name]
        whole[name] = {"at": [path for path in mine["at"] if path in set(theirs["at"])]}
        if "is" in mine and "is" in theirs and _same(mine["is"]) == _same(theirs["is"]):
            whole[name]["is"] = mine["is"]
    return whole


def _facts(incident: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what an incident says, by the path by which a rule would look at it."""
    for name in (*CLASSES, *PLACES):
        if incident.get(name) is not None:
            yield name, incident[name]
    for part in ("details", "labels"):
        inner = incident.get(part)
        if isinstance(inner, Mapping):
            yield from _within(inner, part, 1)


def _within(node: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name in sorted(node, key=str):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            continue
        value = node[name]
        if isinstance(value, Mapping):
            if depth < _DEPTH:
                yield from _within(value, f"{path}.{name}", depth + 1)
        elif value is not None and not (name in _COVERED and isinstance(value, str) and depth == 1):
            yield f"{path}.{name}", value


def _field(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"kind": FLAG, "values": [value]}
    if isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) > _EXACT:
            return {"kind": MIXED, "values": None}
        return {"kind": NUMBER, "values": [value], "least": value, "most": value}
    if isinstance(value, str):
        kind = WORD if _WORD.fullmatch(value) else TEXT
        return {"kind": kind, "values": [value if kind == WORD else digest_of(value)]}
    return {"kind": MIXED, "values": None}


def _merged_field(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    if one["kind"] != other["kind"]:
        if {one["kind"], other["kind"]} == {WORD, TEXT}:
            return _merged_field(_as_text(one), _as_text(other))
        return {"kind": MIXED, "values": None}
    values = _union(one["values"], other["values"])
    whole = {"kind": one["kind"], "values": values}
    if one["kind"] == NUMBER:
        whole |= {"least": min(one["least"], other["least"]), "most": max(one["most"], other["most"])}
    return whole


def _as_text(field: Mapping[str, Any]) -> dict[str, Any]:
    if field["kind"] == TEXT or field["values"] is None:
        return {"kind": TEXT, "values": field["values"]}
    return {"kind": TEXT, "values": sorted({digest_of(value) for value in field["values"]})}


def _union(one: Sequence[Any] | None, other: Sequence[Any] | None) -> list[Any] | None:
    if one is None or other is None:
        return None
    values = {_same(value): value for value in (*one, *other)}
    if len(values) > VALUES_KEPT:
        return None
    return [values[place] for place in sorted(values, key=lambda place: (place[0], str(place[1])))]


def _same(value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "flag", value
    return ("number", float(value)) if isinstance(value, int | float) else ("text", value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return isinstance(value, bool) or (math.isfinite(value) and abs(value) <= _EXACT)


def lies_within(profile: Profile, path: str) -> bool:
    """Say whether every success had a field of one kind at a path."""
    field = profile["fields"].get(path)
    return field is not None and field["kind"] != MIXED
