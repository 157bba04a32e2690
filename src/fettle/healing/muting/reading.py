"""Reads what is stored, in packs and in a policy as what mutes; pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from fettle.healing.muting.inhibition import Dependency, Inhibition, Thing
from fettle.healing.muting.matching import MatcherError, Matchers, any_of
from fettle.healing.muting.mutes import SILENCE, MuteSet, Timed
from fettle.healing.muting.recurring import Recurrence, When

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def mute_set(
    stored: Iterable[tuple[str, str, Mapping[str, Any]]],
    policy: Mapping[str, Any],
    dependencies: Iterable[Mapping[str, Any]] = (),
) -> MuteSet:
    """Return everything that is set.

    Args:
        stored: Id, kind and document of the tenant's own.
        policy: Its Policy Pack.
        dependencies: Of its packs.
    """
    own = list(stored)
    return MuteSet(
        timed=(
            *(timed_of(key, kind, document) for key, kind, document in own if kind in {"silence", "window"}),
            *_of_policy(policy),
        ),
        inhibitions=tuple(
            inhibition_of(key, document) for key, kind, document in own if kind == "inhibition"
        ),
        dependencies=(
            *(dependency_of(key, document) for key, kind, document in own if kind == "dependency"),
            *_of_packs(dependencies),
        ),
    )


def timed_of(key: str, kind: str, document: Mapping[str, Any]) -> Timed:
    """Return a silence or a window of its document."""
    return Timed(
        id=key,
        effect=SILENCE if kind == "silence" else str(document["effect"]),
        title=str(document["title"]),
        matchers=Matchers.parse(document["matchers"]),
        when=when_of(document),
    )


def when_of(document: Mapping[str, Any]) -> When:
    """Return when something holds, of its ``starts_at``, ``ends_at`` and ``recurrence``."""
    recurrence = document.get("recurrence")
    return When(
        starts_at=_moment(document.get("starts_at")),
        ends_at=_moment(document.get("ends_at")),
        recurrence=None if recurrence is None else recurrence_of(recurrence),
    )


def recurrence_of(document: Mapping[str, Any]) -> Recurrence:
    """Return hours of weekdays, of ``weekdays``, ``from``, ``to`` and ``timezone``."""
    return Recurrence(
        weekdays=frozenset(WEEKDAYS.index(day) for day in document["weekdays"]),
        begins=time.fromisoformat(document["from"]),
        ends=time.fromisoformat(document["to"]),
        zone=ZoneInfo(document["timezone"]),
    )


def inhibition_of(key: str, document: Mapping[str, Any]) -> Inhibition:
    """Return an inhibition of its document."""
    return Inhibition(
        id=key,
        title=str(document["title"]),
        source=Matchers.parse(document["source"]),
        target=Matchers.parse(document["target"]),
        equal=tuple(document["equal"]),
    )


def dependency_of(key: str, document: Mapping[str, Any]) -> Dependency:
    """Return a dependency of its document."""
    return Dependency(
        id=key,
        title=str(document["title"]),
        dependents=tuple(Thing(one["kind"], one["name"]) for one in document["dependents"]),
        on=Thing(document["on"]["kind"], document["on"]["name"]),
        down=Matchers.parse(document["down"]),
    )


def _of_packs(declared: Iterable[Mapping[str, Any]]) -> Iterator[Dependency]:
    for one in declared:
        try:
            yield dependency_of(f"pack:{one['pack_id']}/{one['id']}", one)
        except MatcherError:
            continue  # rather told too much than nothing muted at all


def _of_policy(policy: Mapping[str, Any]) -> Iterator[Timed]:
    for number, silence in enumerate(policy.get("silences") or ()):
        narrowed = [
            any_of(name, silence[many])
            for name, many in (("check_type", "check_types"), ("host", "hosts"))
            if silence.get(many)
        ]
        ends = When(ends_at=_moment(silence["until"]))
        yield Timed(f"policy:silences/{number}", SILENCE, silence["reason"], Matchers.parse(narrowed), ends)
    for number, window in enumerate(policy.get("maintenance_windows") or ()):
        sites = [any_of("site", window["sites"])] if window.get("sites") else []
        yield Timed(
            f"policy:maintenance_windows/{number}",
            window["effect"],
            window["title"],
            Matchers.parse(sites),
            When(recurrence=recurrence_of(window)),
        )


def _moment(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(str(text))
