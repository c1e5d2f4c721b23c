"""Connections and transactions on SQLite and PostgreSQL.

There are two ways in: `begin()` for writing and `snapshot()` for reading. Both are explicit, short
and hold no network call. On SQLite `begin()` takes the write lock at once, so that two writers wait
for each other instead of failing half way.
"""

from __future__ import annotations

import select
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url

from app.db.statements import Statements

# The driver's own way of writing times is deprecated; ours names the zone, and as it is always the
# same one, texts sort as the times do.
sqlite3.register_adapter(datetime, lambda moment: moment.astimezone(UTC).isoformat(sep=" "))

# How long a writer waits for another one (milliseconds) before it gives up.
BUSY_TIMEOUT_MS = 30_000
# How long a process waits before it tries again to switch a new file to WAL (seconds).
SWITCH_PAUSE = 0.01
# Rows hold ready JSON of some kilobytes: in large pages little room is left over beside them.
PAGE_SIZE = 32_768
# A large ingestion changes the same pages again and again: what is in the log is written once.
WAL_BYTES = 32 * 1024 * 1024
MMAP_SIZE = 1 << 31
# Readers find pages in the mapped file. Transactions change many pages; what does not fit is
# written before the end, and read again.
READER_CACHE_KIB, WRITER_CACHE_KIB = 8192, 16384


# A server that is not there is noticed within seconds; one that vanishes without a word (a machine
# that loses power, a network that is cut) by the operating system, which is told to look.
POSTGRES_OPTIONS = {
    "application_name": "callboard",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
POSTGRES_SETTINGS = (
    "SET statement_timeout = '60s'",
    "SET lock_timeout = '30s'",
    # A plan made while a table was small would be kept when it has grown.
    "SET plan_cache_mode = force_custom_plan",
)
# A process that freezes while it writes must not keep others from writing for long. One that sends
# a long answer to a slow reader holds a state of the database for minutes, and harms nobody.
IDLE_WRITER = "SET idle_in_transaction_session_timeout = '15s'"
IDLE_READER = "SET idle_in_transaction_session_timeout = '5min'"
# How long a thread waits for a connection that another one gives back (seconds).
POOL_TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class HeldConnection(Statements):
    """A connection that one thread keeps, and the reading transactions on it."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold one snapshot for the block; it is taken at the first read."""
        begin = "BEGIN" if self.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self.connection.execute(begin)
        try:
            yield
        except BaseException:
            # If the connection is the reason, it cannot even be told to stop.
            with suppress(Exception):
                self.connection.execute("ROLLBACK")
            raise
        else:
            self.connection.execute("ROLLBACK")

    @property
    def is_cut(self) -> bool:
        """Tell, without asking the server, whether it has ended the connection while it rested."""
        if self.is_sqlite:
            return False
        if self.connection.closed:
            return True
        # A server that has nothing to answer says something only when it hangs up.
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Give the connection back to the database."""
        self.connection.close()


@dataclass(frozen=True, slots=True)
class Database:
    """An engine and its two kinds of transactions."""

    engine: Engine

    @property
    def is_sqlite(self) -> bool:
        """Tell the two dialects apart, for the few statements that differ."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a writing transaction: a clean exit commits, an exception rolls back."""
        with self.engine.connect() as connection, connection.begin():
            if self.is_sqlite:
                connection.execute(text("BEGIN IMMEDIATE"))
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a reading transaction that sees one committed state from its first read on."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.execute(text("BEGIN"))
            else:
                connection.execute(
                    text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                )
            try:
                yield connection
            finally:
                connection.rollback()

    def hold(self) -> HeldConnection:
        """Open a connection of the driver's own, to be kept by one thread for its reads."""
        url = self.engine.url
        if self.is_sqlite:
            file = sqlite3.connect(
                url.database or ":memory:",
                timeout=BUSY_TIMEOUT_MS / 1000,
                isolation_level=None,
                cached_statements=256,
                check_same_thread=False,
            )
            configure_sqlite(file)
            file.execute("PRAGMA query_only = ON")
            return HeldConnection(file, is_sqlite=True)
        options = self.engine.dialect.create_connect_args(url)[1]
        raw = psycopg.connect(**options, autocommit=True)
        for setting in (*POSTGRES_SETTINGS, IDLE_READER):
            raw.execute(setting)
        return HeldConnection(raw, is_sqlite=False)

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def open_database(url: str | URL) -> Database:
    """Open `url`; an SQLite file and its folder are made if they are missing."""
    url = make_url(url)
    if url.get_backend_name() == "sqlite":
        return Database(_sqlite_engine(url))
    return Database(_postgres_engine(url))


def _sqlite_engine(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}, pool_size=8)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver must not begin transactions by itself: `begin()` and `snapshot()` do.
    connection.isolation_level = None
    configure_sqlite(connection, cache_kib=WRITER_CACHE_KIB)


def configure_sqlite(connection: sqlite3.Connection, cache_kib: int = READER_CACHE_KIB) -> None:
    """Set what every connection to our file needs; also used for held raw connections."""
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    _keep_a_write_ahead_log(connection)
    for pragma in (
        f"journal_size_limit = {WAL_BYTES}",
        f"wal_autocheckpoint = {WAL_BYTES // PAGE_SIZE}",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        f"mmap_size = {MMAP_SIZE}",
        f"cache_size = -{cache_kib}",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _keep_a_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL; SQLite refuses at once while another process does the same."""
    give_up = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    is_switched = False
    while not is_switched:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            is_switched = True
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(SWITCH_PAUSE)


def _postgres_engine(url: URL) -> Engine:
    url = url.set(drivername="postgresql+psycopg", query={**POSTGRES_OPTIONS, **url.query})
    engine = create_engine(
        url,
        pool_size=8,
        max_overflow=8,
        pool_pre_ping=True,
        pool_timeout=POOL_TIMEOUT,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            for setting in (*POSTGRES_SETTINGS, IDLE_WRITER):
                cursor.execute(setting)
        connection.commit()

    return engine
