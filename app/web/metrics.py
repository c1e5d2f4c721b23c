"""Figures for Prometheus: what was asked, by route, and how long it took.

One process keeps its figures in memory. With several, `prometheus_client` keeps them in files of a
shared directory, if the environment variable `PROMETHEUS_MULTIPROC_DIR` named it when Python was
started; then whichever process is scraped answers for all. The supervisor sets it for its children
and empties the directory before it starts them.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
NO_ROUTE = "(none)"


class RequestMetrics:
    """Counts and times requests by method, route template and class of status.

    Templates, not paths: the number of series stays what the number of routes makes it.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "callboard_http_request_duration_seconds",
            "Time from the arrival of a request to the end of its response",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=registry,
        )
        # Looking up a series by its labels costs more than counting in it.
        self._series: dict[tuple[str, str, int], Histogram] = {}

    def observe(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count one request."""
        key = (method, route or NO_ROUTE, status // 100)
        series = self._series.get(key)
        if series is None:
            series = self._make(*key)
        series.observe(seconds)

    def _make(self, method: str, route: str, status: int) -> Histogram:
        known = method if method in METHODS else "other"
        series = self._seconds.labels(known, route, f"{status}xx")
        if known == method:
            self._series[method, route, status] = series
        return series


def metrics_routes(registry: CollectorRegistry, shared: Path | None = None) -> Blueprint:
    """Serve `/metrics`: `registry`, or what all processes wrote into the directory `shared`."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def metrics() -> Response:
        source = registry
        if shared is not None:
            source = CollectorRegistry()
            MultiProcessCollector(source, str(shared))  # type: ignore[no-untyped-call]
        return Response(generate_latest(source), content_type=CONTENT_TYPE_LATEST)

    return routes
