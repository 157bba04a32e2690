"""The command line itself: what it says of itself, its statuses, its settings, its profile."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from typer.main import get_command

from fettle.cli import config
from fettle.cli.client import _events
from fettle.cli.commands import COMMANDS, app
from fettle.cli.exits import Exit
from fettle.cli.profile import load_profile, save_profile

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def own_home(tmp_path):
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        yield Path(folder)


def fettle(*arguments, home=None, **env):
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("FETTLE_", "COLUMNS"))}
    given = {**plain, **({"FETTLE_HOME": str(home)} if home else {}), **env}
    return subprocess.run(
        [sys.executable, "-m", "fettle.cli.main", *arguments],
        env=given,
        cwd=home or tempfile.gettempdir(),
        capture_output=True,
        text=True,
        check=False,
    )


def leaves(command, words, context):
    """Return each command that does something, with the words that call it."""
    if not hasattr(command, "list_commands"):
        return [(words, command)]
    inner = ((name, command.get_command(context, name)) for name in command.list_commands(context))
    return [leaf for name, found in inner for leaf in leaves(found, [*words, name], context)]


def test_every_command_prints_json_where_it_is_asked_to():
    root = get_command(app)
    found = leaves(root, [], root.make_context("fettle", [], resilient_parsing=True))
    assert len(found) > 100
    without = [" ".join(words) for words, one in found if all("--json" not in p.opts for p in one.params)]
    assert without == []


def test_help_names_every_command_without_loading_any():
    shown = fettle("--help")
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    shown = fettle(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "Usage: fettle" in shown.stdout


def test_an_unknown_command_is_a_usage_error():
    assert fettle("heal-everything").returncode == Exit.USAGE


def test_the_version_is_said_to_people_and_programs():
    assert fettle("version").stdout.startswith("fettle ")
    assert json.loads(fettle("version", "--json").stdout)["version"]


def test_the_version_is_said_before_anything_is_loaded():
    code = (
        "import sys; sys.argv[1:] = ['version']\n"
        "from fettle.cli.main import main; main()\n"
        "print(sorted({'typer', 'pydantic', 'httpx', 'sqlalchemy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[1] == "[]"


def test_the_page_of_settings_is_made_from_the_settings():
    assert (DOCS / "settings.md").read_text() == config.settings_page()


def test_the_page_of_the_command_line_names_every_command_and_status():
    page = (DOCS / "cli.md").read_text()
    assert all(f"`fettle {name}" in page for name in COMMANDS)
    assert all(f"\n| {int(status)} | " in page for status in Exit)


def test_settings_are_shown_with_their_source_and_secrets_masked(own_home):
    (own_home / ".env").write_text("FETTLE_PORT=9000\nFETTLE_HOST=::1\n")
    shown = fettle("config", "show", "--json", home=own_home, FETTLE_PORT="9001",
                   FETTLE_REDIS_URL="redis://:canary-secret@127.0.0.1/0")  # fmt: skip
    found = {item["setting"]: item for item in json.loads(shown.stdout)["items"]}
    assert (found["FETTLE_PORT"]["value"], found["FETTLE_PORT"]["source"]) == (9001, "environment")
    assert (found["FETTLE_HOST"]["value"], found["FETTLE_HOST"]["source"]) == ("::1", ".env")
    assert found["FETTLE_LOG_LEVEL"]["source"] == "default"
    assert found["FETTLE_REDIS_URL"]["value"] == config.MASK
    assert "canary-secret" not in shown.stdout + shown.stderr


def test_a_bad_setting_is_one_line_that_names_it():
    shown = fettle("config", "show", FETTLE_PORT="99999999")
    assert (shown.returncode, shown.stderr.count("\n")) == (Exit.BAD_SETTING, 1)
    assert "FETTLE_PORT" in shown.stderr


def test_without_a_key_it_says_how_to_get_one(own_home):
    shown = fettle("incidents", "list", home=own_home)
    assert shown.returncode == Exit.NOT_ALLOWED
    assert "FETTLE_API_KEY" in shown.stderr


def test_a_platform_that_does_not_answer_is_one_line_and_json_where_asked(own_home):
    asked = {"FETTLE_URL": "http://127.0.0.1:9", "FETTLE_API_KEY": "ftl_nothing"}
    shown = fettle("incidents", "list", home=own_home, **asked)
    assert (shown.returncode, shown.stderr.count("\n")) == (Exit.UNREACHABLE, 1)
    shown = fettle("incidents", "list", "--json", home=own_home, **asked)
    assert json.loads(shown.stderr)["exit_status"] == Exit.UNREACHABLE


def test_the_demo_needs_a_platform_on_this_machine(own_home):
    shown = fettle("demo", "host", home=own_home)
    assert (shown.returncode, "fettle up" in shown.stderr) == (Exit.UNREACHABLE, True)


def test_doctor_says_what_to_do_before_the_first_start(own_home):
    shown = fettle("doctor", "--json", home=own_home)
    found = {finding["part"]: finding for finding in json.loads(shown.stdout)["findings"]}
    assert found["database"]["mend"] == "Start it: fettle up"
    assert found["disk"]["state"] == "ok"


def test_doctor_finds_keys_that_others_can_read(own_home):
    (own_home / "master.key").write_text("c2VjcmV0")
    (own_home / "master.key").chmod(0o644)
    shown = fettle("doctor", "--json", home=own_home)
    found = {finding["part"]: finding for finding in json.loads(shown.stdout)["findings"]}
    assert (shown.returncode, found["secrets"]["state"]) == (Exit.FOUND_WRONG, "wrong")


def test_the_schema_goes_up_and_down_on_an_embedded_database_that_is_started_for_it(own_home):
    assert fettle("db", "status", home=own_home).returncode == Exit.FOUND_WRONG
    up = json.loads(fettle("db", "upgrade", "--json", home=own_home).stdout)
    assert up["current"] == up["newest"] is not None
    again = fettle("db", "upgrade", "--json", home=own_home)
    assert (again.returncode, json.loads(again.stdout)) == (0, up)
    down = fettle("db", "downgrade", "base", "--yes", "--json", home=own_home)
    assert json.loads(down.stdout)["current"] is None
    assert fettle("db", "upgrade", home=own_home).returncode == 0


def test_a_profile_is_private_and_the_environment_wins(own_home, monkeypatch):
    save_profile(own_home, url="http://127.0.0.1:1/")
    save_profile(own_home, api_key="ftl_saved")
    assert stat.S_IMODE((own_home / "profile.json").stat().st_mode) == 0o600
    profile = load_profile(own_home, "http://unused")
    assert (profile.url, profile.api_key) == ("http://127.0.0.1:1", "ftl_saved")
    monkeypatch.setenv("FETTLE_API_KEY", "ftl_given")
    assert load_profile(own_home, "http://unused").api_key == "ftl_given"


def test_a_stream_of_events_is_read_as_its_standard_says():
    lines = [
        ": hello",
        "id: 7",
        "event: incident_opened",
        'data: {"a":',
        "data: 1}",
        "",
        "data: 2",
        "",
        "data: 3",
    ]
    read = list(_events(iter(lines)))
    assert [(event.id, event.type, event.data) for event in read] == [
        ("7", "incident_opened", {"a": 1}),
        ("7", "message", 2),
    ]
