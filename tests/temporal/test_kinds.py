"""Rules over time against a naive second implementation, over random histories: late, repeated, out of order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.temporal import reference
from tests.temporal.rules import ABSENCE, ACCUMULATE, COUNT, EVERY_KIND, MISSING, ONCE, SEQUENCE, rule

from fettle.healing.temporal import kinds
from fettle.healing.temporal.kinds import COUNTED, HELD, LATE, PASSED_OVER, REPEATED
from fettle.healing.temporal.moments import Arrival, KeyState

SECOND = 1000
WITHIN = 10 * SECOND
START = 1_800_000_000_000

# Whole seconds close together meet the edges of windows; ids repeat, as with what is delivered twice.
HISTORIES = st.lists(
    st.tuples(st.integers(0, 35), st.integers(0, 15), st.integers(1, 3)), min_size=1, max_size=18
).map(lambda drawn: [(START + at * SECOND, f"{name:02}", mark) for at, name, mark in _consistent(drawn)])


def _consistent(drawn):
    """Let what has one id be one exception, however often it is delivered."""
    by_id = {}
    return [by_id.setdefault(name, (at, name, mark)) for at, name, mark in drawn]


def arrival(at, id_="x", mark=1, received=None, amount=None):
    return Arrival(at, id_, mark, at if received is None else received, amount)


def play(one, history):
    """Let a rule see a history in the order given; returns what it found."""
    state, found = KeyState(), []
    for moment in history:
        fired = kinds.take(one, state, arrival(*moment)).fired
        found.append(None if fired is None else (fired.at, fired.ids))
        state = KeyState.of(json.loads(json.dumps(state.document())))  # as after a restart
    return found


@pytest.mark.parametrize("quiet", [0, 5, 20])
@given(history=HISTORIES, times=st.integers(2, 4))
def test_a_count_is_as_the_naive_one_counts(quiet, history, times):
    one = rule(COUNT, times=times, quiet_seconds=quiet)
    naive = reference.Naive(one)
    history = [(at, id_, 1) for at, id_, _ in history]
    assert play(one, history) == [naive.count(moment) for moment in history]


@pytest.mark.parametrize("quiet", [0, 10])
@given(history=HISTORIES, first=st.integers(1, 3), second=st.integers(1, 2))
def test_a_sequence_is_as_the_naive_one_finds_it(quiet, history, first, second):
    steps = [{**SEQUENCE["steps"][0], "times": first}, {**SEQUENCE["steps"][1], "times": second}]
    one = rule(SEQUENCE, steps=steps, quiet_seconds=quiet)
    naive = reference.Naive(one)
    found, expected = play(one, history), [naive.sequence(moment) for moment in history]
    assert [one and one[0] for one in found] == [one and one[0] for one in expected]


@given(HISTORIES)
def test_what_is_missing_is_so_in_whatever_order_it_came(history):
    one = rule(MISSING)
    began = {moment for moment in history if moment[2] == 1}
    ended = {moment for moment in history if moment[2] == 2}
    history = [moment for moment in history if moment[2] != 3]
    latest = max((moment[0] for moment in history), default=0)
    # What comes two windows late does not count, and no more ends are known than a handful.
    kept = [m for m in history if m[0] > latest - 2 * WITHIN and int(m[1]) < kinds.MOST_ENDS]
    began, ended = began & set(kept), ended & set(kept)
    state = KeyState()
    for moment in kept:
        kinds.take(one, state, arrival(*moment))
    first = kinds.strike(one, state, latest + 10 * WITHIN)
    expected = reference.missing(began, ended, WITHIN)
    assert (first and first.at) == (expected[0] if expected else None)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12))
def test_an_absence_is_told_once_for_each_time_that_nothing_came(seconds):
    one = rule(ABSENCE, late_seconds=0)
    moments = sorted({START + second * SECOND for second in seconds})
    until = START + 100 * SECOND
    state, found = KeyState(), []
    for moment in [*moments, None]:
        # Of two things at one moment the exception counts: it was seen in time.
        while (fired := kinds.strike(one, state, until if moment is None else moment - 1)) is not None:
            found.append(fired.at)
        if moment is not None:
            was_told = state.is_told
            taken = kinds.take(one, state, arrival(moment, str(moment)))
            assert (taken.fired is not None and taken.fired.is_over) == was_told
    assert found == reference.absences(moments, WITHIN, until)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60)), max_size=20))
def test_a_sum_fires_whenever_it_reaches_the_threshold_and_counts_each_exception_once(drawn):
    one = rule(ACCUMULATE)
    state, counted, total, fired_at, expected = KeyState(), set(), 0, [], []
    for place, (name, amount) in enumerate(drawn):
        taken = kinds.take(one, state, arrival(START + place, str(name), amount=amount * 1_000_000))
        if taken.fired is not None:
            fired_at.append(place)
        if name in counted:
            assert taken.outcome == REPEATED
            continue
        counted.add(name)
        total += amount
        if total >= 100:
            expected.append(place)
            total = 0
    assert fired_at == expected


@given(HISTORIES, st.sampled_from(EVERY_KIND))
def test_what_is_remembered_is_bounded_and_survives_being_stored(history, like):
    one, state = rule(like), KeyState()
    for place in range(40):
        for at, id_, mark in history:
            kinds.take(one, state, arrival(at + place, f"{place}-{id_}", mark, amount=1))
    most = kinds.MOST_WAITING + kinds.MOST_ENDS
    assert len(state.moments) <= most
    assert KeyState.of(json.loads(json.dumps(state.document()))) == state


def test_a_flood_of_one_key_fills_no_more_than_its_ring():
    one, state = rule(SEQUENCE), KeyState()
    for place in range(500):
        kinds.take(one, state, arrival(START + place, str(place), 1))
    assert len(state.moments) == kinds.LEAST_RING
    taken = kinds.take(one, state, arrival(START + 501, "end", 2))
    assert taken.fired is not None
    assert taken.fired.count == 3


def test_what_was_told_of_does_not_count_once_more():
    one, state = rule(COUNT, times=2, quiet_seconds=0), KeyState()
    fired = [kinds.take(one, state, arrival(START + at * SECOND, str(at))).fired for at in (1, 2, 3, 4)]
    assert [found and found.ids for found in fired] == [None, ("1", "2"), None, ("3", "4")]


def test_what_comes_while_it_is_quiet_is_held():
    one, state = rule(ONCE), KeyState()
    outcomes = [kinds.take(one, state, arrival(START + at * SECOND, str(at))) for at in (0, 1, 10, 11)]
    assert [taken.outcome for taken in outcomes] == [COUNTED, HELD, HELD, COUNTED]
    assert [taken.fired is not None for taken in outcomes] == [True, False, False, True]


def test_what_comes_at_the_very_end_of_the_window_came_in_time():
    one = rule(MISSING)
    for after, is_missing in ((WITHIN, False), (WITHIN + 1, True)):
        state = KeyState()
        kinds.take(one, state, arrival(START, "began", kinds.BEGINS))
        kinds.take(one, state, arrival(START + after, "ended", kinds.ENDS))
        assert (kinds.strike(one, state, START + 10 * WITHIN) is not None) is is_missing


def test_what_comes_two_windows_late_does_not_count():
    one, state = rule(COUNT), KeyState()
    kinds.take(one, state, arrival(START + 2 * WITHIN, "new"))
    assert kinds.take(one, state, arrival(START, "old")).outcome == LATE


def test_an_exception_without_an_amount_is_passed_over():
    one, state = rule(ACCUMULATE), KeyState()
    assert kinds.take(one, state, arrival(START)).outcome == PASSED_OVER
    assert state == KeyState()


def test_what_was_told_missing_is_over_when_it_comes_after_all():
    one, state = rule(MISSING), KeyState()
    kinds.take(one, state, arrival(START, "began", kinds.BEGINS))
    assert kinds.due_at(one, state) == START + WITHIN + 5 * SECOND
    assert kinds.strike(one, state, START + WITHIN) is None
    fired = kinds.strike(one, state, START + WITHIN + 5 * SECOND)
    assert (fired.at, fired.ids) == (START + WITHIN, ("began",))
    assert kinds.strike(one, state, START + 100 * WITHIN) is None
    over = kinds.take(one, state, arrival(START + 3 * WITHIN, "ended", kinds.ENDS)).fired
    assert over.is_over
    assert kinds.take(one, state, arrival(START + 4 * WITHIN, "again", kinds.ENDS)).fired is None


def test_word_of_long_ago_does_not_end_an_absence():
    one, state = rule(ABSENCE), KeyState()
    kinds.take(one, state, arrival(START, "first"))
    assert kinds.strike(one, state, START + 2 * WITHIN) is not None
    late = arrival(START + SECOND, "late", received=START + 5 * WITHIN)
    assert kinds.take(one, state, late).fired is None
    assert state.is_told
    assert kinds.take(one, state, arrival(START + 6 * WITHIN, "back")).fired.is_over


def test_what_is_expected_is_missed_though_it_was_never_seen():
    one, state = rule(ABSENCE), kinds.expect(START)
    fired = kinds.strike(one, state, START + 2 * WITHIN)
    assert (fired.at, fired.ids, fired.count) == (START + WITHIN, (), 0)


def test_nothing_is_forgotten_while_it_waits():
    one, state = rule(MISSING), KeyState()
    kinds.take(one, state, arrival(START, "began", kinds.BEGINS))
    assert kinds.forget_at(one, state) is None
    kinds.take(one, state, arrival(START + SECOND, "ended", kinds.ENDS))
    assert kinds.forget_at(one, state) == START + SECOND + 2 * WITHIN
