"""Matchers and what incidents are known by, drawn from so few names and values that they often meet."""

from uuid import UUID

from hypothesis import strategies as st

from fettle.healing.muting.matching import Matcher

NAMES = ("check_type", "host", "site", "severity", "team")
VALUES = ("", "a", "b", "ab")


def mid(number: int) -> UUID:
    """Return the id of the incident that came as the number says."""
    return UUID(int=number)


patterns = st.sampled_from(["a", "a|b", "a.*", ".*", "", "[ab]+", "b?"])
matchers = st.builds(
    lambda name, op, value, pattern: Matcher.parse(
        {"name": name, "op": op, "value": pattern if "~" in op else value}
    ),
    st.sampled_from(NAMES),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(VALUES),
    patterns,
)
known = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES))
