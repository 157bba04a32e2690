"""Rules over time that tests are about."""

from fettle.healing.temporal.rules import TemporalRule

CHECK = [{"field": "check_type", "operator": "eq", "value": "a"}]
OTHER = [{"field": "check_type", "operator": "eq", "value": "b"}]

COUNT = {"kind": "count", "conditions": CHECK, "times": 3, "within_seconds": 10}
SEQUENCE = {
    "kind": "sequence",
    "steps": [{"conditions": CHECK, "times": 2}, {"conditions": OTHER}],
    "within_seconds": 10,
}
MISSING = {"kind": "missing", "conditions": CHECK, "awaits": OTHER, "within_seconds": 10, "late_seconds": 5}
ABSENCE = {"kind": "absence", "conditions": CHECK, "within_seconds": 10, "late_seconds": 5}
ONCE = {"kind": "once", "conditions": CHECK, "within_seconds": 10}
ACCUMULATE = {"kind": "accumulate", "conditions": CHECK, "field": "details.bytes", "threshold": 100}

EVERY_KIND = (COUNT, SEQUENCE, MISSING, ABSENCE, ONCE, ACCUMULATE)


def document(like, **more):
    """Return a whole rule like one of the above."""
    return {"id": "T-1", "title": "A rule", "by": ["host"], "raises": {"check_type": "c"}, **like, **more}


def rule(like, **more):
    """Return it read."""
    return TemporalRule.parse(document(like, **more))
