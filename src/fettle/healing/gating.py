"""Asks the trust gate about a plan: which signals it depends on, and what the tenant's policy makes of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fettle.trust.gate import GateDecision, decide

_NOT_KNOWN = frozenset({"missing", "stale", "unknown"})


def signals_needed(
    declared: Iterable[Mapping[str, Any]], incident: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Return the signals, as packs declare them, that an action on this incident depends on."""
    return [
        signal
        for signal in declared
        if (
            incident.get("check_type") in signal["applies_to"]
            if signal.get("applies_to")
            else signal.get("pack_id") == incident.get("pack_id")
        )
    ]


def ask_gate(
    needed: Sequence[Mapping[str, Any]],
    recorded: Sequence[Mapping[str, Any]],
    policy: Mapping[str, Any],
    now: datetime,
) -> GateDecision:
    """Return the gate's decision.

    A tenant whose policy has a `trust_gate` needs every declared signal; what is not known of one is then
    `on_unknown`, and `pass` there says that a signal of which nothing is known is not needed. Without
    a `trust_gate`, the signals that are recorded count.

    Args:
        needed: Declared signals that the action depends on.
        recorded: The latest records.
        policy: The Policy Pack.
        now: The time.
    """
    chosen = policy.get("trust_gate")
    own = chosen or {}
    unknown = own.get("on_unknown", "hold")
    known_names = {signal.get("name") for signal in recorded}
    requires = [
        {"signal": signal["id"], "max_age_seconds": signal.get("stale_after_seconds")}
        for signal in needed
        if chosen is not None or signal["id"] in known_names
    ]
    verdicts = {"degraded": own.get("on_degraded", "hold"), "critical": own.get("on_critical", "block")}
    if unknown == "pass":
        doubtful = {
            reason.signal
            for reason in decide(recorded, {**verdicts, "requires": requires}, now=now).reasons
            if reason.state in _NOT_KNOWN
        }
        requires = [entry for entry in requires if entry["signal"] not in doubtful]
    else:
        verdicts |= {"missing": unknown, "stale": unknown, "unknown": unknown}
    return decide(recorded, {**verdicts, "requires": requires}, now=now)
