"""Attacks 1 and 2: no expression reaches code or runs without end, and no data is evaluated."""

import contextlib
import json
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.examples import examples

from fettle.kernel.expressions import ExpressionError, compile_expression, compile_template

PAYLOADS = [
    # Python and Jinja
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__[1].__subclasses__()[137]('id', shell=True)",
    "incident.__class__.__init__.__globals__['os'].popen('id').read()",
    "config.__class__.__init__.__globals__['os']",
    "self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id')",
    "lipsum.__globals__['os'].popen('id')",
    "cycler.__init__.__globals__.os",
    "request|attr('application')|attr('\\x5f\\x5fglobals\\x5f\\x5f')",
    "'%s'.__mod__(incident)",
    "'{0.__class__}'.format(incident)",
    "incident|attr('__class__')",
    "incident['__class__']['__mro__']()",
    "namespace.__init__.__globals__",
    "__import__('os').system('id')",
    "eval('1')",
    "exec('import os')",
    "open('/etc/passwd').read()",
    "getattr(incident, '__class__')",
    "(lambda: 1)()",
    "[x for x in incident]",
    "f'{incident}'",
    "incident.items().__self__",
    "incident.get.__func__.__globals__",
    "dict.fromkeys(incident)",
    "print(incident)",
    "import os",
    "(x := 1)",
    "incident.pop('host')",
    "incident.host.format(1)",
    # JavaScript, as in n8n
    "this.constructor.constructor('return process')()",
    "$jmespath({}, 'a').constructor.constructor('return 1')()",
    "({}).constructor.constructor('return process')()",
    "(() => process.mainModule.require('child_process'))()",
    "incident['constructor']['constructor']('return 1')()",
    "globalThis.process.env",
    "`${process.env}`",
    "new Function('return 1')()",
    "Reflect.get(incident, '__proto__')",
    "with(incident){host}",
    "arguments.callee.caller",
    "[].concat.call",
    # Ruby, Java, YAQL, shell
    "T(java.lang.Runtime).getRuntime().exec('id')",
    "#{7*7}",
    "*{7*7}",
    "${7*7}",
    "<%= system('id') %>",
    "{{7*7}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "st2kv.system.secret | decrypt_kv",
    "$(id)",
    "; cat /etc/passwd",
]

DATA = {"incident": {"host": "h", "list": [1, 2, 3]}, "params": {}}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_known_escapes_do_not_reach_code(payload):
    value = None  # what a missing member is: the most that a payload that parses may yield
    with contextlib.suppress(ExpressionError):
        value = compile_expression(payload).evaluate(DATA)
    assert value is None


@pytest.mark.parametrize("payload", PAYLOADS)
def test_submitted_data_is_never_evaluated(payload):
    for hostile in (payload, f"${{{{ {payload} }}}}", f"$${{{{ {payload} }}}}", f"{{{{ {payload} }}}}"):
        data = {"incident": {"host": hostile}}
        once = compile_template({"a": "${{ incident.host }}", "b": "at ${{ incident.host }}."}).render(data)
        assert once == {"a": hostile, "b": f"at {hostile}."}


def test_data_cannot_bring_a_template_into_being_by_joining_pieces():
    template = compile_template("${{ incident.a }}${{ incident.b }}")
    assert template.render({"incident": {"a": "${{ 1", "b": " + 1 }}"}}) == "${{ 1 + 1 }}"


def test_only_json_data_is_seen():
    class Trap(dict):
        def get(self, *_):
            raise AssertionError("touched")

    for foreign in (object(), Trap(a=1), (1, 2), {1, 2}, b"x", print, 1j):
        for source in ("x", "x.a", "x[0]", "length(x)", "to_json({a: x})", "x == x", "[x]"):
            with pytest.raises(ExpressionError):
                compile_expression(source).evaluate({"x": foreign})
        with pytest.raises(ExpressionError):
            compile_expression("x.y").evaluate({"x": {"y": foreign}})


