"""Rules over time in packs: their faults by file, line and place, and their histories played."""

import subprocess
import sys

import pytest
from tests.packs.content import small_pack

from fettle.packs.loading import examine, load_files
from fettle.packs.testing import run_tests

RULE = """\
- id: T-THREE
  title: Three within a minute
  kind: count
  by: [host]
  conditions: [{field: check_type, operator: eq, value: small_check}]
  times: 3
  within_seconds: 60
  raises: {check_type: small_check, summary: Three of them}
  tests:
    - name: three
      given:
        - {after_seconds: 0, exception: {check_type: small_check, host: h}}
        - {after_seconds: 30, exception: {check_type: small_check, host: h}}
        - {after_seconds: 40, exception: {check_type: small_check, host: h}}
      expect: [{at_seconds: 40, incident: {host: h, summary: "Three of them: host h"}}]
"""


def pack(old="", new=""):
    assert old in RULE
    return small_pack(**{"temporal_rules.yaml": RULE.replace(old, new)})


FAULTS = {
    "unknown field": ("  times: 3", "  tmes: 3", 6, "/0/tmes", "times"),
    "what is needed": ("  times: 3\n", "", 1, "/0", "times"),
    "unknown check": ("value: small_check", "value: smal_check", 5, "/0/conditions/0/value", "small_check"),
    "raised check": (
        "raises: {check_type: small_check",
        "raises: {check_type: other",
        8,
        "/0/raises/check_type",
        "",
    ),
    "key twice": ("by: [host]", "by: [host, host]", 4, "/0/by", "Correct"),
    "another kind": ("kind: count", "kind: absence", 6, "/0/times", "Correct"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_its_file_line_place_and_fix(fault):
    old, new, line, pointer, fix = FAULTS[fault]
    problem = examine(pack(old, new)).errors[0]
    assert (problem.file, problem.line, problem.pointer) == ("temporal_rules.yaml", line, pointer)
    assert fix in problem.fix + problem.message


def test_a_rule_that_nothing_tries_is_a_warning():
    untried = RULE[: RULE.index("  tests:")]
    found = examine(small_pack(**{"temporal_rules.yaml": untried}))
    assert [problem.level for problem in found.problems] == ["warning"]


def test_histories_are_played_with_the_packs_tests():
    report = run_tests(load_files(pack()))
    assert [(case.name, case.failures) for case in report.cases] == [("T-THREE: three", ())]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("at_seconds: 40,", "at_seconds: 41,", "number 0 is at 40 seconds; expected 41"),
        ("{host: h, summary", "{host: g, summary", "number 0: host is 'h'; expected 'g'"),
        ("within_seconds: 60", "within_seconds: 39", "0 exceptions are raised; expected 1"),
    ],
)
def test_a_history_that_comes_out_otherwise_says_how(old, new, said):
    report = run_tests(load_files(pack(old, new)))
    assert report.cases[0].failures == (said,)


def test_a_file_of_rules_is_tried_without_a_server(tmp_path):
    file = tmp_path / "rules.yaml"
    for text, status, said in (
        (RULE, 0, "pass"),
        (RULE.replace("at_seconds: 40", "at_seconds: 4"), 1, "expected 4"),
    ):
        file.write_text(text)
        command = [sys.executable, "-m", "fettle.cli.main", "temporal", "test", str(file), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, said in done.stdout) == (status, True), done.stdout + done.stderr
