"""The definitions of a Domain Pack's schema, one function for each kind of item."""

from fettle.packs import schema_actions as actions
from fettle.packs import schema_muting as muting
from fettle.packs import schema_sources as sources
from fettle.packs import schema_temporal as temporal
from fettle.packs import schema_terms as terms
from fettle.packs.schema_terms import Schema


def definitions() -> dict[str, Schema]:
    """Return every definition of the Domain Pack schema by name."""
    return {
        "manifest": _manifest(),
        "exception_type": _exception_type(),
        "rule": _rule(),
        "temporal_rule": temporal.temporal_rule_of_pack(),
        "condition": _condition(),
        "playbook": actions.playbook(),
        "step": actions.step(),
        "tool_call": actions.tool_call(),
        "runbook": actions.runbook(),
        "runbook_step": actions.runbook_step(),
        "source": sources.source(),
        "test": _test(),
    }


def _manifest() -> Schema:
    return terms.mapping(
        {
            "id": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9-]{1,62}$",
                "description": "Name of the pack: lower-case letters, digits and hyphen, 2 to 63 characters.",
            },
            "version": terms.version(),
            "schema_version": {"const": 1, "description": "Version of this schema: 1."},
            "title": terms.text("What people call the pack.", longest=120),
            "description": terms.text("What the pack looks after."),
            "default_active": {
                "type": "boolean",
                "description": "A shipped pack with true is active for a tenant that has chosen nothing.",
            },
            "tools": terms.many(
                terms.identifier("Name of a tool"), "Tools that the pack's playbooks and checks call."
            ),
            "hosts": terms.mapping(
                {
                    "platforms": terms.map_to(
                        terms.one_of(terms.PLATFORMS, "Platform."), "What senders write, to our word."
                    )
                },
                description="How hosts are named.",
            ),
            "verify": {"$ref": "#/$defs/tool_call", "description": "For exception types without their own."},
            "planner": _planner(),
            "service_levels": {
                "type": "object",
                "description": "Times to keep for each severity.",
                "propertyNames": {"enum": list(terms.SEVERITIES)},
                "additionalProperties": terms.mapping(
                    {
                        "acknowledge_seconds": terms.seconds("Until somebody or something has taken it."),
                        "resolve_seconds": terms.seconds("Until it is resolved.", most=31_536_000),
                    }
                ),
            },
            "trust_signals": terms.many(_trust_signal(), "Signals that actions of this pack depend on."),
            "dependencies": muting.dependencies(),
            "correlations": muting.correlations(),
            "redaction": terms.many(
                _redaction(), "Patterns of what must not be stored, in this domain's data."
            ),
        },
        ("id", "version", "schema_version", "title", "description"),
        description="pack.yaml",
    )


def _planner() -> Schema:
    return terms.mapping(
        {
            "summary": terms.text("What a planner has to know of this domain.", longest=8_000),
            "hints": terms.many(
                terms.mapping(
                    {
                        "check_types": terms.many(terms.check_type(), "Where the hint applies.", least=1),
                        "text": terms.text("The hint."),
                    },
                    ("check_types", "text"),
                ),
                "Hints for kinds of exceptions.",
            ),
            "never": terms.many(
                terms.text("Something that must not be planned.", longest=500), "What no plan may do."
            ),
            "shows": {
                "type": "array",
                "items": {"type": "string", "enum": ["ip", "mac"]},
                "uniqueItems": True,
                "description": "Addresses that a model may see as they are; without it, it sees stand-ins.",
            },
        },
        description="Guidance for the planner (L2).",
    )


def _trust_signal() -> Schema:
    return terms.mapping(
        {
            "id": terms.identifier("Id of the signal"),
            "title": terms.text("What is measured.", longest=120),
            "unit": terms.text("Unit of the value.", longest=32),
            "worse": terms.one_of(("higher", "lower"), "Which direction is worse."),
            "degraded": {"type": "number", "description": "From here on it is degraded."},
            "critical": {"type": "number", "description": "From here on it is critical."},
            "stale_after_seconds": terms.seconds("Age from which its health is unknown."),
            "applies_to": terms.many(
                terms.check_type(), "Checks whose actions depend on it; none: all of the pack."
            ),
        },
        ("id", "title", "worse", "degraded", "critical"),
    )


def _redaction() -> Schema:
    return terms.mapping(
        {
            "id": terms.identifier("Id of the pattern"),
            "description": terms.text("What it finds.", longest=300),
            "pattern": terms.text("A regular expression (RE2 syntax).", longest=500),
            "replacement": {
                "type": "string",
                "maxLength": 64,
                "description": "What is stored instead; [redacted:<id>] when absent.",
            },
        },
        ("id", "pattern"),
    )


def _exception_type() -> Schema:
    return terms.mapping(
        {
            "check_type": terms.check_type(),
            "title": terms.text("What people call it.", longest=120),
            "description": terms.text("What is out of order when this arrives, and why it matters."),
            "category": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9_]{1,39}$",
                "description": "Group for lists: lower-case letters, digits and underscore.",
            },
            "platforms": terms.many(
                terms.one_of(terms.PLATFORMS, "Platform."), "Platforms that have this check.", least=1
            ),
            "aliases": terms.many(terms.check_type(), "Other names that senders use for it.", most=50),
            "severity": terms.one_of(
                terms.SEVERITIES, "Severity, unless the sender or severity_by says otherwise."
            ),
            "severity_by": terms.many(
                terms.mapping(
                    {
                        "when": terms.many({"$ref": "#/$defs/condition"}, "All must hold.", least=1, most=20),
                        "severity": terms.one_of(terms.SEVERITIES, "Severity in that case."),
                    },
                    ("when", "severity"),
                ),
                "Cases in order; the first that holds decides.",
                most=20,
            ),
            "normalise": {
                "type": "object",
                "maxProperties": 40,
                "propertyNames": terms.field_path(),
                "additionalProperties": _normalisation(),
                "description": "Target path to where its value comes from.",
            },
            "reclassify": terms.mapping(
                {
                    "field": terms.field_path(),
                    "map": terms.map_to(
                        terms.check_type(), "Value of the field to the check type that it means."
                    ),
                },
                ("field", "map"),
                description="Turns a general exception into the check that it means.",
            ),
            "fingerprint": terms.many(
                terms.field_path(),
                "Fields besides check_type, host and site that make it another incident.",
                most=10,
            ),
            "verify": {"$ref": "#/$defs/tool_call"},
            "controls": terms.controls(),
        },
        ("check_type", "title", "description", "category", "platforms", "severity"),
    )


