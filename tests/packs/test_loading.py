"""Every fault of a pack is told with its file, line, path and fix."""

from pathlib import Path

import pytest

from fettle.packs.files import read_folder
from fettle.packs.loading import examine, load_folder, load_policy
from fettle.packs.problems import PackInvalid
from fettle.packs.shipped import shipped_folder

from .content import small_pack

RULE = """\
- id: L1-ONE
  title: One
  priority: 10
  conditions:
    - {field: check_type, operator: eq, value: small_check}
  action: escalate
  reason: Look.
"""
RUNBOOK = """\
- id: RB-ONE
  title: One
  platform: linux
  executor: ssh
  risk: low
  parameters: {path: {type: string}}
  commands:
    - {id: go, argv: [chmod, "0640", "${{ params.path }}"]}
  steps:
    - {action: command, command: go}
"""
PLAYBOOK = """\
- id: PB-ONE
  title: One
  steps:
    - id: first
      tool: check.run
      when: incident.severity != 'info'
"""


def problems(level: str = "error", **files: str):
    """Return what is found in a small pack with these files, their names written with two underscores."""
    named = {f"{name}.yaml": text for name, text in files.items()}
    found = examine({**small_pack(), **{name: text.encode() for name, text in named.items()}})
    return [problem for problem in found.problems if problem.level == level]


def only(level: str = "error", **files: str):
    found = problems(level, **files)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


def test_a_small_pack_is_valid():
    assert problems() == []
    assert problems("warning") == []


@pytest.mark.parametrize(
    ("old", "new", "line", "pointer", "message", "fix"),
    [
        ("title: One", "titel: One", 2, "/0/titel", "'titel' is not known", "Did you mean 'title'?"),
        ("  title: One\n", "", 1, "/0", "'title' is missing", "What the rule does"),
        ("operator: eq", "operator: equals", 5, "/0/conditions/0/operator", "'equals' is not one", "Write one of: eq"),
        ("action: escalate", "action: escalte", 6, "/0/action", "'escalte'", "Did you mean 'escalate'?"),
        ("priority: 10", "priority: high", 3, "/0/priority", "not of type", "type integer. Lower wins"),
        ("priority: 10", "priority: -1", 3, "/0/priority", "less than the minimum", "Lower wins"),
        ("reason: Look.", "cooldown_seconds: 60", 1, "/0", "'reason' is missing", "a person reads it"),
        ("action: escalate", "action: execute_runbook", 1, "/0", "'runbook_id' is missing", "Id of a runbook"),
        ("value: small_check", "value: smal_check", 5, "/0/conditions/0/value", "no exception type", "'small_check'?"),
        ("eq, value: small_check", "regex, value: '(a'", 5, "/0/conditions/0/value", "missing )", "Correct"),
        ("eq, value: small_check", "regex, value: '(?=a)b'", 5, "/0/conditions/0/value", "linear time", "Correct"),
        ("eq, value: small_check", "in, value: small_check", 5, "/0/conditions/0/value", "not of type", "array"),
        ("id: L1-ONE", "id: L1 ONE", 1, "/0/id", "does not match", "letters, digits, dot"),
    ],
)  # fmt: skip
def test_a_fault_in_a_rule_names_its_place_and_its_fix(old, new, line, pointer, message, fix):
    problem = only(rules=RULE.replace(old, new))
    assert (problem.file, problem.line, problem.pointer) == ("rules.yaml", line, pointer)
    assert message in problem.message
    assert fix in problem.fix
    assert str(problem).startswith(f"rules.yaml:{line} {pointer}: error: ")


def test_every_fault_is_told_at_once():
    broken = RULE.replace("eq", "equals").replace("priority: 10", "priority: x").replace("title", "titel")
    assert len(problems(rules=broken)) == 3


def test_a_rule_names_a_runbook_that_is_there():
    text = RULE.replace("escalate", "execute_runbook").replace("reason: Look.", "runbook_id: RB-OEN")
    problem = only(rules=text, runbooks=RUNBOOK)
    assert (problem.line, problem.pointer) == (7, "/0/runbook_id")
    assert "Did you mean 'RB-ONE'?" in problem.fix


