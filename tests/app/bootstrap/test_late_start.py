"""Starting while the database is away: waiting, becoming what one would have been, giving up."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from flask import Flask
from werkzeug.test import Client

from app.bootstrap.late_start import LateStart
from app.config import load_config
from app.db.engine import open_database
from app.errors import ConfigError
from app.settings import PostgresDatabase, read_settings
from app.web.lifecycle import Lifecycle
from tests.app.db.test_outages import away
from tests.app.sync.test_worker import until

READINESS = "/.backstage/health/v1/readiness"


@pytest.fixture
def settings(tmp_path):
    return read_settings(load_config((), {}, tmp_path))


@pytest.fixture
def stop():
    stop = threading.Event()
    yield stop
    stop.set()


def joined(*_):
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "joined")
    return app


@contextmanager
def on(settings, url):
    """Answer the settings for a database that is away for the block."""
    database = open_database(url)
    address = database.engine.url
    options = {name: str(value) for name, value in address.query.items()}
    chosen = PostgresDatabase(
        host=address.host,
        port=address.port,
        user=address.username,
        password=address.password,
        database=address.database,
        should_create=False,
        options=options,
    )
    with away(database):
        yield replace(settings, backend=replace(settings.backend, database=chosen))
    database.close()


def test_the_app_is_made_when_the_database_answers(settings, stop, migrated_postgres):
    lifecycle, databases = Lifecycle(), []

    def join(at, database):
        databases.append(database)
        return joined()

    with on(settings, migrated_postgres()) as elsewhere:
        late = LateStart(elsewhere, stop, join)
        ask = Client(late.start(lifecycle))
        refused = ask.get("/api/catalog/entities")
        ready = ask.get(READINESS)
        assert databases == []

    until(lambda: ask.get("/").text == "joined")
    late.check()
    assert (refused.status_code, ready.status_code) == (503, 503)
    assert not stop.is_set()
    databases[0].close()


def test_a_database_that_goes_again_meanwhile_is_waited_for_again(settings, stop):
    tries = []

    def join(lifecycle, database):
        tries.append(database)
        if len(tries) == 1:
            raise psycopg.OperationalError("the server closed the connection")
        return joined()

    late = LateStart(settings, stop, join)
    ask = Client(late.start(Lifecycle()))

    until(lambda: ask.get("/").status_code == 200)
    late.check()
    assert len(tries) == 2
    tries[1].close()


def test_what_else_goes_wrong_ends_the_process(settings, stop):
    def join(lifecycle, database):
        raise ConfigError("catalog.providers.x: wrong")

    late = LateStart(settings, stop, join)
    late.start(Lifecycle())

    assert stop.wait(10)
    with pytest.raises(ConfigError, match="wrong"):
        late.check()


def test_who_is_told_to_stop_waits_no_longer(settings, stop, migrated_postgres):
    with on(settings, migrated_postgres()) as elsewhere:
        late = LateStart(elsewhere, stop, joined)
        late.start(Lifecycle())
        stop.set()
        until(lambda: not any(t.name == "late start" for t in threading.enumerate()))

    late.check()
