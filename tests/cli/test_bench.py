"""`fettle bench`: every benchmark is a result, also one that fails or never ends, and the limit is told."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fettle.cli.bench import _limit, _shown, benchmarks, measure

ROOT = Path(__file__).resolve().parents[2]

MODULES = {
    "fast": "def run(short):\n return {'rows': [{'name': 'a', 'ratio': 0.5, 'goal': 0.4, 'met': True}], 's': short}",
    "slower": "def run(short):\n return {'rows': [{'name': 'a', 'ratio': 0.1, 'goal': 0.4, 'met': False}]}",
    "later": "async def run(short):\n return {'benchmark': 'x', 'rows': [], 'goals': [], 'ok': False}",
    "noisy": "import atexit\natexit.register(print, '{bye')\ndef run(short):\n print('{')\n return {'rows': []}",
    "broken": "def run(short):\n raise RuntimeError('no disk')",
    "silent": "import os\ndef run(short):\n os._exit(0)",
    "endless": "import signal, subprocess\n"
    "def run(short):\n started = subprocess.Popen(['sleep', '4321.5'])\n"
    " open(f'{started.pid}.started', 'w').close()\n signal.pause()",
    "helper": "def runs(short):\n return {}",
}


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "bench").mkdir()
    for name, text in MODULES.items():
        (tmp_path / "bench" / f"{name}.py").write_text(text)
    return tmp_path


def measured(checkout, name, patience_seconds=60.0):
    return measure(checkout, name, short=True, patience_seconds=patience_seconds)


def test_each_module_that_has_a_run_is_a_benchmark(checkout):
    assert benchmarks(checkout) == sorted(set(MODULES) - {"helper"})


def test_every_benchmark_of_ours_can_be_loaded():
    names = benchmarks(ROOT)
    assert {"database", "evidence", "intake", "l1_rules", "live", "pipeline", "reads"} <= set(names)
    loading = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(f'bench.{name}').run"
    subprocess.run([sys.executable, "-c", loading, *names], cwd=ROOT, check=True)


def test_a_result_says_its_name_how_long_it_took_and_whether_its_goals_are_met(checkout):
    fast, slower, later = (measured(checkout, name) for name in ("fast", "slower", "later"))
    assert (fast["benchmark"], fast["ok"], fast["s"]) == ("fast", True, True)
    assert fast["goals"] == [{"goal": "a, ratio to the floor", "reached": 0.5, "wanted": 0.4, "met": True}]
    assert fast["seconds"] > 0
    assert not slower["ok"]
    assert (later["benchmark"], later["ok"]) == ("later", False)


def test_what_a_benchmark_prints_besides_is_not_taken_for_its_result(checkout):
    assert measured(checkout, "noisy")["ok"]


def test_a_benchmark_that_fails_is_a_result(checkout):
    for name, status in (("broken", 1), ("silent", 0)):
        found = measured(checkout, name)
        assert (found["benchmark"], found["ok"], found["goals"]) == (name, False, [])
        assert f"status {status}" in found["error"]


def test_one_that_never_ends_is_given_up_with_all_that_it_started(checkout):
    patience = 3.0
    while not (started := [path.stem for path in checkout.glob("*.started")]):
        patience *= 2
        found = measured(checkout, "endless", patience_seconds=patience)
    assert (found["ok"], found["error"]) == (False, f"given up after {patience:.0f} s")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        assert b"4321.5" not in Path(f"/proc/{started[0]}/cmdline").read_bytes()


def test_the_limit_is_the_goal_with_least_to_spare_whichever_way_is_better():
    results = [
        {"benchmark": "l1", "goals": [{"goal": "times naive", "reached": 9, "wanted": 3, "met": True}]},
        {"benchmark": "live", "goals": [{"goal": "times NOTIFY", "reached": 8, "wanted": 10, "met": True}]},
        {"benchmark": "intake", "goals": [{"goal": "of bare", "reached": 0.4, "wanted": 0.5, "met": False}]},
    ]
    assert _limit(results)["benchmark"] == "intake"
    assert _limit(results[:2])["benchmark"] == "live"
    assert _limit([]) is None


def test_how_well_is_decided_is_no_limit_of_a_machine():
    decisions = {
        "benchmark": "planner",
        "goals": [{"goal": "right", "reached": 0.1, "wanted": 0.9, "met": False}],
    }
    speed = {"benchmark": "reads", "goals": [{"goal": "of bare", "reached": 1.0, "wanted": 0.5, "met": True}]}
    assert _limit([decisions, speed])["benchmark"] == "reads"
    assert _limit([decisions]) is None


def test_what_failed_is_shown_to_people_too(checkout):
    results = [measured(checkout, "broken")]
    (shown,) = _shown({"results": results, "limit": _limit(results)})
    assert [next(iter(column.cells)) for column in shown.columns][:2] == [
        "broken",
        "ended with status 1; see above",
    ]


def test_tables_of_a_benchmark_are_shown_to_people_behind_the_goals():
    told = {"title": "by the week", "columns": ["week", "L1"], "rows": [[1, "50.0%"]]}
    result = {"benchmark": "month", "goals": [], "ok": True, "tables": [told]}
    _, shown = _shown({"results": [result], "limit": None})
    assert (shown.title, shown.row_count) == ("\nmonth: by the week", 1)


def test_all_of_it_is_json():
    found = subprocess.run(
        [sys.executable, "-m", "fettle.cli.main", "bench", "planner", "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    document = json.loads(found.stdout)
    (result,) = document["results"]
    assert (result["benchmark"], result["ok"], document["ok"], found.returncode) == ("planner", True, True, 0)
    assert document["machine"]["processors"] >= 1
