"""Run rows, and the queue of Locations that are to be read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from app.catalog.store import GraphStore
from app.db.statements import Statements
from app.sync.store import SyncStore

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def sql(database):
    with database.begin() as connection:
        yield Statements.on(connection)


@pytest.fixture
def store(sql):
    return SyncStore(sql)


def runs(sql):
    return sql.rows("SELECT id, source, state, counts, error FROM run ORDER BY id")


def test_a_run_is_running_until_it_ends(sql, store):
    store.start_run("r1", "git", NOON)
    assert runs(sql) == [("r1", "git", "running", "{}", None)]

    store.finish_run("r1", "failed", {"read": 3}, "no route to host", LATER)

    assert runs(sql) == [("r1", "git", "failed", orjson.dumps({"read": 3}).decode(),
                          "no route to host")]  # fmt: skip


def test_runs_whose_process_died_are_stopped_and_no_others(sql, store):
    for number, source in enumerate(("git", "git", "git", "other"), 1):
        store.start_run(f"r{number}", source, NOON)
    store.finish_run("r2", "done", {}, None, NOON)
    assert sorted(store.running()) == ["git", "other"]

    assert store.abandon_runs(["git"], LATER) == 2

    assert [(row[0], row[2]) for row in runs(sql)] == [
        ("r1", "stopped"),
        ("r2", "done"),
        ("r3", "stopped"),
        ("r4", "running"),
    ]
    assert store.abandon_runs(["git"], LATER) == 0
    assert store.running() == ["other"]


def test_a_run_that_was_given_up_by_others_stays_so(sql, store):
    store.start_run("r1", "git", NOON)
    store.abandon_runs(["git"], NOON)

    store.finish_run("r1", "done", {"read": 3}, None, LATER)

    assert runs(sql) == [("r1", "git", "stopped", "{}", None)]


def test_runs_that_ended_long_ago_are_forgotten(sql, store):
    for number, ended in enumerate((NOON, LATER, None)):
        store.start_run(f"r{number}", "git", NOON - timedelta(days=100))
        if ended:
            store.finish_run(f"r{number}", "done", {}, None, ended)

    assert store.forget_runs(LATER, 10) == 1
    assert [row[0] for row in runs(sql)] == ["r1", "r2"]


def test_what_was_asked_for_first_comes_first(sql, store):
    graph = GraphStore(sql)
    assert not store.is_asked()
    graph.ask_for([7, 3], "second", LATER)
    graph.ask_for([9], "first", NOON)

    assert list(store.take_on("one", 2).items()) == [(9, "first"), (3, "second")]
    assert store.is_asked()
    assert store.take_on("other", 10) == {7: "second"}
    assert not store.is_asked()
    assert sorted(store.taken_on()) == ["one", "other"]


def test_one_location_may_be_asked_for_several_times_at_once(sql, store):
    GraphStore(sql).ask_for([3, 3, 3], "r", NOON)

    assert store.take_on("one", 10) == {3: "r"}


def test_what_was_answered_leaves_the_queue(sql, store):
    GraphStore(sql).ask_for([1, 2], "r", NOON)
    asked = store.take_on("one", 1)

    store.answer("one", asked)

    assert store.take_on("one", 10) == {2: "r"}


def test_what_was_asked_for_once_more_meanwhile_stays_with_whoever_answers_it(sql, store):
    graph = GraphStore(sql)
    graph.ask_for([1, 2], "r", NOON)
    asked = store.take_on("one", 10)
    graph.ask_for([1], "again", LATER)
    assert store.take_on("other", 10) == {}

    store.answer("one", asked)
    store.let_go("one")

    assert store.take_on("other", 10) == {1: "again"}


def test_what_somebody_else_has_taken_on_by_now_is_not_answered(sql, store):
    GraphStore(sql).ask_for([1], "r", NOON)
    asked = store.take_on("frozen", 10)
    store.let_go("frozen")
    store.take_on("other", 10)

    store.answer("frozen", asked)

    assert store.taken_on() == ["other"]
