"""The definition of a Policy Pack's schema: a tenant's own choices over its packs."""

from fettle.packs import schema_terms as terms
from fettle.packs.schema_policy_flywheel import flywheel
from fettle.packs.schema_terms import Schema

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def policy_pack() -> Schema:
    """Return the schema of a Policy Pack, without its heading."""
    return terms.mapping(
        {
            "id": terms.identifier("Id of the policy"),
            "version": terms.version(),
            "schema_version": {"const": 1, "description": "Version of this schema: 1."},
            "title": terms.text("What people call it.", longest=120),
            "description": terms.text("What it chooses, and for whom."),
            "autonomy": terms.one_of(terms.AUTONOMY, _AUTONOMY),
            "overrides": terms.many(
                _override(), "Other autonomy in narrower cases; the first that fits counts."
            ),
            "approvals": _approvals(),
            "allowed_tools": terms.many(
                _tool_pattern(), "Tools that may be called; '*' stands for any text."
            ),
            "denied_tools": terms.many(
                _tool_pattern(), "Tools that may not be called, even if allowed above."
            ),
            "maintenance_windows": terms.many(_window(), "Times with other rules."),
            "silences": terms.many(_silence(), "What is suppressed for a while."),
            "escalation_contacts": terms.many(_contact(), _CONTACTS),
            "budgets": _budgets(),
            "blast_radius": _blast_radius(),
            "flapping": _flapping(),
            "breakers": _breakers(),
            "planner": _planner(),
            "flywheel": flywheel(),
            "storm": _storm(),
            "due_within": _due_within(),
            "retention": _retention(),
            "trust_gate": _trust_gate(),
        },
        ("id", "version", "schema_version", "title", "autonomy"),
    )


_CONTACTS = "Who is told of an incident that needs a person and that no escalation policy fits."

_AUTONOMY = (
    "observe: only record; suggest: propose, never act; approve: act once a person approved; act: at once."
)


def _match() -> Schema:
    return terms.mapping(
        {
            "check_types": terms.many(terms.check_type(), "Check types.", least=1),
            "packs": terms.many(terms.identifier("Pack id"), "Packs that know the check.", least=1),
            "rules": terms.many(terms.identifier("Rule id"), "Rules.", least=1),
            "playbooks": terms.many(terms.identifier("Playbook id"), "Playbooks.", least=1),
            "runbooks": terms.many(terms.identifier("Runbook id"), "Runbooks.", least=1),
            "severities": terms.many(terms.one_of(terms.SEVERITIES, "Severity."), "Severities.", least=1),
            "platforms": terms.many(terms.one_of(terms.PLATFORMS, "Platform."), "Platforms.", least=1),
            "hosts": terms.many(terms.text("Host; * stands for any text.", longest=255), "Hosts.", least=1),
            "sites": terms.many(terms.text("Site.", longest=255), "Sites.", least=1),
        },
        minProperties=1,
        description="All that are given must fit; within one list, one entry.",
    )


def _override() -> Schema:
    return terms.mapping(
        {
            "match": _match(),
            "autonomy": terms.one_of(terms.AUTONOMY, _AUTONOMY),
            "reason": terms.text("Why.", longest=300),
        },
        ("match", "autonomy"),
    )


def _approvers() -> Schema:
    return {
        "by": terms.many(terms.one_of(terms.ROLES, "Role."), "Roles of which one decides.", least=1),
        "people": {
            "type": "integer",
            "minimum": 1,
            "maximum": 2,
            "description": "2: two different people must approve, neither of them who asked for it.",
        },
        "expires_seconds": terms.seconds("After this an open approval counts as rejected.", least=60),
    }


def _approvals() -> Schema:
    return terms.mapping(
        {
            **_approvers(),
            "cases": terms.many(
                terms.mapping(
                    {"match": _match(), **_approvers(), "reason": terms.text("Why.", longest=300)}, ("match",)
                ),
                "Other approvers in narrower cases; the first that fits counts, what it leaves out stays as above.",
            ),
        },
        ("by",),
    )


def _tool_pattern() -> Schema:
    return {
        "type": "string",
        "pattern": "^[a-z*][a-z0-9_.*-]{0,99}$",
        "description": "Name of a tool, such as runbook.run; '*' stands for any text.",
    }


