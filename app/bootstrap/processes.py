"""The processes of a running platform, each joined from the configuration on its own."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from flask import Flask
from prometheus_client import CollectorRegistry

from app.bootstrap.catalog import Catalog, configured_sources, join_catalog, pushed_sources
from app.bootstrap.database import (
    connect,
    open_configured,
    open_patiently,
    open_unless_away,
    unconnected,
)
from app.bootstrap.index_maker import IndexMaker
from app.bootstrap.late_start import LateStart
from app.bootstrap.providers import provider_warnings
from app.bootstrap.web import is_quick, make_app
from app.bootstrap.webhooks import configured_webhooks, make_deliveries, webhook_secrets
from app.catalog.follower import Follower
from app.catalog.metrics import IndexMetrics, RunMetrics
from app.catalog.registered import RegisteredLocations
from app.config import load_config
from app.db.engine import Database
from app.db.leases import Leases
from app.db.outages import is_outage, is_refusal
from app.logs import fields, set_up_logging
from app.serve.child import Child
from app.serve.listening import listen_shares
from app.serve.process import ChildSpec
from app.serve.supervisor import Supervisor
from app.serve.tuning import prepare_reading
from app.serve.web import WebSettings, run_web
from app.settings import PostgresDatabase, Settings, StaticAccess, read_settings
from app.sync.service import SyncService
from app.sync.worker import Worker
from app.web.edge import EdgeSettings
from app.web.lifecycle import Lifecycle

log = logging.getLogger(__name__)
Role = Literal["all", "web", "worker"]
# What readers of a stock frontend ask for first.
WARM = (
    "kind",
    "metadata.name",
    "metadata.title",
    "spec.type",
    "spec.profile.displayname",
    "metadata.tags",
    "relations.ownedby",
)
# The index frees arrays of many megabytes when it is merged. With a fixed threshold the C library
# maps such blocks and gives them back; by default it would learn to keep them.
MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "131072"}
NEVER = timedelta(days=3650)
# How long the worker waits for its deliveries to end; what is under way then is made once more.
STOPPING = 10.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a process finds its configuration: files, and what the command line overrides."""

    paths: tuple[Path, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def read(self) -> Settings:
        """Read the settings; raises `ConfigError` with every mistake."""
        return read_settings(load_config(self.paths, overrides=self.overrides))


def serve(
    paths: Sequence[Path],
    overrides: Mapping[str, Any],
    role: Role = "all",
    on_ready: Callable[[Settings], None] = lambda _: None,
) -> int:
    """Run the web processes and the background worker until a signal ends them.

    The configuration is checked and the database migrated first, in this process, so that a
    mistake stops the start with a message instead of a loop of dying children. A database that
    does not answer is none: the processes are started, and wait for it.
    """
    source = Source(tuple(paths), dict(overrides))
    settings = source.read()
    _log(settings)
    for notice in (*settings.notices, *settings.warnings, *provider_warnings(settings)):
        log.warning(notice)
    with closing(
        unconnected(settings.backend.database, settings.callboard.data_directory)
    ) as database:
        # Mistakes of providers show here, and not in a worker that is started again and again.
        configured_sources(settings, join_catalog(settings, database).processor.readers)
        configured_webhooks(settings)
    _open_once(settings)
    supervisor = Supervisor(_specs(source, settings, role), on_ready=lambda: on_ready(settings))
    return supervisor.run()


def _open_once(settings: Settings) -> None:
    """Bring the database up to date, unless it is away; raises if it lets nobody in."""
    try:
        open_configured(settings.backend.database, settings.callboard.data_directory).close()
    except Exception as error:
        if is_refusal(error) or not is_outage(error):
            raise
        log.warning("waiting for the database", extra=fields(reason=str(error)))


def _specs(source: Source, settings: Settings, role: Role) -> list[ChildSpec]:
    specs = list[ChildSpec]()
    # Every process writes its figures here, so that whichever is asked can tell them all.
    folder = _metrics(settings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder), **MEMORY}
    if role in {"all", "web"}:
        shares = listen_shares(
            settings.backend.host, settings.backend.port, settings.callboard.workers
        )
        specs += [
            ChildSpec(
                f"web-{number}",
                web,
                (source,),
                share.sockets,
                share.spares,
                environment=environment,
            )
            for number, share in enumerate(shares, 1)
        ]
    if role in {"all", "worker"}:
        specs.append(ChildSpec("worker", work, (source,), environment=environment, overlaps=False))
    return specs


