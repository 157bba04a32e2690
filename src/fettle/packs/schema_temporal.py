"""The part of a Domain Pack's schema that says what rules over time are; a tenant's own ones meet it too."""

from fettle.healing.temporal import rules
from fettle.packs import schema_terms as terms
from fettle.packs.schema_terms import Schema

_NEEDS = {
    "count": ("conditions", "times", "within_seconds"),
    "sequence": ("steps", "within_seconds"),
    "missing": ("conditions", "awaits", "within_seconds"),
    "absence": ("conditions", "within_seconds"),
    "once": ("conditions", "within_seconds"),
    "accumulate": ("conditions", "field", "threshold"),
}


def temporal_rule_of_pack() -> Schema:
    """Return the schema of a pack's rule over time, which has test cases besides."""
    schema = temporal_rule()
    schema["properties"]["tests"] = terms.many(_test(), "Histories, and what comes of them.", most=50)
    return schema


def temporal_rule() -> Schema:
    """Return the schema of a rule over time."""
    return terms.mapping(
        {
            "id": terms.identifier("Id of the rule, such as T-LOGON-001"),
            "title": terms.text("What the rule finds, in one line.", longest=160),
            "description": terms.text("Why that is worth an incident."),
            "kind": terms.one_of(
                rules.KINDS,
                "count: N within a window; sequence: A then B; missing: A without B; absence: nothing for a span; "
                "once: the first within a window; accumulate: a sum that reaches a threshold.",
            ),
            "enabled": {"type": "boolean", "description": "false: kept, sees nothing."},
            "by": terms.many(
                terms.field_path(),
                "Fields that make the key, such as host; none: one key.",
                most=rules.MOST_BY,
            ),
            "conditions": _conditions("What is counted, begins, or must not stop."),
            "awaits": _conditions("What must come after it, of the kind missing."),
            "steps": terms.many(
                terms.mapping(
                    {"conditions": _conditions("The step."), "times": _whole("How often in a row.", 1)},
                    ("conditions",),
                ),
                "What follows upon each other, of the kind sequence.",
                least=2,
                most=rules.MOST_STEPS,
            ),
            "times": _whole("How many exceptions, of the kind count.", 2),
            "within_seconds": terms.seconds("The window.", most=rules.MOST_WITHIN_SECONDS),
            "quiet_seconds": terms.seconds(
                "How long after it fired nothing of the key counts.", least=0, most=rules.MOST_WITHIN_SECONDS
            ),
            "late_seconds": terms.seconds(
                "How long one waits for what comes late before it is missing; 60 unless said.",
                least=0,
                most=rules.MOST_WITHIN_SECONDS,
            ),
            "field": terms.field_path(),
            "threshold": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": rules.MOST_THRESHOLD,
                "description": "The sum that fires, of the kind accumulate.",
            },
            "expected": terms.many(
                {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}},
                "Keys that are looked for though nothing was ever seen of them, of the kind absence.",
                most=rules.MOST_EXPECTED,
            ),
            "most_keys": {
                "type": "integer",
                "minimum": 1,
                "maximum": rules.MOST_KEYS,
                "description": f"How many keys are remembered at once; {rules.DEFAULT_KEYS} unless said.",
            },
            "raises": terms.mapping(
                {
                    "check_type": terms.check_type(),
                    "severity": terms.one_of(
                        terms.SEVERITIES, "Severity; else what packs say of the check type."
                    ),
                    "summary": terms.text("What people read; the key is added.", longest=500),
                },
                ("check_type",),
                description="The exception that it raises.",
            ),
        },
        ("id", "title", "kind", "raises"),
        allOf=[
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"required": list(needed)},
            }
            for kind, needed in _NEEDS.items()
        ],
    )


def _conditions(description: str) -> Schema:
    return terms.many({"$ref": "#/$defs/condition"}, f"{description} All must hold.", least=1, most=50)


def _whole(description: str, least: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": rules.MOST_TIMES, "description": description}


def _test() -> Schema:
    return terms.mapping(
        {
            "name": terms.text("What is tried, in one line.", longest=200),
            "given": terms.many(
                terms.mapping(
                    {"after_seconds": _after("When it comes."), "exception": terms.exception()},
                    ("after_seconds", "exception"),
                ),
                "Exceptions in the order in which they come.",
                least=1,
                most=500,
            ),
            "until_seconds": _after("Up to when time passes; else until the last exception."),
            "expect": terms.many(
                terms.mapping(
                    {
                        "at_seconds": _after("When it was so."),
                        "status": terms.one_of(
                            ("firing", "resolved"), "Whether it is over; firing unless said."
                        ),
                        "incident": {
                            "type": "object",
                            "minProperties": 1,
                            "description": "Fields of what is raised by dotted path, or nested.",
                        },
                    },
                    ("at_seconds",),
                ),
                "What the rule raises, in order; none: nothing.",
                most=100,
            ),
        },
        ("name", "given", "expect"),
    )


def _after(description: str) -> Schema:
    return {
        "type": "number",
        "minimum": 0,
        "maximum": 31_536_000,
        "description": f"{description} In seconds from the beginning.",
    }