def test_a_rule_gives_the_parameters_of_its_runbook():
    text = RULE.replace("escalate", "execute_runbook").replace("reason: Look.", "runbook_id: RB-ONE")
    assert "'path' of 'RB-ONE' is not given" in only(rules=text, runbooks=RUNBOOK).message
    given = text + "  parameters: {path: x, paht: y}\n"
    assert "has no parameter 'paht'" in only(rules=given, runbooks=RUNBOOK).message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tool: check.run", "tool: chek.run", "'chek.run' is not among the pack's tools"),
        ("tool: check.run", "tool: check.run\n      playbook: PB-ONE", "do not fit together"),
        ("      tool: check.run\n", "", "do not fit together"),
        ("tool: check.run", "playbook: PB-ONE", "calls itself"),
        ("tool: check.run", "playbook: PB-TWO", "no playbook 'PB-TWO'"),
        ("incident.severity != 'info'", "incident.severity !=", "cannot run"),
        ("incident.severity != 'info'", "__import__('os')", "cannot run"),
        ("tool: check.run", "tool: runbook.run\n      with: {runbook_id: RB-NO}", "no runbook 'RB-NO'"),
        ("tool: check.run", "tool: check.run\n      with: {host: '${{ incident.host'}", "cannot run"),
        ("tool: check.run", "tool: check.run\n      rollback: {tool: other}", "'other' is not among"),
        ("id: first", "id: First", "does not match"),
    ],
)
def test_a_fault_in_a_playbook_is_told(old, new, message):
    found = problems(playbooks=PLAYBOOK.replace(old, new))
    assert any(message in problem.message for problem in found), found
    assert all(problem.line and problem.fix for problem in found)


def test_step_ids_are_unique_also_in_parallel_branches():
    text = PLAYBOOK + "    - id: both\n      parallel:\n        - {id: first, tool: check.run}\n"
    assert "`first` stands there twice" in only(playbooks=text).message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '[chmod, "0640", "${{ params.path }}"]',
            '[sh, -c, "chmod 0640 ${{ params.path }}"]',
            "part of a script",
        ),
        (
            '[chmod, "0640", "${{ params.path }}"]',
            '[sudo, bash, -lc, "ls ${{ params.path }}"]',
            "part of a script",
        ),
        (
            '[chmod, "0640", "${{ params.path }}"]',
            '[powershell.exe, -NoProfile, -Command, "Get-Item", "${{ params.path }}"]',
            "part of a script",
        ),
        (
            '[chmod, "0640", "${{ params.path }}"]',
            '[cmd.exe, /C, "del ${{ params.path }}"]',
            "part of a script",
        ),
        ('[chmod, "0640", "${{ params.path }}"]', '["${{ params.path }}"]', "program itself comes from data"),
        ("params.path", "params.paht", "declares no parameter 'paht'"),
        ("command: go", "command: og", "declares no command 'og'"),
        ("executor: ssh", "executor: local", "declares no paths"),
        ("{type: string}", "{type: strin}", "no JSON Schema"),
        ("action: command, command: go", "action: set_mode, path: ../x, mode: '0640'", "leads outside"),
        ("action: command, command: go", "action: set_mode, path: /etc/x, mode: '0640'", "does not match"),
        ("action: command, command: go", "action: set_mode, path: a/x, mode: '0640'", "not covered"),
        ("action: command, command: go", "action: set_mode, path: a/x, mode: '640'", "does not match"),
        ("action: command, command: go", "action: set_mode, path: a/x", "'mode' is missing"),
    ],
)
def test_a_fault_in_a_runbook_is_told(old, new, message):
    found = problems(runbooks=RUNBOOK.replace(old, new))
    assert any(message in problem.message for problem in found), found
    assert all(problem.line and problem.fix for problem in found)


def test_a_path_pattern_stays_within_its_folder():
    local = RUNBOOK.replace("ssh", "local").replace("risk: low", "risk: low\n  paths: [a/*.conf]")
    step = "action: set_mode, path: {}, mode: '0640'"
    covered = local.replace("action: command, command: go", step.format("a/x.conf"))
    outside = local.replace("action: command, command: go", step.format("a/b/x.conf"))
    assert problems(runbooks=covered) == []
    assert "not covered" in only(runbooks=outside).message


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ("aliases: [small_check]", "already means"),
        ("normalise: {check_type: {from: x}}", "cannot be written"),
        ("normalise: {details: {from: x}}", "cannot be written"),
        ("reclassify: {field: details.x, map: {a: other_check}}", "no exception type 'other_check'"),
        ("severity_by: [{when: [{field: x, operator: regex, value: '('}], severity: low}]", "missing )"),
        ("verify: {tool: nothing}", "'nothing' is not among"),
    ],
)
def test_a_fault_in_an_exception_type_is_told(types, message):
    text = small_pack()["exception_types.yaml"].decode() + f"  {types}\n"
    assert message in only(exception_types=text).message


