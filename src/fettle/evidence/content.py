"""What a bundle proves of an incident: what was out of order, decided, let through, done and checked; pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fettle.evidence.canonical import NotCanonicalError, canonical, canonical_of_parsed
from fettle.kernel.clock import rfc3339
from fettle.kernel.events import Event

_SAFE_INTEGER: Final = 2**53 - 1
_LONG_NUMBER: Final = re.compile(rb"[:,\[]-?(?:[0-9]{16}|[0-9.]+[eE])")
"""Matches wherever a compact serialisation holds a number beyond 2^53, and now and then inside of a text."""
_MOST_TOLD: Final = 2_000
_INCIDENT_FIELDS: Final = (
    "number", "title", "check_type", "host", "site", "platform", "source", "fingerprint", "pack_id", "labels",
    "details",
)  # fmt: skip
_PLAN_FIELDS: Final = ("level", "rule_id", "action", "plan_hash", "explanation", "autonomy", "plan")
_PERMISSION_TYPES: Final = ("approval.requested", "approval.given", "plan.approved", "plan.rejected")
_STEP_TYPES: Final = ("step.started", "step.succeeded", "step.failed")


def bundle_content(timeline: Sequence[Event]) -> dict[str, Any]:
    """Return the content of an incident's bundle.

    Args:
        timeline: All events of the incident and its runs, in the order of the store.

    Raises:
        NotCanonicalError: An event has no canonical form.
    """
    first = next((event.data for event in timeline if event.type == "incident.opened"), {})
    last = timeline[-1]
    content: dict[str, Any] = plain_form(
        {
            "incident": {name: first[name] for name in _INCIDENT_FIELDS if first.get(name) is not None},
            "outcome": {
                "state": last.data.get("state"),
                "resolution": last.data.get("resolution"),
                "actor": _actor(last),
            },
            "occurrences": sum(
                event.data.get("count", 0) for event in timeline if event.stream_type == "incident"
            ),
            "decisions": [
                _picked(event, _PLAN_FIELDS) for event in timeline if event.type == "plan.proposed"
            ],
            "gate": [event.data["gate"] for event in timeline if "gate" in event.data],
            "permissions": [
                _told(event, without=("plan",)) for event in timeline if event.type in _PERMISSION_TYPES
            ],
            "steps": [
                _told(event) for event in timeline if event.type in _STEP_TYPES and not _is_check(event)
            ],
            "checks": [_told(event) for event in timeline if event.type in _STEP_TYPES and _is_check(event)],
            "runs": [_told(event) for event in timeline if event.type == "playbook.completed"],
        }
    )
    return {**content, "timeline": _told_timeline(timeline)}


def _told_timeline(timeline: Sequence[Event]) -> list[dict[str, Any]]:
    """Name each event and its hash; of a very long timeline the middle is told by one hash over its hashes."""
    beginning, end = timeline, timeline[:0]
    omitted: list[dict[str, Any]] = []
    if len(timeline) > _MOST_TOLD:
        half = _MOST_TOLD // 2
        beginning, middle, end = timeline[:half], timeline[half:-half], timeline[-half:]
        hashes = "".join(map(event_hash, middle))
        omitted = [{"omitted": len(middle), "hash": hashlib.sha256(hashes.encode()).hexdigest()}]
    return [*map(_entry, beginning), *omitted, *map(_entry, end)]


def _entry(event: Event) -> dict[str, Any]:
    envelope = event.envelope()
    return {
        "id": envelope["id"],
        "stream": f"{event.stream_type}/{envelope['stream']['id']}",
        "version": event.version,
        "type": event.type,
        "at": envelope["occurred_at"],
        "hash": _envelope_hash(envelope),
    }


def event_hash(event: Event) -> str:
    """Return the hash of an event as it is stored, without its position, which another store may change.

    Raises:
        NotCanonicalError: It has no canonical form.
    """
    return _envelope_hash(event.envelope())


def _envelope_hash(envelope: dict[str, Any]) -> str:
    told = {name: value for name, value in envelope.items() if name != "position"}
    try:
        form = canonical_of_parsed(told)
    except NotCanonicalError:
        form = canonical(i_json(told))
    return hashlib.sha256(form).hexdigest()


def i_json(value: Any) -> Any:
    """Return a value as I-JSON (RFC 7493): an integer beyond 2^53 becomes text, since readers would round it."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if isinstance(value, dict):
        return {key: i_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [i_json(item) for item in value]
    if isinstance(value, int):
        return value if -_SAFE_INTEGER <= value <= _SAFE_INTEGER else str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) > _SAFE_INTEGER:
        return repr(value)
    return str(value) if isinstance(value, UUID) else value


def plain_form(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value as I-JSON and without members that are null.

    What is absent says as much as a null, and is cheaper to verify.
    """
    # Nearly every content is plain already, which its text shows many times faster than a walk through it.
    try:
        text = orjson.dumps(value)
    except TypeError:
        text = b"null"
    if b"null" not in text and _LONG_NUMBER.search(text) is None:
        return value
    plain: dict[str, Any] = _plain_form(value)
    return plain


def _plain_form(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {
            key: item if type(item) is str else _plain_form(item)
            for key, item in value.items()
            if item is not None
        }
    if kind is list:
        return [_plain_form(item) for item in value]
    return i_json(value)


def _is_check(event: Event) -> bool:
    return event.data.get("phase") == "verify"


def _picked(event: Event, names: Sequence[str]) -> dict[str, Any]:
    return {name: event.data[name] for name in names if name in event.data}


def _told(event: Event, *, without: Sequence[str] = ()) -> dict[str, Any]:
    data: Mapping[str, Any] = event.data
    kept = {name: value for name, value in data.items() if name not in without}
    return {
        **kept,
        "event": event.type,
        "event_id": str(event.id),
        "at": rfc3339(event.occurred_at),
        "actor": _actor(event),
    }


def _actor(event: Event) -> Any:
    return event.metadata.get("actor")
