"""Joining outgoing webhooks: from settings to what delivers them, and what tells about them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from app.bootstrap.catalog import Catalog
from app.catalog.filters import read_filters
from app.db.leases import Leases
from app.errors import ConfigError, InputError
from app.graph.changes.change import Lens
from app.graph.changes.feed import Feed
from app.graph.webhooks.deliveries import Deliveries
from app.graph.webhooks.metrics import WebhookMetrics
from app.graph.webhooks.webhook import Webhook
from app.settings import Settings, WebhookSettings


def configured_webhooks(settings: Settings) -> dict[str, Webhook]:
    """Make every configured webhook; raises `ConfigError`."""
    return {name: _webhook(name, one) for name, one in settings.callboard.webhooks.items()}


def webhook_secrets(settings: Settings) -> list[str]:
    """List what no log line may show."""
    return [s for webhook in configured_webhooks(settings).values() for s in webhook.secrets()]


def make_deliveries(
    settings: Settings, catalog: Catalog, registry: CollectorRegistry
) -> Deliveries:
    """Join what delivers."""
    return Deliveries(
        catalog.database,
        Feed(catalog.database, catalog.codec),
        tuple(configured_webhooks(settings).values()),
        Leases(catalog.database),
        WebhookMetrics(registry),
    )


def _webhook(name: str, settings: WebhookSettings) -> Webhook:
    try:
        expression = read_filters(settings.filter).expression
    except InputError as error:
        raise ConfigError(f"callboard.webhooks.{name}.filter: {error}") from error
    return Webhook(
        name,
        settings.url,
        settings.secret,
        Lens(expression),
        settings.filter,
        settings.headers,
        settings.timeout.total_seconds(),
        settings.max_attempts,
        settings.batch,
    )
