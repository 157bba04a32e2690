"""The trust gate: pass, hold or block, from the health of the signals that an action depends on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

PASS: Final = "pass"  # noqa: S105 - a verdict
HOLD: Final = "hold"
BLOCK: Final = "block"
_SEVERITY: Final = {PASS: 0, HOLD: 1, BLOCK: 2}
_CLOCK_SKEW_SECONDS: Final = 60

# What each state of a needed signal means, unless the policy is stricter or, for `degraded`, more lenient.
_DEFAULTS: Final = {"degraded": HOLD, "critical": BLOCK, "unknown": HOLD, "stale": HOLD, "missing": HOLD}
_MAY_PASS: Final = ("degraded",)

_NAMELESS: Final = "a signal without a name"
_WORST_FIRST: Final = ("critical", "unknown", "degraded", "healthy")


class GatePolicyError(ValueError):
    """A gate policy that cannot be read; it is raised rather than taken for a pass."""


@dataclass(frozen=True, slots=True)
class GateReason:
    """What one signal led to.

    Attributes:
        signal: Its name.
        state: `healthy`, `degraded`, `critical`, `unknown`, `stale` or `missing`.
        verdict: `pass`, `hold` or `block`.
        detail: The same in a sentence.
    """

    signal: str
    state: str
    verdict: str
    detail: str


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The gate's answer: the strictest verdict of all signals that count.

    Attributes:
        verdict: `pass`, `hold` (a person decides) or `block` (nothing acts).
        reasons: One for each signal that counted, the strictest first.
    """

    verdict: str
    reasons: tuple[GateReason, ...]

    @property
    def passed(self) -> bool:
        """Whether the action may go on by itself."""
        return self.verdict == PASS

    def document(self) -> dict[str, Any]:
        """Return it as JSON, for events and evidence."""
        return {
            "verdict": self.verdict,
            "reasons": [
                {"signal": one.signal, "state": one.state, "verdict": one.verdict, "detail": one.detail}
                for one in self.reasons
            ],
        }


def decide(
    signals: Iterable[Mapping[str, Any]], policy: Mapping[str, Any], *, now: datetime | None = None
) -> GateDecision:
    """Decide whether an action that depends on signals may go on.

    A signal is `{name, health, observed_at}` with health `healthy`, `degraded` or `critical`; of several
    with one name the newest counts, and of those of one time the worst. One that is dated into the future is
    not the newest: somebody's clock is wrong. The policy is::

        requires: [name, {signal: name, max_age_seconds: 900, critical: hold}]
        max_age_seconds: 3600      # for all; older is stale
        degraded: hold             # pass, hold or block
        critical: block            # hold or block
        unknown: hold              # any other health
        stale: hold
        missing: hold              # required, and not there

    Without `requires`, every given signal counts, also one that does not say its name; an action that depends
    on nothing passes. A needed signal that is missing, stale or of unknown health never passes, whatever the
    policy says.

    Args:
        signals: The latest signals of what the action touches.
        policy: The tenant's gate policy.
        now: The time to judge age by; the clock's where it is not given.

    Raises:
        GatePolicyError: When the policy is not of this shape.
    """
    if not isinstance(policy, Mapping):
        raise GatePolicyError(f"a policy must be an object, not {policy!r}")
    at = now or datetime.now(UTC)
    latest: dict[str, Mapping[str, Any]] = {}
    for signal in signals:
        name, said = _named(signal)
        if name not in latest or _rank(said, at) < _rank(latest[name], at):
            latest[name] = said
    reasons = [_judge(name, latest.get(name), own, at) for name, own in _needs(policy, latest)]
    reasons.sort(key=lambda reason: (-_SEVERITY[reason.verdict], reason.signal))
    return GateDecision(reasons[0].verdict if reasons else PASS, tuple(reasons))


def _needs(policy: Mapping[str, Any], latest: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    general = {name: policy[name] for name in (*_DEFAULTS, "max_age_seconds") if policy.get(name) is not None}
    required = policy.get("requires")
    if required is None:
        return [(name, _checked(general)) for name in sorted(latest)]
    if not isinstance(required, list | tuple):
        raise GatePolicyError("requires must be a list of signals")
    needs = []
    for entry in required:
        own = {"signal": entry} if isinstance(entry, str) else entry
        if not isinstance(own, Mapping) or not isinstance(own.get("signal"), str):
            raise GatePolicyError(
                "each entry of requires must be a signal's name, or an object with `signal`"
            )
        needs.append(
            (own["signal"], _checked({**general, **{k: v for k, v in own.items() if v is not None}}))
        )
    return needs


def _checked(policy: dict[str, Any]) -> dict[str, Any]:
    for state in _DEFAULTS:
        verdict = policy.get(state, _DEFAULTS[state])
        allowed = (PASS, HOLD, BLOCK) if state in _MAY_PASS else (HOLD, BLOCK)
        if verdict not in allowed:
            raise GatePolicyError(f"{state} must be one of {', '.join(allowed)}, not {verdict!r}")
    age = policy.get("max_age_seconds")
    if age is not None and (isinstance(age, bool) or not isinstance(age, int | float) or not age > 0):
        raise GatePolicyError(f"max_age_seconds must be a number above 0, not {age!r}")
    return policy


def _judge(
    name: str, signal: Mapping[str, Any] | None, policy: Mapping[str, Any], at: datetime
) -> GateReason:
    state, detail = _state(signal, policy.get("max_age_seconds"), at)
    verdict = PASS if state == "healthy" else str(policy.get(state, _DEFAULTS[state]))
    return GateReason(name, state, verdict, f"{name} {detail}")


def _state(signal: Mapping[str, Any] | None, max_age: float | None, at: datetime) -> tuple[str, str]:
    if signal is None:
        return "missing", "has not been recorded"
    health = signal.get("health")
    if health not in ("healthy", "degraded", "critical"):
        return "unknown", "has no known health"
    if health == "critical":  # bad news counts however old it is: only good news goes stale
        return health, "is critical"
    age = _age(signal, at)
    if age < -_CLOCK_SKEW_SECONDS:
        return "stale", f"is dated {-age:.0f} s into the future"
    if max_age is not None and age > max_age:
        when = (
            f"was recorded {age:.0f} s ago"
            if abs(age) != float("inf")
            else "does not say when it was recorded"
        )
        return "stale", f"{when}; at most {max_age:.0f} s count"
    return health, f"is {health}"


def _named(signal: object) -> tuple[str, Mapping[str, Any]]:
    """Return the name that a signal counts under, and what it says; without a name it has bad news alone to say."""
    if not isinstance(signal, Mapping):
        return _NAMELESS, {}
    name = signal.get("name")
    if isinstance(name, str) and name:
        return name, signal
    return _NAMELESS, {"health": "critical"} if signal.get("health") == "critical" else {}


def _rank(signal: Mapping[str, Any], at: datetime) -> tuple[float, int]:
    """Return what is least for the signal that counts among those of one name."""
    age, health = _age(signal, at), signal.get("health")
    badness = _WORST_FIRST.index(health) if health in _WORST_FIRST else _WORST_FIRST.index("unknown")
    return (age if age >= -_CLOCK_SKEW_SECONDS else float("inf"), badness)


def _age(signal: Mapping[str, Any], at: datetime) -> float:
    observed = signal.get("observed_at")
    if isinstance(observed, str):
        try:
            observed = datetime.fromisoformat(observed)
        except ValueError:
            return float("inf")
    if not isinstance(observed, datetime) or observed.tzinfo is None:
        return float("inf")
    return (at - observed).total_seconds()
