"""Prometheus figures: HTTP, and the pipeline's steps; never labelled by tenant, whose number has no bound."""

import os
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

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
    "Events that a consumer group handled, by outcome.",
    ("group", "outcome"),
    registry=REGISTRY,
)
CONSUMER_LAG: Final = Gauge(
    "fettle_consumer_lag_events",
    "Events that a consumer group has not handled yet.",
    ("group",),
    registry=REGISTRY,
    multiprocess_mode="max",
)
PIPELINE_SECONDS: Final = Histogram(
    "fettle_pipeline_step_seconds",
    "Time from accepting an exception to a step of its way.",
    ("step",),
    buckets=_PIPELINE_SECONDS,
    registry=REGISTRY,
)
DECISIONS: Final = Counter(
    "fettle_decisions", "Decisions, by level and outcome.", ("level", "outcome"), registry=REGISTRY
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


def render() -> bytes:
    """Return all figures in Prometheus's text format.

    With ``PROMETHEUS_MULTIPROC_DIR`` set before the start, those of all processes that share it.
    """
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # prometheus-client types it not
    return generate_latest(together)
