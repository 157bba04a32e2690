"""What mutes what, against second implementations that are slow and plain; somebody is told of whatever fires."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples
from tests.muting.shapes import NAMES, known, matchers, mid

from fettle.healing.muting.inhibition import Dependency, Firing, Inhibition, Inhibitor, Thing
from fettle.healing.muting.matching import Matchers

few = st.lists(matchers, min_size=1, max_size=2).map(lambda members: Matchers(tuple(members)))
inhibitions = st.lists(
    st.builds(
        lambda number, source, target, equal: Inhibition(f"i{number}", "i", source, target, tuple(equal)),
        st.integers(0, 99),
        few,
        few,
        st.lists(st.sampled_from(NAMES), unique=True, max_size=2),
    ),
    unique_by=lambda one: one.id,
    max_size=4,
)


def slow_inhibits(rules, firing, one) -> set[tuple[str, UUID]]:
    """Return by which rule and which source an incident might be muted, without regard to what mutes those."""
    return {
        (rule.id, other.id)
        for rule in rules
        for other in firing
        if other.id != one.id
        and rule.target.hold(one.labels)
        and rule.source.hold(other.labels)
        and all(other.labels.get(name, "") == one.labels.get(name, "") for name in rule.equal)
        and not (rule.source.hold(one.labels) and rule.target.hold(other.labels))
    }


def slow_reached(edges, start) -> set[UUID]:
    """Return what may mute an incident through any number of others, found by trying until nothing is new."""
    reached: set[UUID] = set()
    while True:
        more = {source for one in (start, *reached) for _, source in edges[one]} - reached
        if not more:
            return reached
        reached |= more


def slow_told(edges, place) -> set[UUID]:
    """Return of whom somebody is told: what nothing mutes, and the first of those that mute only each other."""
    reached = {one: slow_reached(edges, one) for one in edges}
    return {
        one
        for one, behind in reached.items()
        if all(one in reached[other] for other in behind) and one == min({one, *behind}, key=place)
    }


def assert_grounded(inhibitor, firing, edges, place) -> set[UUID]:
    """Check whom each keeps still by whom, and return who is told."""
    found = {one.id: inhibitor.inhibited(one.id, one.labels) for one in firing}
    told = {one for one, why in found.items() if why is None}
    assert told == slow_told(edges, place)
    for one, why in found.items():
        assert why is None or (why.by, why.source) in edges[one], "what mutes it is set, and fires"
        chain = [one]
        while found[chain[-1]] is not None:
            chain.append(found[chain[-1]].source)
            assert len(chain) == len(set(chain)), "nothing is muted by what it mutes"
        assert chain[-1] in told, "somebody is told of what all the others hang on"
    return told


@examples(200)
@given(inhibitions.filter(lambda rules: len(rules) <= 1), st.lists(known, max_size=6))
def test_an_inhibition_is_alertmanagers(rules, worlds):
    firing = [Firing(mid(number), labels) for number, labels in enumerate(worlds)]
    inhibitor = Inhibitor(rules, (), firing)
    for one in firing:
        found = inhibitor.inhibited(one.id, one.labels)
        assert (found is not None) == bool(slow_inhibits(rules, firing, one))


THINGS = [Thing("host", name) for name in "abc"] + [Thing("site", name) for name in "ab"]
dependencies = st.lists(
    st.builds(
        lambda number, dependents, on: Dependency(
            f"d{number}",
            "d",
            tuple(dependents),
            on,
            Matchers.parse([{"name": "check_type", "op": "=", "value": "down"}]),
        ),
        st.integers(0, 99),
        st.lists(st.sampled_from([*THINGS, Thing("host", "*")]), min_size=1, max_size=2),
        st.sampled_from(THINGS),
    ),
    unique_by=lambda one: one.id,
    max_size=6,
)
about = st.fixed_dictionaries(
    {
        "check_type": st.sampled_from(["down", "disk"]),
        "host": st.sampled_from(["", "a", "b", "c"]),
        "site": st.sampled_from(["", "a", "b"]),
        "severity": st.sampled_from(["info", "high", "critical"]),
    }
)


def slow_ancestors(deps, thing) -> set[str]:
    """Return the dependencies by which a thing hangs on others, found by trying until nothing is new."""
    reached, edges = {thing}, set()
    while True:
        more = [
            one
            for one in deps
            if one.id not in edges and any(d.covers(t) for d in one.dependents for t in reached)
        ]
        if not more:
            return edges
        edges |= {one.id for one in more}
        reached |= {one.on for one in more}


def slow_says_down(edge, seen) -> bool:
    return seen["check_type"] == "down" and seen.get(edge.on.kind) == edge.on.name


def slow_depends(deps, firing, one) -> set[tuple[str, UUID]]:
    """Return by which dependency and which source an incident might be muted."""
    by_id = {edge.id: edge for edge in deps}
    found = set()
    for thing in [Thing(kind, one.labels[kind]) for kind in ("host", "site") if one.labels[kind]]:
        for edge in (by_id[key] for key in slow_ancestors(deps, thing)):
            circle = any(by_id[key].on == thing for key in slow_ancestors(deps, edge.on))
            if not circle and not slow_says_down(edge, one.labels):
                found |= {(edge.id, it.id) for it in firing if slow_says_down(edge, it.labels)}
    return found


def slow_place(deps, firing, still):
    """Return what says who is told first: what nothing else keeps still, the wider, the more severe, the older."""
    labels = {one.id: one.labels for one in firing}

    def place(one):
        seen = labels[one]
        down = {edge.on.kind for edge in deps if slow_says_down(edge, seen)}
        about = {kind for kind in ("host", "site") if seen[kind]}
        kinds = {"site"} if "site" in down else down or ({"host"} if "host" in about else about)
        width = ["site", "service", "host", None].index(next(iter(kinds), None))
        severity = ["critical", "high", "medium", "low", "info"].index(seen["severity"])
        return one in still, width, severity, one

    return place


@examples(200)
@given(dependencies, st.lists(about, max_size=6))
def test_what_hangs_on_a_thing_that_is_down_keeps_still_and_somebody_is_told(deps, worlds):
    firing = [Firing(mid(number), labels) for number, labels in enumerate(worlds)]
    edges = {one.id: slow_depends(deps, firing, one) for one in firing}
    place = slow_place(deps, firing, set())
    told = assert_grounded(Inhibitor((), deps, firing), firing, edges, place)
    assert told or not firing, "somebody is told"


@examples(400)
@given(inhibitions, dependencies, st.lists(about, max_size=7), st.sets(st.integers(0, 6)), st.randoms())
def test_every_chain_of_reasons_ends_at_one_that_is_told(rules, deps, worlds, quiet, chance):
    firing = [Firing(mid(number), labels) for number, labels in enumerate(worlds)]
    still = {mid(number) for number in quiet}
    edges = {one.id: slow_inhibits(rules, firing, one) | slow_depends(deps, firing, one) for one in firing}
    place = slow_place(deps, firing, still)
    chance.shuffle(firing)
    inhibitor = Inhibitor(rules, deps, firing, lambda one: one.id in still)
    chance.shuffle(firing)
    told = assert_grounded(inhibitor, firing, edges, place)
    assert told or not firing, "somebody is told"


def crossed() -> tuple[list[Dependency], Firing, Firing, Firing]:
    """Return that hosts of two sites hang on each other's site, an incident about each, and one of a third."""
    down = Matchers.parse([{"name": "check_type", "op": "=", "value": "down"}])
    deps = [
        Dependency("d1", "d", (Thing("host", "a"),), Thing("site", "b"), down),
        Dependency("d2", "d", (Thing("host", "b"),), Thing("site", "a"), down),
        Dependency("d3", "d", (Thing("host", "b"),), Thing("site", "c"), down),
    ]
    first, second, third = (
        Firing(mid(number), {"check_type": "down", "host": name, "site": name, "severity": severity})
        for number, name, severity in ((1, "a", "high"), (2, "b", "critical"), (3, "c", "info"))
    )
    return deps, first, second, third


