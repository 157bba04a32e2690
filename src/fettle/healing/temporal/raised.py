"""The exception that a rule over time raises for what it found; pure."""

from collections.abc import Mapping
from typing import Any, Final

from fettle.healing.temporal.matching import named
from fettle.healing.temporal.moments import from_ms
from fettle.healing.temporal.rules import MILLIONTHS
from fettle.healing.temporal.simulation import Firing
from fettle.kernel.clock import rfc3339

SOURCE: Final = "fettle"
MOST_TOLD: Final = 20
"""So many exceptions and incidents are named in what is raised, the last of them."""

_PLAIN: Final = ("host", "site", "platform")
_OF_LABELS: Final = "labels."


def body_of(firing: Firing, incidents: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the exception that a firing raises.

    Args:
        firing: What was found.
        incidents: The incidents that exceptions went to, as far as that is known yet.
    """
    rule, fired = firing.rule, firing.fired
    key = named(rule, firing.key.values)
    ids = list(fired.ids)[-MOST_TOLD:]
    details: dict[str, Any] = {
        "rule_id": rule.id,
        "kind": rule.kind,
        "key": key,
        "count": fired.count,
        "exceptions": ids,
        "incidents": sorted({incidents[id_] for id_ in fired.ids if id_ in incidents})[:MOST_TOLD] if incidents else [],
    }  # fmt: skip
    if fired.total is not None:
        details["total"] = fired.total / MILLIONTHS
    if rule.within is not None:
        details["within_seconds"] = rule.within // 1000
    summary = rule.raises.get("summary", rule.title)
    about = ", ".join(f"{name.removeprefix('labels.')} {value}" for name, value in key.items())
    body: dict[str, Any] = {
        "check_type": rule.raises["check_type"],
        "source": SOURCE,
        "summary": f"{summary}: {about}"[:4_000] if about else summary,
        "dedup_key": f"{rule.id}:{firing.key.hash}",
        "status": "resolved" if fired.is_over else "firing",
        "occurred_at": rfc3339(from_ms(fired.at)),
        "details": details,
        "labels": {
            name.removeprefix(_OF_LABELS): str(value)
            for name, value in key.items()
            if name.startswith(_OF_LABELS)
        },
    }
    body |= {name: str(key[name])[:200] for name in _PLAIN if name in key}
    if "severity" in rule.raises:
        body["severity"] = rule.raises["severity"]
    return body
