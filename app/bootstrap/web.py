"""Joining one web process: every plugin's routes behind the same chain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import orjson
from flask import Blueprint, Flask
from prometheus_client import CollectorRegistry

from app.access.guest import GuestSignIn
from app.access.routes import auth_routes
from app.access.service import AccessService, AccessSettings
from app.bootstrap.catalog import CONFIGURED, Catalog, configured_sources, pushed_sources
from app.bootstrap.webhooks import configured_webhooks
from app.catalog.analysis import LocationAnalyzer
from app.catalog.conditions import Judge
from app.catalog.dry_run import DryRunLimits, DryRuns
from app.catalog.location_routes import LocationServices, add_location_routes
from app.catalog.permission_routes import add_permission_routes
from app.catalog.permissions import Check, everyone_may, restricted_by_token
from app.catalog.reading import CatalogReader
from app.catalog.registered import REGISTERED, RegisteredLocations
from app.catalog.replies import Sight
from app.catalog.routes import catalog_routes
from app.catalog.snapshot import Snapshots
from app.catalog.validation import EntityValidator
from app.graph.changes.feed import Feed
from app.graph.changes.recent import RecentChanges
from app.graph.changes.routes import add_change_routes
from app.graph.changes.stream import ChangeStreams
from app.graph.explain.known import Schedule
from app.graph.explain.routes import add_explain_routes
from app.graph.explain.service import Explainer
from app.graph.history.routes import HistoryServices, add_history_routes
from app.graph.history.service import History
from app.graph.history.undo import Undo
from app.graph.past.routes import add_past_routes
from app.graph.past.snapshots import Past
from app.graph.preview.rehearsal import PreviewLimits, Rehearsals
from app.graph.preview.routes import PreviewAccess, add_preview_routes
from app.graph.preview.service import PreviewService
from app.graph.push.routes import SourceServices, add_source_routes
from app.graph.push.service import PushService
from app.graph.routes import graph_routes
from app.graph.sources import Sources
from app.graph.walks.ground import Grounds
from app.graph.walks.routes import add_walk_routes
from app.graph.walks.service import GraphQueries
from app.graph.webhooks.routes import add_webhook_routes
from app.graph.webhooks.service import WebhookService
from app.settings import Settings
from app.sync.service import Source
from app.sync.worker import FILES_EVERY
from app.web.application import make_application
from app.web.health import health_routes
from app.web.identity import Barrier
from app.web.lifecycle import Lifecycle
from app.web.metrics import RequestMetrics, metrics_routes
from app.web.openapi import plugin_contract
from app.web.plugin import unserved_plugins

# What a stock frontend calls besides; callers without credentials are told so.
NOT_SERVED = (
    "app",
    "events",
    "mcp-actions",
    "notifications",
    "permission",
    "proxy",
    "scaffolder",
    "search",
    "signals",
    "techdocs",
    "user-settings",
)
# Requests that never take long: they are answered where they arrive instead of in a thread.
_QUICK = re.compile(
    r"/\.backstage/health/"
    r"|/api/catalog/(?:entities/by-(?:name|uid|refs|query)|entity-facets)"
    r"|/api/auth/(?:\.well-known|v1/userinfo)"
)


def is_quick(method: str, path: str) -> bool:
    """Tell which requests may be called on the event loop."""
    return method in {"GET", "HEAD", "POST"} and _QUICK.match(path) is not None


def make_app(
    settings: Settings,
    catalog: Catalog,
    lifecycle: Lifecycle,
    registry: CollectorRegistry,
    shared_metrics: Path | None = None,
) -> Flask:
    """Join the Flask app of one process."""
    access = AccessService(
        catalog.database,
        AccessSettings(
            settings.backend.base_url,
            settings.backend.auth.external_access,
            settings.auth.token_lifetime,
            settings.auth.token_algorithm,
            settings.auth.is_ownership_claim_omitted,
        ),
    )
    barrier = Barrier(
        access,
        lifecycle,
        settings.backend.auth.is_default_policy_disabled,
        settings.backend.lifecycle.startup_request_pause_timeout.total_seconds(),
    )
    blueprints = [
        health_routes(lifecycle, settings.backend.health_headers),
        metrics_routes(registry, shared_metrics),
        auth_routes(barrier, access, _guest(settings, access, catalog.snapshots)),
        _catalog_routes(settings, catalog, barrier),
        _graph_routes(settings, catalog, barrier),
        *unserved_plugins(NOT_SERVED, barrier),
    ]
    return make_application(
        blueprints, cors=settings.backend.cors, metrics=RequestMetrics(registry)
    )


def _catalog_routes(settings: Settings, catalog: Catalog, barrier: Barrier) -> Blueprint:
    routes = catalog_routes(
        barrier,
        CatalogReader(catalog.snapshots),
        catalog.commands,
        catalog.commands,
        description=lambda: plugin_contract("catalog"),
        lineage=catalog.lineage(),
    )
    add_permission_routes(routes, Judge(catalog.snapshots))
    add_location_routes(routes, _location_services(settings, catalog))
    return routes


def _graph_routes(settings: Settings, catalog: Catalog, barrier: Barrier) -> Blueprint:
    routes = graph_routes(barrier, lambda: plugin_contract("graph"))
    sight = Sight(lineage=catalog.lineage())
    may = restricted_by_token if settings.permission.is_enabled else everyone_may
    history = HistoryServices(
        History(catalog.snapshots, catalog.codec), Undo(catalog.writer, catalog.stitcher), may
    )
    add_history_routes(routes, history, sight)
    past = Past(catalog.snapshots, catalog.codec)
    add_past_routes(routes, past, sight)
    grounds = Grounds(catalog.snapshots, catalog.processor.kinds.reverse, past)
    add_walk_routes(routes, GraphQueries(grounds), sight)
    # Besides, this mounts repositories, so that files in them can be read here too.
    sources = configured_sources(settings, catalog.processor.readers)
    add_explain_routes(routes, _explainer(settings, catalog, sources), sight)
    feed = Feed(catalog.database, catalog.codec)
    add_change_routes(routes, ChangeStreams(feed, RecentChanges(catalog.database, catalog.codec)))
    webhooks = WebhookService(catalog.database, configured_webhooks(settings))
    add_webhook_routes(routes, webhooks, may)
    add_preview_routes(
        routes,
        _previews(settings, catalog, sources),
        PreviewAccess(may, release=version("callboard")),
    )
    add_source_routes(routes, _source_services(settings, catalog, sources, may))
    return routes


def _previews(
    settings: Settings, catalog: Catalog, sources: Mapping[str, Source]
) -> PreviewService:
    turns = max(1, settings.callboard.threads // 4)
    rehearsals = Rehearsals(
        catalog.database,
        catalog.ingest,
        catalog.stitcher,
        catalog.processor,
        frozenset({CONFIGURED, REGISTERED}),
        {name: source.ingestor for name, source in sources.items()},
        PreviewLimits(reading=DryRunLimits(turns=turns)),
    )
    return PreviewService(rehearsals, catalog.snapshots)


def _source_services(
    settings: Settings, catalog: Catalog, sources: Mapping[str, Source], may: Check
) -> SourceServices:
    pushes = PushService(
        catalog.writer, catalog.stitcher, catalog.processor, pushed_sources(settings)
    )
    names = frozenset({*sources, *(source.source for source in pushes.sources.values())})
    return SourceServices(pushes, Sources(catalog.writer, names), may)


def _explainer(settings: Settings, catalog: Catalog, sources: Mapping[str, Source]) -> Explainer:
    processor = catalog.processor
    schedule = Schedule(
        {name: source.every for name, source in sources.items()},
        settings.catalog.processing_interval,
        FILES_EVERY,
    )
    return Explainer(catalog.snapshots, catalog.codec, processor.kinds, processor.readers, schedule)


def _location_services(settings: Settings, catalog: Catalog) -> LocationServices:
    processor = catalog.processor
    # They wait for other servers, and must leave threads to those who do not.
    turns = max(1, settings.callboard.threads // 2)
    dry_runs = DryRuns(processor, DryRunLimits(turns=turns))
    return LocationServices(
        RegisteredLocations(
            catalog.writer,
            catalog.stitcher,
            processor,
            settings.catalog.default_location_conflict_strategy,
        ),
        dry_runs,
        EntityValidator(processor, dry_runs),
        LocationAnalyzer(settings.integrations.hosts),
        settings.catalog.is_readonly,
        restricted_by_token if settings.permission.is_enabled else everyone_may,
    )


def _guest(settings: Settings, access: AccessService, snapshots: Snapshots) -> GuestSignIn | None:
    if settings.auth.guest is None:
        return None

    def memberships(user: str) -> Sequence[str] | None:
        with snapshots.open() as snapshot:
            (found,) = snapshot.find([user])
        if found is None:
            return None
        relations = orjson.loads(found)["relations"]
        return [r["targetRef"] for r in relations if r["type"] == "memberOf"]

    return GuestSignIn(access, settings.auth.guest, memberships, settings.is_development)