def test_what_stands_twice_names_both_places():
    problem = only(**{"rules": RULE, "rules/more": RULE})
    assert (problem.file, problem.line) == ("rules/more.yaml", 1)
    assert "already in rules.yaml, line 1" in problem.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("redaction: [{id: x, pattern: '(?<=a)b'}]", "linear time"),
        ("tools: [check.run, runbook.run, 5]", "not of type"),
        ("version: 1.0", "not of type"),
        ("schema_version: 2", ""),
        (
            "trust_signals: [{id: s, title: S, worse: higher, degraded: 9, critical: 5}]",
            "critical is not higher",
        ),
    ],
)
def test_a_fault_in_the_manifest_is_told(text, message):
    manifest = small_pack()["pack.yaml"].decode()
    name = text.split(":")[0]
    kept = "".join(line for line in manifest.splitlines(keepends=True) if not line.startswith(f"{name}:"))
    found = problems(pack=f"{kept}{text}\n")
    assert any(message in problem.message for problem in found), found


def test_a_tool_that_the_installation_lacks_is_told():
    found = examine(small_pack(), tools={"check.run"})
    assert [problem.pointer for problem in found.errors] == ["/tools/1"]


def test_a_pack_without_a_manifest_and_a_file_of_no_section_are_told():
    files = small_pack()
    del files["pack.yaml"]
    assert [problem.file for problem in examine(files).errors] == ["pack.yaml"]
    assert "belongs to no section" in only(rule=RULE).message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{field: a, operator: in, value: [x, y]}", "{field: a, operator: eq, value: x}"),
        ("{field: details.a, operator: exists}", "{field: details.a, operator: gt, value: 5}"),
        ("{field: details.a, operator: ne, value: 1}", "{field: details.a, operator: eq, value: 2}"),
        (
            "{any: [{field: a, operator: eq, value: 1}, {field: b, operator: eq, value: 1}]}",
            "{field: b, operator: eq, value: 1}",
        ),
    ],
)  # fmt: skip
def test_a_rule_that_can_never_win_is_a_warning(first: str, second: str):
    rules = "".join(
        f"- {{id: {name}, title: t, priority: {priority}, conditions: [{condition}], action: escalate, reason: r}}\n"
        for name, priority, condition in (("A", 1, first), ("B", 2, second))
    )
    shadows = [p for p in problems("warning", rules=rules) if "never wins" in p.message]
    assert [p.pointer for p in shadows] == ["/1/conditions"]
    turned = rules.replace("priority: 1,", "priority: 3,")
    assert [
        p for p in problems("warning", rules=turned) if "never wins" in p.message and "/1/" in p.pointer
    ] == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{field: a, operator: eq, value: 1}", "{field: a, operator: eq, value: true}"),
        ("{field: a, operator: exists}", "{field: a, operator: ne, value: 5}"),
        ("{field: a, operator: eq, value: 1}", "{field: b, operator: eq, value: 1}"),
        ("{none: [{field: a, operator: eq, value: 1}]}", "{field: a, operator: eq, value: 1}"),
    ],
)
def test_a_rule_that_may_win_is_no_warning(first: str, second: str):
    rules = "".join(
        f"- {{id: {name}, title: t, priority: {priority}, conditions: [{condition}], action: escalate, reason: r}}\n"
        for name, priority, condition in (("A", 1, first), ("B", 2, second))
    )
    assert [p for p in problems("warning", rules=rules) if "never wins" in p.message] == []


def test_a_policy_is_checked_with_file_and_line():
    with pytest.raises(PackInvalid) as raised:
        load_policy(b"id: x\nversion: '1.0.0'\nschema_version: 1\ntitle: X\nautonomy: alwys\n", file="p.yaml")
    (problem,) = raised.value.problems
    assert (problem.file, problem.line, problem.pointer) == ("p.yaml", 5, "/autonomy")


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in shipped_folder().glob("*/pack.yaml")))
def test_a_shipped_pack_has_neither_error_nor_warning(folder: str):
    assert [str(problem) for problem in examine(read_folder(shipped_folder() / folder)).problems] == []


def test_a_folder_is_loaded(tmp_path: Path):
    for name, data in small_pack().items():
        (tmp_path / name).write_bytes(data)
    pack = load_folder(tmp_path)
    assert (pack.id, pack.version, len(pack.section("rules"))) == ("small", "1.0.0", 1)
