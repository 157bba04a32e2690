"""Prometheus figures: HTTP, and the pipeline's steps; never labelled by tenant, whose number has no bound."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
PROCESSES_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names the folder in which all processes of a machine count together."""

REGISTRY: Final = CollectorRegistry()
"""Everything that this process counts."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PIPELINE_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MOST_REMEMBERED: Final = 2000

HTTP_REQUESTS: Final = Counter(
    "fettle_http_requests",
    "Requests answered, by route and status.",
    ("method", "route", "status"),
    registry=REGISTRY,
)
HTTP_SECONDS: Final = Histogram(
    "fettle_http_request_seconds",
    "Time to answer a request.",
    ("method", "route"),
    buckets=_SECONDS,
    registry=REGISTRY,
)
EVENTS_HANDLED: Final = Counter(
    "fettle_events_handled",
    "Events that a consumer group took, by outcome: handled, parked for another try, dead.",
    ("group", "outcome"),
    registry=REGISTRY,
)
EVENT_SECONDS: Final = Histogram(
    "fettle_event_handling_seconds",
    "Time from an event until a consumer group had handled it.",
    ("group",),
    buckets=_PIPELINE_SECONDS,
    registry=REGISTRY,
)
HEALING_SECONDS: Final = Histogram(
    "fettle_healing_seconds",
    "Time from accepting an exception until the check of its healed incident passed.",
    buckets=_PIPELINE_SECONDS,
    registry=REGISTRY,
)
DECISIONS: Final = Counter(
    "fettle_decisions",
    "Decisions, by level and by the event that they end in.",
    ("level", "outcome"),
    registry=REGISTRY,
)
TOOL_CALLS: Final = Counter(
    "fettle_tool_calls", "Tool calls, by tool and outcome.", ("tool", "outcome"), registry=REGISTRY
)
REDACTIONS: Final = Counter(
    "fettle_redactions",
    "Secrets and personal data taken out at the boundary, by kind.",
    ("kind",),
    registry=REGISTRY,
)
TEMPORAL_FIRINGS: Final = Counter(
    "fettle_temporal_firings", "What rules over time found, by kind of rule.", ("kind",), registry=REGISTRY
)
TEMPORAL_LIMITS: Final = Counter(
    "fettle_temporal_keys_over_limit",
    "Keys of rules over time that there was no room for, by what was done: evicted, refused.",
    ("did",),
    registry=REGISTRY,
)
HOOKS_ANSWERED: Final = Counter(
    "fettle_hooks_answered",
    "Webhooks that were proved, by what their sender was told: accepted, passed_over, repeated, waiting (on the disk, "
    "while the database is away) or held (until a person allows it).",
    ("outcome",),
    registry=REGISTRY,
)
HOOKS_REFUSED: Final = Counter(
    "fettle_hooks_refused",
    "Webhooks that were refused: unknown_source, unproven, or what the problem's type says.",
    ("reason",),
    registry=REGISTRY,
)
HOOKS_TAKEN_IN: Final = Counter(
    "fettle_hooks_taken_in",
    "Webhooks that had waited on the disk and were taken off it, by what became of them: accepted, passed_over, "
    "repeated or refused.",
    ("outcome",),
    registry=REGISTRY,
)
HOOK_SECONDS: Final = Histogram(
    "fettle_hook_delay_seconds",
    "Time from receiving a webhook until its exceptions were committed, by whether it had to wait on the disk.",
    ("waited",),
    buckets=_PIPELINE_SECONDS,
    registry=REGISTRY,
)

log = structlog.get_logger("fettle.metrics")

_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request.

    Args:
        method: An unknown one is counted as ``other``, for callers may invent any number of them.
        route: The route's template, never the path itself.
        status: The HTTP status.
        seconds: How long the answer took.
    """
    key = (method, route, status)
    found = _requests.get(key)
    if found is None:
        known = method if method in _METHODS else "other"
        found = (HTTP_REQUESTS.labels(known, route, str(status)), HTTP_SECONDS.labels(known, route))
        if len(_requests) < _MOST_REMEMBERED:
            _requests[key] = found
    found[0].inc()
    found[1].observe(seconds)


def quietly(count: Callable[[], None]) -> None:
    """Count something; a figure that cannot be counted must not undo or repeat the work that it is about."""
    try:
        count()
    except Exception as error:  # noqa: BLE001 - as said
        log.warning("metrics.not_counted", error=type(error).__name__)


def after_commit(session: AsyncSession, count: Callable[[], None]) -> None:
    """Count something once the session's transaction is committed; what is rolled back was not."""
    event.listen(session.sync_session, "after_commit", lambda _session: quietly(count), once=True)


def render(measured: Sequence[Metric] = ()) -> bytes:
    """Return all figures in Prometheus's text format.

    With `PROCESSES_FOLDER` set before the start, as `fettle up` does, those of all processes that share it.

    Args:
        measured: What was measured for this very answer, beside what is counted.
    """
    together = CollectorRegistry()
    together.register(_Measured(measured))
    if PROCESSES_FOLDER not in os.environ:
        return generate_latest(REGISTRY) + generate_latest(together)
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # prometheus-client types it not
    return generate_latest(together)


class _Measured(Collector):
    """Figures that were measured a moment ago."""

    def __init__(self, measured: Sequence[Metric]) -> None:
        self._measured = measured

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._measured
