"""Runs a pack's own test cases: a given exception against the incident, rule, runbook and playbook expected."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fettle.healing.conditions import MISSING, lookup
from fettle.healing.rules import Rule, RuleSet
from fettle.kernel import jsonio
from fettle.packs.active import ActivePacks
from fettle.packs.check_sources import mapping_of
from fettle.packs.loading import DomainPack
from fettle.packs.sources import MappingError, SourceMapping
from fettle.packs.testing_temporal import History, run_histories

_RULE_FIELDS = {"rule": "id", "action": "action", "runbook": "runbook_id", "playbook": "playbook_id"}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one test case came out.

    Attributes:
        name: The case.
        rule_id: The rule that won, or None.
        failures: What differs from what was expected; none: passed.
    """

    name: str
    rule_id: str | None
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "name": self.name,
            "passed": self.passed,
            "rule": self.rule_id,
            "failures": list(self.failures),
        }


@dataclass(frozen=True, slots=True)
class PackTestReport:
    """How a pack's tests came out.

    Attributes:
        cases: Each case.
        untested: Enabled rules that no passing case expects by name.
    """

    cases: tuple[CaseResult, ...]
    untested: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every case passed."""
        return all(case.passed for case in self.cases)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "passed": self.passed,
            "cases": [case.document() for case in self.cases],
            "untested_rules": list(self.untested),
        }


def run_tests(pack: DomainPack, *, beside: Iterable[DomainPack] = ()) -> PackTestReport:
    """Run every test case of a pack.

    Args:
        pack: The pack under test.
        beside: Other packs that are active with it.
    """
    active = ActivePacks.of([pack, *(other for other in beside if other.id != pack.id)])
    rules = RuleSet.compile(active.rules)
    of_rules = tuple(_run(case, active, rules) for case in pack.section("tests"))
    expected = {
        case["expect"].get("rule")
        for case, result in zip(pack.section("tests"), of_rules, strict=True)
        if result.passed
    }
    over_time = [case for rule in pack.section("temporal_rules") for case in run_history_cases(rule, active)]
    of_sources = [case for source in pack.section("sources") for case in _run_source(source)]
    cases = (*of_rules, *over_time, *of_sources)
    untested = tuple(
        rule["id"]
        for rule in pack.section("rules")
        if rule.get("enabled", True) and rule["id"] not in expected
    )
    return PackTestReport(cases, untested)


def _run(case: Mapping[str, Any], active: ActivePacks, rules: RuleSet) -> CaseResult:
    incident = active.normalise(case["given"])
    rule = rules.match(incident)
    expect = case["expect"]
    failures = _incident_failures(expect.get("incident", {}), incident)
    failures += _rule_failures(expect, rule)
    return CaseResult(case["name"], rule.id if rule is not None else None, tuple(failures))


def run_history_cases(document: Mapping[str, Any], active: ActivePacks) -> Iterator[CaseResult]:
    """Run the histories of a rule over time.

    Args:
        document: The rule, with its tests.
        active: The packs in whose words it is written.
    """
    yield from (_compared(history) for history in run_histories(document, active))


def _compared(history: History) -> CaseResult:
    failures = list(history.failures)
    for number, (expected, raised) in enumerate(history.raised):
        failures += [
            text.replace("incident.", f"number {number}: ", 1)
            for text in _incident_failures(expected, raised)
        ]
    return CaseResult(history.name, None, tuple(failures))


def _run_source(source: Mapping[str, Any]) -> Iterator[CaseResult]:
    """Run the cases of a source: what its program sends against the exceptions that must come of it."""
    mapping = SourceMapping(mapping_of(source))
    for case in source["tests"]:
        name = f"{source['id']}: {case['name']}"
        try:
            found = mapping.read(case["payload"], case.get("headers", {}), source=source["id"]).exceptions
        except MappingError as error:
            yield CaseResult(name, None, (str(error),))
            continue
        failures: list[str] = []
        if len(found) != len(case["expect"]):
            failures.append(f"{len(found)} exceptions; expected {len(case['expect'])}")
        for number, (expected, given) in enumerate(zip(case["expect"], found, strict=False)):
            plain = jsonio.parse(jsonio.dumps(given))
            failures += [text.replace("incident.", f"exception {number}: ", 1) for text in
                         _incident_failures(expected, plain)]  # fmt: skip
        yield CaseResult(name, None, tuple(failures))


def _incident_failures(
    expected: Mapping[str, Any], incident: Mapping[str, Any], prefix: str = ""
) -> list[str]:
    failures: list[str] = []
    for field, value in expected.items():
        path = f"{prefix}{field}"
        actual = lookup(incident, tuple(path.split(".")))
        if isinstance(value, Mapping) and isinstance(actual, Mapping):
            failures += _incident_failures(value, incident, f"{path}.")
        elif actual is MISSING:
            failures.append(f"incident.{path} is missing; expected {value!r}")
        elif actual != value or isinstance(actual, bool) is not isinstance(value, bool):
            failures.append(f"incident.{path} is {actual!r}; expected {value!r}")
    return failures


def _rule_failures(expect: Mapping[str, Any], rule: Rule | None) -> list[str]:
    failures: list[str] = []
    for field, attribute in _RULE_FIELDS.items():
        if field not in expect:
            continue
        actual = getattr(rule, attribute) if rule is not None else None
        if actual != expect[field]:
            winner = f" (the winning rule is {rule.id})" if rule is not None else " (no rule matches)"
            failures.append(f"{field} is {actual!r}; expected {expect[field]!r}{winner}")
    return failures
