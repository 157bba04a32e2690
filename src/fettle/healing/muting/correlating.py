"""Which different incidents may belong together, by the rules of packs; pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from fettle.healing.muting.matching import labels_of

LEAST: Final = 2


@dataclass(frozen=True, slots=True)
class CorrelationRule:
    """Incidents of these check types that have the same in common, opened within the window.

    Attributes:
        id: The pack's id and the rule's own.
        check_types: At least two different ones of these.
        same: Names of which all have the same value, which is not empty.
        window: Between the first and the last.
        cause: The check type that causes the others, None where nobody knows.
    """

    id: str
    title: str
    check_types: frozenset[str]
    same: tuple[str, ...]
    window: timedelta
    cause: str | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "CorrelationRule":
        """Return a rule of what a pack says."""
        return cls(
            id=f"{document['pack_id']}/{document['id']}",
            title=str(document["title"]),
            check_types=frozenset(document["check_types"]),
            same=tuple(document["same"]),
            window=timedelta(seconds=document["window_seconds"]),
            cause=document.get("cause"),
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """An incident, and what it is known by."""

    id: UUID
    check_type: str
    opened_at: datetime
    labels: Mapping[str, str]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Seen":
        """Return what is seen of an incident's row."""
        return cls(row["id"], row["check_type"], row["opened_at"], labels_of(row))


@dataclass(frozen=True, slots=True)
class Group:
    """Incidents that may belong together, the oldest first.

    Attributes:
        key: What they have in common.
        cause: Which may have caused the others.
    """

    rule: CorrelationRule
    key: str
    members: tuple[Seen, ...]
    cause: UUID | None


def groups_of(rules: Iterable[CorrelationRule], seen: Sequence[Seen]) -> list[Group]:
    """Return the groups among incidents: of each rule and key, as many as lie within a window of the first."""
    found = []
    for rule in rules:
        by_key: defaultdict[str, list[Seen]] = defaultdict(list)
        for one in seen:
            values = [one.labels.get(name, "") for name in rule.same]
            if one.check_type in rule.check_types and all(values):
                by_key[
                    ", ".join(f"{name}={value}" for name, value in zip(rule.same, values, strict=True))
                ].append(one)
        for key, members in sorted(by_key.items()):
            found += [_group(rule, key, run) for run in _runs(rule, members)]
    return found


def _runs(rule: CorrelationRule, members: list[Seen]) -> Iterable[list[Seen]]:
    """Yield the runs of incidents that lie within the window of their first, of two check types or more."""
    waiting = sorted(members, key=lambda one: (one.opened_at, one.id))
    while waiting:
        until = waiting[0].opened_at + rule.window
        run = [one for one in waiting if one.opened_at <= until]
        waiting = waiting[len(run) :]
        if len({one.check_type for one in run}) >= LEAST:
            yield run


def _group(rule: CorrelationRule, key: str, run: list[Seen]) -> Group:
    cause = next((one.id for one in run if one.check_type == rule.cause), None)
    return Group(rule, key, tuple(run), cause)
