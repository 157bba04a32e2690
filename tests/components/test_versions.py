"""Which versions an advisory means: the order of PEP 440 and of semver, and ranges however they are written."""

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from fettle.central.components.versions import (
    UnclearVersionError,
    first_fix,
    is_in_range,
    is_listed,
    python_order,
    semantic_order,
)

numbers = st.integers(0, 20)
words = st.sampled_from(["alpha", "beta", "rc", "x-1", "0a", "7", "11", "2"])
semantic = st.builds(
    lambda core, suffix: ".".join(map(str, core)) + (f"-{'.'.join(suffix)}" if suffix else ""),
    st.tuples(numbers, numbers, numbers),
    st.lists(words, max_size=3),
)


def test_semver_orders_its_own_example():
    chain = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
    ]
    chain += ["1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"]
    shuffled = random.Random(1).sample(chain, len(chain))
    assert sorted(shuffled, key=semantic_order) == chain
    assert semantic_order("1.0.0+build.5") == semantic_order("v1.0.0") == semantic_order("1")


@given(st.tuples(numbers, numbers, numbers), st.tuples(numbers, numbers, numbers))
def test_plain_numbers_are_ordered_alike_by_both(one, other):
    texts = [".".join(map(str, version)) for version in (one, other)]
    by_semver = semantic_order(texts[0]) < semantic_order(texts[1])
    assert by_semver == (Version(texts[0]) < Version(texts[1])) == (one < other)


@given(semantic, semantic, semantic)
def test_the_order_of_semver_is_total(one, two, three):
    low, middle, high = sorted((one, two, three), key=semantic_order)
    assert semantic_order(low) <= semantic_order(middle) <= semantic_order(high)
    assert semantic_order(low) <= semantic_order(high)


@given(st.text(max_size=300))
def test_any_text_is_a_version_or_is_unclear(text):
    for order in (python_order, semantic_order):
        with contextlib.suppress(UnclearVersionError):
            assert order(text) == order(text)


@st.composite
def ranges(draw):
    """A range as spans of whole versions, and the events that tell it."""
    edges = sorted(draw(st.sets(st.integers(1, 60), min_size=2, max_size=8)))
    spans, events = [], []
    for begin, end in zip(edges[::2], edges[1::2], strict=False):
        ends_with_it = draw(st.booleans())
        spans.append((begin, end, ends_with_it))
        events.append({"introduced": f"{begin}.0.0"})
        events.append({"last_affected" if ends_with_it else "fixed": f"{end}.0.0"})
    if draw(st.booleans()):
        spans.append((0, spans[0][0], False))
        events += [{"introduced": "0"}, {"fixed": f"{spans[0][0]}.0.0"}]
    if len(edges) % 2:
        spans.append((edges[-1], 10**6, True))
        events.append({"introduced": f"{edges[-1]}.0.0"})
    return spans, events


@pytest.mark.parametrize("order", [python_order, semantic_order])
@given(ranges(), st.integers(0, 70), st.integers(0, 1), st.randoms(use_true_random=False))
def test_a_range_holds_what_its_spans_hold_in_whatever_order_its_events_stand(
    order, made, major, patch, rand
):
    spans, events = made
    rand.shuffle(events)
    own = (major, patch)
    wanted = any(
        (begin, 0) <= own and (own <= (end, 0) if last else own < (end, 0)) for begin, end, last in spans
    )
    assert is_in_range(f"{major}.0.{patch}", events, order) is wanted


@pytest.mark.parametrize(
    ("version", "events", "hit"),
    [
        ("1.0.0", [{"introduced": "0"}], True),
        ("0.0.0-0", [{"introduced": "0"}], True),
        ("1.0.0-rc.1", [{"introduced": "0"}, {"fixed": "1.0.0"}], True),
        ("1.0.0", [{"introduced": "0"}, {"fixed": "1.0.0"}], False),
        ("1.0.0", [{"introduced": "1.0.0"}, {"last_affected": "1.0.0"}], True),
        ("1.0.1", [{"introduced": "1.0.0"}, {"last_affected": "1.0.0"}], False),
        ("2.0.0", [{"introduced": "0"}, {"fixed": "2.0.0"}, {"introduced": "2.0.0"}], True),
        ("3.0.0", [{"introduced": "0"}, {"limit": "2.0.0"}], False),
        ("1.0.0", [{"introduced": "0"}, {"limit": "2.0.0"}], True),
        ("3.0.0", [{"introduced": "0"}, {"limit": "*"}], True),
        ("3.0.0", [{"introduced": "0", "fixed": "2.0.0"}], False),
        ("3.0.0", [], False),
    ],
)
def test_events_are_read_as_the_schema_says(version, events, hit):
    random.Random(version).shuffle(events)
    assert is_in_range(version, events, semantic_order) is hit


@pytest.mark.parametrize(
    ("version", "fixed", "hit"),
    [
        ("1.0rc1", "1.0", True),
        ("1.0.post1", "1.0", False),
        ("1.0+local", "1.0", False),
        ("1!0.5", "2.0", False),
        ("2.0.dev1", "2.0a1", True),
        ("1.9", "1.10", True),
    ],
)
def test_python_versions_are_read_as_pep_440_says(version, fixed, hit):
    assert is_in_range(version, [{"introduced": "0"}, {"fixed": fixed}], python_order) is hit


def test_listed_versions_are_the_same_however_they_are_written():
    assert is_listed("1.0", ["0.9", "1.0.0"], python_order)
    assert not is_listed("1.0", ["nonsense!", "1.0.1"], python_order)
    assert is_listed("1.2.3", ["v1.2.3+build"], semantic_order)
    assert is_listed("1.2", ["not one", "1.2"], python_order)


def test_the_first_version_that_is_mended_is_the_next_one():
    events = [{"fixed": "3.0.0"}, {"introduced": "0"}, {"fixed": "1.5.0"}, {"introduced": "2.0.0"}]
    assert first_fix("1.0.0", events, semantic_order) == "1.5.0"
    assert first_fix("2.1.0", events, semantic_order) == "3.0.0"
    assert first_fix("3.0.0", events, semantic_order) == ""


@pytest.mark.parametrize("version", ["", "latest", "1.0.0.0.x", "1" * 300, "9" * 30 + ".0.0"])
def test_what_is_no_version_is_unclear_and_not_unaffected(version):
    with pytest.raises(UnclearVersionError):
        is_in_range("1.0.0", [{"introduced": version}], semantic_order)
