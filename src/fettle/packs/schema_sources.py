"""The definitions of a pack's sources: how what a program sends is proved, read and mapped to exceptions."""

from typing import Any, Final

from fettle.packs import schema_terms as terms
from fettle.packs.schema_terms import Schema

AUTHENTICATION: Final = (
    *("token", "path_token", "standard_webhooks", "github", "pagerduty", "sentry", "grafana", "sns"),
)
"""How a sender proves that it is one: a token, a token in the address, or a signature of its own kind."""

FORMATS: Final = ("json", "cloudevents", "sns", "email")
"""How a body is read before the mapping sees it."""

_NAME: Final = "^[a-z][a-z0-9_]{0,39}$"
_EXPRESSION_LENGTH: Final = 4_000


def source() -> Schema:
    """Return the schema of a source: a program that sends, and how what it sends is read."""
    return terms.mapping(
        {
            "id": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9-]{1,62}$",
                "description": "Name of the kind: lower-case letters, digits and hyphen, 2 to 63 characters.",
            },
            "title": terms.text("What people call the program.", longest=120),
            "description": terms.text("What it sends, and what becomes of it.", longest=1_000),
            "format": terms.one_of(FORMATS, "How the body is read."),
            "authentication": terms.many(
                terms.one_of(AUTHENTICATION, "A way to prove who sends."),
                "Ways that the program is capable of; the first is what a new source has.",
                least=1,
                most=len(AUTHENTICATION),
            ),
            "secret_from": terms.one_of(
                ("fettle", "sender"), "Who makes the secret; fettle unless the program insists on its own."
            ),
            "setup": terms.many(
                terms.text("One step; {url} and {secret} stand for the source's own.", longest=1_500),
                "What a person does in the program, in order.",
                least=1,
                most=20,
            ),
            **mapping_properties(),
            "tests": terms.many(
                _test(), "What the program sends, and the exceptions that must come of it.", least=1
            ),
        },
        ("id", "title", "description", "format", "authentication", "setup", "set", "tests"),
    )


def source_mapping() -> Schema:
    """Return the schema of a mapping alone, as a tenant edits it."""
    return terms.mapping(
        mapping_properties(),
        ("set",),
        description="How what a program sends becomes exceptions.",
    )


def mapping_properties() -> Schema:
    """Return the fields of a mapping."""
    return {
        "each": _expression(
            "A list in the payload, of which each item is one exception; absent: the payload."
        ),
        "let": terms.many(
            terms.mapping(
                {
                    "name": {"type": "string", "pattern": _NAME, "description": "The name."},
                    "value": _expression("Its value; it may use the names before it."),
                },
                ("name", "value"),
            ),
            "Names for values that are used more than once, in order.",
            most=20,
        ),
        "when": _expression("Whether an item is meant; others are passed over."),
        "set": terms.mapping(
            {
                "check_type": _value("Name of the check; what no name may hold becomes `_`."),
                "host": _value("What it is about."),
                "site": _value("Where it is."),
                "platform": _value("windows, linux, macos or network."),
                "source": _value("Who says so; the source's own name when absent."),
                "summary": _value("One line for people."),
                "severity": _value("info to critical, or a usual word such as warning, error, disaster, P1."),
                "occurred_at": _value("When: RFC 3339 or its relatives, or a number since 1970."),
                "dedup_key": _value("The sender's own key: the same key is the same incident."),
                "status": _value("firing or resolved, or a usual word for one of them."),
                "details": {"description": "An object with whatever else is of use."},
                "labels": {"description": "An object; values become texts."},
            },
            ("check_type",),
            description="Fields of the exception; strings may hold ${{ expressions }}.",
        ),
    }


def _expression(description: str) -> Schema:
    return terms.text(description, longest=_EXPRESSION_LENGTH)


def _value(description: str) -> Schema:
    return {
        "type": ["string", "number", "boolean", "null"],
        "maxLength": _EXPRESSION_LENGTH,
        "description": description,
    }


def _test() -> dict[str, Any]:
    return terms.mapping(
        {
            "name": terms.text("What is tried, in one line.", longest=200),
            "payload": {"description": "What the program sends, as the mapping sees it."},
            "headers": terms.map_to({"type": "string"}, "Headers of the request, names in lower case."),
            "expect": terms.many(
                {"type": "object", "description": "Fields of the exception by dotted path, or nested."},
                "The exceptions, in order; none: it is passed over.",
            ),
        },
        ("name", "payload", "expect"),
    )
