"""One webhook's deliveries: in order, each until it arrives or is given up.

The place in the feed moves in the same transaction that records what came of a delivery, and only
while the lease is held. Where a delivery ends is written down before it is sent, so that one that
is repeated, by whichever process, is the same one and has the same id.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.db.engine import Database
from app.db.leases import Lease, LeaseLostError
from app.db.outages import log_failure
from app.db.statements import Statements
from app.graph.changes.feed import Bounds, Feed, HistoryGoneError
from app.graph.webhooks.metrics import DELIVERED, FAILED, GIVEN_UP, WebhookMetrics
from app.graph.webhooks.sending import LONGEST_WAIT, Sender
from app.graph.webhooks.store import HookRow, LetterRow, WebhookStore
from app.graph.webhooks.webhook import Webhook, make_delivery
from app.logs import fields

log = logging.getLogger(__name__)
# The first pause after a failure; the next ones are twice as long each, give or take a quarter.
FIRST_PAUSE = 1.0
JITTER = 0.25
DELIVERY_BYTES = 4 * 1024 * 1024
# A place that moves on without a delivery is stored so often, or after so many changes.
STORE_EVERY = 5.0
STORE_AFTER = 1000
# How long it rests when something of ours is broken.
REST = 5.0


class News:
    """What the process knows of the graph and of requests, for all webhooks at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.newest = 0
        self.asked: Sequence[LetterRow] = ()
        self.is_over = False

    def tell(self, newest: int, asked: Sequence[LetterRow]) -> None:
        """Wake everybody if there is something new."""
        with self._changed:
            if newest != self.newest or asked or self.asked:
                self.newest, self.asked = newest, asked
                self._changed.notify_all()

    def end(self) -> None:
        """Tell everybody to stop."""
        with self._changed:
            self.is_over = True
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until a condition about the news holds, or all is over, or so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_over or condition(), seconds)


@dataclass(frozen=True, slots=True)
class Means:
    """What deliveries are made with."""

    database: Database
    feed: Feed
    lineage: str
    send: Sender
    metrics: WebhookMetrics
    lease: Lease


