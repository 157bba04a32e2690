"""A tenant's own L1 rules: what they may say, and where they are kept."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.own_rules import OwnRules, refuse_reserved, unusable
from fettle.healing.rules import Rule, RuleError, RuleSet
from fettle.kernel.authored import Authored
from fettle.kernel.errors import FieldError, Invalid, NotFound

MAX_RULES: Final = 20_000
"""Most rules of a tenant's own."""

RESERVED_IDS: Final = frozenset({"schema", "explain", "dry-run", "new"})
OWN_FIELDS: Final = (
    "id", "title", "description", "priority", "enabled", "conditions", "action", "runbook_id", "playbook_id",
    "parameters", "reason", "cooldown_seconds", "max_attempts",
)  # fmt: skip
"""What a tenant says of a rule of its own."""


def own_form(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule without what only packs say of theirs."""
    return {name: value for name, value in document.items() if name in OWN_FIELDS}


def checked(document: Mapping[str, Any], *, source: str = "tenant") -> Rule:
    """Return a rule of a tenant's own, compiled.

    Args:
        document: The rule.
        source: Where it came from: a person (`tenant`) or what healed before (`promoted`).

    Raises:
        Invalid: With the pointer of what is wrong and what would be right.
    """
    try:
        rule = Rule.parse({**document, "source": source}, place="sent")
    except RuleError as error:
        raise unusable(error.path, error.detail) from None
    refuse_reserved(rule.id, RESERVED_IDS)
    if rule.action == "execute_runbook" and rule.runbook_id is None:
        raise _lacks("runbook_id", rule.action)
    if rule.action == "run_playbook" and rule.playbook_id is None:
        raise _lacks("playbook_id", rule.action)
    return rule


def named(rules: RuleSet, rule_id: str) -> Rule:
    """Return one of the rules that hold.

    Raises:
        NotFound: None has this id.
    """
    rule = next((one for one in rules.rules if one.id == rule_id), None)
    if rule is None:
        raise NotFound(f"There is no rule {rule_id}.")
    return rule


def _lacks(field: str, action: str) -> Invalid:
    return Invalid(
        f"The action {action} needs a {field}.", errors=[FieldError(f"/{field}", f"is needed by {action}")]
    )


RULES: Final = OwnRules(
    kept=Authored("rule", "document", is_json=True),
    called="rules",
    most=MAX_RULES,
    parse=Rule.parse,
    checked=checked,
    own_form=own_form,
)
"""They hold from the next decision on."""


async def create_rule(
    session: AsyncSession,
    tenant_id: UUID,
    document: Mapping[str, Any],
    *,
    actor: str,
    source: str = "tenant",
) -> int:
    """Check a rule and add it; returns its version.

    Raises:
        Invalid: It cannot be compiled.
        Conflict: The tenant has a rule of this id, or too many.
    """
    return await RULES.create(session, tenant_id, checked(document, source=source), actor=actor)


async def change_rule(
    session: AsyncSession,
    tenant_id: UUID,
    rule_id: str,
    document: Mapping[str, Any],
    *,
    version: int,
    actor: str,
    source: str = "tenant",
) -> int:
    """Check a rule and put it in the place of one that nobody changed since it was read; returns its version.

    Raises:
        Invalid: It cannot be compiled, or names another id.
        NotFound: The tenant has no such rule.
        Conflict: It has another version by now.
    """
    rule = checked(document, source=source)
    return await RULES.change(session, tenant_id, rule_id, rule, version=version, actor=actor)
