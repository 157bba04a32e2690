"""Schedules and policies as they are stored, read into what the algorithms work on; no I/O."""

from collections.abc import Iterable, Mapping
from datetime import datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fettle.healing.escalation.policies import Match, Policy, Quiet, Step, Storm, Target
from fettle.healing.escalation.schedules import Layer, Override, Schedule, Unit, Window


def schedule_of(document: Mapping[str, Any]) -> Schedule:
    """Read a stored schedule."""
    return Schedule(
        zone=ZoneInfo(document["time_zone"]),
        layers=tuple(_layer(one) for one in document["layers"]),
        overrides=tuple(
            Override(
                UUID(one["person"]) if one["person"] else None,
                datetime.fromisoformat(one["begins"]),
                datetime.fromisoformat(one["ends"]),
            )
            for one in document["overrides"]
        ),
    )


def policy_of(document: Mapping[str, Any]) -> Policy:
    """Read a stored policy."""
    match = document["match"]
    return Policy(
        match=Match(
            frozenset(match["severities"]), frozenset(match["check_types"]), frozenset(match["sites"])
        ),
        steps=tuple(Step(_targets(step["targets"]), step["wait_seconds"]) for step in document["steps"]),
        repeats=document["repeats"],
        fallback=_targets(document["fallback"]),
        quiet=tuple(
            Quiet(_window(one), ZoneInfo(one["time_zone"]), frozenset(one["severities"]))
            for one in document["quiet_hours"]
        ),
        storm=Storm(**document["storm"]),
        delay_seconds=document.get("delay_seconds", 0),
    )


def _layer(document: Mapping[str, Any]) -> Layer:
    return Layer(
        people=tuple(UUID(person) for person in document["people"]),
        starts=datetime.fromisoformat(document["starts"]),
        unit=Unit(document["unit"]),
        length=document["length"],
        windows=tuple(_window(one) for one in document["windows"]),
    )


def _window(document: Mapping[str, Any]) -> Window:
    return Window(
        frozenset(document["days"]),
        time.fromisoformat(document["begins"]),
        time.fromisoformat(document["ends"]),
    )


def _targets(documents: Iterable[Mapping[str, Any]]) -> tuple[Target, ...]:
    return tuple(
        Target(UUID(one["channel_id"]), _id(one["schedule_id"]), _id(one["user_id"])) for one in documents
    )


def _id(text: str | None) -> UUID | None:
    return UUID(text) if text else None