@dataclass(slots=True)
class HookRunner:
    """Serves one webhook as long as the lease is held."""

    webhook: Webhook
    means: Means
    news: News
    row: HookRow
    _stored: HookRow = field(init=False)
    _stored_at: float = field(default_factory=time.monotonic)
    # What was tried once more, and when that was asked for: the news may be older than that.
    _retried: dict[int, datetime | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Remember what is stored, to tell when that is out of date."""
        self._stored = self.row

    def run(self) -> None:
        """Deliver until all is over."""
        while not self.news.is_over:
            try:
                self._step()
            except LeaseLostError as error:
                log.warning("stop to deliver", extra=fields(reason=str(error)))
                self.news.end()
            except Exception as error:  # noqa: BLE001 - told
                # The edge of a background thread: the database may come back.
                log_failure(log, "cannot deliver", error, webhook=self.webhook.name)
                self.news.wait(lambda: False, REST)

    def _step(self) -> None:
        for letter in self._asked():
            self._retry(letter)
        pause = self._pause()
        if pause > 0:
            self.news.wait(lambda: bool(self._asked()), pause)
        elif self.row.until is None and self.news.newest <= self.row.seq:
            self._store_place()
            is_due = self._stored.seq != self.row.seq
            self.news.wait(self._has_work, STORE_EVERY if is_due else 60.0)
        else:
            self._deliver()

    def _has_work(self) -> bool:
        return self.news.newest > self.row.seq or bool(self._asked())

    def _asked(self) -> list[LetterRow]:
        return [
            letter
            for letter in self.news.asked
            if letter.hook == self.webhook.name and self._retried.get(letter.id) != letter.asked_at
        ]

    def _pause(self) -> float:
        next_at = self.row.next_at
        return 0.0 if next_at is None else (next_at - datetime.now(UTC)).total_seconds()

    # -- the next delivery ------------------------------------------------------------------------

    def _deliver(self) -> None:
        webhook, row = self.webhook, self.row
        bounds = Bounds(webhook.batch, DELIVERY_BYTES, until=row.until)
        try:
            page = self.means.feed.page(row.seq, webhook.lens, bounds)
        except HistoryGoneError as error:
            self._skip(error)
            return
        if not page.items:
            self.row = HookRow(webhook.name, page.next)
            self._store_place()
            return
        # It also makes sure that this process may deliver still.
        self._save(row._replace(until=page.next))
        failure, wait = self._send(row.seq + 1, page.next, [item for _, item in page.items])
        if not failure:
            self._save(HookRow(webhook.name, page.next))
            return
        row = self.row._replace(attempts=row.attempts + 1, error=failure)
        if row.attempts < webhook.max_attempts:
            next_at = datetime.now(UTC) + timedelta(seconds=pause_after(row.attempts, wait))
            self._save(row._replace(next_at=next_at))
        else:
            self._give_up(row, page.next)

    def _send(self, first: int, last: int, items: list[bytes]) -> tuple[str, float]:
        webhook, means = self.webhook, self.means
        delivery = make_delivery(webhook, means.lineage, (first, last), items)
        outcome = means.send(webhook, delivery)
        means.metrics.count(webhook.name, FAILED if outcome.error else DELIVERED)
        said = fields(
            webhook=webhook.name, delivery=delivery.id, first=first, last=last,
            changes=len(items), **({"reason": outcome.error} if outcome.error else {}),
        )  # fmt: skip
        if outcome.error:
            log.warning("delivery failed", extra=said)
        else:
            log.info("delivered", extra=said)
        return outcome.error, outcome.wait

    def _give_up(self, row: HookRow, last: int) -> None:
        """Lay a delivery aside where it can be seen, and go on with the next."""
        with self.means.database.begin() as connection:
            sql = Statements.on(connection)
            self.means.lease.check(sql)
            store = WebhookStore(sql)
            store.give_up(row, last, datetime.now(UTC))
            store.save(HookRow(row.name, last))
        self._remember(HookRow(row.name, last))
        self.means.metrics.count(row.name, GIVEN_UP)
        log.error(
            "delivery given up",
            extra=fields(webhook=row.name, first=row.seq + 1, last=last, reason=row.error),
        )

    def _skip(self, gone: HistoryGoneError) -> None:
        """Go on behind what was removed from the history before it could be delivered."""
        error = "removed from the history before it was delivered"
        self._give_up(self.row._replace(error=error), gone.oldest)

    # -- what was given up ------------------------------------------------------------------------

    def _retry(self, letter: LetterRow) -> None:
        """Send what was given up once more, in as many deliveries as it takes now."""
        webhook = self.webhook
        at = letter.first_seq - 1
        error = ""
        while at < letter.last_seq and not error and not self.news.is_over:
            bounds = Bounds(webhook.batch, DELIVERY_BYTES, until=letter.last_seq)
            try:
                page = self.means.feed.page(at, webhook.lens, bounds)
            except HistoryGoneError:
                error = "it is not in the history any more"
                break
            if page.items:
                error, _ = self._send(at + 1, page.next, [item for _, item in page.items])
            at = at if error else page.next
        if self.news.is_over:
            return
        with self.means.database.begin() as connection:
            sql = Statements.on(connection)
            self.means.lease.check(sql)
            store = WebhookStore(sql)
            if error:
                store.keep(
                    letter._replace(first_seq=at + 1, attempts=letter.attempts + 1, error=error)
                )
            else:
                store.remove(letter.hook, letter.id)
        self._retried[letter.id] = letter.asked_at

    # -- the place --------------------------------------------------------------------------------

    def _store_place(self) -> None:
        """Store a place that moved on by itself, now and then."""
        moved = self.row.seq - self._stored.seq
        is_time = time.monotonic() - self._stored_at >= STORE_EVERY
        if moved >= STORE_AFTER or (self.row != self._stored and is_time):
            self._save(self.row)

    def _save(self, row: HookRow) -> None:
        with self.means.database.begin() as connection:
            sql = Statements.on(connection)
            self.means.lease.check(sql)
            WebhookStore(sql).save(row)
        self._remember(row)

    def _remember(self, row: HookRow) -> None:
        self.row = self._stored = row
        self._stored_at = time.monotonic()


def pause_after(attempts: int, wait: float = 0.0) -> float:
    """Answer how many seconds to wait after so many failures; `wait` is what was asked for."""
    pause = min(LONGEST_WAIT, FIRST_PAUSE * 2.0 ** min(attempts - 1, 20))
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    return max(wait, pause * spread)
