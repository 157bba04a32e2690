"""A tenant's own rules over time: what they may say, and where they are kept."""

from collections.abc import Mapping
from typing import Any, Final

from fettle.healing.own_rules import OwnRules, refuse_reserved, unusable
from fettle.healing.temporal.current import MOST_RULES
from fettle.healing.temporal.rules import TemporalRule, TemporalRuleError
from fettle.kernel.authored import Authored

RESERVED_IDS: Final = frozenset({"schema", "dry-run", "new", "memory"})
OF_PACKS: Final = frozenset({"source", "pack_id", "pack_version", "tests"})
"""What only packs say of theirs."""


def own_form(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule without what only packs say of theirs."""
    return {name: value for name, value in document.items() if name not in OF_PACKS}


def checked(document: Mapping[str, Any]) -> TemporalRule:
    """Return a rule of a tenant's own, read.

    Raises:
        Invalid: With the pointer of what is wrong and what would be right.
    """
    try:
        rule = TemporalRule.parse(own_form(document), place="sent")
    except TemporalRuleError as error:
        raise unusable(error.path, error.detail) from None
    refuse_reserved(rule.id, RESERVED_IDS)
    return rule


RULES: Final = OwnRules(
    kept=Authored("temporal_rule", "document", is_json=True),
    called="rules over time",
    most=MOST_RULES,
    parse=TemporalRule.parse,
    checked=checked,
    own_form=own_form,
)
"""They see exceptions within a second of the commit; what one remembers stays where it looks at the same."""
