"""What SCIM's filters, paths and patches mean, and that none of them breaks who reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.identity.scim.errors import ScimProblem
from fettle.identity.scim.filters import parse, parse_path
from fettle.identity.scim.patching import PATCH, patched

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
RESOURCE = {
    "userName": "ann@example.org", "active": True, "title": None, "name": {"familyName": "Example"},
    "emails": [{"type": "work", "value": "w@example.org", "primary": True}, {"type": "home", "value": "h@x"}],
    "meta": {"created": "2026-11-21T10:00:00.000000Z"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('userName eq "ANN@example.org"', True),
        ('username ne "ann@example.org"', False),
        ('name.familyName co "xamp"', True),
        ('emails.value ew "@x"', True),
        ('emails[type eq "work" and primary eq true]', True),
        ('emails[type eq "home" and primary eq true]', False),
        ("title pr", False),
        ("emails pr and not (title pr)", True),
        ('meta.created gt "2026-01-01T00:00:00Z"', True),
        ('userName eq "x" or active eq true and userName sw "ann"', True),
        ('(userName eq "x" or active eq true) and userName sw "z"', False),
        ('nickName eq "x"', False),
        ("title eq null", True),
        (f'{USER}:userName eq "ann@example.org"', True),
    ],
)
def test_filters_say_what_they_mean(text, passes):
    assert parse(text).matches(RESOURCE) is passes


@pytest.mark.parametrize(
    "text",
    ["", "userName", "userName eq", "userName eq x", '"a" eq "b"', "(userName pr", "userName pr)", "a eq {}",
     "not userName pr", "(" * 100 + "a pr" + ")" * 100, "a" * 3000, 'emails[type eq "x"', "a pr b pr", "eq eq"],
)  # fmt: skip
def test_what_is_no_filter_is_refused(text):
    with pytest.raises(ScimProblem):
        parse(text)


@given(st.text(max_size=60))
def test_no_filter_and_no_path_breaks_the_reader(text):
    for read in (parse, parse_path):
        try:
            found = read(text)
        except ScimProblem:
            continue
        if read is parse:
            found.matches(RESOURCE)


PATHS = (
    "emails", 'emails[type eq "work"]', 'emails[type eq "z"].value', "name.givenName", "active", "userName.x", "name",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(["add", "replace", "remove", "Remove", "x"]),
    st.none() | st.sampled_from(PATHS),
    JSON,
)  # fmt: skip
def test_no_operation_breaks_the_patching_or_the_resource_that_it_was_given(op, path, value):
    change = {"op": op, "path": path, "value": value}
    before = repr(RESOURCE)
    try:
        result = patched(RESOURCE, {"schemas": [PATCH], "Operations": [change]})
    except ScimProblem:
        result = {}
    assert isinstance(result, dict)
    assert repr(RESOURCE) == before
