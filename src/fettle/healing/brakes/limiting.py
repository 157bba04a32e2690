"""Whether one more playbook may begin to act: budgets, how far a playbook reaches, and the canary; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import floor
from typing import Final

from fettle.healing.brakes.limits import ActionLimits

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
CANARY_POLL: Final = timedelta(seconds=30)
"""So soon a run that waits for a canary is looked at again, if nothing wakes it before."""

BUDGET: Final = "budget"
BLAST_RADIUS: Final = "blast_radius"
CANARY: Final = "canary"
LIMITS: Final = (BUDGET, BLAST_RADIUS)
"""What holds until there is room again, for one after the other."""

VERIFIED: Final = "verified"


@dataclass(frozen=True, slots=True)
class Action:
    """A run that acts, or would.

    Attributes:
        definition: The hash of what is run; another one is another playbook to a canary.
        host: Empty where the incident names none.
        disruptive: A runbook in it is.
        outcome: Of a run that has ended.
        canary: Others wait, or waited, for it.
    """

    run: object
    playbook: str
    definition: str
    host: str
    disruptive: bool
    at: datetime
    outcome: str | None = None
    canary: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """It may begin.

    Attributes:
        canary: And others wait for what comes of it.
    """

    canary: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """It may not begin yet.

    Attributes:
        until: When it is worth asking again; None where the limit lets nothing act at all.
    """

    reason: str
    detail: str
    until: datetime | None


def admit(
    wanted: Action,
    before: Sequence[Action],
    limits: ActionLimits,
    *,
    fleet: int,
    now: datetime,
    ahead: Sequence[Action] = (),
) -> Admitted | Held:
    """Say whether a run may begin to act.

    Args:
        wanted: The run.
        before: What began to act within the last day, this run not among them.
        limits: Of the policy.
        fleet: How many hosts the tenant has declared.
        now: The time.
        ahead: What is held and stands before it in line, each at the time at which it asks again: it takes the room
            that there is then. So as many ask again at a time as may begin, and not all that wait.
    """
    held = _limited(wanted, before, limits, fleet, now)
    if held is None:
        return _canary(wanted, before, now) if limits.canary else Admitted()
    # What is forgotten by then may have let it pass another limit, as the host that was already among those reached.
    later, by_then = held, [*before, *ahead]
    while later.until is not None and (further := _limited(wanted, by_then, limits, fleet, later.until)):
        later = further
    return replace(held, until=later.until)


def _limited(
    wanted: Action, before: Sequence[Action], limits: ActionLimits, fleet: int, now: datetime
) -> Held | None:
    """Return what holds a run at a time: of several limits the one that lasts longest."""
    held = (
        _budget(before, limits.per_hour, HOUR, now, "playbooks may start in an hour"),
        _of_host(wanted, before, limits, now),
        _disruptive(wanted, before, limits, now),
        _radius(wanted, before, limits, fleet, now),
    )
    return max((found for found in held if found is not None), key=_lasts, default=None)


def used(before: Iterable[Action], now: datetime) -> Mapping[str, int]:
    """Return how much of each budget is used now."""
    actions = list(before)
    return {
        "actions_per_hour": sum(action.at > now - HOUR for action in actions),
        "disruptive_per_day": sum(action.disruptive and action.at > now - DAY for action in actions),
    }


def _lasts(held: Held) -> tuple[bool, float]:
    return (held.until is None, 0.0 if held.until is None else held.until.timestamp())


def _budget(
    before: Iterable[Action], most: int | None, span: timedelta, now: datetime, what: str
) -> Held | None:
    if most is None:
        return None
    moments = sorted(action.at for action in before if action.at > now - span)
    if len(moments) < most:
        return None
    until = None if most == 0 else moments[len(moments) - most] + span
    return Held(BUDGET, f"The policy says that {most} {what}, and so many have.", until)


def _of_host(wanted: Action, before: Iterable[Action], limits: ActionLimits, now: datetime) -> Held | None:
    if not wanted.host:
        return None
    same = (action for action in before if action.host == wanted.host)
    return _budget(same, limits.per_host_per_hour, HOUR, now, f"may start on {wanted.host} in an hour")


def _disruptive(wanted: Action, before: Iterable[Action], limits: ActionLimits, now: datetime) -> Held | None:
    if not wanted.disruptive:
        return None
    same = (action for action in before if action.disruptive)
    return _budget(same, limits.disruptive_per_day, DAY, now, "disruptive playbooks may start in a day")


def hosts_allowed(limits: ActionLimits, fleet: int) -> int | None:
    """Return on how many hosts one playbook may act in an hour, None for any number."""
    share = limits.share_of_fleet_per_hour
    of_fleet = None if share is None else max(1, floor(share * fleet))
    given = [limit for limit in (limits.hosts_per_hour, of_fleet) if limit is not None]
    return min(given) if given else None


def _radius(
    wanted: Action, before: Iterable[Action], limits: ActionLimits, fleet: int, now: datetime
) -> Held | None:
    most = hosts_allowed(limits, fleet)
    if most is None or not wanted.host:
        return None
    last: dict[str, datetime] = {}
    for action in before:
        if action.playbook == wanted.playbook and action.host and action.at > now - HOUR:
            last[action.host] = max(action.at, last.get(action.host, action.at))
    own = last.pop(wanted.host, None)
    if len(last) < most:
        return None
    moments = sorted(last.values())
    if own is not None and own <= now:
        # Who stands before it in line may count on it that this host is left by then; to act on it again would stay.
        until = next((moment for moment in moments if own + HOUR <= moment < now + HOUR), None)
        if until is None:
            return None
    else:
        room = moments[len(moments) - most] + HOUR
        # Once one that stands before it in line has reached its host, it may as well.
        until = room if own is None else min(room, own)
    return Held(
        BLAST_RADIUS,
        f"{wanted.playbook} may act on {most} host{'' if most == 1 else 's'} in an hour, and has on {len(last)}.",
        until,
    )


def _canary(wanted: Action, before: Iterable[Action], now: datetime) -> Admitted | Held:
    """Let one host be first; the rest go once it is verified. What was verified holds for an hour after the last."""
    same = [
        action
        for action in before
        if (action.playbook, action.definition) == (wanted.playbook, wanted.definition)
        and action.at > now - DAY
    ]
    under_way = [action for action in same if action.canary and action.outcome is None]
    if under_way:
        first = under_way[-1]
        where = first.host or "one incident"
        detail = f"{wanted.playbook} is tried on {where} first; others wait until that is verified."
        return Held(CANARY, detail, now + CANARY_POLL)
    is_proven = any(action.outcome == VERIFIED and action.at > now - HOUR for action in same)
    return Admitted(canary=not is_proven)
