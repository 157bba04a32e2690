"""The shipped packs: schemas as published, every rule tried, and nothing that a runbook must not do."""

import re
from collections import Counter
from pathlib import Path

import pytest

from fettle.fleet.checks import HOST_CHECKS
from fettle.fleet.sandbox import SANDBOX_CHECKS
from fettle.fleet.sandbox import Sandbox as DemoSandbox
from fettle.healing.plans import draft
from fettle.healing.rules import RuleSet
from fettle.kernel.redaction import Redactor
from fettle.packs.active import ActivePacks
from fettle.packs.loading import DomainPack
from fettle.packs.schema import published
from fettle.packs.shipped import shipped_packs, shipped_policies, shipped_policy
from fettle.packs.testing import run_tests
from fettle.tools.playbook_reader import load
from fettle.tools.playbooks import collect
from fettle.tools.providers.local_runbook import Journal, LocalRunbook
from fettle.tools.providers.sandbox import Sandbox

PACKS = {pack.id: pack for pack in shipped_packs()}
COMPLIANCE = PACKS["compliance-it"]
SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.parametrize("name", sorted(published()))
def test_the_published_schema_is_the_one_that_is_used(name: str):
    assert (SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8") == published()[name], (
        f"run: fettle packs schema {name} > docs/schemas/{name}.schema.json"
    )


@pytest.mark.parametrize("pack", PACKS.values(), ids=list(PACKS))
def test_every_rule_of_a_shipped_pack_has_a_test_case_that_passes(pack: DomainPack):
    report = run_tests(pack)
    assert [case for case in report.cases if not case.passed] == []
    assert report.untested == ()


def test_the_compliance_pack_covers_every_platform():
    rules = COMPLIANCE.section("rules")
    assert len(rules) >= 92
    prefixes = Counter(rule["id"].split("-")[1] for rule in rules)
    assert min(prefixes[name] for name in ("WIN", "LNX", "MAC", "NET")) >= 20


def test_a_rule_that_acts_has_bounds():
    for rule in COMPLIANCE.section("rules"):
        if rule["action"] in ("execute_runbook", "run_playbook"):
            assert {"cooldown_seconds", "max_attempts"} <= rule.keys(), rule["id"]
            assert rule["max_attempts"] <= 3, rule["id"]


def test_only_the_sandbox_is_healed_on_the_machine_itself():
    local = {item["id"]: item for item in COMPLIANCE.section("runbooks") if item["executor"] == "local"}
    assert set(local) == {"RB-DEMO-CONFIG-MODE", "RB-DEMO-MANAGED-FILE", "RB-DEMO-PROCESS"}
    assert {path for item in local.values() for path in item["paths"]} == {
        "service/app.conf",
        "managed/policy.txt",
        "pristine/policy.txt",
        "bin/heartbeat",
        "run/heartbeat.pid",
    }


def test_a_parameter_of_a_runbook_is_bound_to_a_pattern():
    for item in COMPLIANCE.section("runbooks"):
        for name, schema in item.get("parameters", {}).items():
            pattern = schema.get("pattern", "")
            assert pattern.startswith("^"), (item["id"], name)
            assert pattern.endswith("$"), (item["id"], name)
            assert not re.search(pattern, "x; reboot"), (item["id"], name)
            assert not re.search(pattern, "--option"), (item["id"], name)
            assert not re.search(pattern, "/etc/../root/.ssh"), (item["id"], name)


def test_what_a_rule_hands_to_a_runbook_the_runbook_takes():
    """A rule's own condition keeps out what its runbook's schema would refuse in the middle of a run."""
    runbooks = {item["id"]: item for item in COMPLIANCE.section("runbooks")}
    for rule in COMPLIANCE.section("rules"):
        for name, value in rule.get("parameters", {}).items():
            field = value.removeprefix("${{ incident.").removesuffix(" }}")
            guards = [one for one in rule["conditions"] if one.get("field") == field]
            wanted = runbooks[rule["runbook_id"]]["parameters"][name]["pattern"]
            assert any(one["operator"] == "cidr" or one.get("value") == wanted for one in guards), rule["id"]


def test_the_sandbox_s_rules_act_under_the_demo_s_policy_alone():
    acting = {name for entry in shipped_policy("demo")["overrides"] for name in entry["match"]["runbooks"]}
    assert acting == {item["id"] for item in COMPLIANCE.section("runbooks") if item["executor"] == "local"}
    assert {policy["autonomy"] for policy in shipped_policies()} == {"approve"}
    assert "overrides" not in shipped_policy("default")


def test_the_plan_of_every_rule_that_acts_can_be_made():
    active = ActivePacks.of(PACKS.values())
    planned = 0
    for case in COMPLIANCE.section("tests"):
        incident = active.normalise(case["given"])
        rule = RuleSet.compile(
            [one for one in active.rules if one["id"] == case["expect"].get("rule")]
        ).match(incident)
        if rule is None or rule.action in ("escalate", "suppress"):
            continue
        plan = draft(rule, incident["check_type"], active).for_incident(incident)
        assert plan.tools <= set(COMPLIANCE.content["tools"])
        planned += 1
    assert planned > 90
    for document in active.playbooks.values():
        load(collect(document, active.playbooks))


