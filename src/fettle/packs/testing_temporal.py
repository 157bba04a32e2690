"""Runs the test cases of a pack's rules over time: a history against what each rule raises, and when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fettle.healing.temporal.matching import Sighting, TemporalRules
from fettle.healing.temporal.moments import from_ms, read_time
from fettle.healing.temporal.raised import body_of
from fettle.healing.temporal.rules import TemporalRule
from fettle.healing.temporal.simulation import Firing, Simulation
from fettle.packs.active import ActivePacks

_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class History:
    """How a history came out.

    Attributes:
        name: Of the rule and the case.
        raised: What differs from what was expected, and the exception in which it does.
        failures: What else differs.
    """

    name: str
    raised: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...]
    failures: tuple[str, ...]


def run_histories(document: Mapping[str, Any], active: ActivePacks) -> Iterator[History]:
    """Run every test case of a rule over time.

    Args:
        document: The rule.
        active: The pack and those beside it, whose words the rule sees.
    """
    rule = TemporalRule.parse({**document, "source": "pack", "enabled": True})
    for case in document.get("tests", ()):
        found = _play(rule, case, active)
        failures = []
        if len(found) != len(case["expect"]):
            failures.append(f"{len(found)} exceptions are raised; expected {len(case['expect'])}")
        pairs = []
        for number, (expected, firing) in enumerate(zip(case["expect"], found, strict=False)):
            at = (from_ms(firing.fired.at) - _BEGINNING).total_seconds()
            status = "resolved" if firing.fired.is_over else "firing"
            if at != expected["at_seconds"]:
                failures.append(f"number {number} is at {at:g} seconds; expected {expected['at_seconds']}")
            if status != expected.get("status", "firing"):
                failures.append(f"number {number} is {status}; expected {expected.get('status', 'firing')}")
            pairs.append((expected.get("incident", {}), active.normalise(body_of(firing))))
        yield History(f"{rule.id}: {case['name']}", tuple(pairs), tuple(failures))


def _play(rule: TemporalRule, case: Mapping[str, Any], active: ActivePacks) -> list[Firing]:
    simulation = Simulation(TemporalRules([rule]), _BEGINNING)
    found = []
    for number, one in enumerate(case["given"]):
        given = one["exception"]
        body = active.normalise(given)
        body.setdefault("status", "firing")
        received = _BEGINNING + timedelta(seconds=one["after_seconds"])
        found += simulation.see(Sighting(str(number), body, read_time(given.get("occurred_at")), received))
    if "until_seconds" in case:
        found += simulation.pass_time(_BEGINNING + timedelta(seconds=case["until_seconds"]))
    return found
