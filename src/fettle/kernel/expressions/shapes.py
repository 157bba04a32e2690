"""What is known of a value before there is one: static types, read from JSON Schema as far as it tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fettle.kernel.expressions.values import BOOLEAN, KINDS, LIST, NULL, NUMBER, OBJECT, TEXT, kind_of

_BY_SCHEMA_TYPE: Final = {
    "null": NULL, "boolean": BOOLEAN, "integer": NUMBER, "number": NUMBER,
    "string": TEXT, "array": LIST, "object": OBJECT,
}  # fmt: skip
_DEEPEST: Final = 16


@dataclass(frozen=True, slots=True)
class Shape:
    """The kinds that a value may have, and what is known of its parts.

    Attributes:
        kinds: Kinds that it may have.
        items: Shape of a list's items.
        properties: Shapes of an object's known members.
        closed: No other members are possible.
    """

    kinds: frozenset[str] = KINDS
    items: "Shape | None" = None
    properties: Mapping[str, "Shape"] = field(default_factory=dict)
    closed: bool = False

    def or_null(self) -> "Shape":
        """Return this shape for a value that may also be missing."""
        return Shape(self.kinds | {NULL}, self.items, self.properties, self.closed)


ANY: Final = Shape()


def of(*kinds: str) -> Shape:
    """Return the shape of a value of one of these kinds, of whose parts nothing is known."""
    return Shape(frozenset(kinds))


def from_schema(schema: Any, depth: int = 0) -> Shape:
    """Read a shape from a JSON Schema; what it does not understand it takes for anything.

    Args:
        schema: A JSON Schema (2020-12).
        depth: How deep it stands; beyond a bound the rest is taken for anything.
    """
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return ANY
    kinds = _kinds(schema)
    properties = schema.get("properties")
    required = schema.get("required", ())
    members = {
        str(name): shape if name in required else shape.or_null()
        for name, member in (properties.items() if isinstance(properties, Mapping) else ())
        for shape in (from_schema(member, depth + 1),)
    }
    items = from_schema(schema["items"], depth + 1) if "items" in schema else None
    return Shape(kinds, items, members, closed=schema.get("additionalProperties") is False)


def _kinds(schema: Mapping[str, Any]) -> frozenset[str]:
    if "const" in schema:
        return frozenset({kind_of(schema["const"])})
    if isinstance(schema.get("enum"), list):
        return frozenset(kind_of(value) for value in schema["enum"])
    declared = schema.get("type")
    if isinstance(declared, str):
        declared = [declared]
    if not isinstance(declared, list):
        return KINDS
    kinds = frozenset(_BY_SCHEMA_TYPE[name] for name in declared if name in _BY_SCHEMA_TYPE)
    return kinds or KINDS