@pytest.mark.parametrize(
    "source",
    [
        "map(big, a => map(big, b => map(big, c => 1)))",
        "length(map(big, a => replace(long, 'a', long)))",
        "replace(long, 'a', long)",
        "join(map(big, a => long), long)",
        "map(big, a => big)",
        "map(big, a => map(big, b => big))",
        "to_json(map(big, a => big))",
        "map(big, a => long + long + long + long)",
        "map(big, a => split(long, 'a'))",
        "map(big, a => big + big + big + big)",
        "all(big, a => matches(long, '(a*)*b') == false)",
        "all(big, a => big == big)",
    ],
)
def test_work_and_results_are_bounded(source):
    data = {"big": list(range(3_000)), "long": "a" * 100_000}
    with pytest.raises(ExpressionError, match=r"too many steps|too long|too large"):
        compile_expression(source).evaluate(data)


@pytest.mark.parametrize(
    "source",
    ["(" * 5_000, "[" * 5_000, "-" * 5_000, "not " * 2_000, "a" + ".b" * 2_000, "1" + "+1" * 2_000,
     "1 ? " * 1_000, "{a:" * 2_000, "x" * 9_000, "lower(" * 1_000, "a" + "[0]" * 1_000],
)  # fmt: skip
def test_deep_and_long_sources_are_refused_without_recursion(source):
    with pytest.raises(ExpressionError):
        compile_expression(source)
    with pytest.raises(ExpressionError):
        compile_template("${{ " + source + " }}")


def test_a_template_spends_one_budget_for_all_its_holes():
    template = compile_template(["${{ length(map(big, a => a)) }}"] * 100)
    with pytest.raises(ExpressionError, match="too many steps"):
        template.render({"big": list(range(3_000))})


def test_an_error_does_not_quote_data():
    canary = "s3cr3t-canary"
    for source in ("x.secret + 1", "x.secret > 1", "x.secret ? 1 : 2", "number(x.secret)", "-x.secret",
                   "x.secret.a", "sum([x.secret])", "x.secret['y']"):  # fmt: skip
        with pytest.raises(ExpressionError) as caught:
            compile_expression(source).evaluate({"x": {"secret": canary}})
        assert canary not in str(caught.value)
        assert caught.value.__cause__ is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["x", "y", "item", "incident"])
OPERATORS = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
UNARY = ["lower", "upper", "trim", "length", "first", "last", "min", "max", "sum", "round", "abs", "keys",
         "values", "to_json", "text", "number"]  # fmt: skip
BINARY = ["contains", "starts_with", "ends_with", "join", "split", "default", "matches", "round"]


def compose(inner):
    return (
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda a: f"(not {a})")
        | inner.map(lambda a: f"(-{a})")
        | st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})")
        | st.tuples(inner, inner).map(lambda t: f"{t[0]}[{t[1]}]")
        | st.tuples(inner, NAMES).map(lambda t: f"{t[0]}.{t[1]}")
        | st.tuples(st.sampled_from(UNARY), inner).map(lambda t: f"{t[0]}({t[1]})")
        | st.tuples(st.sampled_from(BINARY), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
        | st.tuples(st.sampled_from(["map", "filter", "any", "all"]), inner, NAMES, inner).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]} => {t[3]})"
        )
        | st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.tuples(inner, inner, inner).map(lambda t: f"replace({t[0]}, {t[1]}, {t[2]})")
    )


LEAVES = (
    NAMES
    | st.integers(0, 2**63 - 1).map(str)
    | st.floats(0, 1e300).map(repr)
    | st.sampled_from(["true", "false", "null", "''", "'a'", "[]", "{}", "'%'"])
)
SOURCES = st.recursive(LEAVES, compose, max_leaves=12)


@examples(300)
@given(SOURCES, st.fixed_dictionaries({"x": JSON, "y": JSON, "item": JSON, "incident": JSON}))
def test_any_expression_ends_in_json_or_in_an_expression_error_and_always_in_the_same(source, data):
    before = json.dumps(data)
    outcomes = []
    for _ in range(2):
        try:
            value = compile_expression(source).evaluate(data)
            outcomes.append(json.dumps(value, allow_nan=False))
        except ExpressionError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    assert json.dumps(data) == before


@examples(400)
@given(st.text(alphabet=string.printable + "é\u2028\ud800\x00", max_size=60))
@example("${{")
@example("\\u")
@example("'\\")
@example("0x10")
@example("1e999")
def test_any_text_compiles_or_is_refused_with_an_expression_error(text):
    for compile_it in (compile_expression, compile_template, lambda t: compile_template("${{" + t + "}}")):
        with contextlib.suppress(ExpressionError):
            compiled = compile_it(text)
            (compiled.evaluate if hasattr(compiled, "evaluate") else compiled.render)({})