def _normalisation() -> Schema:
    return terms.mapping(
        {
            "from": {
                "type": ["string", "array"],
                "items": terms.field_path(),
                "minItems": 1,
                "maxItems": 10,
                "description": "A dotted path, or several of which the first that is present counts.",
            },
            "apply": terms.many(
                terms.one_of(terms.TRANSFORMS, "Transformation."), "Transformations in order.", most=6
            ),
            "map": {
                "type": "object",
                "maxProperties": 200,
                "description": "Value found (as text) to value stored; others stay as they are.",
            },
            "default": {"description": "Value when none of the paths is present."},
        },
        ("from",),
    )


def _condition() -> Schema:
    group = terms.many({"$ref": "#/$defs/condition"}, "Conditions.", least=1, most=100)
    return {
        "type": "object",
        "additionalProperties": False,
        "description": "{field, operator, value}, or one of any, all, none with a list of conditions.",
        "properties": {
            "field": terms.field_path(),
            "operator": terms.one_of(terms.OPERATORS, "Comparison."),
            "value": {"description": "What the field is compared with."},
            "any": group,
            "all": group,
            "none": group,
        },
        "if": {"anyOf": [{"required": [name]} for name in ("any", "all", "none")]},
        "then": {
            "maxProperties": 1,
            "description": "A group holds nothing besides its one list: any, all or none.",
        },
        "else": {
            "required": ["field", "operator"],
            "if": {"properties": {"operator": {"enum": list(terms.VALUELESS_OPERATORS)}}},
            "then": {},
            "else": {"required": ["value"]},
        },
        "allOf": [
            _when_operator(terms.LIST_OPERATORS, {"type": "array", "maxItems": 5_000}),
            _when_operator(("between",), {"type": "array", "minItems": 2, "maxItems": 2}),
            _when_operator(
                ("regex", "starts_with", "ends_with", "version_lt", "version_gte"), {"type": "string"}
            ),
            _when_operator(("cidr",), {"type": ["string", "array"], "items": {"type": "string"}}),
        ],
    }


def _when_operator(operators: tuple[str, ...], value: Schema) -> Schema:
    return {
        "if": {"properties": {"operator": {"enum": list(operators)}}, "required": ["operator"]},
        "then": {"properties": {"value": value}},
    }


def _rule() -> Schema:
    return terms.mapping(
        {
            "id": terms.identifier("Id of the rule, such as L1-WIN-FIREWALL-001"),
            "title": terms.text("What the rule does, in one line.", longest=160),
            "description": terms.text("Why it is right to do so."),
            "priority": {
                "type": "integer",
                "minimum": 0,
                "maximum": 100_000,
                "description": "Lower wins; ties by id.",
            },
            "enabled": {"type": "boolean", "description": "false: kept, never matched."},
            "conditions": terms.many({"$ref": "#/$defs/condition"}, "All must hold.", least=1, most=50),
            "action": terms.one_of(
                ("execute_runbook", "run_playbook", "escalate", "suppress", "notify"), "What is done."
            ),
            "runbook_id": terms.identifier("Id of a runbook of this pack"),
            "playbook_id": terms.identifier("Id of a playbook of this pack"),
            "parameters": {
                "type": "object",
                "maxProperties": 40,
                "description": "Parameters of the runbook or playbook; strings may hold ${{ expressions }}.",
            },
            "reason": terms.text(
                "Why it is escalated, suppressed or told of; a person reads it.", longest=500
            ),
            "cooldown_seconds": terms.seconds("Least time between two runs for the same incident.", least=0),
            "max_attempts": {
                "type": "integer",
                "minimum": 1,
                "maximum": 20,
                "description": "Runs for one incident, before it is escalated.",
            },
            "controls": terms.controls(),
        },
        ("id", "title", "priority", "conditions", "action"),
        allOf=[
            _action_needs(("execute_runbook",), "runbook_id"),
            _action_needs(("run_playbook",), "playbook_id"),
            _action_needs(("escalate", "suppress", "notify"), "reason"),
        ],
    )


def _action_needs(actions: tuple[str, ...], field: str) -> Schema:
    return {
        "if": {"properties": {"action": {"enum": list(actions)}}, "required": ["action"]},
        "then": {"required": [field]},
    }


def _test() -> Schema:
    optional_id = {"type": ["string", "null"], "description": "Its id; null: none."}
    return terms.mapping(
        {
            "name": terms.text("What is tried, in one line.", longest=200),
            "given": terms.exception(),
            "expect": terms.mapping(
                {
                    "incident": {
                        "type": "object",
                        "minProperties": 1,
                        "description": "Fields of the incident by dotted path, or nested.",
                    },
                    "rule": optional_id,
                    "action": {"type": ["string", "null"], "description": "Action of the winning rule."},
                    "runbook": optional_id,
                    "playbook": optional_id,
                },
                minProperties=1,
            ),
        },
        ("name", "given", "expect"),
    )
