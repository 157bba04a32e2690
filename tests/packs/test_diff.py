"""What differs between two versions is told by item and field."""

from hypothesis import given
from hypothesis import strategies as st

from fettle.packs.diff import diff
from fettle.packs.loading import DomainPack, load_files

from .content import small_pack


def rules(*items: dict[str, object]) -> DomainPack:
    return DomainPack({"id": "x", "version": "1", "title": "X", "rules": list(items)}, "0" * 64)


def test_the_same_content_under_another_version_differs_in_nothing():
    found = diff(load_files(small_pack()), load_files(small_pack(version="1.1.0")))
    assert found.empty
    assert found.document() == {"from": "1.0.0", "to": "1.1.0", "empty": True, "manifest": [], "sections": {}}


def test_added_removed_and_changed_items_are_told_apart():
    before = rules(
        {"id": "A", "priority": 1}, {"id": "B", "priority": 1, "conditions": [{"value": 1}, {"value": 2}]}
    )
    after = rules({"id": "B", "priority": 2, "conditions": [{"value": True}], "note": "n"}, {"id": "C"})
    section = diff(before, after).sections["rules"]
    assert (section.added, section.removed) == (["C"], ["A"])
    assert [(one.pointer, one.kind, one.before, one.after) for one in section.changed["B"]] == [
        ("/conditions/0/value", "changed", 1, True),
        ("/conditions/1", "removed", {"value": 2}, None),
        ("/note", "added", None, "n"),
        ("/priority", "changed", 1, 2),
    ]


def test_the_order_of_items_does_not_count():
    one, other = {"id": "A", "priority": 1}, {"id": "B", "priority": 1}
    assert diff(rules(one, other), rules(other, one)).empty


def test_a_changed_manifest_is_told():
    found = diff(load_files(small_pack()), load_files(small_pack(title="Other")))
    assert [(one.pointer, one.before, one.after) for one in found.manifest] == [("/title", "Small", "Other")]


items = st.dictionaries(
    st.sampled_from("ABCD"),
    st.dictionaries(st.sampled_from("pqr"), st.integers(0, 2) | st.booleans() | st.none()),
)


@given(items, items)
def test_a_diff_is_empty_exactly_when_nothing_differs(before, after):
    left = rules(*({"id": key, **value} for key, value in before.items()))
    right = rules(*({"id": key, **value} for key, value in reversed(after.items())))
    assert diff(left, right).empty is (repr(_typed(before)) == repr(_typed(after)))


def _typed(value: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    return {key: dict(sorted(value[key].items())) for key in sorted(value)}
