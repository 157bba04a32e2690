"""Why each of some incidents keeps still, so that every chain of reasons ends at one that is told; pure.

Of incidents that mute each other, directly or through others, those that something else mutes as well keep still
because of that. Where nothing else does, one of them is told, and the others keep still because of it. The answer
hangs on what fires alone, not on what came first or was muted before.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID


@dataclass(eq=False, slots=True)
class Cause:
    """Something set, and the incidents by which it mutes now.

    Attributes:
        by: What is set.
        sources: In the order in which they are named as the reason.
    """

    by: str
    title: str
    sources: list[UUID] = field(default_factory=list)


Ground: TypeAlias = tuple[Cause, UUID]
"""Why an incident keeps still: what is set, and the incident that fires."""

_Node: TypeAlias = UUID | Cause


class Grounds:
    """Finds why incidents keep still, looking only at what may have to do with those that are asked for.

    Args:
        causes: What mutes an incident, in the order in which it is named; each has a source, none the incident itself.
        rank: Of incidents that mute each other and that nothing else mutes, the one with the least is told.
    """

    def __init__(self, causes: Callable[[UUID], Sequence[Cause]], rank: Callable[[UUID], Any]) -> None:
        self._read = causes
        self._rank = rank
        self._causes: dict[UUID, Sequence[Cause]] = {}
        self._grounds: dict[UUID, Ground | None] = {}
        self._done: set[_Node] = set()

    def of(self, incident_id: UUID) -> Ground | None:
        """Return why an incident keeps still, None where it is told."""
        if incident_id not in self._grounds:
            self._explore(incident_id)
        return self._grounds[incident_id]

    def _onward(self, node: _Node) -> Iterator[_Node]:
        if isinstance(node, Cause):
            return iter(node.sources)
        self._causes[node] = self._read(node)
        return iter(self._causes[node])

    def _explore(self, start: UUID) -> None:
        """Settle all that may mute an incident, ring by ring, what mutes before what is muted (Tarjan)."""
        met: dict[_Node, int] = {start: 0}
        low: dict[_Node, int] = {start: 0}
        waiting: list[_Node] = [start]
        path: list[tuple[_Node, Iterator[_Node]]] = [(start, self._onward(start))]
        while path:
            node, onward = path[-1]
            following = next((one for one in onward if one not in self._done), None)
            if following is None:
                path.pop()
                if path:
                    before = path[-1][0]
                    low[before] = min(low[before], low[node])
                if low[node] == met[node]:
                    ring = [waiting.pop()]
                    while ring[-1] != node:
                        ring.append(waiting.pop())
                    self._settle(ring)
            elif following in met:
                low[node] = min(low[node], met[following])
            else:
                met[following] = low[following] = len(met)
                waiting.append(following)
                path.append((following, self._onward(following)))

    def _settle(self, ring: Sequence[_Node]) -> None:
        """Say why each of those keeps still that mute each other, or of the one that is alone."""
        self._done.update(ring)
        members = sorted(one for one in ring if isinstance(one, UUID))
        if len(members) == 1:
            causes = self._causes[members[0]]
            self._grounds[members[0]] = (causes[0], causes[0].sources[0]) if causes else None
        elif members:
            self._settle_ring(members)

    def _settle_ring(self, members: Sequence[UUID]) -> None:
        """Let those keep still because of what is outside that something outside mutes; else let one be told."""
        inside = set(members)
        outside: dict[Cause, UUID | None] = {}
        grounds: dict[UUID, Ground | None] = {}
        for member in members:
            for cause in self._causes[member]:
                if cause not in outside:
                    outside[cause] = next((one for one in cause.sources if one not in inside), None)
                source = outside[cause]
                if source is not None:
                    grounds.setdefault(member, (cause, source))
        if not grounds:
            grounds[min(members, key=self._rank)] = None
        self._grounds.update(self._spread(members, grounds))

    def _spread(
        self, members: Sequence[UUID], grounds: dict[UUID, Ground | None]
    ) -> Mapping[UUID, Ground | None]:
        """Let the others of a ring keep still because of the nearest that has its ground already."""
        muted_by: defaultdict[Cause, list[UUID]] = defaultdict(list)
        for member in members:
            for cause in self._causes[member]:
                muted_by[cause].append(member)
        mutes: defaultdict[UUID, list[Cause]] = defaultdict(list)
        for cause in muted_by:
            for source in cause.sources:
                mutes[source].append(cause)
        reached = deque(member for member in members if member in grounds)
        while reached:
            source = reached.popleft()
            for cause in mutes[source]:
                # Whom a cause mutes, it mutes by the first of its sources that is reached.
                for member in muted_by.pop(cause, ()):
                    if member not in grounds:
                        grounds[member] = (cause, source)
                        reached.append(member)
        return grounds
