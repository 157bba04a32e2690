"""The contract of L1 rules: which rule wins, why, and what is refused."""

import random
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples
from tests.healing.reference import INCIDENTS, SCALARS, naive_match, rule_sets

from fettle.healing.rules import RuleError, RuleSet


def rule(rule_id="R", *conditions, priority=10, **more):
    return {"id": rule_id, "priority": priority, "conditions": list(conditions), "action": "escalate", **more}


def where(field, operator, *value):
    return {"field": field, "operator": operator, **({"value": value[0]} if value else {})}


def matches(condition, incident):
    return RuleSet.compile([rule("R", condition)]).match(incident) is not None


@examples(400)
@given(rule_sets(), st.lists(INCIDENTS, min_size=1, max_size=6))
def test_the_index_finds_what_trying_each_rule_finds(rules, incidents):
    compiled = RuleSet.compile(rules)
    for incident in incidents:
        winner = compiled.match(incident)
        assert (winner and winner.id) == naive_match(rules, incident)


@examples(40)
@given(st.integers(0, 2**32), st.sampled_from([12, 40, 400, 1500]), st.integers(1, 4), st.floats(0, 1))
def test_large_sets_take_the_same_winner_through_dispatch_and_bit_sets(seed, size, most, share):
    chance = random.Random(seed)
    values = ["a", "b", "ab", "firewall", "", "1", 0, 1, 1.0, 2.5, True, False, None]
    fields = ["check_type", "check_type", "platform", "severity", "details.n", "details.n", "details.a.b"]
    operators = [
        "eq",
        "eq",
        "ne",
        "in",
        "not_in",
        "gt",
        "gte",
        "lt",
        "lte",
        "between",
        "exists",
        "not_exists",
    ]

    def condition(field, operator):
        if operator in ("gt", "gte", "lt", "lte"):
            return where(field, operator, chance.choice([0, 1, 2, 2.5]))
        if operator == "between":
            return where(field, operator, sorted(chance.choices([0, 1, 2, 2.5], k=2)))
        if operator in ("in", "not_in"):
            return where(field, operator, chance.choices(values, k=2))
        return (
            where(field, operator, chance.choice(values))
            if operator in ("eq", "ne")
            else where(field, operator)
        )

    def incident():
        whole = {name: chance.choice([*values, []]) for name in ("check_type", "platform", "severity")}
        numbers = [0, 1, 1.5, 2, 2.5, 3, True, "1", float("nan")]
        whole["details"] = {"n": chance.choice(numbers), "a": {"b": chance.choice(values)}}
        for name in ("check_type", "severity", "details"):
            if chance.random() < 0.1:
                del whole[name]
        return whole

    rules = [
        rule(
            f"R{index:04}",
            *([condition("check_type", "eq")] if chance.random() < share else []),
            *(
                condition(chance.choice(fields), chance.choice(operators))
                for _ in range(chance.randint(1, most) + size // 400)
            ),
        )
        for index in range(size)
    ]
    compiled = RuleSet.compile(rules)
    for one in [incident() for _ in range(30)]:
        winner = compiled.match(one)
        assert (winner and winner.id) == naive_match(rules, one)


@examples(200)
@given(rule_sets(max_size=6), INCIDENTS)
def test_the_explanation_agrees_with_the_decision(rules, incident):
    compiled = RuleSet.compile(rules)
    winner = compiled.match(incident)
    explained = compiled.explain(incident)
    assert [one.rule_id for one in explained if one.winner] == ([winner.id] if winner else [])
    assert {one.rule_id for one in explained} == {one["id"] for one in rules}
    for one in explained:
        assert one.matched == (
            naive_match([r for r in rules if r["id"] == one.rule_id], incident) is not None
        )


def test_lower_priority_wins_and_ties_go_by_id():
    rules = [
        rule("B", priority=5),
        rule("A", priority=5),
        rule("C", priority=9),
        rule("0", priority=1, enabled=False),
    ]
    assert RuleSet.compile(rules).match({}).id == "A"


def test_the_contracts_own_example():
    compiled = RuleSet.compile(
        [
            {
                "id": "L1-FIREWALL-001",
                "priority": 10,
                "enabled": True,
                "conditions": [
                    where("check_type", "eq", "firewall_status"),
                    where("platform", "ne", "nixos"),
                ],
                "action": "execute_runbook",
                "runbook_id": "RB-WIN-FIREWALL-001",
                "cooldown_seconds": 300,
                "max_attempts": 2,
                "source": "builtin",
            }
        ]
    )
    won = compiled.match({"check_type": "firewall_status", "platform": "windows"})
    assert (won.id, won.runbook_id, won.cooldown_seconds, won.max_attempts) == (
        "L1-FIREWALL-001",
        "RB-WIN-FIREWALL-001",
        300,
        2,
    )
    assert compiled.match({"check_type": "firewall_status"}) is won
    assert compiled.match({"check_type": "firewall_status", "platform": "nixos"}) is None


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("eq", "x"),
        ("in", ["x"]),
        ("contains", "x"),
        ("starts_with", ""),
        ("ends_with", ""),
        ("regex", ""),
        ("gt", 0),
        ("gte", ""),
        ("lt", 0),
        ("lte", ""),
        ("between", [0, 1]),
        ("cidr", "0.0.0.0/0"),
        ("version_lt", "9"),
        ("version_gte", "0"),
        ("exists", None),
    ],
)
def test_a_missing_field_fails(operator, value):
    condition = where("details.x", operator, value)
    for incident in ({}, {"details": {}}, {"details": 5}, {"details": [{"x": "x"}]}):
        assert not matches(condition, incident)


