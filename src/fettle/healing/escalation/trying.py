"""Whom an escalation policy would tell, and when, without telling anybody; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from fettle.healing.escalation.policies import Policy, Target, due, quiet_until
from fettle.healing.escalation.schedules import Schedule, on_call

MOST_STROKES: Final = 100
"""Most steps that a trial shows."""


@dataclass(frozen=True, slots=True)
class Told:
    """One target of a step at its moment.

    Attributes:
        person: Whoever is meant, None for whom the channel itself names.
        why_not: Why nobody is told by it, in words.
    """

    target: Target
    person: UUID | None
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class Stroke:
    """One step, when it is due if nobody acknowledges.

    Attributes:
        step: Its number; -1 is the fallback.
        turn: How often all steps were gone through before.
    """

    at: datetime
    step: int
    turn: int
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a policy would do.

    Attributes:
        quiet_until: Until when it waits first.
        is_cut: There is more than `MOST_STROKES`.
    """

    strokes: tuple[Stroke, ...]
    quiet_until: datetime | None
    is_cut: bool


def attempt(
    policy: Policy,
    severity: str,
    at: datetime,
    *,
    channels: Mapping[UUID, bool],
    schedules: Mapping[UUID, Schedule],
) -> Trial:
    """Return whom a policy would tell of an incident that is escalated at a moment.

    Args:
        policy: The policy.
        severity: The incident's.
        at: The moment.
        channels: The tenant's channels, and whether each is in use.
        schedules: The tenant's schedules.
    """
    quiet = quiet_until(policy, severity, at)
    moment = (quiet or at) + timedelta(seconds=policy.delay_seconds)
    strokes: list[Stroke] = []
    position = 0
    while (step := due(policy, position)) is not None and len(strokes) < MOST_STROKES:
        told = tuple(_told(target, moment, channels, schedules) for target in step.targets)
        number = -1 if step.step == len(policy.steps) else step.step
        strokes.append(Stroke(moment, number, step.turn, told))
        # Where nobody is told, the next step does not wait.
        waits = step.wait_seconds if any(one.why_not is None for one in told) else 0
        moment += timedelta(seconds=waits)
        position += 1
    return Trial(tuple(strokes), quiet, due(policy, position) is not None)


def _told(
    target: Target, moment: datetime, channels: Mapping[UUID, bool], schedules: Mapping[UUID, Schedule]
) -> Told:
    person = target.user_id
    if target.schedule_id is not None:
        schedule = schedules.get(target.schedule_id)
        person = None if schedule is None else on_call(schedule, moment)
    if target.channel_id not in channels:
        return Told(target, person, "There is no such channel.")
    if not channels[target.channel_id]:
        return Told(target, person, "The channel is switched off.")
    if target.schedule_id is not None and person is None:
        return Told(target, None, "Nobody is on call then.")
    return Told(target, person)