def _clock_time(description: str) -> Schema:
    return {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "description": f"{description} Hours and minutes in quotes, such as '22:30'.",
    }


def _moment(description: str) -> Schema:
    return {
        "type": "string",
        "pattern": r"^[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$",
        "description": f"{description} RFC 3339, in quotes.",
    }


def _window() -> Schema:
    return terms.mapping(
        {
            "title": terms.text("Name of the window.", longest=120),
            "weekdays": terms.many(
                terms.one_of(WEEKDAYS, "Weekday."), "On which days it begins.", least=1, most=7
            ),
            "from": _clock_time("Begin."),
            "to": _clock_time("End; before the begin: on the next day."),
            "timezone": {
                "type": "string",
                "pattern": "^[A-Za-z][A-Za-z0-9_+/-]{1,63}$",
                "description": "IANA name of the time zone, such as Europe/Berlin.",
            },
            "sites": terms.many(terms.text("Site.", longest=255), "Only there.", least=1),
            "effect": terms.one_of(
                ("suppress", "hold", "only_then"),
                "suppress: incidents wait; hold: nothing acts; only_then: disruptive work only then.",
            ),
        },
        ("title", "weekdays", "from", "to", "timezone", "effect"),
    )


def _silence() -> Schema:
    return terms.mapping(
        {
            "reason": terms.text("Why.", longest=300),
            "until": _moment("When it ends."),
            "check_types": terms.many(terms.check_type(), "Check types.", least=1),
            "hosts": terms.many(terms.text("Host; * stands for any text.", longest=255), "Hosts.", least=1),
        },
        ("reason", "until"),
        anyOf=[{"required": ["check_types"]}, {"required": ["hosts"]}],
        description="A silence names check_types or hosts, so that it never covers everything.",
    )


def _storm() -> Schema:
    return terms.mapping(
        {
            "incidents": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000_000,
                "description": "So many new ones of one check type at one site get an incident each.",
            },
            "window_seconds": terms.seconds("Within so long.", most=3_600, least=1),
        },
        ("incidents", "window_seconds"),
        description="From how many on the rest becomes one incident, for a person; without it, never.",
    )


def _contact() -> Schema:
    return terms.mapping(
        {
            "name": terms.text("Person or team.", longest=120),
            "channel": terms.one_of(
                ("console", "email", "webhook"),
                "How they are told: email by the installation's mail server; webhook signed with the tenant's secret "
                "escalation-contacts; console sends nothing, for it stands there.",
            ),
            "address": terms.text("E-mail address or URL.", longest=500),
            "severities": terms.many(terms.one_of(terms.SEVERITIES, "Severity."), "For which.", least=1),
            "after_seconds": terms.seconds("So long after the escalation.", least=0),
        },
        ("name", "channel"),
    )


