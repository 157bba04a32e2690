"""Reads from a tenant's Policy Pack what its brakes go by, with what holds where it says nothing; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

TOOL: Final = "tool"
HOST: Final = "host"
PLAYBOOK: Final = "playbook"
TENANT: Final = "tenant"
KINDS: Final = (TOOL, HOST, PLAYBOOK, TENANT)
"""What a circuit breaker can stand for."""

FLAPS: Final = 3
FLAP_WINDOW_SECONDS: Final = 3_600


@dataclass(frozen=True, slots=True)
class FlapLimits:
    """When a check that comes and goes is left to a person.

    Attributes:
        flaps: So often within the window.
    """

    enabled: bool = True
    flaps: int = FLAPS
    window_seconds: int = FLAP_WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a circuit breaker opens, and for how long.

    Attributes:
        failures: So many within the window.
        share: And at least this share of what was tried.
    """

    failures: int
    window_seconds: int = 3_600
    open_seconds: int = 900
    share: float = 0.5


BUILT_IN: Final[Mapping[str, BreakerLimits]] = MappingProxyType(
    {
        TOOL: BreakerLimits(failures=20, window_seconds=600),
        HOST: BreakerLimits(failures=5),
        PLAYBOOK: BreakerLimits(failures=10),
        TENANT: BreakerLimits(failures=50),
    }
)
"""What holds for each kind where the policy says nothing."""


@dataclass(frozen=True, slots=True)
class ActionLimits:
    """How much may act; None is without a limit."""

    per_hour: int | None = None
    per_host_per_hour: int | None = None
    disruptive_per_day: int | None = None
    hosts_per_hour: int | None = None
    share_of_fleet_per_hour: float | None = None
    canary: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is limited at all."""
        return self != ActionLimits()


def flap_limits(policy: Mapping[str, Any]) -> FlapLimits:
    """Return when a check counts as flapping."""
    return FlapLimits(**(policy.get("flapping") or {}))


def breaker_limits(policy: Mapping[str, Any], kind: str) -> BreakerLimits:
    """Return when a breaker of a kind opens."""
    built_in = BUILT_IN[kind]
    chosen = (policy.get("breakers") or {}).get(kind) or {}
    return BreakerLimits(
        failures=chosen.get("failures", built_in.failures),
        window_seconds=chosen.get("window_seconds", built_in.window_seconds),
        open_seconds=chosen.get("open_seconds", built_in.open_seconds),
        share=chosen.get("share", built_in.share),
    )


def action_limits(policy: Mapping[str, Any]) -> ActionLimits:
    """Return how much may act."""
    budgets = policy.get("budgets") or {}
    radius = policy.get("blast_radius") or {}
    return ActionLimits(
        per_hour=budgets.get("actions_per_hour"),
        per_host_per_hour=budgets.get("actions_per_host_per_hour"),
        disruptive_per_day=budgets.get("disruptive_per_day"),
        hosts_per_hour=radius.get("hosts_per_hour"),
        share_of_fleet_per_hour=radius.get("share_of_fleet_per_hour"),
        canary=radius.get("canary") is True,
    )
