"""Serving outgoing webhooks beside the background worker's own loop.

Any number of processes may run this: a lease lets one of them deliver at a time, and another one
takes over where that one left off. Each webhook has a thread, so that a receiver that is slow or
gone holds up neither the others nor the reading of sources.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.db import sequence
from app.db.engine import Database
from app.db.leases import Lease, LeaseLostError, Leases
from app.db.outages import log_failure
from app.db.statements import Statements
from app.graph.changes.feed import Feed
from app.graph.webhooks.metrics import WebhookMetrics
from app.graph.webhooks.runner import HookRunner, Means, News
from app.graph.webhooks.sending import Sender, send_over_http
from app.graph.webhooks.store import HookRow, LetterRow, WebhookStore
from app.graph.webhooks.webhook import Webhook
from app.logs import fields

log = logging.getLogger(__name__)
LEASE = "deliver webhooks"
# How often the database is asked for changes, and how often for the lease while another has it.
EVERY = 0.2
ASK_EVERY = 1.0
ASKED_AT_ONCE = 100
# How long deliveries under way may take to end; one that takes longer is made once more.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Serves all webhooks of one process until it is told to stop."""

    database: Database
    feed: Feed
    webhooks: Sequence[Webhook]
    leases: Leases
    metrics: WebhookMetrics
    send: Sender = field(default=send_over_http)

    def run(self, stop: threading.Event) -> None:
        """Deliver whenever no other process does."""
        while self.webhooks and not stop.is_set():
            try:
                with self.leases.held(LEASE) as lease:
                    if lease is not None:
                        self._serve(lease, stop)
            except LeaseLostError as error:
                log.warning("stop to deliver", extra=fields(reason=str(error)))
            except Exception as error:  # noqa: BLE001 - told
                # The edge of a background thread: the database may come back.
                log_failure(log, "cannot deliver webhooks", error)
            stop.wait(ASK_EVERY)

    def _serve(self, lease: Lease, stop: threading.Event) -> None:
        lineage, rows = self._begin(lease)
        news = News()
        means = Means(self.database, self.feed, lineage, self.send, self.metrics, lease)
        runners = [HookRunner(hook, means, news, rows[hook.name]) for hook in self.webhooks]
        threads = [
            threading.Thread(target=one.run, name=f"webhook {one.webhook.name}", daemon=True)
            for one in runners
        ]
        try:
            for thread in threads:
                thread.start()
            while not stop.is_set() and not news.is_over:
                newest, asked = self._look()
                news.tell(newest, asked)
                for one in runners:
                    self.metrics.lag(one.webhook.name, max(0, newest - one.row.seq))
                stop.wait(EVERY)
        finally:
            news.end()
            end = time.monotonic() + PATIENCE
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0.0, end - time.monotonic()))

    def _begin(self, lease: Lease) -> tuple[str, dict[str, HookRow]]:
        """Answer what tells the database from others, and how far each webhook is."""
        names = [webhook.name for webhook in self.webhooks]
        with self.database.begin() as connection:
            sql = Statements.on(connection)
            lease.check(sql)
            store, newest = WebhookStore(sql), sequence.newest(sql)
            new = store.begin(names, newest)
            rows = store.all()
            for name in names:
                if rows[name].seq > newest:
                    # Of a later time: the database was put back to an earlier one.
                    log.warning("webhook begins anew", extra=fields(webhook=name, seq=newest))
                    rows[name] = HookRow(name, newest)
                    store.save(rows[name])
            lineage = sequence.lineage(sql)
        for name in new:
            log.info("webhook begins", extra=fields(webhook=name, seq=newest))
        return lineage, rows

    def _look(self) -> tuple[int, list[LetterRow]]:
        with self.database.snapshot() as connection:
            sql = Statements.on(connection)
            return sequence.newest(sql), WebhookStore(sql).asked(ASKED_AT_ONCE)
