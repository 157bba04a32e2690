"""The words and small schemas that the definitions of packs are made of."""

from typing import Any, Final

Schema = dict[str, Any]

SEVERITIES: Final = ("info", "low", "medium", "high", "critical")
PLATFORMS: Final = ("windows", "linux", "macos", "network")
ROLES: Final = ("platform_admin", "partner_admin", "tenant_admin", "operator", "analyst")
AUTONOMY: Final = ("observe", "suggest", "approve", "act")
OPERATORS: Final = (
    *("eq", "ne", "in", "not_in", "contains", "not_contains", "starts_with", "ends_with", "regex"),
    *("gt", "gte", "lt", "lte", "between", "exists", "not_exists", "cidr", "version_lt", "version_gte"),
)
VALUELESS_OPERATORS: Final = ("exists", "not_exists")
LIST_OPERATORS: Final = ("in", "not_in")
TRANSFORMS: Final = (
    "lower",
    "upper",
    "trim",
    "strip_port",
    "first_label",
    "integer",
    "number",
    "boolean",
    "string",
)

VERSION_PATTERN: Final = r"^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})(-[0-9a-z.]{1,32})?$"


def text(description: str, *, longest: int = 2_000) -> Schema:
    """Return the schema of a text that is not empty."""
    return {"type": "string", "minLength": 1, "maxLength": longest, "description": description}


def mapping(properties: Schema, required: tuple[str, ...] = (), **more: Any) -> Schema:
    """Return the schema of a mapping with these fields and no others."""
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": properties,
        **more,
    }


def identifier(what: str) -> Schema:
    """Return the schema of an identifier."""
    return {
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        "description": f"{what}: letters, digits, dot, hyphen and underscore, at most 100 characters.",
    }


def check_type() -> Schema:
    """Return the schema of a check type's name."""
    return {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{1,63}$",
        "description": "Name of a check: lower-case letters, digits and underscore, 2 to 64 characters.",
    }


def field_path() -> Schema:
    """Return the schema of a dotted path."""
    return {
        "type": "string",
        "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,63}(\\.[A-Za-z0-9_-]{1,64}){0,7}$",
        "description": "A dotted path into the exception, such as details.drive.",
    }


def one_of(values: tuple[str, ...], description: str) -> Schema:
    """Return the schema of one of a few words."""
    return {"type": "string", "enum": list(values), "description": description}


def many(items: Schema, description: str, *, most: int = 200, least: int = 0) -> Schema:
    """Return the schema of a list."""
    schema: Schema = {"type": "array", "items": items, "maxItems": most, "description": description}
    if least:
        schema["minItems"] = least
    return schema


def seconds(description: str, *, most: int = 604_800, least: int = 1) -> Schema:
    """Return the schema of a duration in seconds."""
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def controls() -> Schema:
    """Return the schema of a list of control identifiers."""
    return many(
        {
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9-]{1,31}:[A-Za-z0-9().-]{1,64}$",
            "description": "framework:identifier, such as hipaa:164.312(a)(1).",
        },
        "Controls that this bears on, by identifier.",
        most=30,
    )


def version() -> Schema:
    """Return the schema of a version."""
    return {
        "type": "string",
        "pattern": VERSION_PATTERN,
        "description": "A version as major.minor.patch in quotes, such as '1.4.0'.",
    }


def map_to(value: Schema, description: str) -> Schema:
    """Return the schema of a mapping with free keys."""
    return {
        "type": "object",
        "maxProperties": 500,
        "additionalProperties": value,
        "description": description,
    }


def relative_path(description: str) -> Schema:
    """Return the schema of a relative path."""
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": 300,
        "pattern": r"^[^/\\\x00]",
        "description": f"{description} Relative, with forward slashes.",
    }


def exception() -> Schema:
    """Return the schema of an exception that a test case gives."""
    return mapping(
        {
            "check_type": check_type(),
            "host": {"type": "string"},
            "site": {"type": "string"},
            "platform": {"type": "string"},
            "source": {"type": "string"},
            "summary": {"type": "string"},
            "severity": one_of(SEVERITIES, "Severity that the sender gives."),
            "occurred_at": {"type": "string"},
            "dedup_key": {"type": "string"},
            "status": one_of(("firing", "resolved"), "Whether it is still out of order."),
            "details": {"type": "object"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        ("check_type",),
        description="An exception, as POST /api/v1/exceptions takes it.",
    )
