"""The sequence: one number for every change, in the order in which changes are committed."""

from __future__ import annotations

import threading

import pytest

from app.db import sequence
from app.db.statements import Statements

WRITERS, ROUNDS = 4, 12


def read(database, question):
    with database.snapshot() as connection:
        return question(Statements.on(connection))


def test_a_fresh_database_is_at_zero(database):
    assert read(database, sequence.newest) == 0


def test_numbers_are_taken_together_and_follow_each_other(database):
    with database.begin() as connection:
        sql = Statements.on(connection)
        assert [sequence.take(sql, 3), sequence.take(sql, 1)] == [1, 4]

    assert read(database, sequence.newest) == 4


def test_what_is_rolled_back_gives_its_numbers_back(database):
    with pytest.raises(ZeroDivisionError), database.begin() as connection:
        sequence.take(Statements.on(connection), 5)
        raise ZeroDivisionError

    with database.begin() as connection:
        assert sequence.take(Statements.on(connection), 1) == 1


def test_a_database_that_was_not_migrated_says_what_to_do(database):
    with database.begin() as connection:
        sql = Statements.on(connection)
        sql.execute("DELETE FROM sequence")
        with pytest.raises(LookupError, match="run the migrations"):
            sequence.take(sql, 1)
        assert (sequence.newest(sql), sequence.lineage(sql)) == (0, "")


def test_every_database_has_a_lineage_of_its_own(database):
    first = read(database, sequence.lineage)

    assert first
    assert read(database, sequence.lineage) == first


def test_writers_at_once_commit_in_the_order_of_their_numbers(database):
    """A reader that has seen a number has seen all that are smaller, whoever wrote them."""
    seen, failures = list[list[int]](), list[Exception]()
    done = threading.Event()

    def write(writer):
        for turn in range(ROUNDS):
            with database.begin() as connection:
                sql = Statements.on(connection)
                if (writer + turn) % 2:
                    sequence.lock_graph(sql)
                first = sequence.take(sql, 2)
                for seq in (first, first + 1):
                    sql.execute("INSERT INTO stitch (ref_id, cause) VALUES (?, ?)", seq, "{}")

    def watch():
        while not done.is_set():
            with database.snapshot() as connection:
                sql = Statements.on(connection)
                newest = sequence.newest(sql)
                rows = sql.rows("SELECT ref_id FROM stitch ORDER BY ref_id")
            seen.append([newest, *(row[0] for row in rows)])

    def run(work, *values):
        try:
            work(*values)
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    watcher = threading.Thread(target=run, args=(watch,))
    writers = [threading.Thread(target=run, args=(write, number)) for number in range(WRITERS)]
    for thread in (watcher, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    watcher.join()

    assert failures == []
    assert all(rows == list(range(1, newest + 1)) for newest, *rows in seen)
    assert read(database, sequence.newest) == WRITERS * ROUNDS * 2


def test_a_writer_waits_until_the_graph_is_free(database):
    order = list[str]()
    is_held, may_go = threading.Event(), threading.Event()

    def hold():
        with database.begin() as connection:
            sequence.lock_graph(Statements.on(connection))
            is_held.set()
            may_go.wait(10)
            order.append("first")

    def follow():
        is_held.wait(10)
        with database.begin() as connection:
            sequence.lock_graph(Statements.on(connection))
            order.append("second")

    threads = [threading.Thread(target=work) for work in (hold, follow)]
    for thread in threads:
        thread.start()
    is_held.wait(10)
    threads[1].join(0.05)
    may_go.set()
    for thread in threads:
        thread.join()

    assert order == ["first", "second"]
