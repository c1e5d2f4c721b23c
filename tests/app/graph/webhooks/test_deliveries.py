"""Outgoing webhooks: what concerns them arrives, signed and in order, whoever receives it."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.catalog.filters import read_filters
from app.db import sequence
from app.db.leases import Leases
from app.db.statements import Statements
from app.errors import ConflictError, NotFoundError
from app.graph.changes.change import Lens
from app.graph.webhooks import deliveries as deliveries_module
from app.graph.webhooks import runner as hook_runner
from app.graph.webhooks.deliveries import LEASE, Deliveries
from app.graph.webhooks.metrics import WebhookMetrics
from app.graph.webhooks.runner import pause_after
from app.graph.webhooks.service import WebhookService
from app.graph.webhooks.webhook import Webhook
from tests.app.graph.changes.feed_graph import FeedGraph
from tests.app.graph.webhooks.receiver import SECRET, receiver


@pytest.fixture(autouse=True)
def haste(monkeypatch):
    monkeypatch.setattr(deliveries_module, "EVERY", 0.01)
    monkeypatch.setattr(deliveries_module, "ASK_EVERY", 0.05)
    monkeypatch.setattr(hook_runner, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(hook_runner, "STORE_EVERY", 0.05)


@pytest.fixture
def graph(database):
    return FeedGraph(database)


@pytest.fixture
def there():
    with receiver() as found:
        yield found


class Platform:
    """Deliveries on a graph, as one worker or several run them."""

    def __init__(self, graph, *webhooks):
        self.graph, self.database = graph, graph.feed.database
        self.webhooks = webhooks
        self.registry = CollectorRegistry()
        self.metrics = WebhookMetrics(self.registry)
        self.service = WebhookService(self.database, {hook.name: hook for hook in webhooks})

    @contextmanager
    def worker(self, ttl=timedelta(seconds=15), **options):
        stop = threading.Event()
        made = Deliveries(
            self.database,
            self.graph.feed,
            options.pop("webhooks", self.webhooks),
            Leases(self.database, ttl=ttl),
            self.metrics,
            **options,
        )
        thread = threading.Thread(target=made.run, args=(stop,))
        thread.start()
        try:
            yield thread
        finally:
            stop.set()
            thread.join(15)
            assert not thread.is_alive()

    def state(self, name="ci"):
        return next(one for one in self.service.all() if one["name"] == name)

    def letters(self, name="ci"):
        return self.service.letters(name, 0, 100)[0]

    def begun(self):
        return all(one["position"] is not None for one in self.service.all())


def hook(url, *filters, name="ci", **options):
    lens = Lens(read_filters(filters).expression)
    return Webhook(name, url, SECRET, lens, filters, **{"timeout": 2.0, **options})


@contextmanager
def running(graph, there, *webhooks, **options):
    platform = Platform(graph, *webhooks)
    with platform.worker(**options):
        there.wait(platform.begun)
        yield platform


def test_changes_arrive_signed_and_in_order(graph, there):
    with running(graph, there, hook(there.url, headers={"X-Team": "a"})):
        for number in range(12):
            graph.put(f"c{number}")
        there.wait(lambda: len(there.seqs()) == 12)

    assert there.seqs() == list(range(1, 13))
    one = there.received[0]
    assert one.path == "/hook"
    assert one.headers["content-type"] == "application/json; charset=utf-8"
    assert one.headers["x-team"] == "a"
    assert one.headers["callboard-webhook"] == "ci"
    assert one.changes[0]["entity"]["metadata"]["name"] == "c0"
    assert len({one.delivery for one in there.received}) == len(there.received)


def test_a_new_webhook_begins_with_what_comes_next(graph, there):
    graph.put("old")
    with running(graph, there, hook(there.url)):
        graph.put("new")
        there.wait(there.seqs)

    assert there.seqs() == [2]


def test_a_webhook_is_told_what_its_filter_is_about(graph, there):
    with running(graph, there, hook(there.url, "metadata.description=blue")) as platform:
        graph.put("web", "red")
        graph.put("web", "blue")
        graph.put("shop", "red")
        graph.put("web", "red")
        there.wait(lambda: len(there.seqs()) == 2)
        there.wait(lambda: platform.state()["lag"] == 0)

    changes = [change for one in there.received for change in one.changes]
    assert [(c["seq"], c.get("left", False)) for c in changes] == [(2, False), (4, True)]


def test_a_delivery_holds_so_many_changes(graph, there):
    with running(graph, there, hook(there.url, batch=4)) as platform:
        pass
    for number in range(10):
        graph.put(f"c{number}")
    with platform.worker():
        there.wait(lambda: len(there.seqs()) == 10)

    assert [one.seqs for one in there.received] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


def test_a_failure_is_repeated_as_the_same_delivery_and_holds_up_the_next(graph, there):
    there.then(500).then(503).then(404)
    with running(graph, there, hook(there.url, batch=1)) as platform:
        graph.put("a")
        graph.put("b")
        there.wait(lambda: there.seqs() == [1, 2])
        there.wait(lambda: platform.state()["lag"] == 0)
        state = platform.state()

    assert [one.seqs for one in there.received] == [[1], [1], [1], [1], [2]]
    assert len({one.delivery for one in there.received[:4]}) == 1
    assert len({one.body for one in there.received[:4]}) == 1
    assert (state["attempts"], state["lastError"], state["nextAttemptAt"]) == (0, None, None)


def test_what_a_webhook_waits_for_can_be_seen(graph, there, monkeypatch):
    monkeypatch.setattr(hook_runner, "FIRST_PAUSE", 60.0)
    there.then(500)
    address = there.url.replace("://", "://ada:hunter22@") + "?token=hunter22"
    with running(graph, there, hook(address, "kind=component")) as platform:
        graph.put("a")
        there.wait(lambda: platform.state()["attempts"] == 1)
        state = platform.state()

    assert state.pop("nextAttemptAt") > "2026"
    assert state == {
        "name": "ci",
        "url": there.url,
        "filter": ["kind=component"],
        "position": 0,
        "lag": 1,
        "attempts": 1,
        "lastError": "it answered 500 Internal Server Error",
        "deadLetters": 0,
    }
    assert there.received[0].headers["authorization"] == "Basic YWRhOmh1bnRlcjIy"


def test_a_receiver_may_say_how_long_it_wants_to_be_left_alone(graph, there):
    there.then(429, Retry_After="1")
    with running(graph, there, hook(there.url)):
        graph.put("a")
        there.wait(there.seqs)

    first, second = there.received
    assert 0.9 < second.at - first.at < 4


def test_redirects_are_not_followed(graph, there):
    with receiver() as elsewhere:
        there.then(307, Location=elsewhere.url)
        with running(graph, there, hook(there.url, max_attempts=1)) as platform:
            graph.put("a")
            there.wait(platform.letters)

        assert elsewhere.received == []
    (letter,) = platform.letters()
    assert letter["error"] == ("it answered 307 Temporary Redirect; redirects are not followed")


def test_what_does_not_arrive_is_laid_aside_and_the_webhook_goes_on(graph, there):
    for _ in range(3):
        there.then(500)
    with running(graph, there, hook(there.url, max_attempts=3, batch=1)) as platform:
        graph.put("a")
        graph.put("b")
        there.wait(there.seqs)
        there.wait(lambda: platform.state()["lag"] == 0)

    assert [one.seqs for one in there.received] == [[1], [1], [1], [2]]
    (letter,) = platform.letters()
    assert (letter["firstSeq"], letter["lastSeq"], letter["attempts"]) == (1, 1, 3)
    assert letter["error"] == "it answered 500 Internal Server Error"
    assert platform.state()["deadLetters"] == 1


def test_what_was_laid_aside_is_sent_once_more_when_asked_for(graph, there):
    there.then(500).then(500).then(503)
    with running(graph, there, hook(there.url, max_attempts=2, batch=2)) as platform:
        graph.put("a")
        there.wait(platform.letters)
        (letter,) = platform.letters()

        asked = platform.service.retry("ci", letter["id"])
        there.wait(lambda: platform.letters()[0]["attempts"] == 3)
        (failed,) = platform.letters()
        platform.service.retry("ci", letter["id"])
        there.wait(lambda: not platform.letters())

    assert asked["retryAskedAt"] is not None
    assert failed["retryAskedAt"] is None
    assert failed["error"] == "it answered 503 Service Unavailable"
    assert there.seqs() == [1]
    assert len({one.delivery for one in there.received}) == 1
    assert len(there.received) == 4


def test_what_was_laid_aside_may_be_forgotten(graph, there):
    there.then(500)
    with running(graph, there, hook(there.url, max_attempts=1)) as platform:
        graph.put("a")
        there.wait(platform.letters)
    (letter,) = platform.letters()

    platform.service.forget("ci", letter["id"])

    assert platform.letters() == []
    for act in (platform.service.forget, platform.service.retry):
        with pytest.raises(NotFoundError, match="no dead letter"):
            act("ci", letter["id"])


def test_webhooks_that_are_not_there_are_not_found(graph, there):
    platform = Platform(graph)

    with pytest.raises(NotFoundError, match="No webhook named 'ci'"):
        platform.service.letters("ci", 0, 10)
    with pytest.raises(ConflictError, match="configured any more"):
        platform.service.retry("ci", 1)


def test_dead_letters_come_in_pages(graph, there):
    there.always = (500, {}, 0.0)
    with running(graph, there, hook(there.url, max_attempts=1, batch=1)) as platform:
        for name in "abc":
            graph.put(name)
        there.wait(lambda: len(platform.letters()) == 3)

    first, following = platform.service.letters("ci", 0, 2)
    rest, end = platform.service.letters("ci", following, 2)

    assert [letter["firstSeq"] for letter in first + rest] == [1, 2, 3]
    assert end is None


def test_a_slow_receiver_holds_up_nobody_else(graph, there):
    with receiver() as slow:
        slow.always = (204, {}, 5.0)
        hooks = hook(slow.url, name="slow", timeout=5.0), hook(there.url)
        with running(graph, there, *hooks):
            for number in range(5):
                graph.put(f"c{number}")
                there.wait(lambda now=number: there.seqs()[-1:] == [now + 1], 3.0)
            assert len(slow.received) == 1
            slow.release.set()


def test_a_receiver_that_does_not_answer_is_not_waited_for(graph, there):
    there.then(204, seconds=20)
    with running(graph, there, hook(there.url, timeout=0.2)) as platform:
        graph.put("a")
        there.wait(lambda: len(there.received) == 2)
        there.wait(lambda: platform.state()["lag"] == 0)
        there.release.set()

    assert there.received[0].delivery == there.received[1].delivery


def test_a_receiver_that_is_not_there_is_told_without_its_secrets(graph, there, caplog):
    caplog.set_level(logging.DEBUG)
    gone = there.url.replace("://", "://ada:hunter22@") + "?token=hunter22"
    gone = gone.replace(there.url.rpartition(":")[2].partition("/")[0], "9")
    with running(graph, there, hook(gone, max_attempts=1)) as platform:
        graph.put("a")
        there.wait(platform.letters)
    (letter,) = platform.letters()
    stored = str(graph.graph.rows("SELECT * FROM dead_letter"))
    stored += str(graph.graph.rows("SELECT * FROM hook"))

    assert letter["error"] == "no connection, connection refused"
    for text in (caplog.text, stored, str(platform.service.all()), repr(platform.webhooks)):
        assert "hunter22" not in text
        assert SECRET not in text


def test_one_worker_delivers_at_a_time_and_another_takes_over(graph, there):
    platform = Platform(graph, hook(there.url, batch=1))
    with platform.worker():
        there.wait(platform.begun)
        with platform.worker():
            for number in range(10):
                graph.put(f"c{number}")
            there.wait(lambda: len(there.seqs()) == 10)
            there.wait(lambda: platform.state()["lag"] == 0)
    with platform.worker():
        graph.put("last")
        there.wait(lambda: len(there.seqs()) == 11)

    assert there.seqs() == list(range(1, 12))


def test_who_lost_the_lease_records_nothing(graph, there, database):
    there.then(204, seconds=2)
    platform = Platform(graph, hook(there.url, timeout=5.0))
    with platform.worker():
        there.wait(platform.begun)
        graph.put("a")
        there.wait(lambda: there.received)
        # As if it had been frozen for longer than its lease lasts.
        with database.begin() as connection:
            sql = Statements.on(connection)
            sql.execute("UPDATE lease SET fence = fence + 1 WHERE name = ?", LEASE)
        there.release.set()
        time.sleep(0.2)
        state = platform.state()
        with database.begin() as connection:
            Statements.on(connection).execute("DELETE FROM lease")
        there.wait(lambda: len(there.taken()) == 2)

    assert state["position"] == 0
    assert len({one.delivery for one in there.received}) == 1


def test_what_was_sent_but_not_recorded_is_sent_again_as_the_same(graph, there, database):
    """A process that is killed after the receiver took a delivery leaves exactly this behind."""
    platform = Platform(graph, hook(there.url, batch=2))
    with platform.worker():
        there.wait(platform.begun)
        graph.put("a")
        there.wait(lambda: platform.state()["position"] == 1)
    with database.begin() as connection:
        sql = Statements.on(connection)
        sql.execute("UPDATE hook SET seq = 0, until = 1")
    graph.put("b")
    with platform.worker():
        there.wait(lambda: platform.state()["position"] == 2)

    assert [one.seqs for one in there.received] == [[1], [1], [2]]
    assert there.received[0].delivery == there.received[1].delivery


def test_what_the_history_lost_before_it_was_delivered_is_told(graph, there, database):
    platform = Platform(graph, hook(there.url))
    with platform.worker():
        there.wait(platform.begun)
    for name in "abcd":
        graph.put(name)
    with database.begin() as connection:
        sql = Statements.on(connection)
        sequence.forget_before(sql, 3)
        sql.execute("DELETE FROM change WHERE seq < 3")
    with platform.worker():
        there.wait(there.seqs)
        (letter,) = platform.letters()
        platform.service.retry("ci", letter["id"])
        there.wait(lambda: platform.letters()[0]["attempts"] == 1)

    assert there.seqs() == [4]
    assert (letter["firstSeq"], letter["lastSeq"]) == (1, 3)
    assert letter["error"] == "removed from the history before it was delivered"


def test_a_database_that_was_put_back_begins_anew(graph, there, database, caplog):
    platform = Platform(graph, hook(there.url))
    with platform.worker():
        there.wait(platform.begun)
    with database.begin() as connection:
        Statements.on(connection).execute("UPDATE hook SET seq = 100")
    with platform.worker():
        there.wait(lambda: platform.state()["position"] == 0)
        graph.put("a")
        there.wait(there.seqs)

    assert there.seqs() == [1]
    assert "webhook begins anew" in caplog.text


def test_figures_tell_how_far_behind_a_webhook_is_and_what_came_of_deliveries(graph, there):
    there.then(500).then(500)
    with running(graph, there, hook(there.url, max_attempts=2)) as platform:
        graph.put("a")
        there.wait(platform.letters)
        graph.put("b")
        there.wait(there.seqs)
        there.wait(lambda: b'lag_changes{webhook="ci"} 0.0' in generate_latest(platform.registry))

    figures = generate_latest(platform.registry).decode()
    for outcome, number in (("delivered", 1), ("failed", 2), ("given up", 1)):
        line = f'deliveries_total{{outcome="{outcome}",webhook="ci"}} {number}.0'
        assert f"callboard_webhook_{line}" in figures


def test_pauses_grow_up_to_an_hour_and_are_not_all_alike(monkeypatch):
    monkeypatch.setattr(hook_runner, "FIRST_PAUSE", 1.0)

    for attempts, usual in ((1, 1), (2, 2), (5, 16), (12, 2048), (13, 3600), (99, 3600)):
        found = [pause_after(attempts) for _ in range(50)]
        assert all(0.75 * usual <= pause <= 1.25 * usual for pause in found)
        assert len(set(found)) > 10
    assert pause_after(1, 100.0) == 100.0
