"""Figures about the graph for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.catalog.emission import Counts
from app.index.index import EntityIndex

RUN_BUCKETS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


class IndexMetrics:
    """How large the read index of a web process is, and how far it follows the graph."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._entities = Gauge(
            "callboard_index_entities",
            "Entities in the read index",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._bytes = Gauge(
            "callboard_index_bytes",
            "Memory of the read index of one process",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._seq = Gauge(
            "callboard_index_sequence",
            "Newest change that the read index of the slowest process holds",
            multiprocess_mode="livemin",
            registry=registry,
        )

    def observe(self, index: EntityIndex) -> None:
        """Note the state of the index."""
        self._entities.set(len(index))
        self._bytes.set(index.nbytes)
        self._seq.set(index.seq)


class RunMetrics:
    """What runs of sources came to."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "callboard_run_duration_seconds",
            "Time that runs of a source took, by how they ended",
            ("source", "state"),
            buckets=RUN_BUCKETS,
            registry=registry,
        )
        self._emissions = Counter(
            "callboard_run_emissions",
            "What runs of a source did with what they found",
            ("source", "outcome"),
            registry=registry,
        )

    def observe(self, source: str, state: str, seconds: float, counts: Counts) -> None:
        """Note one run."""
        self._seconds.labels(source, state).observe(seconds)
        for outcome, number in counts.as_dict().items():
            self._emissions.labels(source, outcome).inc(number)
