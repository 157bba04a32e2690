"""Who may approve a plan, how many of them it takes, and until when, as the policy says; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fettle.healing.autonomy import first_fitting

DEFAULT_EXPIRY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Terms:
    """What an approval takes.

    Attributes:
        by: Roles of which one decides; without any, whoever may approve at all.
        people: How many different people must approve.
    """

    by: tuple[str, ...] = ()
    people: int = 1
    expires_seconds: int = DEFAULT_EXPIRY_SECONDS


def asks_two(policy: Mapping[str, Any]) -> bool:
    """Say whether any approval may take two people."""
    general = policy.get("approvals") or {}
    return any(one.get("people") == 2 for one in (general, *(general.get("cases") or ())))  # noqa: PLR2004 - as below


def terms_of(policy: Mapping[str, Any], facts: Mapping[str, str | None]) -> Terms:
    """Return what an approval takes; the first of the policy's cases that fits counts before its general terms.

    Args:
        policy: The Policy Pack.
        facts: What a `match` looks at, as `autonomy.facts_of` returns it.
    """
    general = policy.get("approvals") or {}
    case = first_fitting(general.get("cases") or (), facts) or {}
    chosen = {**general, **case}
    return Terms(
        by=tuple(chosen.get("by") or ()),
        people=2 if chosen.get("people") == 2 else 1,  # noqa: PLR2004 - two people is what the rule is named for
        expires_seconds=chosen.get("expires_seconds") or DEFAULT_EXPIRY_SECONDS,
    )