HEALS = {
    "sandbox_config_mode": "RB-DEMO-CONFIG-MODE",
    "sandbox_managed_file": "RB-DEMO-MANAGED-FILE",
    "sandbox_process": "RB-DEMO-PROCESS",
}


@pytest.mark.parametrize("check_type", SANDBOX_CHECKS)
async def test_the_sandbox_is_healed_by_its_runbook(check_type: str, tmp_path: Path):
    host = DemoSandbox(tmp_path / "sandbox")
    host.make()
    try:
        host.break_(check_type)
        assert host.inspect(check_type).result == "fail"
        active = ActivePacks.of(PACKS.values())
        incident = active.normalise({"check_type": check_type, "platform": "linux"})
        rule = RuleSet.compile(active.rules).match(incident)
        assert rule is not None
        assert rule.runbook_id == HEALS[check_type]
        runbook = active.runbooks[rule.runbook_id]
        with Sandbox(str(host.root), runbook["paths"]) as sandbox:
            journal = Journal(tmp_path / "journal", check_type)
            await LocalRunbook(runbook, runbook["steps"], sandbox, {}, journal).execute()
        assert host.inspect(check_type).result == "pass"
    finally:
        host.stop_process()


def test_every_check_of_a_host_has_a_type_and_a_rule():
    active = ActivePacks.of(PACKS.values())
    for check_type in HOST_CHECKS:
        kind = active.exception_type(check_type)
        assert kind is not None, check_type
        assert kind.check_type == check_type, "verification asks for the check by its canonical name"
        assert "linux" in kind.platforms


def test_its_redaction_finds_what_it_names_and_leaves_the_rest():
    redactor = Redactor(ActivePacks.of(PACKS.values()).redaction)
    secret = {
        "us-ssn": "SSN 536-22-8841 on file",
        "medical-record-number": "MRN: 00482913",
        "bitlocker-recovery-password": "-".join(["123456"] * 8),
        "filevault-recovery-key": "ABCD-EF12-GH34-IJ56-KL78-MN90",
        "snmp-community": "snmp-server community s3cr3tword RO",
        "device-secret": "username admin secret 5 $1$abcd$efgh",
    }
    for name, text in secret.items():
        redacted, _ = redactor.redact({"summary": text})
        assert redacted["summary"] != text, name
    kept = {"summary": "Interface GigabitEthernet1/0/14 of sw-1 at 10.4.0.9 is down", "count": 4}
    assert redactor.redact(kept)[0] == kept


def test_the_rules_are_the_same_after_a_way_through_the_database():
    """jsonb keeps no order of keys; nothing in a pack may depend on it."""

    def shuffled(value):
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in sorted(value, key=lambda name: (len(name), name))}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    stored = DomainPack(shuffled(dict(COMPLIANCE.content)), COMPLIANCE.digest)
    before, after = ActivePacks.of([COMPLIANCE]), ActivePacks.of([stored])
    rules, rules_after = RuleSet.compile(before.rules), RuleSet.compile(after.rules)
    for case in COMPLIANCE.section("tests"):
        incident, incident_after = before.normalise(case["given"]), after.normalise(case["given"])
        assert incident == incident_after
        one, other = rules.match(incident), rules_after.match(incident_after)
        assert (one and one.id) == (other and other.id)


def test_a_case_that_expects_something_else_fails():
    cases = [
        {"name": "n", "given": {"check_type": "hosts_file"}, "expect": expect}
        for expect in (
            {"rule": "L1-THREAT-001"},
            {"rule": None},
            {"runbook": "RB-WIN-GUEST-001"},
            {"incident": {"severity": "low"}},
            {"incident": {"details": {"x": 1}}},
            {"incident": {"details.missing": 1}},
        )
    ]
    content = {**COMPLIANCE.content, "tests": cases, "temporal_rules": []}
    report = run_tests(DomainPack(content, "0" * 64))
    assert [case.passed for case in report.cases] == [False] * len(cases)
    assert "winning rule is L1-HOSTS-FILE-001" in report.cases[0].failures[0]
    assert len(report.untested) == len(COMPLIANCE.section("rules"))


def calls_in(document):
    """Return every call of a tool that a document holds, however deep."""
    if isinstance(document, dict):
        if "tool" in document:
            yield document
        document = list(document.values())
    if isinstance(document, list):
        for inner in document:
            yield from calls_in(inner)


@pytest.mark.parametrize("pack", PACKS.values(), ids=list(PACKS))
def test_no_alert_says_where_a_shipped_playbook_connects(pack: DomainPack):
    """What comes after the host may hang on the incident; scheme and host are the pack's own words."""
    calls = [call for playbook in pack.section("playbooks") for call in calls_in(playbook)]
    addresses = [call["with"]["url"] for call in calls if call["tool"].startswith("http.")]
    assert [one for one in addresses if not re.match(r"https://[a-z0-9.-]+/", one)] == []