def _count(description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": 1_000_000, "description": description}


def _budgets() -> Schema:
    return terms.mapping(
        {
            "actions_per_hour": _count("Playbooks that may start in an hour."),
            "actions_per_host_per_hour": _count("The same, for one host."),
            "disruptive_per_day": _count("Playbooks with a disruptive runbook that may start in a day."),
        },
        description="Limits on what acts. What is over one of them is held until there is room again.",
    )


def _share(description: str) -> Schema:
    return {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": description}


def _blast_radius() -> Schema:
    return terms.mapping(
        {
            "hosts_per_hour": {
                **_count("Hosts that one playbook may act on in an hour."),
                "minimum": 1,
            },
            "share_of_fleet_per_hour": _share(
                "The same as a share of the declared hosts, at least one; with both, the lesser counts."
            ),
            "canary": {
                "type": "boolean",
                "description": "A playbook acts on one host first; on others once that one is verified.",
            },
        },
        minProperties=1,
        description="How far one playbook may reach at once. What is over it is held until there is room again.",
    )


def _flapping() -> Schema:
    return terms.mapping(
        {
            "enabled": {"type": "boolean", "description": "false: nothing is taken as flapping."},
            "flaps": {
                "type": "integer",
                "minimum": 2,
                "maximum": 20,
                "description": "So often out of order again within the window goes to a person. Without it 3.",
            },
            "window_seconds": terms.seconds("The window. Without it an hour, 3600.", least=60),
        },
        description="When a check that comes and goes is left to a person, until one clears it.",
    )


def _breaker(what: str) -> Schema:
    return terms.mapping(
        {
            "failures": {
                "type": "integer",
                "minimum": 1,
                "maximum": 50,
                "description": "So many failures within the window open it.",
            },
            "window_seconds": terms.seconds("The window.", most=86_400, least=60),
            "share": _share("And at least this share of what was tried must have failed. Without it 0.5."),
            "open_seconds": terms.seconds(
                "So long it stays open; then one run may try.", most=86_400, least=10
            ),
        },
        description=what,
    )


def _breakers() -> Schema:
    return terms.mapping(
        {
            "tool": _breaker("For each tool."),
            "host": _breaker("For each host."),
            "playbook": _breaker("For each playbook."),
            "tenant": _breaker("For all of the tenant."),
        },
        description="When healing stops by itself because it fails; without an entry, the built-in limits hold.",
    )


def _planner() -> Schema:
    pattern = {
        "type": "string",
        "pattern": "^[A-Za-z0-9*][A-Za-z0-9._*-]{0,99}$",
        "description": "Id; '*' stands for any text.",
    }
    return terms.mapping(
        {
            "enabled": {
                "type": "boolean",
                "description": "The planner looks at incidents that no rule matches; otherwise a person does.",
            },
            "after_rules": {
                "type": "boolean",
                "description": "It looks at what a rule's playbook did not heal, too; without it, it does.",
            },
            "autonomy": terms.one_of(
                terms.AUTONOMY, "The most that a plan of the planner's may do by itself, whatever else holds."
            ),
            "least_confidence": {
                "type": "number",
                "minimum": 0.7,
                "maximum": 1,
                "description": "Below this a person decides; never less than 0.7.",
            },
            "highest_risk": terms.one_of(
                ("low", "medium", "high"), "Riskier runbooks are not offered to it."
            ),
            "disruptive": {"type": "boolean", "description": "It may choose disruptive runbooks, too."},
            "runbooks": terms.many(pattern, "Runbooks that it may choose; without it, all of the platform."),
            "playbooks": terms.many(pattern, "Playbooks that it may choose; without it, none."),
            "prose": terms.one_of(
                ("withheld", "masked"),
                "Free text stays here (without it, too), or leaves with stand-ins for what may name somebody.",
            ),
            "calls_per_day": _count("Calls of models in a day, UTC."),
            "tokens_per_day": {
                "type": "integer",
                "minimum": 0,
                "maximum": 10_000_000_000,
                "description": "Tokens in a day, UTC.",
            },
            "usd_per_day": {
                "type": "number",
                "minimum": 0,
                "maximum": 1_000_000,
                "description": "US dollars in a day, UTC.",
            },
        },
        ("enabled",),
        description="What the planner may do for incidents that no rule matches; without it, nothing.",
    )


def _due_within() -> Schema:
    meanings = {
        "step_seconds": "A program's next step: taking in, deciding, sending, taking over what a process left.",
        "planning_seconds": "The planner's answer.",
        "healing_seconds": "An incident that is healed, and no run has it.",
        "unanswered_seconds": "Everybody was told, and nobody answered.",
        "person_seconds": "An incident that needs a person, and nobody has it.",
        "taken_seconds": "Somebody has it, and it is not resolved.",
        "suppressed_seconds": "An incident that is suppressed without an end.",
    }
    return terms.mapping(
        {name: terms.seconds(meaning, least=60, most=31_536_000) for name, meaning in meanings.items()},
        description="How long what is open may take to its next event; later, that is an incident of its own.",
    )


def _retention() -> Schema:
    return terms.mapping(
        {
            "audit_days": {
                "type": "integer",
                "minimum": 30,
                "maximum": 36_500,
                "description": "Audit records, once they are sealed. Incidents and their evidence are kept.",
            },
            "patterns_days": {
                "type": "integer",
                "minimum": 30,
                "maximum": 36_500,
                "description": "What is known of patterns that were not met again for so long; 400 days if left out.",
            },
        }
    )


def _trust_gate() -> Schema:
    return terms.mapping(
        {
            "on_degraded": terms.one_of(("pass", "hold", "block"), "When a signal is degraded."),
            "on_critical": terms.one_of(("hold", "block"), "When a signal is critical."),
            "on_unknown": terms.one_of(("pass", "hold", "block"), "When a signal is unknown or stale."),
        }
    )
