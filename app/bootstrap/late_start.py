"""The start of a web process while its database is away.

It accepts connections all the same: its readiness says why it is not ready, and all else is 503.
As soon as the database answers it becomes what it would have been.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import Flask
from prometheus_client import CollectorRegistry

from app.bootstrap.database import AGAIN, open_patiently
from app.catalog.follower import UNAVAILABLE
from app.db.engine import Database
from app.db.outages import is_outage
from app.settings import Settings
from app.web.application import make_application
from app.web.health import health_routes
from app.web.lifecycle import Lifecycle
from app.web.metrics import RequestMetrics
from app.web.stand_in import StandIn, refusing_routes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(slots=True)
class LateStart:
    """Waits for the database, and makes the app with `join` when it is there."""

    settings: Settings
    stop: threading.Event
    join: Callable[[Lifecycle, Database], Flask]
    _failure: Exception | None = field(default=None)

    def start(self, lifecycle: Lifecycle) -> WSGIApplication:
        """Answer an app that is there at once; waiting goes on in a thread."""
        lifecycle.hinder(UNAVAILABLE)
        stand_in = StandIn(_away(self.settings, lifecycle))
        waiting = threading.Thread(
            target=self._wait, args=(lifecycle, stand_in), name="late start", daemon=True
        )
        waiting.start()
        return stand_in

    def check(self) -> None:
        """Raise what kept the app from being made, if something else than the database did."""
        if self._failure is not None:
            raise self._failure

    def _wait(self, lifecycle: Lifecycle, stand_in: StandIn) -> None:
        try:
            app = self._join(lifecycle)
        except Exception as error:  # noqa: BLE001 - raised where the process ends
            self._failure = error
            self.stop.set()
            return
        if app is not None:
            stand_in.give_way(app)

    def _join(self, lifecycle: Lifecycle) -> Flask | None:
        while True:
            backend = self.settings.backend
            directory = self.settings.callboard.data_directory
            database = open_patiently(backend.database, directory, self.stop)
            if database is None:
                return None
            try:
                return self.join(lifecycle, database)
            except Exception as error:
                database.close()
                # It may have gone again.
                if not is_outage(error):
                    raise
                self.stop.wait(AGAIN)


def _away(settings: Settings, lifecycle: Lifecycle) -> Flask:
    backend = settings.backend
    blueprints = [health_routes(lifecycle, backend.health_headers), refusing_routes(lifecycle)]
    metrics = RequestMetrics(CollectorRegistry())
    return make_application(blueprints, cors=backend.cors, metrics=metrics)