def reasons(deps, *firing: Firing, still=()) -> dict[int, int | None]:
    inhibitor = Inhibitor((), deps, firing, lambda one: one.id in still)
    found = {one.id: inhibitor.inhibited(one.id, one.labels) for one in firing}
    return {one.int: why and why.source.int for one, why in found.items()}


def test_of_two_that_mute_each_other_one_is_told_as_each_comes_and_goes():
    deps, first, second, third = crossed()
    assert reasons(deps, first) == {1: None}
    assert reasons(deps, first, second) == reasons(deps, second, first) == {1: 2, 2: None}, "the more severe"
    assert reasons(deps, first, second, third) == {1: 2, 2: 3, 3: None}, "both hang on what is outside"
    assert reasons(deps, first, third) == {1: None, 3: None}
    assert reasons(deps, second) == {2: None}


def test_of_two_that_mute_each_other_one_that_is_silenced_is_not_the_one_to_be_told():
    deps, first, second, third = crossed()
    assert reasons(deps, first, second, still=[second.id]) == {1: None, 2: 1}
    assert reasons(deps, first, second, still=[first.id, second.id]) == {1: 2, 2: None}
    assert reasons(deps, first, second, third, still=[third.id]) == {1: 2, 2: 3, 3: None}


def test_of_things_that_mute_each_other_the_wider_is_told_then_the_more_severe_then_the_older():
    def told(*worlds):
        firing = [Firing(mid(number), labels) for number, labels in enumerate(worlds)]
        ring = [
            Inhibition(
                f"i{number}",
                "i",
                Matchers.parse([{"name": "team", "op": "=", "value": str(number)}]),
                Matchers.parse([{"name": "team", "op": "=", "value": str((number + 1) % len(worlds))}]),
            )
            for number in range(len(worlds))
        ]
        inhibitor = Inhibitor(ring, (), firing)
        return [one.id.int for one in firing if inhibitor.inhibited(one.id, one.labels) is None]

    def about_a(kind, number, severity="low"):
        return {kind: "x", "team": str(number), "severity": severity}

    assert told(about_a("host", 0, "critical"), about_a("service", 1), about_a("site", 2)) == [2]
    assert told(about_a("host", 0, "critical"), about_a("none", 1), about_a("service", 2)) == [2]
    assert told(about_a("host", 0), about_a("host", 1, "high"), about_a("host", 2, "medium")) == [1]
    assert told(about_a("host", 0), about_a("host", 1), about_a("host", 2)) == [0]
