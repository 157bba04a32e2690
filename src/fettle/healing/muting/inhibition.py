"""Inhibition as in Alertmanager, and dependencies between things: what is down mutes what hangs on it; pure.

An incident that is on both sides of an inhibition is not muted by another of which the same is true, so nothing
mutes itself. A thing that hangs on what hangs on it mutes neither. Of incidents that mute each other all the same,
because of several things that are set or because each is about several things, one is told: one that nothing else
keeps still, then the one about the wider thing, then the more severe, then the oldest.
"""

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from uuid import UUID

from fettle.healing.muting.grounds import Cause, Grounds
from fettle.healing.muting.matching import Matchers
from fettle.incidents.history import SEVERITIES

HOST: Final = "host"
SITE: Final = "site"
SERVICE: Final = "service"
KINDS: Final = (HOST, SITE, SERVICE)
_WIDEST_FIRST: Final = (SITE, SERVICE, HOST)


_NOTHING: Final = Cause("", ""), Cause("", "")


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
        firing: Everything that is not over and that a source may hold for; the first is named as the reason.
        is_still: Whether something else keeps an incident still. It mutes all the same, but is the last to be told.
    """

    def __init__(
        self,
        inhibitions: Sequence[Inhibition],
        dependencies: Sequence[Dependency],
        firing: Iterable[Firing],
        is_still: Callable[[Firing], bool] = lambda _: False,
    ) -> None:
        self._inhibitions = inhibitions
        self._dependencies = dependencies
        self._firing = {one.id: one for one in firing}
        self._is_still = is_still
        self._edges: dict[Thing, Sequence[Dependency]] = {}
        self._grounds = Grounds(lambda source: self._causes(self._firing[source].labels), self._rank)

    def inhibited(self, incident_id: UUID, labels: Mapping[str, str]) -> Inhibited | None:
        """Return why an incident is inhibited, None where it is not."""
        if incident_id in self._firing:
            ground = self._grounds.of(incident_id)
        else:
            # It mutes nothing, so whatever mutes it is a reason.
            ground = next(((cause, cause.sources[0]) for cause in self._causes(labels)), None)
        return None if ground is None else Inhibited(ground[0].by, ground[0].title, ground[1])

    @cached_property
    def _sources(self) -> Mapping[str, Mapping[tuple[str, ...], tuple[Cause, Cause]]]:
        """Of each inhibition by its equal labels, what fires, and what of that is not a target as well."""
        found: dict[str, dict[tuple[str, ...], tuple[Cause, Cause]]] = {}
        for one in self._inhibitions:
            held = found.setdefault(one.id, {})
            for firing in self._firing.values():
                if one.source.hold(firing.labels):
                    key = _values(firing.labels, one.equal)
                    if key not in held:
                        held[key] = Cause(one.id, one.title), Cause(one.id, one.title)
                    every, pure = held[key]
                    every.sources.append(firing.id)
                    if not one.target.hold(firing.labels):
                        pure.sources.append(firing.id)
        return found

    @cached_property
    def _down(self) -> Mapping[str, Cause]:
        """Of each dependency, the incidents that say that what it hangs on is down."""
        return {
            one.id: Cause(
                one.id, one.title, [it.id for it in self._firing.values() if _says_down(one, it.labels)]
            )
            for one in self._dependencies
        }

    def _causes(self, labels: Mapping[str, str]) -> list[Cause]:
        """Return what mutes an incident, itself never among the sources; without regard to what mutes those."""
        found: list[Cause] = []
        for one in self._inhibitions:
            if one.target.hold(labels):
                every, pure = self._sources[one.id].get(_values(labels, one.equal), _NOTHING)
                found.append(pure if one.source.hold(labels) else every)
        for thing in things_of(labels) if self._dependencies else ():
            found += [self._down[edge.id] for edge in self._hanging(thing) if not _says_down(edge, labels)]
        return [cause for cause in found if cause.sources]

    def _hanging(self, thing: Thing) -> Sequence[Dependency]:
        """Return the dependencies by which a thing hangs on what does not hang on it."""
        return [
            edge
            for edge in self._behind(thing)
            if not any(one.on.covers(thing) for one in self._behind(edge.on))
        ]

    def _behind(self, thing: Thing) -> Sequence[Dependency]:
        """Return `hangs_on` of a thing, found once: many incidents are about the same."""
        if thing not in self._edges:
            self._edges[thing] = hangs_on(self._dependencies, thing)
        return self._edges[thing]

    def _rank(self, incident_id: UUID) -> tuple[bool, int, int, UUID]:
        """Return the place of an incident among those that mute each other; the first is told."""
        firing = self._firing[incident_id]
        severity = firing.labels.get("severity", "")
        place = SEVERITIES.index(severity) if severity in SEVERITIES else -1
        return self._is_still(firing), self._width(firing.labels), -place, incident_id

    def _width(self, labels: Mapping[str, str]) -> int:
        """Return 0 for the widest: what it says is down, else what it is about, which lies in the wider things."""
        down = [one.on.kind for one in self._dependencies if _says_down(one, labels)]
        if down:
            return min(_WIDEST_FIRST.index(kind) for kind in down)
        about = [_WIDEST_FIRST.index(thing.kind) for thing in things_of(labels)]
        return max(about, default=len(_WIDEST_FIRST))


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
