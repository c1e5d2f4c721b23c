"""The follower: the index is loaded once, then kept warm, whatever happens to the database."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from app.catalog import follower as module
from app.catalog.emission import Parent
from app.catalog.follower import Follower
from app.catalog.snapshot import Snapshots
from app.db.engine import open_database
from app.db.statements import Statements
from tests.app.catalog.write_side import Graph, emission
from tests.app.db.test_outages import away

WEB = emission("component:default/web")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.01)


@pytest.fixture
def graph(database):
    return Graph(database)


class Following:
    """A follower on a thread, which closes its connection when it ends."""

    def __init__(self, database, **options):
        self.snapshots, self.stop = Snapshots(database), threading.Event()
        self.is_ready, self.times_ready = threading.Event(), 0
        self.sizes = list[int]()
        self.follower = Follower(
            self.snapshots,
            self.stop,
            self.ready,
            observe=lambda index: self.sizes.append(len(index)),
            **options,
        )
        self.thread = threading.Thread(target=self.run)

    def ready(self):
        self.times_ready += 1
        self.is_ready.set()

    def run(self):
        self.follower.run()
        self.snapshots.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def until(self, condition):
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)


def test_it_says_when_the_index_is_loaded(database, graph):
    graph.write(Parent("one"), WEB)

    with Following(database, warm=("kind", "metadata.name")) as following:
        assert following.is_ready.wait(10)
        assert following.snapshots.index.seq == 1


def test_it_follows_what_others_write(database, graph):
    with Following(database) as following:
        following.is_ready.wait(10)
        graph.write(Parent("one"), WEB)

        following.until(lambda: following.snapshots.index.seq == 1)
        following.until(lambda: following.sizes[-1] == 1)


def test_it_ends_at_once_when_it_is_told_to(database, monkeypatch):
    monkeypatch.setattr(module, "EVERY", 60)
    with Following(database) as following:
        following.is_ready.wait(10)
        started = time.monotonic()

    assert time.monotonic() - started < 5


def test_it_survives_a_database_that_fails_and_goes_on_when_it_is_back(database, graph, caplog):
    graph.write(Parent("one"), WEB)
    with database.begin() as connection:
        Statements.on(connection).execute("ALTER TABLE searchable RENAME TO away")

    with Following(database) as following, caplog.at_level(logging.ERROR):
        following.until(lambda: "cannot follow the changes" in caplog.text)
        assert not following.is_ready.is_set()
        with database.begin() as connection:
            Statements.on(connection).execute("ALTER TABLE away RENAME TO searchable")

        assert following.is_ready.wait(10)
        assert len(following.snapshots.index) == 1


def test_it_says_while_the_database_is_away(migrated_postgres, caplog):
    database = open_database(migrated_postgres())
    said = list[str]()

    with Following(database, hinder=said.append) as following, caplog.at_level(logging.WARNING):
        following.is_ready.wait(10)
        assert set(said) == {""}
        with away(database):
            following.until(lambda: said[-1] == module.UNAVAILABLE)
        following.until(lambda: said[-1] == "")

    assert "the database does not answer" in caplog.text
    assert "Traceback" not in caplog.text
    database.close()


def test_it_becomes_ready_once(database):
    with Following(database) as following:
        following.until(lambda: len(following.sizes) > 3)

    assert following.times_ready == 1


def test_it_folds_changes_into_the_base(database, graph):
    graph.write(Parent("one"), *(emission(f"component:default/n{i}") for i in range(1200)))
    with Following(database) as following:
        following.is_ready.wait(10)
        graph.write(Parent("two"), *(emission(f"component:default/m{i}") for i in range(1200)))

        following.until(lambda: following.sizes[-1] == 2400)
        following.until(lambda: not following.snapshots.index.needs_merge)
