"""Transactions: what is seen by whom, what survives, and who waits for whom."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy.engine import make_url

from app.db import sequence
from app.db.engine import HeldConnection, open_database
from app.db.statements import Statements

COUNT = "SELECT count(*) FROM stitch"


def note(connection, number):
    Statements.on(connection).execute("INSERT INTO stitch VALUES (?, '{}')", number)


def count(connection):
    return Statements.on(connection).row(COUNT)[0]


@pytest.fixture
def held(database):
    connection = database.hold()
    yield connection
    connection.close()


# -- writing --------------------------------------------------------------------------------------


def test_a_clean_exit_commits(database):
    with database.begin() as connection:
        note(connection, 1)

    with database.snapshot() as connection:
        assert count(connection) == 1


def test_an_exception_rolls_back_and_the_database_goes_on(database):
    with pytest.raises(ZeroDivisionError), database.begin() as connection:
        note(connection, 1)
        raise ZeroDivisionError

    with database.begin() as connection:
        assert count(connection) == 0
        note(connection, 1)


def test_what_is_not_committed_is_seen_by_nobody_else(database, held):
    with database.begin() as connection:
        note(connection, 1)

        with database.snapshot() as other:
            assert count(other) == 0
        with held.reading():
            assert held.row(COUNT) == (0,)
        assert count(connection) == 1


def test_two_writers_do_not_lose_each_others_work(database):
    """Each reads what is there and adds one to it; nothing is read that is then outdated."""

    def write():
        for _ in range(10):
            with database.begin() as connection:
                sequence.lock_graph(Statements.on(connection))
                note(connection, count(connection))

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.snapshot() as connection:
        assert count(connection) == 30


# -- reading --------------------------------------------------------------------------------------


def test_a_snapshot_sees_one_state_from_its_first_read_on(database):
    with database.snapshot() as connection:
        assert count(connection) == 0
        with database.begin() as writer:
            note(writer, 1)

        assert count(connection) == 0
    with database.snapshot() as connection:
        assert count(connection) == 1


def test_a_held_connection_sees_one_state_for_each_block(database, held):
    with held.reading():
        assert held.row(COUNT) == (0,)
        with database.begin() as writer:
            note(writer, 1)
        assert held.row(COUNT) == (0,)

    with held.reading():
        assert held.row(COUNT) == (1,)


def test_a_held_connection_that_met_an_error_can_be_used_again(held):
    with pytest.raises(Exception, match="nowhere"), held.reading():
        held.row("SELECT * FROM nowhere")

    with held.reading():
        assert held.row(COUNT) == (0,)


@pytest.mark.parametrize("statement", ["INSERT INTO stitch VALUES (1, '{}')", "DELETE FROM run"])
def test_nothing_can_be_written_while_reading(database, held, statement):
    with pytest.raises(Exception, match=r"(?i)read.?only"), held.reading():
        held.execute(statement)
    if not database.is_sqlite:
        with pytest.raises(Exception, match="read-only"), database.snapshot() as connection:
            Statements.on(connection).execute(statement)


def test_readers_do_not_wait_for_a_writer(database, held):
    with database.begin() as writer:
        note(writer, 1)
        threads = [threading.Thread(target=_read_once, args=(database,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
        with held.reading():
            assert held.row(COUNT) == (0,)


def _read_once(database):
    with database.snapshot() as connection:
        assert count(connection) == 0


# -- opening --------------------------------------------------------------------------------------


def test_a_missing_file_is_made_with_its_folders(tmp_path):
    database = open_database(f"sqlite:///{tmp_path}/deep/down/new.sqlite")

    with database.snapshot() as connection:
        assert Statements.on(connection).row("PRAGMA journal_mode") == ("wal",)
    database.close()

    assert (tmp_path / "deep/down/new.sqlite").exists()


def test_every_connection_to_a_file_is_prepared_alike(tmp_path):
    database = open_database(f"sqlite:///{tmp_path}/a.sqlite")
    held = database.hold()
    with database.snapshot() as connection:
        pooled = Statements.on(connection)
        for pragma in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous", "page_size"):
            assert held.row(f"PRAGMA {pragma}") == pooled.row(f"PRAGMA {pragma}")
        assert pooled.row("PRAGMA foreign_keys") == (1,)
    held.close()
    database.close()


def test_a_new_file_can_be_opened_by_many_at_once(tmp_path):
    together = threading.Barrier(6)

    def open_file(path):
        together.wait(timeout=10)
        file = open_database(f"sqlite:///{path}")
        with file.snapshot() as connection:
            mode = Statements.on(connection).row("PRAGMA journal_mode")[0]
        file.close()
        return mode

    with ThreadPoolExecutor(together.parties) as pool:
        for turn in range(60):
            path = tmp_path / f"{turn}.sqlite"
            modes = list(pool.map(open_file, [path] * together.parties))
            assert modes == ["wal"] * together.parties


def test_every_connection_to_postgres_is_prepared_alike(fresh_postgres):
    database = open_database(fresh_postgres())
    held = database.hold()
    with database.snapshot() as connection:
        pooled = Statements.on(connection)
        for setting in ("plan_cache_mode", "lock_timeout", "statement_timeout"):
            assert held.row(f"SHOW {setting}") == pooled.row(f"SHOW {setting}")
        assert held.row("SHOW lock_timeout") == ("30s",)
        assert held.row("SHOW statement_timeout") == ("1min",)
        assert pooled.row("SHOW idle_in_transaction_session_timeout") == ("15s",)
        assert held.row("SHOW idle_in_transaction_session_timeout") == ("5min",)
        assert held.row("SHOW application_name") == pooled.row("SHOW application_name")
    held.close()
    database.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres"])
def test_any_of_the_usual_schemes_means_postgres(fresh_postgres, scheme):
    url = make_url(fresh_postgres()).set(drivername=scheme)

    database = open_database(url.render_as_string(hide_password=False))

    with database.snapshot() as connection:
        assert "PostgreSQL" in Statements.on(connection).row("SELECT version()")[0]
    held = database.hold()
    assert isinstance(held, HeldConnection)
    held.close()
    database.close()


def test_what_the_address_says_of_the_connection_counts(fresh_postgres):
    url = make_url(fresh_postgres())
    chosen = {"application_name": "mine", "connect_timeout": "3"}
    database = open_database(url.update_query_dict(chosen))

    held = database.hold()

    assert held.connection.info.get_parameters()["connect_timeout"] == "3"
    with database.snapshot() as connection:
        for sql in (held, Statements.on(connection)):
            assert sql.row("SHOW application_name") == ("mine",)
    held.close()
    database.close()


def test_a_connection_that_the_server_ended_is_replaced(migrated_postgres):
    url = migrated_postgres()
    database = open_database(url)
    with database.snapshot() as connection:
        (pid,) = Statements.on(connection).row("SELECT pg_backend_pid()")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", [pid])

    with database.snapshot() as connection:
        assert count(connection) == 0
    database.close()
