"""Trials: what they write is never there, and they neither wait nor last longer than they may."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from app.db import sequence
from app.db.statements import Statements
from app.db.trial import trial
from app.errors import ServiceUnavailableError

LONG = 30.0
# Counts for far longer than a trial lasts; both databases know it.
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) "
    "SELECT count(*) FROM n"
)


def add_ref(sql, ref):
    sql.execute("INSERT INTO ref (ref) VALUES (?)", ref)


def refs(database):
    with database.snapshot() as connection:
        return Statements.on(connection).rows("SELECT id, ref FROM ref ORDER BY id")


@contextmanager
def another_writer(database):
    """Hold the graph in another thread."""
    held, done = threading.Event(), threading.Event()

    def write():
        with database.begin() as connection:
            sequence.lock_graph(Statements.on(connection))
            held.set()
            done.wait(LONG)

    thread = threading.Thread(target=write)
    thread.start()
    assert held.wait(LONG)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_steps_of_a_trial_see_what_those_before_wrote_and_nobody_else_does(database):
    with trial(database, LONG, LONG) as shared:
        with shared.begin() as connection:
            add_ref(Statements.on(connection), "component:default/web")
        with shared.snapshot() as connection:
            (found,) = Statements.on(connection).rows("SELECT ref FROM ref")
        assert found == ("component:default/web",)
        assert refs(database) == []
    assert refs(database) == []


def test_a_trial_takes_no_number_from_those_who_write_later(database):
    with trial(database, LONG, LONG) as shared:
        for number in range(3):
            add_ref(Statements.on(shared.connection), f"component:default/n{number}")
        sequence.take(Statements.on(shared.connection), 5)
    with database.begin() as connection:
        sql = Statements.on(connection)
        add_ref(sql, "component:default/web")
        assert sequence.take(sql, 1) == 1
    assert refs(database) == [(1, "component:default/web")]


def test_what_fails_in_a_trial_is_raised_and_leaves_nothing(database):
    with (
        pytest.raises(ZeroDivisionError),
        trial(database, LONG, LONG) as shared,
    ):
        add_ref(Statements.on(shared.connection), "component:default/web")
        raise ZeroDivisionError
    assert refs(database) == []
    with database.begin() as connection:
        add_ref(Statements.on(connection), "component:default/web")
    assert refs(database) == [(1, "component:default/web")]


def test_a_statement_that_outlives_the_trial_is_ended_and_all_is_as_before(database):
    started = time.monotonic()
    with (
        pytest.raises(ServiceUnavailableError, match=r"longer than 0\.2 seconds"),
        trial(database, 0.2, LONG) as shared,
    ):
        sql = Statements.on(shared.connection)
        add_ref(sql, "component:default/web")
        sql.row(ENDLESS)
    assert time.monotonic() - started < LONG / 2
    with trial(database, LONG, LONG) as shared:
        add_ref(Statements.on(shared.connection), "component:default/web")
    with database.begin() as connection:
        add_ref(Statements.on(connection), "component:default/web")
    assert refs(database) == [(1, "component:default/web")]


def test_a_trial_waits_for_a_writer_only_so_long(database):
    with another_writer(database):
        started = time.monotonic()
        with (
            pytest.raises(ServiceUnavailableError, match="written to without a pause"),
            trial(database, LONG, 0.1),
        ):
            pytest.fail("the graph is held by another writer")
        assert 0.05 < time.monotonic() - started < LONG / 2


def test_a_trial_that_waits_begins_once_the_writer_is_done(database):
    begun = threading.Event()

    def attempt():
        with trial(database, LONG, LONG):
            begun.set()

    thread = threading.Thread(target=attempt)
    with another_writer(database):
        thread.start()
        assert not begun.wait(0.2)
    assert begun.wait(LONG)
    thread.join()


def test_how_long_a_trial_waits_is_nobody_elses_patience(database):
    with trial(database, LONG, 0.05):
        pass
    begun = threading.Event()

    def write():
        with database.begin() as connection:
            sequence.lock_graph(Statements.on(connection))
            begun.set()

    thread = threading.Thread(target=write)
    with another_writer(database):
        thread.start()
        assert not begun.wait(0.3)
    assert begun.wait(LONG)
    thread.join()
