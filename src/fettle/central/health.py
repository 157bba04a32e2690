"""Whether the parts answer, how fast, and how far the bus is behind; and the metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

import asyncpg
import structlog
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from pydantic import BaseModel, Field
from redis.exceptions import RedisError

from fettle import __version__
from fettle.healing.auditing import service as auditing
from fettle.healing.temporal import queries as temporal
from fettle.incidents.hooks.waiting import waiting_of
from fettle.kernel import bus_groups
from fettle.kernel.clock import utcnow
from fettle.kernel.platform import Platform

router = APIRouter(tags=["health"])

_PATIENCE_SECONDS: Final = 2.0
_FRESH_SECONDS: Final = 1.0
_LATE_SECONDS: Final = 60.0
_OLDEST_AUDIT_SECONDS: Final = 300.0
_FAILURES: Final = (OSError, TimeoutError, RedisError, asyncpg.PostgresError, asyncpg.InterfaceError)

Status = Literal["ok", "degraded", "down"]

_log = structlog.get_logger(__name__)


class PartHealth(BaseModel):
    """One part: the database, Redis, the bus, the auditor."""

    status: Status
    latency_ms: float = Field(description="How long it took to answer.")
    detail: dict[str, Any] = Field(default_factory=dict)


class Health(BaseModel):
    """The whole: down where the database or Redis is, degraded where the bus is late or work hangs."""

    status: Status
    version: str
    parts: dict[str, PartHealth]


class Alive(BaseModel):
    """That the process answers."""

    status: Literal["ok"] = "ok"


class HealthCheck:
    """Asks the parts at most once a second, however often it is asked itself."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._turn = asyncio.Lock()
        self._last: Health | None = None
        self._asked_at = float("-inf")
        self._groups: list[bus_groups.GroupLag] = []
        self._remembered = (0, 0)

    async def report(self) -> Health:
        """Return the health of each part."""
        async with self._turn:
            if self._last is None or time.monotonic() - self._asked_at > _FRESH_SECONDS:
                self._last = await self._ask()
                self._asked_at = time.monotonic()
            return self._last

    async def figures(self) -> list[Metric]:
        """Return how far each consumer group is behind, if the database answers, and what waits on this machine."""
        await self.report()
        lag = GaugeMetricFamily(
            "fettle_consumer_lag_events",
            "Events after a consumer group's slowest position.",
            labels=["group"],
        )
        late = GaugeMetricFamily(
            "fettle_consumer_lag_seconds", "Age of the oldest of them.", labels=["group"]
        )
        dead = GaugeMetricFamily(
            "fettle_dead_letters", "Events that a consumer group could not handle.", labels=["group"]
        )
        for group in self._groups:
            lag.add_metric([group.group], group.events)
            late.add_metric([group.group], group.seconds)
            dead.add_metric([group.group], group.dead)
        waiting = GaugeMetricFamily(
            "fettle_hooks_waiting_bytes",
            "Webhooks on this machine's disk that wait for the database.",
            value=waiting_of(self._platform).size(),
        )
        keys, size = self._remembered
        remembered = [
            GaugeMetricFamily("fettle_temporal_keys", "Keys that rules over time remember.", value=keys),
            GaugeMetricFamily("fettle_temporal_bytes", "What they take.", value=size),
        ]
        return [lag, late, dead, waiting, *remembered]

    async def _ask(self) -> Health:
        self._groups = []
        names = ("database", "redis", "bus", "auditor")
        answers = await asyncio.gather(
            _timed(self._ask_database),
            _timed(self._ask_redis),
            _timed(self._ask_bus),
            _timed(self._ask_auditor),
        )
        parts = dict(zip(names, answers, strict=True))
        statuses = {part.status for part in parts.values()}
        down = "down" in {parts["database"].status, parts["redis"].status}
        whole: Status = "down" if down else "ok" if statuses == {"ok"} else "degraded"
        return Health(status=whole, version=__version__, parts=parts)

    async def _ask_database(self) -> tuple[Status, dict[str, Any]]:
        async with self._platform.database.raw_app() as connection:
            await connection.fetchval("SELECT 1")
        return "ok", {}

    async def _ask_redis(self) -> tuple[Status, dict[str, Any]]:
        if self._platform.redis is None:
            return "down", {}
        await self._platform.redis.get("fettle:health")
        return "ok", {}

    async def _ask_bus(self) -> tuple[Status, dict[str, Any]]:
        async with self._platform.database.raw_system() as connection:
            self._groups = groups = await bus_groups.lag(connection)
            self._remembered = await temporal.remembered(connection)
        behind = max((group.seconds for group in groups if group.events), default=0.0)
        dead = sum(group.dead for group in groups)
        detail = {
            "events_behind": max((group.events for group in groups), default=0),
            "seconds_behind": round(behind, 3),
            "dead_letters": dead,
            "groups": len(groups),
        }
        return "degraded" if behind > _LATE_SECONDS or dead else "ok", detail

    async def _ask_auditor(self) -> tuple[Status, dict[str, Any]]:
        async with self._platform.database.raw_system() as connection:
            found = await auditing.figures(connection)
        detail: dict[str, Any] = {"hanging": found.hanging, "waiting_for_people": found.waiting}
        if found.last_round_at is None:
            return "ok", detail
        seconds = (utcnow() - found.last_round_at).total_seconds()
        detail |= {"last_round_seconds": round(seconds, 1), "looked_at": found.looked_at}
        return "degraded" if found.hanging or seconds > _OLDEST_AUDIT_SECONDS else "ok", detail


async def health_of(request: Request) -> HealthCheck:
    """Return the process's one check."""
    check = request.app.state.health
    if not isinstance(check, HealthCheck):
        raise TypeError("the application was made without a health check")
    return check


_Check = Annotated[HealthCheck, Depends(health_of)]


@router.get("/health", responses={503: {"model": Health, "description": "The database or Redis is down."}})
async def health(check: _Check, response: Response) -> Health:
    """The database, Redis, the bus and the auditor, each with its latency."""
    report = await check.report()
    response.status_code = 503 if report.status == "down" else 200
    response.headers["Cache-Control"] = "no-store"
    return report


@router.get("/health/ready", responses={503: {"model": Health, "description": "Send no requests here now."}})
async def ready(check: _Check, response: Response) -> Health:
    """Whether requests can be served."""
    return await health(check, response)


@router.get("/health/live")
async def live() -> Alive:
    """That the process answers; it asks nobody else."""
    return Alive()


async def _timed(ask: Callable[[], Awaitable[tuple[Status, dict[str, Any]]]]) -> PartHealth:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            status, detail = await ask()
    except _FAILURES as error:
        # The text may name an address or a role, so it stays in the log.
        _log.warning("part does not answer", error=repr(error))
        status, detail = "down", {"error": type(error).__name__}
    elapsed_ms = round((time.perf_counter() - started) * 1000, 3)
    return PartHealth(status=status, latency_ms=elapsed_ms, detail=detail)
