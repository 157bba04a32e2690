"""What the features bring to a process: consumers, jobs, schedules and tools, by the rooms that they have."""

from collections.abc import Callable, Coroutine, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Final

from fettle.fleet.service import HostDirectory
from fettle.healing.brakes import guard
from fettle.kernel.bus import ConsumerSpec
from fettle.kernel.jobs import JobSpec, Schedule
from fettle.kernel.platform import Platform
from fettle.tools.catalogue import registry_of

Service = Callable[[Platform], Coroutine[None, None, None]]
"""Runs until it is cancelled."""

FEATURES: Final = (
    "identity",
    "packs",
    "incidents",
    "incidents.hooks",
    "healing",
    "healing.brakes",
    "healing.auditing",
    "healing.escalation",
    "healing.flywheel",
    "healing.muting",
    "healing.planner",
    "healing.temporal",
    "tools",
    "evidence",
    "trust",
    "fleet",
    "central",
)


def consumers() -> list[ConsumerSpec]:
    """Return every consumer group, of each feature's ``consumers.py``."""
    return [spec for room in _rooms("consumers") for spec in room.CONSUMERS]


def jobs() -> dict[str, JobSpec]:
    """Return every kind of job by name, of each feature's ``tasks.py``."""
    return {spec.name: spec for room in _rooms("tasks") for spec in getattr(room, "JOBS", ())}


def schedules() -> dict[str, Schedule]:
    """Return everything that returns on its own, of each feature's ``tasks.py``."""
    return {entry.name: entry for room in _rooms("tasks") for entry in getattr(room, "SCHEDULE", ())}


def services() -> list[Service]:
    """Return what runs beside the consumers in a worker process, of each feature's ``consumers.py``."""
    return [service for room in _rooms("consumers") for service in getattr(room, "SERVICES", ())]


def equip(platform: Platform) -> None:
    """Give a process what features lend each other: the tools of each feature's ``tools.py``, and the hosts."""
    registry = registry_of(platform)
    for room in _rooms("tools"):
        room.register(registry)
    platform.parts["hosts"] = HostDirectory(platform)
    guard.register(platform)


def _rooms(name: str) -> Iterator[ModuleType]:
    for feature in FEATURES:
        full = f"fettle.{feature}.{name}"
        if find_spec(full) is not None:
            yield import_module(full)
