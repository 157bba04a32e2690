"""Rules over time on a history of exceptions, in memory alone: for packs' test cases and for what a rule would do."""

import heapq
from collections import Counter, OrderedDict, defaultdict
from datetime import datetime
from typing import NamedTuple

from fettle.healing.temporal.kinds import Fired, due_at, expect, strike, take
from fettle.healing.temporal.matching import Key, Sighting, TemporalRules, Touch, expected_key
from fettle.healing.temporal.moments import KeyState, to_ms
from fettle.healing.temporal.rules import TemporalRule


class Firing(NamedTuple):
    """What a rule found, and for which key."""

    rule: TemporalRule
    key: Key
    fired: Fired


class Simulation:
    """What some rules remember while a history goes by, within the same limits as in earnest.

    Attributes:
        outcomes: For each rule, what became of the exceptions that it saw.
        forgotten: For each rule, how many keys there was no room for.
    """

    def __init__(self, rules: TemporalRules, since: datetime) -> None:
        self._rules = rules
        self._keys: defaultdict[str, OrderedDict[Key, KeyState]] = defaultdict(OrderedDict)
        self._due: list[tuple[int, str, Key]] = []
        self.outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.forgotten: Counter[str] = Counter()
        for rule in rules.expecting:
            for values in rule.expected:
                key = expected_key(rule, values)
                self._keys[rule.id][key] = state = expect(to_ms(since))
                self._wait(rule, key, state)

    def see(self, sighting: Sighting) -> list[Firing]:
        """Let time pass up to an exception, and let the rules see it; returns what they found."""
        found = self.pass_time(sighting.received_at)
        for touch in self._rules.touched(sighting):
            fired = self._take(touch)
            if fired is not None:
                found.append(Firing(touch.rule, touch.key, fired))
        return found

    def pass_time(self, now: datetime) -> list[Firing]:
        """Let time pass; returns what is missing by now."""
        found = []
        until = to_ms(now)
        while self._due and self._due[0][0] <= until:
            _, rule_id, key = heapq.heappop(self._due)
            rule, state = self._rules.rules[rule_id], self._keys[rule_id].get(key)
            if state is None:
                continue
            fired = strike(rule, state, until)
            if fired is not None:
                found.append(Firing(rule, key, fired))
            self._wait(rule, key, state)
        return found

    def remembered(self, rule_id: str) -> dict[Key, KeyState]:
        """Return what a rule remembers now."""
        return dict(self._keys[rule_id])

    def _take(self, touch: Touch) -> Fired | None:
        rule, key = touch.rule, touch.key
        keys = self._keys[rule.id]
        state = keys.get(key)
        if state is None:
            if len(keys) >= rule.most_keys:
                self.forgotten[rule.id] += 1
                if rule.is_timed:
                    return None
                keys.popitem(last=False)
            state = keys[key] = KeyState()
        keys.move_to_end(key)
        taken = take(rule, state, touch.arrival)
        self.outcomes[rule.id][taken.outcome] += 1
        self._wait(rule, key, state)
        return taken.fired

    def _wait(self, rule: TemporalRule, key: Key, state: KeyState) -> None:
        due = due_at(rule, state)
        if due is not None:
            heapq.heappush(self._due, (due, rule.id, key))
