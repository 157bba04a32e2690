"""Flaps, circuit breakers, limits and levels as values: what holds of them whatever comes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.healing.autonomy import EFFECTS, LEVELS, Standing, effect
from fettle.healing.brakes.approval_terms import terms_of
from fettle.healing.brakes.breaking import Circuit, Passage, is_share
from fettle.healing.brakes.breaking import Standing as Breaker
from fettle.healing.brakes.flapping import is_flap, is_flapping
from fettle.healing.brakes.limiting import HOUR, Action, Admitted, Held, admit, hosts_allowed
from fettle.healing.brakes.limits import (
    BUILT_IN,
    KINDS,
    ActionLimits,
    BreakerLimits,
    FlapLimits,
    action_limits,
    breaker_limits,
    flap_limits,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SECONDS = st.integers(0, 7_200)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def test_what_the_policy_does_not_say_is_built_in():
    assert flap_limits({}) == FlapLimits(enabled=True, flaps=3, window_seconds=3_600)
    assert flap_limits({"flapping": {"flaps": 5}}).window_seconds == 3_600
    assert [breaker_limits({}, kind) for kind in KINDS] == [BUILT_IN[kind] for kind in KINDS]
    assert breaker_limits({"breakers": {"host": {"failures": 1}}}, "host").open_seconds == 900
    assert not action_limits({}).any
    assert action_limits({"blast_radius": {"canary": True}}).canary


@given(st.lists(SECONDS, max_size=30), st.integers(2, 20), st.integers(60, 7_000))
def test_a_check_flaps_when_enough_returns_lie_within_the_window(moments, flaps, window):
    limits = FlapLimits(flaps=flaps, window_seconds=window)
    counted = sum(seconds < window for seconds in moments)
    assert is_flapping([ago(seconds) for seconds in moments], NOW, limits) is (counted >= flaps)


@pytest.mark.parametrize(
    ("resolved", "enabled", "is_one"),
    [(None, True, False), (0, True, True), (3_600, True, True), (3_601, True, False), (1, False, False)],
)
def test_a_flap_is_what_is_out_of_order_again_soon(resolved, enabled, is_one):
    limits = FlapLimits(enabled=enabled)
    assert is_flap(None if resolved is None else ago(resolved), NOW, limits) is is_one


LIMITS = BreakerLimits(failures=3, window_seconds=600, open_seconds=60)


@given(st.lists(SECONDS, max_size=60))
def test_a_breaker_is_due_once_enough_failures_lie_within_its_window(moments):
    circuit = Circuit()
    for seconds in sorted(moments, reverse=True):
        circuit = circuit.failed(ago(seconds), LIMITS)
    last = min(moments, default=0)
    counted = sum(seconds < last + LIMITS.window_seconds for seconds in moments)
    assert circuit.is_due(LIMITS) is (counted >= LIMITS.failures)
    assert len(circuit.failures) <= 50


def test_open_refuses_until_its_time_then_one_tries_and_decides():
    opened = Circuit().opened(NOW, 60)
    later = NOW + timedelta(seconds=60)
    assert opened.passage("a", NOW) is Passage.REFUSED
    assert opened.passage("a", later) is Passage.PROBE
    trying = opened.tried_by("a", later)
    assert trying.standing is Breaker.HALF_OPEN
    assert (trying.passage("a", later), trying.passage("b", later)) == (Passage.FREE, Passage.WAIT)
    assert trying.ended("b", later, LIMITS, well=True) == trying
    assert trying.ended("a", later, LIMITS, well=True) == Circuit()
    again = trying.ended("a", later, LIMITS, well=False)
    assert (again.standing, again.open_until) == (Breaker.OPEN, later + timedelta(seconds=60))
    assert trying.ended("a", later, LIMITS, well=None).passage("b", later) is Passage.PROBE


def test_a_run_that_tries_and_is_never_heard_of_again_keeps_nobody_waiting():
    trying = Circuit().opened(NOW, 0).tried_by("a", NOW)
    assert trying.passage("b", NOW + timedelta(hours=2)) is Passage.PROBE


def test_what_was_opened_until_somebody_resets_it_lets_nobody_try():
    assert Circuit().opened(NOW, None).passage("a", NOW + timedelta(days=99)) is Passage.REFUSED


@given(st.integers(0, 99), st.integers(0, 99))
def test_failures_are_a_share_of_all(failed, succeeded):
    assert is_share(failed, succeeded, LIMITS) is (failed > 0 and failed >= succeeded)


HOSTS = st.sampled_from(["a", "b", "c", "d", ""])
ACTIONS = st.builds(
    Action,
    run=st.uuids(),
    playbook=st.sampled_from(["P", "Q"]),
    definition=st.sampled_from(["1", "2"]),
    host=HOSTS,
    disruptive=st.booleans(),
    at=SECONDS.map(ago),
    outcome=st.sampled_from([None, "verified", "failed"]),
    canary=st.booleans(),
)
SOME = st.builds(
    ActionLimits,
    per_hour=st.none() | st.integers(0, 5),
    per_host_per_hour=st.none() | st.integers(0, 3),
    disruptive_per_day=st.none() | st.integers(0, 3),
    hosts_per_hour=st.none() | st.integers(1, 4),
    share_of_fleet_per_hour=st.none() | st.floats(0.01, 1),
    canary=st.just(False),
)


@given(ACTIONS, st.lists(ACTIONS, max_size=12), SOME, st.integers(0, 20))
def test_whatever_is_let_act_no_limit_is_exceeded(wanted, before, limits, fleet):
    answer = admit(wanted, before, limits, fleet=fleet, now=NOW)
    hour = [action for action in before if action.at > NOW - HOUR]
    fine = [
        limits.per_hour is None or len(hour) < limits.per_hour,
        not wanted.host
        or limits.per_host_per_hour is None
        or sum(action.host == wanted.host for action in hour) < limits.per_host_per_hour,
        not wanted.disruptive
        or limits.disruptive_per_day is None
        or sum(action.disruptive for action in before) < limits.disruptive_per_day,
    ]
    most = hosts_allowed(limits, fleet)
    hosts = {action.host for action in hour if action.playbook == wanted.playbook and action.host}
    fine.append(most is None or not wanted.host or wanted.host in hosts or len(hosts) < most)
    assert isinstance(answer, Admitted) is all(fine)


@given(ACTIONS, st.lists(ACTIONS, max_size=12), SOME, st.integers(0, 20))
def test_what_is_held_may_act_when_its_time_has_come(wanted, before, limits, fleet):
    """Unless a limit lets nothing act at all; then nobody is told a time."""
    held = admit(wanted, before, limits, fleet=fleet, now=NOW)
    if isinstance(held, Admitted):
        return
    if held.until is None:
        assert 0 in {limits.per_hour, limits.per_host_per_hour, limits.disruptive_per_day}
        return
    assert held.until > NOW
    then = admit(wanted, before, limits, fleet=fleet, now=held.until)
    assert isinstance(then, Admitted), then


def test_the_time_told_counts_what_is_forgotten_by_then():
    """The host is within the radius only as long as its own action counts, which is as long as the budget is used."""
    wanted = Action("new", "P", "1", "b", disruptive=False, at=NOW)
    before = [
        Action("one", "P", "1", "b", disruptive=False, at=ago(3000)),
        Action("two", "P", "1", "a", disruptive=False, at=ago(10)),
    ]
    limits = ActionLimits(per_hour=2, hosts_per_hour=1)
    held = admit(wanted, before, limits, fleet=0, now=NOW)
    assert isinstance(held, Held)
    assert held.until == ago(10) + HOUR


@given(st.lists(ACTIONS, max_size=8), st.lists(st.sampled_from("abcdef"), max_size=20), SOME)
def test_no_more_ask_again_at_a_time_than_may_begin_then(before, hosts, limits):
    """Who waits in line is given the time at which there is room after those before it took theirs."""
    limits = replace(limits, canary=False, share_of_fleet_per_hour=None)
    line = []
    for number, host in enumerate(hosts):
        wanted = Action(number, "P", "1", host, disruptive=False, at=NOW)
        held = admit(wanted, before, limits, fleet=0, now=NOW, ahead=line)
        if isinstance(held, Held) and held.until is not None:
            line.append(replace(wanted, at=held.until))
    begun = list(before)
    for one in sorted(line, key=lambda action: action.at):
        assert isinstance(admit(one, begun, limits, fleet=0, now=one.at), Admitted)
        begun.append(one)


def test_who_acts_again_on_a_host_keeps_nobody_out_who_was_told_a_time_before():
    """The second may act on its host once more from a moment on before the first may; it would stay in its way."""
    limits = ActionLimits(per_host_per_hour=2, hosts_per_hour=1)
    before = [
        Action(name, "P", "1", "a", disruptive=False, at=ago(age)) for name, age in (("1", 1), ("2", 0))
    ]
    first, second = (Action(host, "P", "1", host, disruptive=False, at=NOW) for host in "ba")
    waits = admit(first, before, limits, fleet=0, now=NOW)
    assert isinstance(waits, Held)
    assert waits.until == NOW + HOUR
    ahead = [replace(first, at=waits.until)]
    held = admit(second, before, limits, fleet=0, now=NOW, ahead=ahead)
    assert isinstance(held, Held)
    assert held.until == NOW + 2 * HOUR


@given(st.lists(ACTIONS, max_size=12))
def test_nothing_else_acts_while_a_canary_is_under_way(before):
    limits = ActionLimits(canary=True)
    wanted = Action("new", "P", "1", "new", disruptive=False, at=NOW)
    same = [action for action in before if (action.playbook, action.definition) == ("P", "1")]
    answer = admit(wanted, before, limits, fleet=9, now=NOW)
    if any(action.canary and action.outcome is None for action in same):
        assert isinstance(answer, Held)
        assert answer.reason == "canary"
    else:
        assert isinstance(answer, Admitted)
        proven = any(action.outcome == "verified" and action.at > NOW - HOUR for action in same)
        assert answer.canary is not proven


def test_a_share_of_the_fleet_is_at_least_one_host():
    assert hosts_allowed(ActionLimits(share_of_fleet_per_hour=0.1), 3) == 1
    assert hosts_allowed(ActionLimits(share_of_fleet_per_hour=0.1), 100) == 10
    assert hosts_allowed(ActionLimits(share_of_fleet_per_hour=0.1, hosts_per_hour=4), 100) == 4
    assert hosts_allowed(ActionLimits(), 100) is None


STANDINGS = st.builds(
    Standing,
    refused=st.booleans(),
    doubtful=st.booleans(),
    gate=st.sampled_from(["pass", "hold", "block"]),
    braked=st.booleans(),
    most=st.sampled_from(LEVELS),
)


@given(STANDINGS)
def test_a_lower_level_never_does_more(standing):
    does = [effect(level, standing) for level in LEVELS]
    assert set(does) <= set(EFFECTS)
    acts = [level for level, one in zip(LEVELS, does, strict=True) if one == "acted"]
    assert acts in ([], ["act"])
    if standing.refused or standing.braked or standing.gate != "pass" or standing.doubtful:
        assert acts == []


FACTS = {"hosts": "dc-1", "severities": "high", "packs": "compliance-it"}


def test_the_first_case_that_fits_says_who_approves_and_leaves_the_rest_as_it_is():
    policy = {
        "approvals": {
            "by": ["operator"],
            "expires_seconds": 600,
            "cases": [
                {"match": {"hosts": ["web-*"]}, "people": 2},
                {
                    "match": {"hosts": ["dc-*"], "packs": ["compliance-it"]},
                    "by": ["tenant_admin"],
                    "people": 2,
                },
                {"match": {"hosts": ["*"]}, "by": ["analyst"]},
            ],
        }
    }
    terms = terms_of(policy, FACTS)
    assert (terms.by, terms.people, terms.expires_seconds) == (("tenant_admin",), 2, 600)
    assert terms_of(policy, {"hosts": "mail"}).by == ("analyst",)
    assert terms_of({}, FACTS).people == 1