def web(child: Child, source: Source) -> None:
    """Run one web process."""
    settings = source.read()
    _log(settings)

    def join(lifecycle: Lifecycle, database: Database) -> Flask:
        catalog = join_catalog(settings, database)
        registry = CollectorRegistry()
        app = make_app(settings, catalog, lifecycle, registry, _metrics(settings))
        follower = Follower(
            catalog.snapshots,
            child.stopping,
            lifecycle.ready,
            WARM,
            IndexMetrics(registry).observe,
            IndexMaker(ChildSpec("index", make_index, (source,)), child.stopping),
            lifecycle.hinder,
        )
        threading.Thread(target=follower.run, name="index", daemon=True).start()
        return app

    database = open_unless_away(settings.backend.database, settings.callboard.data_directory)
    late = LateStart(settings, child.stopping, join)
    run_web(
        child,
        late.start if database is None else partial(join, database=database),
        WebSettings(
            edge=EdgeSettings(threads=settings.callboard.threads),
            drain=settings.backend.lifecycle.server_shutdown_delay.total_seconds(),
            grace=settings.callboard.shutdown_grace.total_seconds(),
            accepts_early=database is None,
        ),
        inline=is_quick,
    )
    late.check()


def make_index(child: Child, source: Source) -> None:
    """Make the file that web processes start with, in a process whose memory nobody keeps."""
    settings = source.read()
    _log(settings)
    # Whoever wants it made has brought the schema up to date.
    with closing(connect(settings.backend.database, settings.callboard.data_directory)) as database:
        join_catalog(settings, database).snapshots.make(WARM, child.ready)


def work(child: Child, source: Source) -> None:
    """Run the background worker."""
    settings = source.read()
    _log(settings)
    prepare_reading()
    database = open_patiently(
        settings.backend.database, settings.callboard.data_directory, child.stopping
    )
    if database is None:
        return
    with closing(database):
        catalog = join_catalog(settings, database, stop=child.stopping)
        worker = make_worker(settings, catalog, child.abort)
        deliveries = make_deliveries(settings, catalog, CollectorRegistry())
        thread = threading.Thread(
            target=deliveries.run, args=(child.stopping,), name="webhooks", daemon=True
        )
        thread.start()
        try:
            worker.run(child.stopping, child.ready)
        finally:
            # What ends the worker ends its deliveries, too: both are started anew together.
            child.stopping.set()
            thread.join(STOPPING)


def make_worker(
    settings: Settings, catalog: Catalog, stuck: Callable[[], None] = lambda: None
) -> Worker:
    """Join the background worker; `stuck` is called when it hangs in a run."""
    sources = configured_sources(settings, catalog.processor.readers)
    metrics = RunMetrics(CollectorRegistry())
    pushed = frozenset(source.source for source in pushed_sources(settings).values())
    leases = Leases(catalog.database)
    longest = settings.callboard.longest_run
    service = SyncService(leases, catalog.ingest, sources, metrics.observe, pushed, longest, stuck)
    registered = RegisteredLocations(catalog.writer, catalog.stitcher, catalog.processor)
    return Worker(
        catalog.database,
        service,
        catalog.ingest,
        restore=registered.restore,
        locations_every=settings.catalog.processing_interval or NEVER,
        keeps_providers=settings.catalog.orphan_provider_strategy == "keep",
        keep_runs=settings.callboard.retention.runs,
        keep_changes=settings.callboard.retention.changes,
    )


def _metrics(settings: Settings) -> Path:
    return settings.callboard.data_directory / "metrics"


def _secrets(settings: Settings) -> list[str]:
    """List what no log line may show, wherever it turns up."""
    tokens = [a.token for a in settings.backend.auth.external_access if isinstance(a, StaticAccess)]
    database = settings.backend.database
    if isinstance(database, PostgresDatabase) and database.password:
        tokens.append(database.password)
    return [*tokens, *webhook_secrets(settings)]


def _log(settings: Settings) -> None:
    logging_settings = settings.callboard.logging
    for chatty in ("alembic", "apscheduler"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    set_up_logging(
        sys.stderr,
        form=logging_settings.format,
        level=logging_settings.level,
        secrets=_secrets(settings),
    )
