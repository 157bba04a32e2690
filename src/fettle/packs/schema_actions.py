"""The definitions of what acts: playbooks with their steps, and runbooks with their commands."""

from fettle.packs import schema_terms as terms
from fettle.packs.schema_terms import Schema


def tool_call() -> Schema:
    """Return the schema of one call of a tool."""
    return terms.mapping(
        {
            "tool": terms.identifier("Name of a tool"),
            "version": terms.text("Version of the tool.", longest=16),
            "with": {
                "type": "object",
                "maxProperties": 60,
                "description": "The tool's input; strings may hold ${{ expressions }}.",
            },
        },
        ("tool",),
        description="One call of a tool.",
    )


def playbook() -> Schema:
    """Return the schema of a playbook."""
    return terms.mapping(
        {
            "id": terms.identifier("Id of the playbook"),
            "version": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100_000,
                "description": "Counts up with each change.",
            },
            "title": terms.text("What it does, in one line.", longest=160),
            "description": terms.text("When and why."),
            "parameters": terms.map_to({"type": "object"}, "Name of a parameter to its JSON Schema."),
            "steps": terms.many({"$ref": "#/$defs/step"}, "Steps in order.", least=1, most=100),
            "verify": {"$ref": "#/$defs/tool_call"},
            "controls": terms.controls(),
        },
        ("id", "title", "steps"),
    )


def step() -> Schema:
    """Return the schema of a playbook's step."""
    return terms.mapping(
        {
            "id": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9_]{0,39}$",
                "description": "Id of the step: lower-case letters, digits and underscore, at most 40.",
            },
            "title": terms.text("What the step does.", longest=160),
            "tool": terms.identifier("Name of a tool"),
            "version": terms.text("Version of the tool.", longest=16),
            "with": {"type": "object", "maxProperties": 60, "description": "Input of the tool or playbook."},
            "when": terms.text("An expression; the step is passed over when it is false.", longest=1_000),
            "for_each": {
                "type": ["string", "array"],
                "maxItems": 1_000,
                "description": "A list, or a ${{ template }} of one; each entry is `item`.",
            },
            "retry": terms.mapping(
                {
                    "attempts": {"type": "integer", "minimum": 1, "maximum": 10, "description": "All tries."},
                    "backoff_seconds": {
                        "type": "number",
                        "minimum": 0,
                        "maximum": 3_600,
                        "description": "Before the second try; doubles.",
                    },
                },
                ("attempts",),
            ),
            "timeout_seconds": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 86_400,
                "description": "Longest that one try may take.",
            },
            "parallel": terms.many({"$ref": "#/$defs/step"}, "Steps at the same time.", least=1, most=20),
            "playbook": terms.identifier("Id of another playbook"),
            "approve": terms.mapping(
                {
                    "by": terms.many(
                        terms.one_of(terms.ROLES, "Role."), "Roles of which one decides.", least=1, most=10
                    ),
                    "expires_seconds": terms.seconds("After this it counts as rejected."),
                    "reason": terms.text("What the approver is told.", longest=500),
                },
                ("by",),
            ),
            "rollback": {"$ref": "#/$defs/tool_call"},
        },
        ("id",),
        oneOf=[{"required": [kind]} for kind in ("tool", "parallel", "playbook", "approve")],
        description="Exactly one of tool, parallel, playbook and approve says what the step is.",
    )


def runbook() -> Schema:
    """Return the schema of a runbook."""
    return terms.mapping(
        {
            "id": {
                "type": "string",
                "pattern": "^RB-[A-Z0-9][A-Z0-9-]{1,60}$",
                "description": "Id of the runbook: RB- and capitals, digits and hyphens.",
            },
            "version": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100_000,
                "description": "Counts up with each change.",
            },
            "title": terms.text("What it does, in one line.", longest=160),
            "description": terms.text("What it changes, and what it leaves alone."),
            "platform": terms.one_of(terms.PLATFORMS, "Platform of the hosts."),
            "executor": terms.one_of(("local", "agent", "winrm", "ssh"), "Who runs it."),
            "parameters": terms.map_to({"type": "object"}, "Name of a parameter to its JSON Schema."),
            "timeout_seconds": terms.seconds("Longest that it may take.", most=86_400),
            "risk": terms.one_of(("low", "medium", "high"), "What may go wrong with it."),
            "disruptive": {"type": "boolean", "description": "Users notice: a restart, a lost session."},
            "paths": terms.many(
                terms.relative_path("Glob of what it may touch below the host's sandbox."),
                "What a local runbook may touch.",
            ),
            "commands": terms.many(_command(), "Every command that the steps may run.", most=50),
            "steps": terms.many({"$ref": "#/$defs/runbook_step"}, "Steps in order.", least=1, most=50),
            "rollback": terms.many({"$ref": "#/$defs/runbook_step"}, "Steps that undo it.", most=50),
            "controls": terms.controls(),
        },
        ("id", "title", "platform", "executor", "risk", "steps"),
    )


def _command() -> Schema:
    return terms.mapping(
        {
            "id": terms.identifier("Id of the command"),
            "argv": terms.many(
                {"type": "string", "maxLength": 4_000, "description": "One argument."},
                "Program and arguments; a ${{ params.x }} is one argument, never shell text.",
                least=1,
                most=60,
            ),
            "expect_exit": terms.many(
                {"type": "integer", "minimum": 0, "maximum": 255}, "Exit statuses that are success.", least=1
            ),
        },
        ("id", "argv"),
    )


def runbook_step() -> Schema:
    """Return the schema of a runbook's step."""
    return terms.mapping(
        {
            "action": terms.one_of(
                ("command", "set_mode", "write_file", "restore_file", "start_process", "stop_process"),
                "What the step does.",
            ),
            "title": terms.text("What the step does, for people.", longest=160),
            "command": terms.identifier("Id of one of the runbook's commands"),
            "path": terms.relative_path("File that it changes."),
            "mode": {
                "type": "string",
                "pattern": "^0[0-7]{3}$",
                "description": "Permission bits in quotes, four octal digits such as '0640'.",
            },
            "content": {"type": "string", "maxLength": 100_000, "description": "What the file holds then."},
            "from": terms.relative_path("File that is copied."),
            "pidfile": terms.relative_path("File that holds the process id."),
        },
        ("action",),
        allOf=[
            _step_needs("command", "command"),
            _step_needs("set_mode", "path", "mode"),
            _step_needs("write_file", "path", "content"),
            _step_needs("restore_file", "path", "from"),
            _step_needs("start_process", "command", "pidfile"),
            _step_needs("stop_process", "pidfile"),
        ],
    )


def _step_needs(action: str, *fields: str) -> Schema:
    return {
        "if": {"properties": {"action": {"const": action}}, "required": ["action"]},
        "then": {"required": list(fields)},
    }
