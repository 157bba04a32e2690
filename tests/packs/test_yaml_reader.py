"""YAML from outside is plain data or it is refused, with the line."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.packs.problems import PackInvalid
from fettle.packs.yaml_reader import read_yaml


def refused(text: str | bytes):
    with pytest.raises(PackInvalid) as raised:
        read_yaml("x.yaml", text.encode() if isinstance(text, str) else text)
    (problem,) = raised.value.problems
    return problem


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system ''",
        "!!python/object/new:subprocess.Popen [['true']]",
        "!ruby/object:Gem::Installer {i: x}",
        "!!binary aGVsbG8=",
        "!!timestamp 2026-01-01",
        "!!set {a, b}",
        "!own 5",
    ],
)
def test_a_tag_never_makes_anything(tag: str):
    problem = refused(f"a: 1\nb: {tag}\n")
    assert (problem.line, problem.pointer) == (2, "/b")
    assert "tag" in problem.message


def test_an_alias_bomb_is_refused_at_its_first_anchor():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    problem = refused("\n".join(lines))
    assert problem.line == 1
    assert "anchor" in problem.message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "twice, first in line 1"),
        ("- {x: 1, x: 2}\n", 1, "twice"),
        ("base: 1\n<<: {a: 1}\n", 2, "merge key"),
        ("a: *b\n", 1, "alias"),
        ("? [1, 2]\n: x\n", 1, "key must be text"),
        ("---\na: 1\n---\nb: 2\n", 3, "more than one document"),
        ("a: [1, 2\n", 2, "cannot be read"),
        ("mode: 0640\n", 1, "different numbers"),
        ("mode: 0x1F\n", 1, "different numbers"),
        ("a: 99999999999999999999\n", 1, "64 bits"),
        ("a: 9223372036854775808\n", 1, "64 bits"),
        ("a: 1e999\n", 1, "too large"),
        ('a: "x\\0y"\n', 1, "U+0000"),
        ('"k\\0": 1\n', 1, "U+0000"),
    ],
)
def test_what_readers_disagree_on_is_refused_with_its_line(text: str, line: int, words: str):
    problem = refused(text)
    assert problem.line == line
    assert words in problem.message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_ends_early(opening: str):
    assert "deep" in refused(opening * 100_000).message


def test_bytes_that_are_no_text_are_refused():
    assert refused(b"a: 1\nb: \xff\n").line == 2
    assert refused(b"a: \x01\n").message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("-7", -7),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("'5'", "5"),
        ("1.0.0", "1.0.0"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: object):
    read = read_yaml("x.yaml", f"a: {text}\n".encode()).value["a"]
    assert read == value
    assert type(read) is type(value)


def test_every_value_knows_its_line():
    document = read_yaml("x.yaml", b"# comment\na:\n  - x: 1\n    y: 2\n  - z\n")
    assert document.line(("a", 0, "y")) == 4
    assert document.line(("a", 1)) == 5
    assert document.line(("a", 0, "missing")) == 3


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(categories=["L"]), min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(plain)
def test_json_is_read_as_what_it_is(value: object):
    assert read_yaml("x.yaml", json.dumps(value, ensure_ascii=False).encode()).value == value


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes):
    with contextlib.suppress(PackInvalid):
        read_yaml("x.yaml", data)
