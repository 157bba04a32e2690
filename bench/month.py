"""A month of fifty tenants in compressed time: what the flywheel changes, and what it costs in wrong heals.

The world is made up (`month_world` says how); everything that decides is the product's own: the rules, the pattern,
profiles, evaluation, growth, shadow, canary and retirement. The same month runs twice, with the flywheel and without
it; only what it does differs. A figure without the flywheel is the floor of the one with it.

- share per level, by the week
- false heals: the check passed and the cause was still there
- missed heals: a runbook would have healed it, and it went to a person
- the month in small over the real pipeline (`month_pipeline`): what L1 decides once it knows, against before
- messages: what goes to a person, one for all of a kind within an hour, by operator (two for a tenant) and day
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bench import month_pipeline
from bench.environment import main, row
from bench.month_world import DAY, DAYS, HOUR, RUNBOOKS, Fault, Kind, Tenant, catalogue, month, tenants

from fettle.healing.flywheel import stages
from fettle.healing.flywheel.evaluating import Criteria, Record, evaluate
from fettle.healing.flywheel.figures import BADLY, WELL, added
from fettle.healing.flywheel.growing import Ground, NotGrown, grow, narrowed, rule_id_of
from fettle.healing.flywheel.profiles import Profile, merged, merged_origins, origins_of, profile_of
from fettle.healing.flywheel.shadowing import RIGHT, WRONG, Seen, judged
from fettle.healing.flywheel.stages import CANARY, FULL, SHADOW, Watched
from fettle.healing.planner.words import RUNBOOK, Candidate
from fettle.healing.rules import Rule, RuleSet
from fettle.healing.signature import pattern_signature
from fettle.kernel.ids import new_id

SEED = 20_261_121
TENANTS = 50
OPERATORS = 2
FLAPS = 3
RESTS = 6 * HOUR
_SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": []}
CANDIDATES = {name: Candidate(RUNBOOK, name, f"Run {name}", "", _SCHEMA) for name in RUNBOOKS}


@dataclass
class Figures:
    """What came of a month."""

    levels: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    false_heals: int = 0
    missed_heals: int = 0
    messages: int = 0
    incidents: int = 0
    promoted: int = 0
    retired: int = 0
    suppressed: int = 0


@dataclass
class _Choice:
    succeeded: int = 0
    failed: int = 0
    recent: str = ""
    profile: Profile | None = None
    origins: Any = None
    first: bool = True


@dataclass
class _Grown:
    document: dict[str, Any]
    pattern: str
    choice: str
    state: str = SHADOW
    shadow_right: int = 0
    shadow_wrong: int = 0
    stage_well: int = 0
    recent: str = ""

    def watched(self) -> Watched:
        return Watched(self.state, self.shadow_right, self.shadow_wrong, self.stage_well, self.recent)


class Life:
    """One tenant's month, with the flywheel or without it."""

    def __init__(self, tenant: Tenant, criteria: Criteria | None, figures: Figures, seed: int) -> None:
        self._tenant = tenant
        self._criteria = criteria
        self._figures = figures
        self._random = Random(seed)
        self._packs = [Rule.parse(document) for kind, _ in tenant.kinds for document in _pack_rule(kind)]
        self._rules = RuleSet(self._packs)
        self._choices: defaultdict[tuple[str, str], _Choice] = defaultdict(_Choice)
        self._grown: dict[str, _Grown] = {}
        self._generations: Counter[tuple[str, str]] = Counter()
        self._changed: set[tuple[str, str]] = set()
        self._seen: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self._quiet: dict[tuple[str, str], float] = {}
        self._told: set[tuple[str, int]] = set()
        self._known: dict[str, str] = {}

    def run(self, faults: list[Fault]) -> None:
        """Live through the month; the flywheel turns every hour."""
        hour = 0
        for fault in faults:
            while self._criteria is not None and fault.at >= (hour + 1) * HOUR:
                hour += 1
                self._turn()
            self._handle(fault)

    def _handle(self, fault: Fault) -> None:
        place = (fault.host, fault.kind.check_type)
        if self._quiet.get(place, -1.0) > fault.at:
            self._figures.suppressed += 1
            return
        self._figures.incidents += 1
        recent = self._seen[place] = [at for at in self._seen[place] if fault.at - at < HOUR]
        recent.append(fault.at)
        if len(recent) > FLAPS:
            self._quiet[place] = fault.at + RESTS
            self._to_person(fault, flapping=True)
            return
        incident = fault.incident()
        rule = self._rules.match(incident)
        if rule is not None and rule.runbook_id is not None:
            healed = self._try(fault, rule.runbook_id)
            grown = self._grown.get(rule.id)
            if grown is not None:
                self._ran(grown, healed=healed)
            self._level(fault, "L1")
            if not healed:
                self._to_person(fault, counted=True)
            return
        self._plan(fault, incident)

    def _plan(self, fault: Fault, incident: dict[str, Any]) -> None:
        chosen = self._chosen(fault)
        pattern = self._pattern(incident)
        if chosen is None:
            self._shadow(incident, pattern, None, {}, healed=False)
            self._to_person(fault)
            return
        healed = self._try(fault, chosen)
        if healed and fault.cause == chosen:
            self._tenant.remembered[fault.kind.number, fault.cause] = chosen
        path = incident["details"].get("path")
        parameters = {} if path is None else {"path": path}
        self._learn(incident, pattern, chosen, parameters, healed=healed)
        self._shadow(incident, pattern, chosen, parameters, healed=healed)
        self._level(fault, "L2")
        if not healed:
            self._to_person(fault, counted=True)

    def _chosen(self, fault: Fault) -> str | None:
        known = self._tenant.remembered.get((fault.kind.number, fault.cause))
        if known is not None and self._random.random() < 0.95:
            return known
        if self._random.random() < 0.12:
            return None
        if fault.cause is not None and self._random.random() < fault.kind.skill:
            return fault.cause
        return self._random.choice(RUNBOOKS) if self._random.random() < 0.5 else None

    def _try(self, fault: Fault, runbook: str) -> bool:
        if runbook == fault.cause:
            return self._random.random() < 0.97
        if self._random.random() < 0.02:
            self._figures.false_heals += 1
            return True
        return False

    def _learn(
        self, incident: dict[str, Any], pattern: str, chosen: str, parameters: dict[str, Any], *, healed: bool
    ) -> None:
        place = (pattern, f"{RUNBOOK}:{chosen}")
        known = self._choices[place]
        self._changed.add(place)
        known.recent = added(known.recent, WELL if healed else BADLY)
        if not healed:
            known.failed += 1
            return
        known.succeeded += 1
        origins = origins_of(parameters, incident)
        known.origins = origins if known.first else merged_origins(known.origins, origins)
        known.first = False
        known.profile = merged(known.profile, profile_of(incident))

    def _shadow(
        self,
        incident: dict[str, Any],
        pattern: str,
        chosen: str | None,
        parameters: dict[str, Any],
        *,
        healed: bool,
    ) -> None:
        for grown in self._grown.values():
            if grown.state == SHADOW and grown.pattern == pattern:
                choice = None if chosen is None else f"{RUNBOOK}:{chosen}"
                seen = Seen(new_id(), pattern, incident, choice, parameters, healed=healed)
                verdict = judged(grown.document, grown.choice, seen)
                grown.shadow_right += verdict == RIGHT
                grown.shadow_wrong += verdict == WRONG

    def _ran(self, grown: _Grown, *, healed: bool) -> None:
        assert self._criteria is not None
        grown.recent = added(grown.recent, WELL if healed else BADLY)
        grown.stage_well += healed
        if stages.regressed(grown.watched(), self._criteria) is not None:
            self._retire(grown)

    def _turn(self) -> None:
        assert self._criteria is not None
        moved = False
        for grown in list(self._grown.values()):
            if stages.regressed(grown.watched(), self._criteria) is not None:
                self._retire(grown)
                continue
            to = stages.goes_on(grown.watched(), self._criteria)
            if to is not None:
                grown.state, grown.stage_well, grown.recent = to, 0, ""
                moved = True
        for place in sorted(self._changed):
            moved = self._propose(place) or moved
        self._changed.clear()
        if moved:
            self._compile()

    def _propose(self, place: tuple[str, str]) -> bool:
        assert self._criteria is not None
        if any((one.pattern, one.choice) == place for one in self._grown.values()):
            return False
        known = self._choices[place]
        record = Record(known.succeeded, known.failed, known.recent, known.profile, known.origins)
        if not evaluate(record, self._criteria).eligible or known.profile is None:
            return False
        pattern, choice = place
        self._generations[place] += 1
        rule_id = rule_id_of(pattern, choice, self._generations[place])
        candidate = CANDIDATES[choice.partition(":")[2]]
        try:
            document = grow(Ground(pattern, candidate, known.profile, known.origins), self._criteria, rule_id)
        except NotGrown:
            return False
        self._grown[rule_id] = _Grown(document, pattern, choice)
        self._figures.promoted += 1
        return True

    def _retire(self, grown: _Grown) -> None:
        self._figures.retired += 1
        del self._grown[grown.document["id"]]
        self._choices[grown.pattern, grown.choice] = _Choice()
        self._compile()

    def _compile(self) -> None:
        assert self._criteria is not None
        acting = [
            Rule.parse(
                grown.document
                if grown.state == FULL
                else narrowed(grown.document, self._criteria.canary_share)
            )
            for grown in self._grown.values()
            if grown.state in (CANARY, FULL)
        ]
        self._rules = RuleSet([*self._packs, *acting])

    def _pattern(self, incident: dict[str, Any]) -> str:
        # A kind's text differs in host and number alone, which no pattern holds.
        known = self._known.get(incident["check_type"])
        if known is None:
            known = self._known[incident["check_type"]] = pattern_signature(incident)
        return known

    def _level(self, fault: Fault, level: str) -> None:
        self._figures.levels[int(fault.at // (7 * DAY))][level] += 1

    def _to_person(self, fault: Fault, *, counted: bool = False, flapping: bool = False) -> None:
        if not counted:
            self._level(fault, "L3")
        if fault.cause is not None and not flapping:
            self._figures.missed_heals += 1
        told = (fault.kind.check_type, int(fault.at // HOUR))
        if told not in self._told:
            self._told.add(told)
            self._figures.messages += 1


def _pack_rule(kind: Kind) -> Iterator[dict[str, Any]]:
    if kind.known is not None:
        yield {
            "id": f"L1-{kind.check_type}",
            "priority": 100,
            "conditions": [{"field": "check_type", "operator": "eq", "value": kind.check_type}],
            "action": "execute_runbook",
            "runbook_id": kind.known,
            "source": "pack",
        }


def live(count: int, criteria: Criteria | None, seed: int = SEED) -> Figures:
    """Let tenants live through the month; the same seed is the same month, with the flywheel or without it."""
    figures = Figures()
    random = Random(seed)
    for number, tenant in enumerate(tenants(random, catalogue(random), count)):
        faults = month(Random(f"{seed} {number}"), tenant)
        Life(tenant, criteria, figures, seed + number).run(faults)
    return figures


def run(short: bool) -> dict[str, Any]:
    """Run the month twice; `short` has ten tenants."""
    count = 10 if short else TENANTS
    off, on = live(count, None), live(count, Criteria())
    small = asyncio.run(month_pipeline.live(SEED))
    first, second, _ = small["shares"]
    last = DAYS // 7 - 1
    people = count * OPERATORS * DAYS
    return {
        "benchmark": "month",
        "seed": SEED,
        "tenants": count,
        "weeks": {"off": _weeks(off), "on": _weeks(on)},
        "tables": [_shares(off, on), _figures(off, on, people)],
        "rows": [
            row(
                "L1 share in the last week", floor=_share(off, "L1", last), measured=_share(on, "L1", last),
                unit="of incidents", goal=1.05, by_week=[_share(on, "L1", week) for week in sorted(on.levels)],
                incidents=on.incidents, promoted=on.promoted, retired=on.retired,
            ),
            row(
                "L2 share in the last week", floor=_share(off, "L2", last), measured=_share(on, "L2", last),
                unit="of incidents", goal=0.9, more_is_better=False,
            ),
            row(
                "L3 share in the last week", floor=_share(off, "L3", last), measured=_share(on, "L3", last),
                unit="of incidents", goal=1.0, more_is_better=False,
            ),
            row(
                "false heals", floor=off.false_heals, measured=on.false_heals, unit="of a month", goal=1.1,
                more_is_better=False,
            ),
            row(
                "missed heals", floor=off.missed_heals, measured=on.missed_heals, unit="of a month", goal=1.0,
                more_is_better=False,
            ),
            row(
                "L2 share, real pipeline", floor=first["L2"], measured=second["L2"], unit="of incidents", goal=0.5,
                more_is_better=False, **small,
            ),
            row(
                "counted, real pipeline", floor=float(small["reported"]), measured=float(small["counted"]),
                unit="incidents", goal=1.0,
            ),
            row(
                "messages by operator and day", floor=off.messages / people, measured=on.messages / people,
                unit="messages", goal=1.0, more_is_better=False,
            ),
        ],
    }  # fmt: skip


def _weeks(figures: Figures) -> list[dict[str, Any]]:
    return [
        {"week": week + 1, **{level: _share(figures, level, week) for level in ("L1", "L2", "L3")}}
        for week in sorted(figures.levels)
    ]


def _shares(off: Figures, on: Figures) -> dict[str, Any]:
    """Return who decided, week by week, without the flywheel and with it."""
    levels = ("L1", "L2", "L3")
    rows = [
        [week + 1, *(f"{_share(figures, level, week):.1%}" for level in levels for figures in (off, on))]
        for week in sorted(on.levels)
    ]
    columns = ["week", *(f"{level} {word}" for level in levels for word in ("without", "with"))]
    return {
        "title": "who decided, by the week, without the flywheel and with it",
        "columns": columns,
        "rows": rows,
    }


def _figures(off: Figures, on: Figures, people: int) -> dict[str, Any]:
    """Return what came of the whole month."""
    rows = [
        [name, getattr(off, name.replace(" ", "_")), getattr(on, name.replace(" ", "_"))]
        for name in ("incidents", "false heals", "missed heals", "suppressed", "promoted", "retired")
    ]
    rows.append(
        ["messages by operator and day", *(f"{figures.messages / people:.2f}" for figures in (off, on))]
    )
    return {"title": "the whole month", "columns": ["", "without", "with"], "rows": rows}


def _share(figures: Figures, level: str, week: int) -> float:
    decided = figures.levels[week]
    return round(decided[level] / max(1, decided.total()), 4)


if __name__ == "__main__":
    main(run)
