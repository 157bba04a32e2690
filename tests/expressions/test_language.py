"""What authors of playbooks rely on when they write a condition or a template."""

import pytest

from fettle.kernel.expressions import (
    ExpressionError,
    compile_condition,
    compile_expression,
    compile_template,
    from_schema,
)

DATA = {
    "incident": {
        "severity": "high",
        "host": "web-1",
        "count": 3,
        "ratio": 0.5,
        "labels": {"team": "ops", "odd name": "x"},
        "tags": ["a", "b", "c"],
        "disks": [{"name": "/", "percent": 91}, {"name": "/home", "percent": 40}],
    },
    "params": {"force": True},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 3 - 2", 5),
        ("-2 * -3", 6),
        ("7 / 2", 3.5),
        ("6 / 2", 3),
        ("7 % 4", 3),
        ("'a' + \"b\"", "ab"),
        ("[1] + [2]", [1, 2]),
        ("1 == 1.0", True),
        ("params.force == 1", False),
        ("incident.nothing == false", False),
        ("[1, {a: 2}] == [1, {a: 2}]", True),
        ("{a: 1} == {a: params.force}", False),
        ("'b' > 'a'", True),
        ("not true or true", True),
        ("not (true or true)", False),
        ("true ? 1 : false ? 2 : 3", 1),
        ("false ? 1 : false ? 2 : 3", 3),
        ("false && (1 / 0 == 1) || true", True),
        ("incident.labels['odd name']", "x"),
        ("incident.disks[-1].name", "/home"),
        ("incident.disks[9].name", None),
        ("incident.no.such.thing", None),
        ("'web' in incident.host", True),
        ("'team' in incident.labels", True),
        ("incident.severity not in ['low', 'info']", True),
        ("filter(incident.disks, d => d.percent > 90)[0].name", "/"),
        ("map(incident.tags, t => upper(t) + '!')", ["A!", "B!", "C!"]),
        ("any(incident.disks, d => d.percent > 95)", False),
        ("all(incident.disks, d => d.percent > 30)", True),
        ("map([1, 2], x => map([10], y => x + y))", [[11], [12]]),
        ("length(incident.tags) + length('abc') + length({a: 1})", 7),
        ("join(incident.tags, ', ')", "a, b, c"),
        ("split('a,b', ',')", ["a", "b"]),
        ("replace('a-b-c', '-', '')", "abc"),
        ("trim('  x ')", "x"),
        ("starts_with('abc', 'ab') and ends_with('abc', 'bc') and contains('abc', 'b')", True),
        ("first([]) == null and last([1, 2]) == 2", True),
        ("default(incident.nothing, 'none')", "none"),
        ("min(3, 1, 2) + max([4, 5])", 6),
        ("sum(map(incident.disks, d => d.percent))", 131),
        ("round(2.567, 2)", 2.57),
        ("round(2.5)", 2),
        ("abs(-4)", 4),
        ("keys({b: 1, a: 2})", ["b", "a"]),
        ("values({b: 1, a: 2})", [1, 2]),
        ("matches('error 42', '[0-9]+$')", True),
        ("to_json({b: [1, null], a: 'x'})", '{"a":"x","b":[1,null]}'),
        ("number(' 42 ') + number('1.5')", 43.5),
        ("text(1.5) + text(true)", "1.5true"),
        (r"'tab\t \u00e9 \''", "tab\t é '"),
    ],
)
def test_an_expression_has_the_value_that_one_reads(source, value):
    result = compile_expression(source).evaluate(DATA)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("source", "position", "words"),
    [
        ("incident.host ==", 16, "the end"),
        ("incident.host = 'x'", 14, "=="),
        ("uper('a')", 0, "no function"),
        ("'abc", 0, "no end"),
        ("1 < 2 < 3", 6, "chained"),
        ("a b", 2, "follows a complete expression"),
        ("lower(1)", 6, "an argument of `lower`"),
        ("lower('a', 'b')", 0, "2 arguments"),
        ("1 + 'a'", 2, "`+`"),
        ("true == 1", 5, "never equals"),
        ("matches('a', '(?=a)')", 13, "linear time"),
        ("map([1], 2)", 9, "name for each item"),
        ("99999999999999999999", 0, "64 bits"),
        ("{a: 1, a: 2}", 0, "twice"),
        ("'\\ud800'", 1, "stored"),
        ("1a", 0, "digit"),
        ("a.b.é", 4, "U+00E9"),
    ],
)
def test_a_mistake_is_named_with_its_place_before_any_data_is_seen(source, position, words):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    assert caught.value.position == position
    assert words in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize(
    "source",
    [
        "incident.host < 3",
        "incident.tags + 1",
        "incident.host ? 1 : 2",
        "incident.count / 0",
        "incident.count[0]",
        "9223372036854775807 + incident.count",
        "1e308 * 10",
        "incident.tags['a']",
        "unknown_name",
        "number(incident.host)",
        "sum(incident.tags)",
        "-incident.host",
    ],
)
def test_data_that_does_not_fit_is_one_clear_error(source):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source).evaluate(DATA)
    assert caught.value.position is not None


