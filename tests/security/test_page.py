"""The page about security names tests that there are, and answers for every chapter and attack."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`((?:tests|console)/[\w/.-]+\.py)::(\w+)`")
PLACES = re.compile(r"`((?:tests|docs|src|console)/[\w/.-]+)`")


def test_every_test_that_the_page_names_exists():
    missing = [
        f"{path}::{name}"
        for path, name in NAMED.findall(PAGE)
        if not re.search(rf"^\s*(async )?def {name}\(", _text(path), re.MULTILINE)
    ]
    assert missing == []
    assert len(NAMED.findall(PAGE)) > 100
    assert [place for place in PLACES.findall(PAGE) if not (ROOT / place).exists()] == []


def test_every_line_names_a_test_or_says_why_there_is_none():
    lines = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| ") and not line.startswith(("| ---", "| what"))
    ]
    bare = [
        line for line in lines if not (NAMED.search(line) or "not applicable" in line or "not yet" in line)
    ]
    assert bare == []
    assert len(lines) > 80


def test_every_chapter_and_attack_is_answered_for():
    for number in range(1, 18):
        assert f"\n### V{number} " in PAGE, f"chapter {number} of ASVS 5"
    for number in range(1, 11):
        assert f"| API{number}:2023 " in PAGE, number
    for number in range(1, 19):
        assert f"| {number}. " in PAGE, f"attack {number}"


def _text(path: str) -> str:
    file = ROOT / path
    return file.read_text() if file.is_file() else ""
