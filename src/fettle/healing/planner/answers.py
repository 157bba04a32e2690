"""Reads what a provider answered: one of the candidates, with parameters taken from the incident; pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import jsonschema_rs

from fettle.healing.planner.words import Answer, Candidate
from fettle.kernel.jsonio import escape_pointer

_MOST_REASONING: Final = 1_000
_SCALARS: Final = [{"type": kind} for kind in ("string", "number", "boolean", "null")]
_AT: Final = "$at"


class AnswerError(ValueError):
    """An answer that may not be used; the text names no value of it."""


def answer_schema(candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Return the JSON Schema of an answer, in the part of the language that every provider understands."""
    return {
        "type": "object",
        "properties": {
            "choice": {"type": ["string", "null"], "enum": [*(one.key for one in candidates), None]},
            "parameters": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "value": {"anyOf": [*_SCALARS, {"type": "array", "items": {"anyOf": _SCALARS}}]},
                    },
                    "required": ["name", "value"],
                    "additionalProperties": False,
                },
            },
            "reasoning": {"type": "string"},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["choice", "parameters", "reasoning", "confidence"],
        "additionalProperties": False,
    }


def read_answer(value: Any, candidates: Sequence[Candidate], incident: Mapping[str, Any]) -> Answer:
    """Return an answer whose stand-ins were put back.

    Args:
        value: The answer.
        candidates: What was to be chosen from.
        incident: Where every text in the parameters must come from.

    Raises:
        AnswerError: It does not fit.
    """
    validator = _validator(answer_schema(candidates))
    faults = sorted({_place(fault) for fault in validator.iter_errors(value)})
    if faults:
        raise AnswerError(f"The answer does not fit its schema at {', '.join(faults[:5])}.")
    reasoning = value["reasoning"].strip()[:_MOST_REASONING]
    confidence = float(value["confidence"])
    if value["choice"] is None:
        return Answer(None, {}, {}, reasoning, confidence)
    chosen = next(one for one in candidates if one.key == value["choice"])
    names = [entry["name"] for entry in value["parameters"]]
    if len(set(names)) != len(names):
        raise AnswerError("The answer gives a parameter twice.")
    given = {entry["name"]: entry["value"] for entry in value["parameters"] if entry["value"] is not None}
    parameters, origins = fitted(chosen, given, incident)
    return Answer(chosen, parameters, origins, reasoning, confidence)


def fitted(
    candidate: Candidate, given: Mapping[str, Any], incident: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return parameters that fit a candidate, and where in the incident each text of them comes from.

    A model cannot make up a path or a name: every text and number is one that the incident holds, or one
    that the schema itself lists.

    Raises:
        AnswerError: They do not fit.
    """
    faults = sorted({_place(fault) for fault in _validator(candidate.parameters).iter_errors(dict(given))})
    if faults:
        raise AnswerError(f"The parameters do not fit {candidate.name} at {', '.join(faults[:5])}.")
    places = {_same(value): pointer for pointer, value in reversed(list(_leaves(incident, "")))}
    properties = candidate.parameters.get("properties", {})
    origins = {
        name: _origin(value, places, _listed(properties.get(name, {})), name) for name, value in given.items()
    }
    return dict(given), origins


def taken_again(
    candidate: Candidate, origins: Mapping[str, Any], incident: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the parameters that an earlier answer means for another incident, None where it lacks one."""
    values = dict(_leaves(incident, ""))
    try:
        given = {name: _resolved(origin, values) for name, origin in origins.items()}
        return fitted(candidate, given, incident)[0]
    except (KeyError, AnswerError):
        return None


def _origin(value: Any, places: Mapping[Any, str], listed: Sequence[Any], name: str) -> Any:
    if isinstance(value, bool) or value is None or value in listed:
        return value
    if isinstance(value, list):
        return [_origin(child, places, listed, name) for child in value]
    pointer = places.get(_same(value)) if isinstance(value, str | int | float) else None
    if pointer is None:
        raise AnswerError(f"The parameter {name} holds what the incident does not.")
    return {_AT: pointer}


def _resolved(origin: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(origin, Mapping):
        return values[str(origin[_AT])]
    if isinstance(origin, list):
        return [_resolved(child, values) for child in origin]
    return origin


def _listed(schema: Any) -> list[Any]:
    if not isinstance(schema, Mapping):
        return []
    found = list(schema.get("enum") or ())
    found += [schema[name] for name in ("const", "default") if name in schema]
    items = schema.get("items")
    return found + (_listed(items) if isinstance(items, Mapping) else [])


def _leaves(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _leaves(child, f"{pointer}/{escape_pointer(str(name))}")
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _leaves(child, f"{pointer}/{index}")
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield pointer, value


def _same(value: Any) -> tuple[type, Any]:
    return (str, value) if isinstance(value, str) else (float, value)


def _validator(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        dict(schema), pattern_options=jsonschema_rs.RegexOptions(), offline=True
    )


def _place(fault: jsonschema_rs.ValidationError) -> str:
    return "/" + "/".join(str(part) for part in fault.instance_path)
