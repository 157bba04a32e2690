"""The least request that an operation takes, made from its description."""

from typing import Any
from uuid import uuid4

_TEXTS = {"uuid": lambda: str(uuid4()), "date-time": lambda: "2026-01-01T00:00:00Z", "binary": lambda: "PK"}


def least_body(document: dict[str, Any], operation: dict[str, Any]) -> tuple[str, Any] | None:
    """Return the content type and a body with what must be there, or None where none is taken."""
    content = operation.get("requestBody", {}).get("content", {})
    for kind, media in content.items():
        return kind, least(document, media.get("schema", {}))
    return None


def least_query(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the address that must be there."""
    return {
        p["name"]: least(document, p["schema"])
        for p in operation.get("parameters", ())
        if p["in"] == "query" and p.get("required")
    }


def least(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Return a small value that a schema describes, an example of its own where it has one."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return least(document, schema[several][0])
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    return _BY_TYPE[schema.get("type", "object")](document, schema)


def _object(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    known = schema.get("properties", {})
    return {name: least(document, known[name]) for name in schema.get("required", ()) if name in known}


def _array(document: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    return [least(document, schema["items"])] if schema.get("minItems") else []


def _text(_document: dict[str, Any], schema: dict[str, Any]) -> str:
    made = _TEXTS.get(schema.get("format", ""), lambda: "")()
    return made or "x" * max(1, schema.get("minLength", 1))


_BY_TYPE = {
    "object": _object,
    "array": _array,
    "string": _text,
    "integer": lambda _document, schema: schema.get("minimum", 1),
    "number": lambda _document, schema: schema.get("minimum", 1),
    "boolean": lambda _document, _schema: False,
    "null": lambda _document, _schema: None,
}
