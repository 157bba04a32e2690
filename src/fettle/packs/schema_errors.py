"""Turns what the JSON Schema validator found into sentences that say what to write instead."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import jsonschema_rs

from fettle.packs.yaml_reader import Path

_LIKENESS: Final = 0.6

Finding = tuple[Path, str, str]
"""Path in the checked value, what is wrong, and the fix."""


def findings(
    validator: jsonschema_rs.Draft202012Validator, schema: Mapping[str, Any], value: Any
) -> Iterator[Finding]:
    """Yield every finding of a validator in a value.

    Args:
        validator: The compiled schema.
        schema: The document it was compiled from; descriptions in it become part of the fix.
        value: What is checked.
    """
    errors = list(validator.iter_errors(value))
    misspelt = {(tuple(error.instance_path), name) for error in errors for name in _meant(error, schema)}
    for error in errors:
        kind: Any = error.kind
        if kind.name == "required" and (tuple(error.instance_path), kind.property) in misspelt:
            continue
        yield from _describe(error, schema)


def closest(word: str, known: Sequence[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known word, or ``""``."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=_LIKENESS)
    return f" Did you mean '{near[0]}'?" if near else ""


def _meant(error: jsonschema_rs.ValidationError, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the known names that unknown ones were probably meant to be."""
    kind: Any = error.kind
    if kind.name == "additionalProperties":
        known = list(_node(error, schema).get("properties", {}))
        for name in kind.unexpected:
            yield from difflib.get_close_matches(name, known, n=1, cutoff=_LIKENESS)


def _describe(error: jsonschema_rs.ValidationError, schema: Mapping[str, Any]) -> Iterator[Finding]:
    path: Path = tuple(error.instance_path)
    kind: Any = error.kind
    node = _node(error, schema)
    if kind.name == "required":
        meaning = _description(_property(error, schema, kind.property))
        yield path, f"'{kind.property}' is missing.", f"Add it{meaning}"
    elif kind.name == "additionalProperties":
        known = list(node.get("properties", {}))
        for name in kind.unexpected:
            hint = closest(name, known) or f" Known here: {', '.join(sorted(known))}."
            yield (*path, name), f"'{name}' is not known here.", f"Remove or correct it.{hint}"
    elif kind.name == "enum":
        options = [str(option) for option in node.get("enum", kind.options)]
        yield path, f"{_shown(error.instance)} is not one of the values.", _choose(error.instance, options)
    elif kind.name in ("oneOf", "anyOf"):
        yield path, "The parts do not fit together.", node.get("description", error.message)
    else:
        yield path, f"{_sentence(error.message)}", _expected(node)


def _node(error: jsonschema_rs.ValidationError, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of the schema whose keyword failed."""
    return _walk(schema, list(error.schema_path)[:-1])


def _property(
    error: jsonschema_rs.ValidationError, schema: Mapping[str, Any], name: str
) -> Mapping[str, Any]:
    """Return the schema of a property, which a condition's `then` leaves to the parts around it."""
    path = list(error.schema_path)[:-1]
    for length in range(len(path), -1, -1):
        properties = _walk(schema, path[:length]).get("properties", {})
        if name in properties:
            found: Mapping[str, Any] = properties[name]
            return found
    return {}


def _walk(schema: Mapping[str, Any], path: Sequence[str | int]) -> Mapping[str, Any]:
    node: Any = schema
    for part in path:
        if isinstance(node, Mapping) and "$ref" in node and part not in node:
            node = _walk(schema, node["$ref"].removeprefix("#/").split("/"))
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return node if isinstance(node, Mapping) else {}


def _choose(value: Any, options: Sequence[str]) -> str:
    hint = closest(value, options) if isinstance(value, str) else ""
    return f"Write one of: {', '.join(options)}.{hint}"


def _description(node: Mapping[str, Any]) -> str:
    text = node.get("description")
    if text is None and "enum" in node:
        text = "one of: " + ", ".join(str(option) for option in node["enum"])
    return f": {text}" if text else "."


def _expected(node: Mapping[str, Any]) -> str:
    description = node.get("description")
    kind = node.get("type")
    names = kind if isinstance(kind, list) else [kind] if kind else []
    wanted = f"Write a value of type {' or '.join(names)}" if names else "Correct the value"
    return f"{wanted}. {description}" if description else f"{wanted}."


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - fits a line


def _sentence(message: str) -> str:
    text = message if len(message) <= 300 else f"{message[:297]}..."  # noqa: PLR2004 - fits a screen
    return f"{text}."
