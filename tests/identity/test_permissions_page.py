"""The page of permissions says what the code does."""

from pathlib import Path

from fettle.identity.permissions_page import permissions_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"


def test_the_page_is_current():
    assert PAGE.read_text() == permissions_page(), (
        "make it anew: python -m fettle.identity.permissions_page > docs/permissions.md"
    )
