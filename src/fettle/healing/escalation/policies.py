"""Escalation policies: which one holds, whom it tells when, when it is quiet, and what becomes one message; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fettle.healing.escalation.schedules import Window

MOST_STEPS: Final = 20
MOST_REPEATS: Final = 20


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a step tells, and by what.

    Attributes:
        channel_id: The channel.
        schedule_id: Whoever is on call by this schedule.
        user_id: This person.
    """

    channel_id: UUID
    schedule_id: UUID | None = None
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its targets, and how long it waits for an acknowledgement before the next."""

    targets: tuple[Target, ...]
    wait_seconds: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours in which some severities wait."""

    window: Window
    zone: ZoneInfo
    severities: frozenset[str]


@dataclass(frozen=True, slots=True)
class Storm:
    """From how many escalations within a time on they become one message.

    Attributes:
        threshold: So many are told one by one.
        window_seconds: Within so long.
        update_seconds: How often at most the one message's count is told anew.
    """

    threshold: int = 10
    window_seconds: int = 300
    update_seconds: int = 300


@dataclass(frozen=True, slots=True)
class Match:
    """Which incidents a policy is for; what is empty is any."""

    severities: frozenset[str] = frozenset()
    check_types: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()

    def holds(self, *, severity: str, check_type: str, site: str | None) -> bool:
        """Say whether an incident is meant."""
        return (
            (not self.severities or severity in self.severities)
            and (not self.check_types or check_type in self.check_types)
            and (not self.sites or site in self.sites)
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """Whom an incident that a person must look at is told to, step by step.

    Attributes:
        steps: In order.
        repeats: How often all steps are gone through again.
        fallback: Told when nobody acknowledged after the last repeat.
        delay_seconds: So long after the escalation the first step is due.
    """

    match: Match
    steps: tuple[Step, ...]
    repeats: int = 0
    fallback: tuple[Target, ...] = ()
    quiet: tuple[Quiet, ...] = ()
    storm: Storm = Storm()
    delay_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be told now, and what after it.

    Attributes:
        targets: Whom to tell.
        step: The number of the step, the fallback's is the number of steps.
        turn: How often all steps were gone through before.
        next_position: Where the clock then stands, None at the end.
        wait_seconds: Until then.
    """

    targets: tuple[Target, ...]
    step: int
    turn: int
    next_position: int | None
    wait_seconds: int


def due(policy: Policy, position: int) -> Due | None:
    """Return what a position of the clock means: steps of all turns one after the other, then the fallback.

    Args:
        policy: The policy.
        position: 0 is the first step of the first turn.

    Returns:
        None when everything was told.
    """
    steps, turns = len(policy.steps), policy.repeats + 1
    if position >= steps * turns:
        if position > steps * turns or not policy.fallback:
            return None
        return Due(policy.fallback, steps, turns, None, 0)
    step = policy.steps[position % steps]
    is_last = position + 1 == steps * turns
    following = None if is_last and not policy.fallback else position + 1
    return Due(step.targets, position % steps, position // steps, following, step.wait_seconds)


def quiet_until(policy: Policy, severity: str, moment: datetime) -> datetime | None:
    """Return until when nobody is told of a severity, None when they are told now."""
    until = None
    at = moment
    # The end of one quiet time may lie within another.
    for _ in range(2 * len(policy.quiet) + 1):
        end = _quiet_end(policy.quiet, severity, at)
        if end is None:
            break
        until = at = end
    return until


def chosen(
    policies: Iterable[tuple[UUID, Policy]], *, severity: str, check_type: str, site: str | None
) -> UUID | None:
    """Return the first policy that is for an incident, in the order given."""
    for policy_id, policy in policies:
        if policy.match.holds(severity=severity, check_type=check_type, site=site):
            return policy_id
    return None


def is_storm(storm: Storm, opened: Sequence[datetime], moment: datetime) -> bool:
    """Say whether one more escalation belongs into the one message.

    Args:
        storm: What the policy says.
        opened: When its latest escalations were opened.
        moment: Now.
    """
    since = moment - timedelta(seconds=storm.window_seconds)
    return sum(at > since for at in opened) >= storm.threshold


def _quiet_end(quiet: Iterable[Quiet], severity: str, moment: datetime) -> datetime | None:
    ends = []
    for one in quiet:
        if severity not in one.severities:
            continue
        today = moment.astimezone(one.zone).date()
        for day in (today - timedelta(days=1), today):
            span = one.window.on(day, one.zone)
            if span is not None and span[0] <= moment < span[1]:
                ends.append(span[1])
    return max(ends, default=None)
