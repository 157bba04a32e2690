"""What the build takes from others is pinned to one version and to the hashes of its files."""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==\S+( ; .+?)?(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)"
)
LOCKS = [
    path
    for path in (ROOT / "console/package-lock.json", ROOT / "tests/openid/package-lock.json")
    if path.is_file()
]


def normal(name: str) -> str:
    """Return a package's name in the one form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> list[str]:
    """Return each package of the lock on a line of its own."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]


def test_every_python_package_is_one_version_with_its_hashes():
    loose = [line[:80] for line in locked() if PINNED.fullmatch(line) is None]
    assert loose == []
    assert len(locked()) > 50


def test_the_lock_has_whatever_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [one for group in project.get("dependency-groups", {}).values() for one in group]
    asked = {
        normal(re.match(r"[A-Za-z0-9._-]+", one).group())
        for one in [*project["project"]["dependencies"], *groups]
        if isinstance(one, str)
    }
    assert asked - {normal(PINNED.fullmatch(line)["name"]) for line in locked()} == set()


def test_the_build_refuses_a_file_with_another_hash():
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    installs = [
        line for line in makefile.splitlines() if "pip install" in line and "requirements.lock" in line
    ]
    assert installs
    assert [line for line in installs if "--require-hashes" not in line] == []


def test_every_package_of_the_console_is_one_version_with_its_hash():
    assert LOCKS
    for path in LOCKS:
        packages = json.loads(path.read_text())["packages"]
        taken = {name: one for name, one in packages.items() if name and not one.get("link")}
        assert [
            name for name, one in taken.items() if not one.get("integrity", "").startswith("sha512-")
        ] == []
        assert [name for name, one in taken.items() if "version" not in one] == []
        assert taken
