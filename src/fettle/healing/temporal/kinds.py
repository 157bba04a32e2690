"""What each kind of rule over time does with an exception and with the time that passes, for one key; pure.

A key's state is changed in place. What is remembered is bounded: by the window for a count, by a ring of the newest
for a sequence, by the oldest that wait for what is missing, and by a handful for the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fettle.healing.temporal.moments import Arrival, KeyState, Moment
from fettle.healing.temporal.rules import TemporalRule

COUNTED: Final = "counted"
HELD: Final = "held"
LATE: Final = "late"
REPEATED: Final = "repeated"
PASSED_OVER: Final = "passed_over"
OUTCOMES: Final = (COUNTED, HELD, LATE, REPEATED, PASSED_OVER)
"""What became of an exception: it counted; it came in a time of quiet; it came too late to count; it had come
before; it says no amount."""

LEAST_RING: Final = 20
MOST_WAITING: Final = 100
MOST_ENDS: Final = 10
MOST_NAMED: Final = 100
UNUSED: Final = 30 * 86_400_000
"""What waits for nothing is forgotten so long after it was last seen, in milliseconds."""

BEGINS: Final = 1
ENDS: Final = 2


@dataclass(frozen=True, slots=True)
class Fired:
    """What a rule found for a key.

    Attributes:
        at: When it was so.
        ids: The exceptions that led to it, in order; the last of very many.
        count: How many those were.
        total: The sum that they came to, in millionths; None for what adds nothing up.
        is_over: Whether what was told before is over.
    """

    at: int
    ids: tuple[str, ...]
    count: int
    total: int | None = None
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an exception, one of `OUTCOMES`, and what the rule found by it."""

    outcome: str
    fired: Fired | None = None


def take(rule: TemporalRule, state: KeyState, arrival: Arrival) -> Taken:
    """Let a rule see an exception of a key.

    Args:
        rule: The rule.
        state: Of the key; changed in place.
        arrival: The exception.
    """
    return _TAKE[rule.kind](rule, state, arrival)


def strike(rule: TemporalRule, state: KeyState, now: int) -> Fired | None:
    """Let a rule see that time has passed; call it again until it returns None.

    Args:
        rule: The rule.
        state: Of the key; changed in place.
        now: Up to when everything that came was seen.
    """
    due = due_at(rule, state)
    if due is None or due > now:
        return None
    assert rule.within is not None
    first = state.moments[0] if rule.kind == "absence" else _waiting(state)[0]
    at = first.at + rule.within
    state.is_told = True
    if rule.kind == "missing":
        state.since = first.at
        _rest(rule, state, at)
    return Fired(at, (first.id,) if first.id else (), 1 if first.id else 0)


def due_at(rule: TemporalRule, state: KeyState) -> int | None:
    """Return when `strike` finds something unless something comes before; None for never."""
    if rule.within is None:
        return None
    if rule.kind == "absence":
        return None if state.is_told or not state.moments else state.moments[0].at + rule.within + rule.late
    if rule.kind == "missing" and (waiting := _waiting(state)):
        return waiting[0].at + rule.within + rule.late
    return None


def forget_at(rule: TemporalRule, state: KeyState) -> int | None:
    """Return from when on the state says no more than none at all; None while it waits for something."""
    if due_at(rule, state) is not None:
        return None
    latest = max((state.moments[-1].at if state.moments else 0, state.since or 0))
    if rule.within is None or state.is_told:
        return max(latest + UNUSED, state.quiet_until or 0)
    return max(latest + 2 * rule.within, state.quiet_until or 0)


def expect(at: int) -> KeyState:
    """Return the state of a key of which nothing was ever seen, and that is looked for from now on."""
    return KeyState(moments=[Moment(at, "", BEGINS)])


