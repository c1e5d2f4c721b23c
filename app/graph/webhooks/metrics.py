"""Figures about outgoing webhooks for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

DELIVERED, FAILED, GIVEN_UP = "delivered", "failed", "given up"


class WebhookMetrics:
    """How far webhooks are behind, and what came of deliveries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = Gauge(
            "callboard_webhook_lag_changes",
            "Changes that a webhook has not been told of, or not been held against its filter",
            ("webhook",),
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        self._deliveries = Counter(
            "callboard_webhook_deliveries",
            "Deliveries by what came of them; one that failed is tried again until it is given up",
            ("webhook", "outcome"),
            registry=registry,
        )

    def lag(self, webhook: str, changes: int) -> None:
        """Note how far a webhook is behind."""
        self._lag.labels(webhook).set(changes)

    def count(self, webhook: str, outcome: str) -> None:
        """Count a delivery."""
        self._deliveries.labels(webhook, outcome).inc()
