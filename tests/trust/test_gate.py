"""When the trust gate passes, holds and blocks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.trust.gate import GatePolicyError, decide

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STRICTNESS = {"pass": 0, "hold": 1, "block": 2}


def signal(name="backup", health="healthy", seconds_ago=10.0):
    return {"name": name, "health": health, "observed_at": (NOW - timedelta(seconds=seconds_ago)).isoformat()}


def verdict(signals, policy):
    return decide(signals, policy, now=NOW).verdict


def test_an_action_that_depends_on_nothing_passes():
    assert verdict([], {}) == "pass"
    assert verdict([signal(health="critical")], {"requires": []}) == "pass"


@pytest.mark.parametrize(
    ("health", "expected"), [("healthy", "pass"), ("degraded", "hold"), ("critical", "block")]
)
def test_health_decides(health, expected):
    assert verdict([signal(health=health)], {"requires": ["backup"]}) == expected
    assert verdict([signal(health=health)], {}) == expected


def test_the_strictest_signal_decides_and_comes_first():
    decision = decide([signal("a"), signal("b", "critical"), signal("c", "degraded")], {}, now=NOW)
    assert decision.verdict == "block"
    assert [(one.signal, one.verdict) for one in decision.reasons] == [
        ("b", "block"),
        ("c", "hold"),
        ("a", "pass"),
    ]
    assert decision.document()["reasons"][0]["detail"] == "b is critical"


def test_a_required_signal_that_is_missing_holds():
    decision = decide([], {"requires": ["backup"]}, now=NOW)
    assert (decision.verdict, decision.reasons[0].state) == ("hold", "missing")
    assert not decision.passed


def test_old_news_is_no_news():
    policy = {"requires": ["backup"], "max_age_seconds": 60}
    assert verdict([signal(seconds_ago=59)], policy) == "pass"
    assert verdict([signal(seconds_ago=61)], policy) == "hold"
    assert verdict([signal(seconds_ago=-3600)], policy) == "hold"
    assert verdict([{"name": "backup", "health": "healthy"}], policy) == "hold"
    assert verdict([{"name": "backup", "health": "healthy", "observed_at": "soon"}], policy) == "hold"
    assert verdict([signal(health="critical", seconds_ago=9_999)], policy) == "block"


def test_the_newest_of_several_counts():
    signals = [
        signal(health="critical", seconds_ago=50),
        signal(seconds_ago=5),
        signal(health="degraded", seconds_ago=9),
    ]
    assert verdict(signals, {"requires": ["backup"]}) == "pass"


def test_of_two_at_one_time_the_worse_counts_in_whatever_order():
    good, bad, odd = signal(), signal(health="critical"), signal(health="?")
    assert verdict([good, bad], {}) == verdict([bad, good], {}) == "block"
    assert verdict([odd, bad], {}) == verdict([bad, odd], {}) == "block"
    assert verdict([good, odd], {}) == verdict([odd, good], {}) == "hold"


def test_good_news_from_the_future_neither_passes_nor_hides_what_is_known_now():
    ahead = signal(seconds_ago=-3600)
    assert verdict([ahead], {}) == verdict([ahead], {"requires": ["backup"]}) == "hold"
    assert verdict([ahead, signal(health="critical")], {}) == "block"
    assert verdict([signal(), ahead], {}) == "pass"
    assert verdict([signal(seconds_ago=-30)], {}) == "pass"
    assert verdict([signal(health="critical", seconds_ago=-3600)], {}) == "block"


@pytest.mark.parametrize("nameless", [{}, {"name": None}, {"name": 5}, {"name": ""}, {"name": ["backup"]}])
def test_a_signal_without_a_name_never_passes(nameless):
    assert verdict([signal(), {**signal(), "name": None, **nameless}], {}) == "hold"
    bad = {**signal(health="critical"), "name": None, **nameless}
    assert verdict([bad, {**signal(), "name": None, **nameless}], {}) == "block"
    assert verdict([signal(), bad], {"requires": ["backup"]}) == "pass"


@pytest.mark.parametrize("thing", [None, 5, "backup", [signal()]])
def test_what_is_no_signal_never_passes(thing):
    assert verdict([signal(), thing], {}) == "hold"


def test_a_policy_may_be_stricter_for_one_signal():
    policy = {"degraded": "pass", "requires": ["a", {"signal": "b", "degraded": "block"}]}
    assert verdict([signal("a", "degraded"), signal("b")], policy) == "pass"
    assert verdict([signal("a"), signal("b", "degraded")], policy) == "block"


@pytest.mark.parametrize(
    "policy",
    [
        None,
        [],
        {"requires": "backup"},
        {"requires": [5]},
        {"requires": ["a"], "critical": "pass"},
        {"requires": ["a"], "missing": "pass"},
        {"requires": ["a"], "stale": "pass"},
        {"requires": ["a"], "unknown": "pass"},
        {"requires": ["a"], "max_age_seconds": 0},
        {"requires": [{"signal": "a", "max_age_seconds": True}]},
    ],
)
def test_a_policy_that_cannot_be_read_is_never_a_pass(policy):
    with pytest.raises(GatePolicyError):
        decide([signal("a")], policy, now=NOW)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from("abc")},
            optional={
                "health": st.sampled_from(["healthy", "degraded", "critical", "unknown", "", None, 1]),
                "observed_at": st.sampled_from([NOW.isoformat(), "2020-01-01T00:00:00Z", "x", None]),
            },
        ),
        max_size=5,
    ),
    st.fixed_dictionaries(
        {"requires": st.lists(st.sampled_from("abc"), max_size=3)},
        optional={
            "max_age_seconds": st.sampled_from([1, 3600]),
            "degraded": st.sampled_from(["pass", "hold", "block"]),
            "critical": st.sampled_from(["hold", "block"]),
        },
    ),
)
def test_a_pass_means_that_every_needed_signal_is_known_and_fresh(signals, policy):
    decision = decide(signals, policy, now=NOW)
    for name in policy["requires"]:
        fresh = [s for s in signals if s["name"] == name and s.get("health") in ("healthy", "degraded")]
        if decision.passed:
            assert fresh
    worst = max((STRICTNESS[reason.verdict] for reason in decision.reasons), default=0)
    assert STRICTNESS[decision.verdict] == worst
