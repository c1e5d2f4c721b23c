"""Which failures of a database pass by themselves, and that connections are made anew."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.catalog.snapshot import Snapshots
from app.db.engine import open_database
from app.db.outages import is_outage, is_refusal, log_failure

CUT = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"


@contextmanager
def _server(database):
    """Connect to another database of the same server."""
    url = database.engine.url
    address = url.set(drivername="postgresql", database="postgres", query={})
    address = address.render_as_string(hide_password=False)
    host = url.query.get("host", url.host)
    with psycopg.connect(address, host=host, autocommit=True) as connection:
        yield connection


def cut_all(database):
    """End every connection to a database."""
    with _server(database) as connection:
        connection.execute(CUT, [database.engine.url.database])


@contextmanager
def away(database):
    """Keep a database from being connected to for the block."""
    name = database.engine.url.database
    with _server(database) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute(CUT, [name])
        yield
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.fixture
def postgres(migrated_postgres):
    database = open_database(migrated_postgres())
    yield database
    database.close()


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (sqlite3.OperationalError("database is locked"), True),
        (sqlite3.OperationalError("database table is locked: entity"), True),
        (sqlite3.OperationalError("no such table: entity"), False),
        (sqlite3.OperationalError("database or disk is full"), False),
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.errors.AdminShutdown("terminating connection"), True),
        (psycopg.errors.LockNotAvailable("lock timeout"), True),
        (psycopg.errors.QueryCanceled("statement timeout"), True),
        (psycopg.InterfaceError("the connection is closed"), True),
        (psycopg.errors.UndefinedTable("no such table"), False),
        (psycopg.errors.UniqueViolation("twice"), False),
        (OperationalError("SELECT", {}, psycopg.OperationalError("gone")), True),
        (OperationalError("SELECT", {}, sqlite3.OperationalError("no such table")), False),
        (ConnectionRefusedError("some other server"), False),
        (ValueError("a bug"), False),
    ],
)
def test_what_passes_by_itself_is_told_from_what_does_not(error, passes):
    assert is_outage(error) is passes


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (psycopg.OperationalError('FATAL:  password authentication failed for user "ada"'), True),
        (psycopg.OperationalError('FATAL:  database "none" does not exist'), True),
        (psycopg.OperationalError("fe_sendauth: no password supplied"), True),
        (psycopg.OperationalError("connection failed: Connection refused"), False),
        (psycopg.OperationalError("FATAL:  the database system is starting up"), False),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), False),
        (OperationalError("", {}, psycopg.OperationalError('role "a" does not exist')), True),
        (psycopg.errors.UndefinedTable('relation "a" does not exist'), False),
        (ValueError("it does not exist"), False),
    ],
)
def test_a_server_that_lets_nobody_in_is_told_from_one_that_is_away(error, is_told):
    assert is_refusal(error) is is_told


def test_a_connection_that_was_cut_while_it_rested_is_noticed_without_asking(postgres):
    held = postgres.hold()
    assert not held.is_cut

    cut_all(postgres)

    assert held.is_cut
    held.close()
    assert held.is_cut


def test_readers_notice_nothing_of_a_database_that_was_started_again_between_their_reads(postgres):
    snapshots = Snapshots(postgres)
    assert snapshots.refresh() == 0

    cut_all(postgres)

    assert snapshots.refresh() == 0
    snapshots.close()


def test_writers_notice_nothing_of_a_database_that_was_started_again_between_their_writes(postgres):
    with postgres.begin() as connection:
        connection.execute(text("DELETE FROM lease"))

    cut_all(postgres)

    with postgres.begin() as connection:
        connection.execute(text("DELETE FROM lease"))


def test_who_is_cut_off_in_the_middle_says_so_and_the_next_try_works(postgres):
    snapshots = Snapshots(postgres)

    with pytest.raises(psycopg.Error) as raised, snapshots.open() as snapshot:
        cut_all(postgres)
        snapshot.store.newest()

    assert is_outage(raised.value)
    assert snapshots.refresh() == 0
    snapshots.close()


def test_a_server_that_is_not_there_is_an_outage(tmp_path):
    database = open_database(f"postgresql:///nothing?host={tmp_path}")

    with pytest.raises(OperationalError) as raised, database.snapshot():
        pass
    assert is_outage(raised.value)

    with pytest.raises(psycopg.OperationalError) as raised:
        database.hold()
    assert is_outage(raised.value)


def test_an_outage_is_a_line_in_the_log_and_anything_else_has_its_traceback(caplog):
    log = logging.getLogger("test")

    log_failure(log, "cannot look", psycopg.OperationalError("it is away\nand more"), hook="ci")
    log_failure(log, "cannot look", ValueError("a bug"))

    away, bug = caplog.records
    assert (away.levelname, away.fields) == ("WARNING", {"reason": "it is away", "hook": "ci"})
    assert away.exc_info is None
    assert bug.levelname == "ERROR"
    assert "a bug" in caplog.text
