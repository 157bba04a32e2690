"""Which PostgreSQL is said to miss fixes."""

import pytest

from fettle.central.postgres_fixes import PATCHED, missing_fixes


@pytest.mark.parametrize("number", [160_004, 170_002, PATCHED, PATCHED + 1, 190_000])
def test_what_misses_nothing_is_not_spoken_of(number):
    assert missing_fixes(number) is None


@pytest.mark.parametrize(("number", "shown"), [(180_000, "18.0"), (PATCHED - 1, "18.5")])
def test_what_misses_fixes_is_told_with_their_names(number, shown):
    said = missing_fixes(number)
    assert said is not None
    assert said.startswith(f"PostgreSQL {shown} misses the fixes of 18.6")
    assert "CVE-" in said