@pytest.mark.parametrize(
    "condition", [("ne", "x"), ("not_in", ["x"]), ("not_contains", "x"), ("not_exists",)]
)
def test_a_missing_field_passes_the_negative_operators(condition):
    assert matches(where("details.x", *condition), {})


@pytest.mark.parametrize(
    ("actual", "operator", "value"),
    [
        (True, "eq", 1),
        (1, "eq", True),
        (0, "eq", False),
        ("1", "eq", 1),
        (None, "eq", False),
        ([True], "eq", [1]),
        (True, "in", [1, "true"]),
        (True, "gt", 0),
        ("10", "gt", 5),
        (10, "gt", "5"),
        (None, "lt", 5),
        ([], "gte", 0),
        (5, "starts_with", "5"),
        (5, "regex", "5"),
        (5, "contains", 5),
        ([1], "contains", True),
        ("5", "contains", 5),
        ({"a": 1}, "lt", 5),
        (10, "cidr", "10.0.0.0/8"),
        ("not an address", "cidr", "10.0.0.0/8"),
        (1, "version_lt", "2"),
        ("latest", "version_lt", "2"),
        ("latest", "version_gte", "2"),
        (float("nan"), "eq", 0),
        (float("nan"), "lte", 5),
    ],
)
def test_unlike_types_are_false(actual, operator, value):
    assert not matches(where("x", operator, value), {"x": actual})


@pytest.mark.parametrize(
    ("actual", "operator", "value"),
    [
        (1, "eq", 1.0),
        (1.0, "in", [1]),
        (None, "eq", None),
        (None, "exists", None),
        ([1, {"a": True}], "eq", [1.0, {"a": True}]),
        (True, "ne", 1),
        ("abc", "contains", "b"),
        (["a", "b"], "contains", "b"),
        ({"b": 1}, "contains", "b"),
        ("2026-11-21T10:00:00Z", "gt", "2026-11-20T00:00:00Z"),
        (5, "between", [5, 6]),
        (6, "between", [5, 6]),
        ("10.1.2.3", "cidr", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "cidr", "10.0.0.0/8"),
        ("fd00::1", "cidr", ["10.0.0.0/8", "fd00::/8"]),
        ("1.9", "version_lt", "1.10"),
        ("2.0.0-rc1", "version_lt", "2.0.0"),
        ("v1.2", "version_gte", "1.2.0"),
        ("1.2.3+build5", "version_gte", "1.2.3"),
        (10**400, "gt", 1.5),
        ("\ud800x", "regex", "x$"),
    ],
)
def test_like_types_compare(actual, operator, value):
    assert matches(where("x", operator, value), {"x": actual})


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2), max_leaves=3), st.data())
def test_nothing_in_an_incident_raises(value, data):
    fields = ["check_type", "platform", "details.n"]
    rules = [
        rule(f"R{index}", where(data.draw(st.sampled_from(fields)), "eq", data.draw(SCALARS)))
        for index in range(8)
    ]
    compiled = RuleSet.compile(rules)
    for incident in (dict.fromkeys(fields, value), {"details": {"n": value}}, {"details": value}):
        compiled.match(incident)
        compiled.explain(incident)


def test_a_list_where_rules_name_scalars_matches_no_equality_and_hides_no_other_rule():
    rules = [rule(f"E{index}", where("check_type", "eq", f"c{index}")) for index in range(50)]
    compiled = RuleSet.compile([*rules, rule("Z", where("check_type", "ne", "c1"), priority=99)])
    assert compiled.match({"check_type": ["c1"]}).id == "Z"
    assert compiled.match({"check_type": "c1"}).id == "E1"


def test_deeply_nested_incidents_neither_raise_nor_match():
    deep: object = "x"
    for _ in range(50_000):
        deep = [deep]
    compiled = RuleSet.compile([rule("R", where("x", "eq", ["x"])), rule("S", where("x", "contains", "y"))])
    assert compiled.match({"x": deep}) is None
    assert [one.matched for one in compiled.explain({"x": deep})] == [False, False]
    while isinstance(deep, list):  # taken apart gently: freeing it at once would recurse
        deep = deep.pop()


