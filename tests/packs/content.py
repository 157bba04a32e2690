"""Small packs for tests, as the files that a folder or an archive would hold."""


def small_pack(
    *,
    name: str = "small",
    version: str = "1.0.0",
    title: str = "Small",
    rule: str | None = None,
    check: str | None = None,
    default_active: str = "false",
    **files: str,
) -> dict[str, bytes]:
    """Return the files of a valid pack with one check and one rule; extra files by path."""
    rule = rule or f"L1-{name.upper()}"
    check = check or f"{name.replace('-', '_')}_check"
    manifest = f"""\
id: {name}
version: "{version}"
schema_version: 1
title: {title}
description: A pack for tests.
default_active: {default_active}
tools: [check.run, runbook.run]
verify: {{tool: check.run, with: {{host: "${{{{ incident.host }}}}"}}}}
"""
    types = f"""\
- check_type: {check}
  title: Something
  description: Something is out of order.
  category: test
  platforms: [linux]
  severity: low
"""
    rules = f"""\
- id: {rule}
  title: Tell a person
  priority: 10
  conditions: [{{field: check_type, operator: eq, value: {check}}}]
  action: escalate
  reason: Look at it.
"""
    content = {"pack.yaml": manifest, "exception_types.yaml": types, "rules.yaml": rules, **files}
    return {name: text.encode() for name, text in content.items()}
