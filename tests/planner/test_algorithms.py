"""What the planner computes without any I/O: masks, answers, likeness, confidence, breakers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.healing.planner.answers import AnswerError, fitted, taken_again
from fettle.healing.planner.breaker import FAILURES, LONGEST_REST_SECONDS, REST_SECONDS, Circuit
from fettle.healing.planner.budgets import micros
from fettle.healing.planner.confidence import (
    LEAST_KNOWN,
    Memory,
    calibration_error,
    corrected,
    fit_curve,
    judge,
    lower_bound,
    reliability,
)
from fettle.healing.planner.endpoints import read_chain
from fettle.healing.planner.masking import MASKED, Mask
from fettle.healing.planner.vectors import embed, gist, similarity
from fettle.healing.planner.wires import retry_after_seconds
from fettle.healing.planner.words import Candidate
from fettle.kernel.redaction import Redactor
from fettle.kernel.settings import SettingsError, load_settings

REDACTOR = Redactor()
texts = st.text(max_size=60)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=3, max_size=20).filter(
    lambda name: name[0].isalpha() and name[-1].isalnum()
)


@given(names, st.lists(st.text("abc <>-1.:", max_size=20), max_size=4))
def test_what_is_hidden_is_gone_and_comes_back_unchanged(host, around):
    host = f"zz{host}"
    incident = {"host": host, "details": {"lines": [f"{text} {host} {text}" for text in around]}}
    mask = Mask(REDACTOR, incident, prose=MASKED)
    hidden = mask.hide(incident)
    assert host not in repr(hidden)
    assert mask.reveal(hidden) == incident


@given(values)
def test_a_mask_takes_any_json(value):
    mask = Mask(REDACTOR, {"host": "alpha", "details": value}, prose=MASKED)
    mask.reveal(mask.hide({"details": value}))


def test_a_stand_in_is_only_what_this_mask_gave_out():
    mask = Mask(REDACTOR, {"host": "alpha-1"}, prose=MASKED)
    assert mask.hide("<host-1> and alpha-1") == "<literal-1> and <host-1>"
    assert mask.reveal("<literal-1> and <host-1> and <host-2>") == "<host-1> and alpha-1 and <host-2>"


SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "mode": {"type": "string", "enum": ["soft", "hard"]},
        "count": {"type": "integer"},
        "names": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": False,
}
CANDIDATE = Candidate("runbook", "RB-X", "", "", SCHEMA)


@given(texts, values)
def test_no_text_is_taken_that_is_not_in_the_incident(path, details):
    incident = {"title": "t", "details": details}
    try:
        fitted(CANDIDATE, {"path": path}, incident)
    except AnswerError:
        return
    assert path in list(leaves(incident))


def leaves(value):
    if isinstance(value, dict):
        for child in value.values():
            yield from leaves(child)
    elif isinstance(value, list):
        for child in value:
            yield from leaves(child)
    else:
        yield value


def test_parameters_are_taken_again_from_the_same_places():
    one = {"details": {"a": "/one", "list": ["x", "y"], "n": 3}}
    _, origins = fitted(CANDIDATE, {"path": "/one", "names": ["y"], "count": 3, "mode": "hard"}, one)
    other = {"details": {"a": "/two", "list": ["p", "q"], "n": 4}}
    assert taken_again(CANDIDATE, origins, other) == {
        "path": "/two",
        "names": ["q"],
        "count": 4,
        "mode": "hard",
    }
    assert taken_again(CANDIDATE, origins, {"details": {"a": "/two"}}) is None


@pytest.mark.parametrize(
    "given", [{"path": 1}, {"mode": "else"}, {"other": "x"}, {"count": 4}, {"names": ["z"]}]
)
def test_parameters_that_do_not_fit_are_refused(given):
    with pytest.raises(AnswerError):
        fitted(CANDIDATE, given, {"details": {"n": 3}})


def test_likeness_follows_words_and_not_particulars():
    def incident(host, summary):
        return {
            "check_type": "disk_space",
            "platform": "linux",
            "host": host,
            "summary": summary,
        }

    one = embed(gist(incident("ws-1", "disk /var of ws-1 is 97 percent full")))
    same = embed(gist(incident("db-9", "disk /var of db-9 is 91 percent full")))
    near = embed(gist(incident("db-9", "the disk below /var is nearly full")))
    far = embed(gist({"check_type": "certificate", "platform": "windows", "summary": "expires on Friday"}))
    assert similarity(one, same) > 0.99
    assert similarity(one, same) > similarity(one, near) > similarity(one, far)


@given(texts, texts)
def test_a_vector_has_length_one_and_is_always_the_same(one, other):
    vector = embed(one)
    assert vector == embed(one)
    assert similarity(vector, vector) == pytest.approx(1.0) or not any(vector)
    assert -1.0001 <= similarity(vector, embed(other)) <= 1.0001


def memory(key="a", likeness=1.0, succeeded=8, failed=0):
    return Memory(likeness, key, succeeded, failed, "m")


def test_confidence_grows_with_successes_and_falls_with_failures_doubt_and_distance():
    def sure(*memories):
        return judge(memories)[0].confidence

    assert sure(memory(succeeded=1)) < 0.7 < sure(memory(succeeded=8))
    assert sure(memory(succeeded=8, failed=4)) < sure(memory(succeeded=8))
    assert sure(memory(), memory("b")) < sure(memory())
    assert sure(memory(likeness=0.7)) < sure(memory())
    assert judge([memory(likeness=0.25)]) == []


@given(
    st.lists(
        st.builds(memory, st.sampled_from("abc"), st.floats(0, 1), st.integers(0, 99), st.integers(0, 99))
    )
)
def test_confidence_is_always_a_probability(memories):
    verdicts = judge(memories)
    assert all(0 <= verdict.confidence <= 0.99 for verdict in verdicts)


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_lower_bound_is_below_the_share(succeeded, failed):
    bound = lower_bound(succeeded, failed)
    assert 0 <= bound <= (succeeded / (succeeded + failed) if succeeded + failed else 0) + 1e-9


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_a_calibrating_curve_rises_and_never_makes_the_error_of_all_together_larger(claims):
    curve = fit_curve(claims)
    assert list(curve.true) == sorted(curve.true)
    corrected = [(curve.at(claimed), true) for claimed, true in claims]
    assert all(0 <= claimed <= 1 for claimed, _ in corrected)


@given(st.floats(0, 1), st.lists(st.booleans(), min_size=1, max_size=80))
def test_equal_claims_are_worth_the_share_that_came_true(claimed, truths):
    curve = fit_curve([(claimed, true) for true in truths])
    assert curve.at(claimed) == pytest.approx(sum(truths) / len(truths))
    [(_, share, number)] = reliability([(claimed, true) for true in truths])
    assert (share, number) == (pytest.approx(curve.at(claimed)), len(truths))


@given(st.floats(0, 1), st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_a_claim_is_never_raised(claimed, known):
    assert corrected(claimed, known) <= claimed + 1e-4
    assert len(known) >= LEAST_KNOWN or corrected(claimed, known) == claimed


def test_half_of_what_was_claimed_halves_the_next_claim():
    known = [(0.9, number % 2 == 0) for number in range(100)]
    assert corrected(0.9, known) == pytest.approx(0.5, abs=0.02)
    assert corrected(0.9, [(0.9, True)] * 100) > 0.89


def test_the_calibration_error_is_the_distance_of_claim_and_truth():
    assert calibration_error([(0.9, True)] * 9 + [(0.9, False)]) == pytest.approx(0.0)
    assert calibration_error([(0.9, False)] * 10) == pytest.approx(0.9)
    assert calibration_error([]) == 0.0


def test_a_breaker_opens_lets_one_look_and_closes():
    circuit = Circuit()
    for _ in range(FAILURES):
        assert circuit.asked(100.0) == circuit
        circuit = circuit.failed(100.0)
    assert circuit.state(100.0) == "open"
    assert circuit.asked(100.0 + REST_SECONDS - 1) is None
    later = 100.0 + REST_SECONDS
    looking = circuit.asked(later)
    assert looking is not None
    assert looking.asked(later) is None
    again = looking.failed(later)
    assert again.closed_until - later == 2 * REST_SECONDS
    assert looking.answered().state(later) == "closed"


@given(st.integers(0, 200))
def test_a_breaker_never_rests_for_ever(failures):
    circuit = Circuit()
    for _ in range(failures):
        circuit = circuit.failed(0.0)
    assert circuit.closed_until <= LONGEST_REST_SECONDS


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("5", 5.0),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("-1", None),
        ("9" * 40, 86_400),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(value, seconds):
    assert retry_after_seconds(value) == seconds


def test_money_is_rounded_up():
    assert micros(Decimal("0.0000001")) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"planner_chain": ["gpt"]},
        {"planner_chain": ["openai:x@file:///etc"]},
        {"planner_chain": ["openai:@http://a/v1"]},
        {"planner_chain": ["retrieval", "retrieval"]},
        {"planner_keys": "nothing"},
        {"planner_prices": ["qwen3=-1/2"]},
        {"planner_prices": ["qwen3=1"]},
        {"planner_prices": ["qwen3=nan/1"]},
    ],
    ids=str,
)
def test_a_chain_that_cannot_be_read_names_its_setting(given):
    settings = load_settings(**{"planner_chain": ["openai:qwen3@http://a:1/v1"], **given})
    with pytest.raises(SettingsError, match="FETTLE_PLANNER_"):
        read_chain(settings)


def test_a_chain_is_read_with_keys_and_prices():
    settings = load_settings(
        planner_chain=["retrieval", "openai:qwen3:8b@http://10.1.2.3:8000/v1/"],
        planner_keys="10.1.2.3:8000=abc=",
        planner_prices=["qwen3:8b=0.5/2"],
    )
    first, second = read_chain(settings)
    assert first.kind == "retrieval"
    assert (second.model, second.url, second.key) == ("qwen3:8b", "http://10.1.2.3:8000/v1", "abc=")
    assert second.price.of(1_000_000, 500_000) == Decimal("1.5")
    assert "abc" not in second.name