def test_any_mapping_is_an_incident():
    compiled = RuleSet.compile([rule("R", where("a.b", "eq", 1)), rule("S"), rule("T"), rule("U")])
    frozen = types.MappingProxyType({"a": types.MappingProxyType({"b": 1})})
    assert compiled.match(frozen).id == "R"


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_hostile_expressions_do_not_blow_up(pattern):
    # Backtracking would need 2**200000 steps here; a run that ends at all ran in linear time.
    assert not matches(where("x", "regex", pattern), {"x": "a" * 200_000 + "!"})


def test_texts_beyond_the_bound_are_not_judged_by_half():
    assert not matches(where("x", "regex", "^a"), {"x": "a" * 1_000_000})


@pytest.mark.parametrize(
    ("broken", "path", "advice"),
    [
        ({"conditions": None}, "conditions", "must be a list"),
        ({"conditions": [5]}, "conditions[0]", "must be an object"),
        ({"conditions": [where("a", "equals", 1)]}, "conditions[0].operator", "is not one of eq"),
        ({"conditions": [where("", "eq", 1)]}, "conditions[0].field", "dotted path"),
        ({"conditions": [where("a..b", "eq", 1)]}, "conditions[0].field", "dotted path"),
        ({"conditions": [{"field": "a", "operator": "eq"}]}, "conditions[0].value", "add it"),
        ({"conditions": [{**where("a", "eq", 1), "valeu": 1}]}, "conditions[0]", "valeu"),
        ({"conditions": [{"any": []}]}, "conditions[0].any", "at least one"),
        ({"conditions": [{"any": [where("a", "in", "x")]}]}, "conditions[0].any[0].value", "list"),
        ({"conditions": [where("a", "regex", "(?=a)")]}, "conditions[0].value", "linear"),
        ({"conditions": [where("a", "regex", "a" * 1001)]}, "conditions[0].value", "longer than"),
        ({"conditions": [where("a", "regex", "\ud800")]}, "conditions[0].value", "linear"),
        ({"conditions": [where("a", "gt", True)]}, "conditions[0].value", "number"),
        ({"conditions": [where("a", "gt", float("inf"))]}, "conditions[0].value", "finite"),
        ({"conditions": [where("a", "between", [2, 1])]}, "conditions[0].value", "swap"),
        ({"conditions": [where("a", "between", [1, "2"])]}, "conditions[0].value", "two numbers"),
        ({"conditions": [where("a", "cidr", "10.0.0.0/99")]}, "conditions[0].value", "network"),
        ({"conditions": [where("a", "version_lt", "latest")]}, "conditions[0].value", "version"),
        ({"conditions": [where("a", "exists", False)]}, "conditions[0].value", "no value"),
        ({"conditions": [where("a", "eq", object())]}, "conditions[0].value", "JSON value"),
        ({"priority": "high"}, "priority", "whole number"),
        ({"priority": True}, "priority", "whole number"),
        ({"priority": float("nan")}, "priority", "whole number"),
        ({"enabled": "yes"}, "enabled", "true or false"),
        ({"action": "reboot"}, "action", "execute_runbook"),
        ({"max_attempts": 0}, "max_attempts", "at least 1"),
        ({"runbook_id": 7}, "runbook_id", "id"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place_and_the_way_out(broken, path, advice):
    with pytest.raises(RuleError, match="rule BAD") as caught:
        RuleSet.compile([rule("GOOD"), {**rule("BAD"), **broken}])
    assert caught.value.rule_id == "BAD"
    assert caught.value.path == path
    assert advice in caught.value.detail


def test_two_rules_of_one_id_are_refused():
    with pytest.raises(RuleError, match="used by two rules"):
        RuleSet.compile([rule("A"), rule("A")])


def test_conditions_that_nest_without_end_are_refused():
    condition = where("a", "eq", 1)
    for _ in range(500):
        condition = {"any": [condition]}
    with pytest.raises(RuleError, match="nests deeper"):
        RuleSet.compile([rule("R", condition)])


def test_rules_for_one_check_and_rules_for_all_compete_by_priority():
    own = [rule(f"OWN{n:03}", where("check_type", "eq", f"c{n}"), priority=n) for n in range(400)]
    general = [rule(f"ALL{n:03}", where("host", "eq", f"h{n}"), priority=n) for n in range(350)]
    compiled = RuleSet.compile(own + general)
    assert compiled.match({"check_type": "c9", "host": "h9"}).id == "ALL009"
    assert compiled.match({"check_type": "c9", "host": "h10"}).id == "OWN009"
    assert compiled.match({"check_type": "c9", "host": "h8"}).id == "ALL008"
    assert compiled.match({"check_type": "c9"}).id == "OWN009"
    assert compiled.match({"host": "h9"}).id == "ALL009"
    assert compiled.match({"check_type": ["c9"], "host": {}}) is None