def _take_count(rule: TemporalRule, state: KeyState, arrival: Arrival) -> Taken:
    refused = _refusal(rule, state, arrival)
    if refused is not None:
        return Taken(refused)
    times = rule.matchers[0].times
    place = state.remember(Moment(arrival.at, arrival.id, arrival.mark))
    place -= _drop_old(rule, state)
    assert rule.within is not None
    for start in range(max(0, place - times + 1), place + 1):
        window = state.moments[start : start + times]
        if len(window) == times and window[-1].at - window[0].at <= rule.within:
            return Taken(COUNTED, _fire(rule, state, window))
    return Taken(COUNTED)


def _take_sequence(rule: TemporalRule, state: KeyState, arrival: Arrival) -> Taken:
    refused = _refusal(rule, state, arrival)
    if refused is not None:
        return Taken(refused)
    state.remember(Moment(arrival.at, arrival.id, arrival.mark))
    _drop_old(rule, state)
    del state.moments[: -max(LEAST_RING, 2 * rule.length)]
    chain = _chain(rule, state.moments)
    return Taken(COUNTED, _fire(rule, state, chain) if chain else None)


def _chain(rule: TemporalRule, moments: list[Moment]) -> list[Moment]:
    """Return the first exceptions that go through the whole sequence within the window; none where there are none."""
    wanted = [1 << place for place, matcher in enumerate(rule.matchers) for _ in range(matcher.times)]
    if not any(moment.mark & wanted[-1] for moment in moments):
        return []
    assert rule.within is not None
    for start, first in enumerate(moments):
        if not first.mark & wanted[0]:
            continue
        chain: list[Moment] = []
        # From one start the soonest end is reached by taking each step as soon as it comes.
        for moment in moments[start:]:
            if moment.at - first.at > rule.within:
                break
            if moment.mark & wanted[len(chain)]:
                chain.append(moment)
                if len(chain) == len(wanted):
                    return chain
    return []


def _take_missing(rule: TemporalRule, state: KeyState, arrival: Arrival) -> Taken:
    moment = Moment(arrival.at, arrival.id, arrival.mark)
    over = _end(rule, state, moment) if arrival.mark & ENDS else None
    if not arrival.mark & BEGINS:
        return Taken(COUNTED, over)
    began = moment._replace(mark=BEGINS)
    if state.is_quiet(arrival.at):
        return Taken(HELD, over)
    if any(known.id == arrival.id and known.mark == BEGINS for known in state.moments):
        return Taken(REPEATED, over)
    if _is_late(rule, state, arrival.at):
        return Taken(LATE, over)
    if any(_ends(rule, began, end) for end in state.moments if end.mark == ENDS):
        return Taken(COUNTED, over)
    state.remember(began)
    for extra in _waiting(state)[MOST_WAITING:]:
        state.moments.remove(extra)
    return Taken(COUNTED, over)


def _end(rule: TemporalRule, state: KeyState, moment: Moment) -> Fired | None:
    """Let what was awaited come; returns that it is over where it was told that it is missing."""
    end = moment._replace(mark=ENDS)
    state.moments = [one for one in state.moments if one.mark == ENDS or not _ends(rule, one, end)]
    if end not in state.moments:
        state.remember(end)
    ends = [one for one in state.moments if one.mark == ENDS]
    for extra in ends[:-MOST_ENDS]:
        state.moments.remove(extra)
    if not state.is_told or state.since is None or end.at <= state.since:
        return None
    state.is_told, state.since = False, None
    return Fired(end.at, (end.id,), 1, is_over=True)


def _ends(rule: TemporalRule, began: Moment, end: Moment) -> bool:
    assert rule.within is not None
    return (began.at, began.id) < (end.at, end.id) and end.at <= began.at + rule.within


