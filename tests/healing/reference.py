"""A second, slow reading of the contract for L1 rules, to hold the index against; and generators of rules."""

import ipaddress
import re
from typing import Any

from hypothesis import strategies as st

from fettle.healing.conditions import OPERATORS

GONE = object()


def naive_match(rules: list[dict[str, Any]], incident: dict[str, Any]) -> str | None:
    """Return the id of the winning rule by trying each."""
    for rule in sorted(rules, key=lambda rule: (rule["priority"], rule["id"])):
        if rule.get("enabled", True) and all(holds(condition, incident) for condition in rule["conditions"]):
            return rule["id"]
    return None


def holds(condition: dict[str, Any], incident: dict[str, Any]) -> bool:
    if "all" in condition:
        return all(holds(one, incident) for one in condition["all"])
    if "any" in condition:
        return any(holds(one, incident) for one in condition["any"])
    if "none" in condition:
        return not any(holds(one, incident) for one in condition["none"])
    actual: Any = incident
    for name in condition["field"].split("."):
        actual = actual[name] if isinstance(actual, dict) and name in actual else GONE
    return compare(condition["operator"], actual, condition.get("value"))


def kind(value: Any) -> str:
    for name, types in (
        ("bool", bool),
        ("number", (int, float)),
        ("text", str),
        ("list", list),
        ("object", dict),
    ):
        if isinstance(value, types):
            return name
    return "null" if value is None else "gone"


def equal(one: Any, other: Any) -> bool:
    if kind(one) != kind(other):
        return False
    if kind(one) == "list":
        return len(one) == len(other) and all(map(equal, one, other))
    if kind(one) == "object":
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return one == other


def compare(operator: str, actual: Any, value: Any) -> bool:  # noqa: C901, PLR0911, PLR0912 - a plain list of cases, to be compared with
    contrary = {"ne": "eq", "not_in": "in", "not_contains": "contains", "not_exists": "exists"}
    if operator in contrary:
        return not compare(contrary[operator], actual, value)
    if actual is GONE:
        return False
    alike = kind(actual) == kind(value)
    match operator:
        case "exists":
            return True
        case "eq":
            return equal(actual, value)
        case "in":
            return any(equal(actual, one) for one in value)
        case "contains":
            if kind(actual) in ("text", "object"):
                return isinstance(value, str) and value in actual
            return kind(actual) == "list" and any(equal(one, value) for one in actual)
        case "starts_with":
            return alike and actual.startswith(value)
        case "ends_with":
            return alike and actual.endswith(value)
        case "regex":
            return kind(actual) == "text" and re.search(value, actual) is not None
        case "gt" | "gte" | "lt" | "lte":
            if not alike or kind(actual) not in ("number", "text"):
                return False
            return {
                "gt": actual > value,
                "gte": actual >= value,
                "lt": actual < value,
                "lte": actual <= value,
            }[operator]
        case "between":
            return compare("gte", actual, value[0]) and compare("lte", actual, value[1])
        case "cidr":
            try:
                return kind(actual) == "text" and ipaddress.ip_address(actual) in ipaddress.ip_network(value)
            except ValueError:
                return False
        case "version_lt" | "version_gte":
            if kind(actual) != "text" or not re.fullmatch(r"[0-9]+(\.[0-9]+)*", actual):
                return False
            one, other = ([int(part) for part in text.split(".")] for text in (actual, value))
            longest = max(len(one), len(other))
            for parts in (one, other):
                parts.extend([0] * (longest - len(parts)))
            return (one < other) is (operator == "version_lt")
    raise AssertionError(operator)


FIELDS = ["check_type", "platform", "severity", "details", "details.n", "details.tags", "details.a.b", "x"]
TEXTS = st.sampled_from(
    ["a", "b", "ab", "firewall", "", "1", "1.2", "1.10", "2", "10.0.0.1", "192.168.1.9", "é", "\ud800"]
)
NUMBERS = st.one_of(
    st.integers(-2, 4),
    st.sampled_from([0.0, 1.0, 0.5, 2.5, -0.0, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("abn"), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def leaf_conditions(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(st.sampled_from(["eq", "eq", "eq", "in", "in", "gt", "lte", "between", *OPERATORS]))
    value = draw(operands(operator))
    condition = {"field": draw(st.sampled_from(FIELDS)), "operator": operator}
    return condition if operator.endswith("exists") else {**condition, "value": value}


def operands(operator: str) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - a table
    readable = TEXTS.filter(lambda text: text != "\ud800")
    match operator:
        case "eq" | "ne" | "contains" | "not_contains":
            return st.one_of(SCALARS, VALUES)
        case "in" | "not_in":
            return st.lists(st.one_of(SCALARS, VALUES), max_size=3)
        case "starts_with" | "ends_with":
            return readable
        case "regex":
            return st.sampled_from(["a", "^a", "b$", "^(a|b)+$", "[0-9]\\.", ".", "(?i)FIRE"])
        case "between":
            pair = st.one_of(
                st.lists(NUMBERS, min_size=2, max_size=2), st.lists(readable, min_size=2, max_size=2)
            )
            return pair.map(sorted)
        case "gt" | "gte" | "lt" | "lte":
            return st.one_of(NUMBERS, NUMBERS, readable)
        case "cidr":
            return st.sampled_from(["10.0.0.0/8", "192.168.1.0/24", "fd00::/8", "0.0.0.0/0"])
        case "version_lt" | "version_gte":
            return st.sampled_from(["1", "1.2", "1.10", "2.0"])
    return st.none()


CONDITIONS = st.recursive(
    leaf_conditions(),
    lambda inner: st.builds(
        lambda quantifier, members: {quantifier: members},
        st.sampled_from(["any", "all", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)


@st.composite
def rule_sets(draw: st.DrawFn, max_size: int = 24) -> list[dict[str, Any]]:
    bodies = draw(
        st.lists(
            st.tuples(
                st.lists(CONDITIONS, max_size=4),
                st.integers(0, 3),
                st.sampled_from([True, True, True, False]),
            ),
            max_size=max_size,
        )
    )
    return [
        {
            "id": f"R{index:03}",
            "priority": priority,
            "enabled": enabled,
            "conditions": conditions,
            "action": "escalate",
        }
        for index, (conditions, priority, enabled) in enumerate(bodies)
    ]


INCIDENTS = st.fixed_dictionaries(
    {},
    optional={
        "check_type": st.one_of(SCALARS, VALUES),
        "platform": st.one_of(SCALARS, VALUES),
        "severity": SCALARS,
        "x": VALUES,
        "details": st.one_of(
            VALUES,
            st.fixed_dictionaries(
                {},
                optional={
                    "n": st.one_of(NUMBERS, st.just(float("nan")), VALUES),
                    "tags": VALUES,
                    "a": st.one_of(SCALARS, st.fixed_dictionaries({}, optional={"b": VALUES})),
                },
            ),
        ),
    },
)
