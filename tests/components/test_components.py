"""`fettle components`: all that this installation is made of, for people, for programs, and as CycloneDX."""

import importlib.metadata
import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema_rs
import pytest

from fettle.central.components.advisories import Fault
from fettle.central.components.cyclonedx import cyclonedx
from fettle.central.components.inventory import Component, installed_components

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = files("cyclonedx.schema") / "_res"
BASE = "http://cyclonedx.org/schema"


def schema(name):
    return json.loads((SCHEMAS / f"{name}.SNAPSHOT.schema.json").read_text())


@pytest.fixture(scope="module")
def components():
    return installed_components()


@pytest.fixture(scope="module")
def published():
    """The published schema of CycloneDX 1.6; it names the two that it stands on by these addresses."""
    others = [(f"{BASE}/{name}.SNAPSHOT.schema.json", schema(name)) for name in ("spdx", "jsf-0.82")]
    return jsonschema_rs.Draft7Validator(schema("bom-1.6"), registry=jsonschema_rs.Registry(others))


def fettle(*arguments):
    command = [sys.executable, "-m", "fettle.cli.main", "components", *arguments]
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("FETTLE_", "COLUMNS"))}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent, env=plain
    )


def test_every_package_that_is_installed_or_locked_is_listed(components):
    listed = {(one.kind, one.name, one.version) for one in components}
    assert ("pypi", "fastapi", importlib.metadata.version("fastapi")) in listed
    locked = json.loads((ROOT / "console/package-lock.json").read_text())["packages"]
    npm = {(name.rpartition("node_modules/")[2], one["version"]) for name, one in locked.items() if name}
    assert {(name, version) for kind, name, version in listed if kind == "npm"} == npm
    assert {name for kind, name, _ in listed if kind == "generic"} == {
        "openssl", "pgvector", "postgresql", "python", "redis",
    }  # fmt: skip
    assert ("fettle" in {name for _, name, _ in listed}) is False


def test_what_runs_is_told_from_what_only_builds_and_tries(components):
    run = {one.name: one.is_run for one in components}
    assert all(run[name] for name in ("fastapi", "uvicorn", "httptools", "starlette", "react", "postgresql"))
    assert not any(run[name] for name in ("pytest", "mypy", "hypothesis", "vite"))


def test_nearly_every_component_says_its_licence(components):
    assert len([one for one in components if not one.licence]) < len(components) / 20


def test_what_the_lock_asks_for_otherwise_is_told(tmp_path):
    version = importlib.metadata.version("fastapi")
    (tmp_path / "requirements.lock").write_text(
        f"fastapi==0.0.1 \\\n    --hash=sha256:0\nhttpx[x]=={version}\n"
    )
    found = {one.name: one.locked for one in installed_components(tmp_path) if one.kind == "pypi"}
    assert (found["fastapi"], found["pydantic"]) == ("0.0.1", "-")


def test_the_document_keeps_to_the_schema_that_is_published(components, published):
    faults = [
        Fault(components[7], "TEST-1", ("CVE-2026-1",), "HIGH", "It falls over.", "9.9"),
        Fault(components[8], "TEST-2", (), "", "", "", is_unclear=True),
    ]
    for document in (cyclonedx(components), cyclonedx(components, faults)):
        assert [error.message for error in published.iter_errors(document)] == []
        refs = [one["bom-ref"] for one in document["components"]]
        assert len(set(refs)) == len(refs) == len(components)
    assert {one["affects"][0]["ref"] for one in document["vulnerabilities"]} <= set(refs)
    assert not published.is_valid({**document, "specVersion": "2.0", "components": [{"name": "x"}]})


def test_a_package_url_names_scopes_and_odd_versions():
    assert Component("npm", "@scope/name", "1.0.0").url == "pkg:npm/%40scope/name@1.0.0"
    assert Component("pypi", "name", "1.0+local").url == "pkg:pypi/name@1.0%2Blocal"


def test_the_command_prints_a_table_json_and_cyclonedx():
    table = fettle()
    assert (table.returncode, "fastapi" in table.stdout) == (0, True)
    assert {"kind", "name", "version"} <= set(json.loads(fettle("--json").stdout)["items"][0])
    assert json.loads(fettle("--cyclonedx").stdout)["specVersion"] == "1.6"


def test_known_faults_end_the_command_with_a_status_of_their_own(tmp_path, components):
    path = tmp_path / "one.json"
    affected = {"package": {"ecosystem": "PyPI", "name": "FastAPI"}, "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9999"}]}]}  # fmt: skip
    path.write_text(json.dumps({"id": "TEST-1", "summary": "[bold]It falls over.", "affected": [affected]}))
    shown = fettle("--advisories", str(path))
    assert shown.returncode == 1
    assert "TEST-1" in shown.stdout
    assert "[bold]It falls over." in shown.stdout
    assert "None was about npm" in shown.stdout
    told = json.loads(fettle("--advisories", str(path), "--json").stdout)["advisories"]["faults"]
    version = next(one.version for one in components if one.name == "fastapi")
    assert [(fault["component"], fault["mended_in"]) for fault in told] == [
        (f"pkg:pypi/fastapi@{version}", "9999")
    ]
    affected["ranges"][0]["events"][1] = {"fixed": version}
    path.write_text(json.dumps({"id": "TEST-1", "affected": [affected]}))
    assert fettle("--advisories", str(path)).returncode == 0


def test_a_file_that_cannot_be_used_is_said_in_one_line(tmp_path):
    path = tmp_path / "all.zip"
    path.write_bytes(b"no archive")
    for name in (path, tmp_path / "none.zip"):
        shown = fettle("--advisories", str(name))
        assert (shown.returncode, shown.stderr.count("\n")) == (9, 1)
