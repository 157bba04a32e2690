"""What brakes stand now, for every tenant: read once for all who ask, and never older than half a second."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.healing.brakes.breaking import Circuit, Standing
from fettle.healing.brakes.limits import HOST, PLAYBOOK, TENANT, TOOL
from fettle.kernel.clock import rfc3339
from fettle.kernel.platform import Platform
from fettle.tools.remembering import Remembered

STOP_SWITCH: Final = "stop_switch"
BREAKER_OPEN: Final = "breaker_open"

FRESH_SECONDS: Final = 0.3
_PART: Final = "healing.brakes"

_STOPS: Final = """
SELECT NULL::uuid AS tenant_id, id, reason, stopped_by, stopped_at FROM platform_stops WHERE lifted_at IS NULL
UNION ALL
SELECT tenant_id, id, reason, stopped_by, stopped_at FROM healing_stops WHERE lifted_at IS NULL
"""
_BREAKERS: Final = "SELECT * FROM circuit_breakers WHERE state <> 'closed'"


@dataclass(frozen=True, slots=True)
class Brake:
    """Why nothing acts by itself here.

    Attributes:
        reason: A stable word.
        detail: What to tell people.
        told: Which switch or breaker, for events.
    """

    reason: str
    detail: str
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop switch that is pressed; without a tenant it is the installation's."""

    id: UUID
    tenant_id: UUID | None
    reason: str
    by: str
    at: datetime

    def brake(self) -> Brake:
        """Return it as what stands in the way."""
        whose = "of the installation" if self.tenant_id is None else "of the tenant"
        detail = f"The stop switch {whose} was pressed by {self.by}: {self.reason}"
        told = {"stop_id": str(self.id), "by": self.by, "since": rfc3339(self.at)}
        return Brake(STOP_SWITCH, detail, told)


@dataclass(frozen=True, slots=True)
class Brakes:
    """What stands for one tenant.

    Attributes:
        stop: The switch that is pressed, the installation's first.
        breakers: Those that are not closed, by kind and key.
    """

    stop: Stop | None = None
    breakers: Mapping[tuple[str, str], Circuit] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether anything stands at all."""
        return self.stop is not None or bool(self.breakers)

    def stopping(self) -> Brake | None:
        """Return the stop switch, if it is pressed."""
        return None if self.stop is None else self.stop.brake()

    def on(self, *, playbook: str, host: str, tools: Iterable[str], now: datetime) -> Brake | None:
        """Return what stands in the way of a plan; a breaker that lets somebody try does not."""
        if self.stop is not None:
            return self.stop.brake()
        if not self.breakers:
            return None
        for name in names_of(playbook=playbook, host=host, tools=tools):
            circuit = self.breakers.get(name)
            if circuit is not None and circuit.standing is Standing.OPEN:
                until = circuit.open_until
                if until is None or now < until:
                    return breaker_brake(name, circuit)
        return None


def names_of(*, playbook: str, host: str, tools: Iterable[str]) -> list[tuple[str, str]]:
    """Return the breakers that bear on a plan, by kind and key."""
    hosts = [(HOST, host)] if host else []
    return [(TENANT, ""), (PLAYBOOK, playbook), *hosts, *((TOOL, tool) for tool in sorted(tools))]


def breaker_brake(name: tuple[str, str], circuit: Circuit) -> Brake:
    """Return an open breaker as what stands in the way."""
    kind, key = name
    what = "this tenant" if kind == TENANT else f"the {kind} {key}"
    until = circuit.open_until
    ends = "until somebody resets it" if until is None else f"until {rfc3339(until)}"
    told = {"breaker": {"kind": kind, "key": key}, "until": None if until is None else rfc3339(until)}
    return Brake(BREAKER_OPEN, f"The circuit breaker of {what} is open {ends}.", told)


class AllBrakes:
    """One process's view of all brakes.

    Args:
        platform: The process's parts.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._known: Remembered[str, dict[UUID | None, Brakes]]
        self.forget()

    def forget(self) -> None:
        """Read anew before the next answer."""
        self._known = Remembered(self._read, fresh_seconds=FRESH_SECONDS)

    async def of(self, tenant_id: UUID) -> Brakes:
        """Return what stands for a tenant."""
        known = await self._known.get("all")
        own, everywhere = known.get(tenant_id), known.get(None)
        if everywhere is None:
            return own or Brakes()
        return Brakes(everywhere.stop, own.breakers if own is not None else {})

    async def _read(self, _: str) -> dict[UUID | None, Brakes]:
        async with self._platform.database.raw_system() as connection:
            stops = await connection.fetch(_STOPS)
            rows = await connection.fetch(_BREAKERS)
        pressed = {
            row["tenant_id"]: Stop(
                row["id"], row["tenant_id"], row["reason"], row["stopped_by"], row["stopped_at"]
            )
            for row in stops
        }
        breakers: defaultdict[UUID | None, dict[tuple[str, str], Circuit]] = defaultdict(dict)
        for row in rows:
            breakers[row["tenant_id"]][row["kind"], row["key"]] = circuit_of(row)
        return {
            tenant: Brakes(pressed.get(tenant), breakers.get(tenant, {}))
            for tenant in pressed.keys() | breakers.keys()
        }


def brakes_of(platform: Platform) -> AllBrakes:
    """Return the process's view of all brakes."""
    found = platform.parts.get(_PART)
    if not isinstance(found, AllBrakes):
        found = platform.parts[_PART] = AllBrakes(platform)
    return found


def circuit_of(row: asyncpg.Record) -> Circuit:
    """Make a circuit of its row."""
    return Circuit(
        standing=Standing(row["state"]),
        failures=tuple(row["failures"]),
        times_opened=row["times_opened"],
        opened_at=row["opened_at"],
        open_until=row["open_until"],
        probe=row["probe_run_id"],
        probe_until=row["probe_until"],
    )