def _take_absence(rule: TemporalRule, state: KeyState, arrival: Arrival) -> Taken:
    if state.moments and arrival.at <= state.moments[0].at and state.moments[0].id:
        return Taken(REPEATED if arrival.id == state.moments[0].id else LATE)
    assert rule.within is not None
    # What was looked for before it was ever seen is not missed since a time before that.
    seen_at = max(arrival.at, state.moments[0].at if state.moments else 0)
    state.moments = [Moment(seen_at, arrival.id, BEGINS)]
    if not state.is_told or arrival.at + rule.within + rule.late <= arrival.received:
        return Taken(COUNTED)
    state.is_told = False
    return Taken(COUNTED, Fired(arrival.at, (arrival.id,), 1, is_over=True))


def _take_once(rule: TemporalRule, state: KeyState, arrival: Arrival) -> Taken:
    if state.is_quiet(arrival.at):
        return Taken(HELD)
    assert rule.within is not None
    state.quiet_until = arrival.at + rule.within
    return Taken(COUNTED, Fired(arrival.at, (arrival.id,), 1))


def _take_amount(rule: TemporalRule, state: KeyState, arrival: Arrival) -> Taken:
    if arrival.amount is None:
        return Taken(PASSED_OVER)
    if rule.quiet and state.is_quiet(arrival.at):
        return Taken(HELD)
    if state.knows(arrival.id):
        return Taken(REPEATED)
    if rule.within is not None and state.since is not None:
        if arrival.at <= state.since - rule.within:
            return Taken(LATE)
        if arrival.at > state.since + rule.within:
            _begin_sum(state)
    state.since = arrival.at if state.since is None else state.since
    state.total += arrival.amount
    state.moments.append(Moment(arrival.at, arrival.id, BEGINS))
    del state.moments[:-LEAST_RING]
    if state.total < rule.threshold:
        return Taken(COUNTED)
    named = [moment.id for moment in state.moments if moment.mark == BEGINS]
    fired = Fired(arrival.at, tuple(named), len(named), total=state.total)
    _begin_sum(state)
    state.quiet_until = arrival.at + rule.quiet if rule.quiet else None
    return Taken(COUNTED, fired)


def _begin_sum(state: KeyState) -> None:
    # What was added up before is still known, so that it does not count once more.
    state.moments = [moment._replace(mark=0) for moment in state.moments]
    state.total, state.since = 0, None


def _refusal(rule: TemporalRule, state: KeyState, arrival: Arrival) -> str | None:
    if state.is_quiet(arrival.at):
        return HELD
    if state.knows(arrival.id):
        return REPEATED
    return LATE if _is_late(rule, state, arrival.at) else None


def _is_late(rule: TemporalRule, state: KeyState, at: int) -> bool:
    assert rule.within is not None
    return bool(state.moments) and at <= state.moments[-1].at - 2 * rule.within


def _drop_old(rule: TemporalRule, state: KeyState) -> int:
    """Forget what no later exception may meet any more; returns how many those were."""
    assert rule.within is not None
    horizon = state.moments[-1].at - 2 * rule.within
    old = sum(moment.at <= horizon for moment in state.moments)
    del state.moments[:old]
    return old


def _fire(rule: TemporalRule, state: KeyState, found: list[Moment]) -> Fired:
    fired = Fired(found[-1].at, tuple(moment.id for moment in found)[-MOST_NAMED:], len(found))
    _rest(rule, state, fired.at)
    return fired


def _rest(rule: TemporalRule, state: KeyState, at: int) -> None:
    """Let what was told of, and what comes in the time of quiet behind it, count no more."""
    quiet_until = at + rule.quiet
    state.quiet_until = quiet_until
    state.moments = [
        moment
        for moment in state.moments
        if moment.at > quiet_until or (rule.kind == "missing" and moment.mark == ENDS)
    ]


def _waiting(state: KeyState) -> list[Moment]:
    return [moment for moment in state.moments if moment.mark == BEGINS]


_TAKE: Final[Mapping[str, Callable[[TemporalRule, KeyState, Arrival], Taken]]] = {
    "count": _take_count,
    "sequence": _take_sequence,
    "missing": _take_missing,
    "absence": _take_absence,
    "once": _take_once,
    "accumulate": _take_amount,
}