def test_a_schema_of_the_environment_finds_misspelt_names_at_once():
    environment = {
        "incident": from_schema(
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "host": {"type": "string"},
                    "severity": {"enum": ["low", "high"]},
                    "disks": {"type": "array", "items": {"type": "object", "properties": {}}},
                },
            }
        )
    }
    compile_expression("incident.severity == 'high' and length(incident.disks) > 0", environment)
    for source, words in [
        ("incdent.host", "`incdent` is not known"),
        ("incident.hots", "no member `hots`"),
        ("incident.host > 3", "cannot take"),
        ("lower(incident.disks)", "an argument of `lower`"),
        ("incident.disks.name", "no named members"),
        ("any(incident.disks, d => e.name == 'x')", "`e` is not known"),
    ]:
        with pytest.raises(ExpressionError, match=words):
            compile_expression(source, environment)


def test_a_condition_must_be_able_to_be_true():
    with pytest.raises(ExpressionError, match="the condition is a number"):
        compile_condition("1 + 1")
    assert compile_condition("incident.nothing").holds(DATA) is False
    assert compile_condition("params.force").holds(DATA) is True
    with pytest.raises(ExpressionError, match="the condition is a text"):
        compile_condition("incident.host").holds(DATA)


def test_a_whole_template_keeps_its_type_and_an_embedded_one_becomes_text():
    template = compile_template(
        {
            "tags": "${{ incident.tags }}",
            "text": "disk ${{ incident.disks[0].name }} at ${{ incident.disks[0].percent }}%",
            "object": "${{ {a: {b: incident.count}} }}",
            "literal": "$${{ not.an.expression }}",
            "plain": [1, None, True, "x"],
        }
    )
    assert template.render(DATA) == {
        "tags": ["a", "b", "c"],
        "text": "disk / at 91%",
        "object": {"a": {"b": 3}},
        "literal": "${{ not.an.expression }}",
        "plain": [1, None, True, "x"],
    }


def test_a_missing_value_is_never_put_into_a_text_silently():
    template = compile_template({"path": "/srv/${{ incident.folder }}/data"})
    with pytest.raises(ExpressionError, match="/path: character") as caught:
        template.render(DATA)
    assert "null" in str(caught.value)


def test_an_error_in_a_template_names_the_string_and_the_place():
    with pytest.raises(ExpressionError) as caught:
        compile_template({"a": ["x", {"b/c": "go ${{ 1 + }}"}]})
    assert str(caught.value).startswith("/a/1/b~1c: character 12: ")
    with pytest.raises(ExpressionError, match="missing after"):
        compile_template("${{ 1 ")
    with pytest.raises(ExpressionError, match="a key must be"):
        compile_template({"${{ 1 }}": 1})
