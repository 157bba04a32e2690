"""Inhibition as in Alertmanager, and dependencies between things: what is down mutes what hangs on it; pure.

An incident that is on both sides of an inhibition is not muted by another of which the same is true, so nothing
mutes itself. A thing that hangs on what hangs on it mutes neither, so that of a circle somebody is still told.
"""

import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from uuid import UUID

from fettle.healing.muting.matching import Matchers

HOST: Final = "host"
SITE: Final = "site"
SERVICE: Final = "service"
KINDS: Final = (HOST, SITE, SERVICE)


@dataclass(frozen=True, slots=True)
class Firing:
    """An incident that is not over, and what it is known by."""

    id: UUID
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While something fires that the source holds for, what the target holds for is muted.

    Attributes:
        equal: Names of which both have the same value; missing is the same as empty.
    """

    id: str
    title: str
    source: Matchers
    target: Matchers
    equal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Thing:
    """A host, a site or a service; its name may hold stars where it stands for many."""

    kind: str
    name: str

    def covers(self, other: "Thing") -> bool:
        """Say whether it stands for another, without regard to case."""
        return self.kind == other.kind and fnmatch.fnmatchcase(
            other.name.lower(), self.name.lower().replace("[", "[[]").replace("?", "[?]")
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Dependency:
    """Things that hang on another.

    Attributes:
        dependents: What hangs on it.
        on: What they hang on.
        down: Which incidents about it say that it is down.
    """

    id: str
    title: str
    dependents: tuple[Thing, ...]
    on: Thing
    down: Matchers


@dataclass(frozen=True, slots=True)
class Inhibited:
    """Why something is inhibited.

    Attributes:
        by: The inhibition's or the dependency's id.
        source: The incident that fires.
    """

    by: str
    title: str
    source: UUID


def things_of(labels: Mapping[str, str]) -> tuple[Thing, ...]:
    """Return what an incident is about."""
    return tuple(Thing(kind, labels[kind]) for kind in KINDS if labels.get(kind))


class Inhibitor:
    """Says what is inhibited by what fires now.

    Args:
        inhibitions: In the order in which they are asked.
        dependencies: Likewise.
        firing: Everything that is not over and that a source may hold for.
    """

    def __init__(
        self, inhibitions: Sequence[Inhibition], dependencies: Sequence[Dependency], firing: Iterable[Firing]
    ) -> None:
        self._inhibitions = inhibitions
        self._dependencies = dependencies
        self._firing = tuple(firing)

    @cached_property
    def _sources(self) -> Mapping[str, Mapping[tuple[str, ...], Sequence[tuple[UUID, bool]]]]:
        """Of each inhibition, what fires by its equal labels, and whether it is a target as well."""
        found: dict[str, defaultdict[tuple[str, ...], list[tuple[UUID, bool]]]] = {}
        for one in self._inhibitions:
            held = found.setdefault(one.id, defaultdict(list))
            for firing in self._firing:
                if one.source.hold(firing.labels):
                    key = _values(firing.labels, one.equal)
                    held[key].append((firing.id, one.target.hold(firing.labels)))
        return found

    @cached_property
    def _down(self) -> Mapping[str, Sequence[UUID]]:
        """Of each dependency, the incidents that say that what it hangs on is down."""
        return {
            one.id: [firing.id for firing in self._firing if _says_down(one, firing.labels)]
            for one in self._dependencies
        }

    def inhibited(self, incident_id: UUID, labels: Mapping[str, str]) -> Inhibited | None:
        """Return why an incident is inhibited, None where it is not."""
        for one in self._inhibitions:
            if not one.target.hold(labels):
                continue
            is_source = one.source.hold(labels)
            for source, is_target in self._sources[one.id].get(_values(labels, one.equal), ()):
                if source != incident_id and not (is_source and is_target):
                    return Inhibited(one.id, one.title, source)
        return self._depends(incident_id, labels)

    def _depends(self, incident_id: UUID, labels: Mapping[str, str]) -> Inhibited | None:
        about = things_of(labels)
        for thing in about if self._dependencies else ():
            for edge in hangs_on(self._dependencies, thing):
                if _says_down(edge, labels):
                    continue
                if any(one.on.covers(thing) for one in hangs_on(self._dependencies, edge.on)):
                    continue
                source = next((one for one in self._down[edge.id] if one != incident_id), None)
                if source is not None:
                    return Inhibited(edge.id, edge.title, source)
        return None


def hangs_on(dependencies: Sequence[Dependency], thing: Thing) -> list[Dependency]:
    """Return the dependencies by which a thing hangs on others, nearest first, through any number of them."""
    found: list[Dependency] = []
    seen: set[str] = set()
    waiting = [thing]
    while waiting:
        current = waiting.pop(0)
        for one in dependencies:
            if one.id not in seen and any(dependent.covers(current) for dependent in one.dependents):
                seen.add(one.id)
                found.append(one)
                waiting.append(one.on)
    return found


def source_check_types(
    inhibitions: Iterable[Inhibition], dependencies: Iterable[Dependency]
) -> list[str] | None:
    """Return the check types of which sources are at most, None where a source may be of any."""
    exact = [one.source.exact("check_type") for one in inhibitions]
    exact += [one.down.exact("check_type") for one in dependencies]
    return None if None in exact else sorted({name for name in exact if name})


def _says_down(dependency: Dependency, labels: Mapping[str, str]) -> bool:
    return any(dependency.on.covers(thing) for thing in things_of(labels)) and dependency.down.hold(labels)


def _values(labels: Mapping[str, str], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in names)
