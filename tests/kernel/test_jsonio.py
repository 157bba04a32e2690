"""JSON at the boundary: what its quick looks over the whole text find is what a slow walk finds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.kernel.errors import Invalid
from fettle.kernel.jsonio import parse

TEXTS = st.text(alphabet='[]{}"\\\n,:aé0123456789', max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    """Return how deep a value is nested, by walking it."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(value=VALUES, limit=st.integers(1, 8), escaped=st.booleans())
def test_a_document_is_refused_for_its_depth_alone_whatever_its_texts_hold(
    value: Any, limit: int, escaped: bool
) -> None:
    # Many siblings, so that no count of the brackets alone can vouch for it.
    document = [value, *[[] for _ in range(80)]]
    body = json.dumps(document, ensure_ascii=escaped).encode()
    if depth_of(document) > limit:
        with pytest.raises(Invalid, match="nested more than"):
            parse(body, max_depth=limit)
    else:
        assert parse(body, max_depth=limit) == document


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**19, 10**40])
def test_an_integer_beyond_64_bits_is_refused_wherever_it_stands(number: int) -> None:
    body = json.dumps({"a": ["123", {"b": number}]}).encode()
    with pytest.raises(Invalid, match="64 bits"):
        parse(body)


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_of_64_bits_is_read_exactly(number: int) -> None:
    assert parse(json.dumps({"n": number, "text": str(number)}).encode()) == {
        "n": number,
        "text": str(number),
    }
