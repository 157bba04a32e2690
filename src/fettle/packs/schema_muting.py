"""The parts of a Domain Pack's schema that say what hangs on what, and which incidents may belong together."""

from fettle.packs import schema_terms as terms
from fettle.packs.schema_terms import Schema

_KINDS = ("host", "site", "service")


def dependencies() -> Schema:
    """Return the schema of `dependencies`."""
    return terms.many(
        terms.mapping(
            {
                "id": terms.identifier("Id of the dependency"),
                "title": terms.text("What people call it.", longest=160),
                "dependents": terms.many(_thing("A star stands for any text."), "What hangs on it.", least=1),
                "on": _thing("What they hang on."),
                "down": terms.many(_matcher(), "Which incidents about it say that it is down.", least=1),
            },
            ("id", "title", "dependents", "on", "down"),
        ),
        "What keeps still while a thing that it hangs on is down.",
    )


def correlations() -> Schema:
    """Return the schema of `correlations`."""
    return terms.many(
        terms.mapping(
            {
                "id": terms.identifier("Id of the rule"),
                "title": terms.text("What people read of the group.", longest=160),
                "check_types": terms.many(
                    terms.check_type(), "Two different ones of these at least.", least=2
                ),
                "same": terms.many(
                    _name(), "Of these all have the same value, such as host.", least=1, most=5
                ),
                "window_seconds": terms.seconds("Between the first and the last.", most=86_400),
                "cause": terms.check_type(),
            },
            ("id", "title", "check_types", "same", "window_seconds"),
        ),
        "Which incidents may belong together; a person confirms or dismisses each group.",
    )


def _thing(description: str) -> Schema:
    return terms.mapping(
        {
            "kind": terms.one_of(_KINDS, "A service is what the label of that name says."),
            "name": terms.text(description, longest=255),
        },
        ("kind", "name"),
    )


def _matcher() -> Schema:
    return terms.mapping(
        {
            "name": _name(),
            "op": terms.one_of(("=", "!=", "=~", "!~"), "As in Alertmanager."),
            "value": {"type": "string", "maxLength": 1_000, "description": "A text, or a pattern of RE2."},
        },
        ("name", "op", "value"),
    )


def _name() -> Schema:
    return {
        "type": "string",
        "pattern": "^[A-Za-z_][A-Za-z0-9_.:/-]{0,119}$",
        "description": "check_type, host, site, severity, platform, source, or a label's name.",
    }
