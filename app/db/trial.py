"""Transactions that are never committed: writing something for what the database says to it.

A trial holds what every writer waits for, so it is short: when its time is over, whatever statement
runs is cancelled. It leaves nothing behind. PostgreSQL takes no number back that a rolled back
transaction took from a sequence; as no other writer can take one meanwhile, the trial puts the
sequences back itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.db import sequence
from app.db.engine import Database
from app.db.shared import SharedTransaction
from app.db.statements import Statements
from app.errors import ServiceUnavailableError

# The tables of the graph that number their rows, all written under the lock on the graph.
NUMBERED = ("ref", "emission", "problem")
# How often a statement that outlives the trial is cancelled until it has noticed, in seconds.
_INSIST = 0.05


@contextmanager
def trial(database: Database, seconds: float, patience: float) -> Iterator[SharedTransaction]:
    """Hold the lock on the graph, and roll everything back at the end of the block.

    Waits at most `patience` for other writers and lasts at most `seconds`; then it raises
    `ServiceUnavailableError`.
    """
    with database.engine.connect() as connection:
        is_over = False
        try:
            _open(connection, database, patience)
            watch = _Watch(connection.connection.dbapi_connection, seconds)
            numbers = _numbers(connection, database)
            try:
                with watch.running():
                    yield SharedTransaction(connection)
            except Exception as error:
                if watch.is_over:
                    raise ServiceUnavailableError(
                        f"It takes longer than {seconds:g} seconds to try this out; "
                        "try less at once"
                    ) from error
                raise
            finally:
                is_over = watch.is_over
                _restore(database, numbers)
        finally:
            # A cancellation may arrive late: nobody shall use this connection any more.
            if is_over:
                connection.invalidate()
            connection.rollback()


def _open(connection: Connection, database: Database, patience: float) -> None:
    """Begin, and wait for other writers only so long."""
    milliseconds = int(patience * 1000)
    try:
        if database.is_sqlite:
            before = connection.execute(text("PRAGMA busy_timeout")).scalar_one()
            connection.execute(text(f"PRAGMA busy_timeout = {milliseconds}"))
            try:
                connection.execute(text("BEGIN IMMEDIATE"))
            finally:
                connection.execute(text(f"PRAGMA busy_timeout = {before}"))
        else:
            connection.execute(text(f"SET LOCAL lock_timeout = {milliseconds}"))
            sequence.lock_graph(Statements.on(connection))
    except Exception as error:
        if not _is_busy(error):
            raise
        raise ServiceUnavailableError(
            "The catalog is being written to without a pause; try again later"
        ) from error


def _is_busy(error: Exception) -> bool:
    """Tell whether a lock was not to be had; what raises it depends on who sent the statement."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return type(cause).__name__ == "LockNotAvailable" or "database is locked" in str(cause)


def _numbers(connection: Connection, database: Database) -> Mapping[str, tuple[int, bool]]:
    """Answer where the sequences stand; SQLite takes numbers back by itself."""
    if database.is_sqlite:
        return {}
    sql = Statements.on(connection)
    found = dict[str, tuple[int, bool]]()
    for table in NUMBERED:
        row = sql.row("SELECT pg_get_serial_sequence(?, 'id')", table)
        if row is not None:
            last = sql.row(f"SELECT last_value, is_called FROM {row[0]}")
            found |= {row[0]: (last[0], last[1])} if last else {}
    return found


def _restore(database: Database, numbers: Mapping[str, tuple[int, bool]]) -> None:
    """Put the sequences back while the lock is still held; ours may be past all statements."""
    if not numbers:
        return
    with database.engine.connect() as connection, connection.begin():
        sql = Statements.on(connection)
        for name, (last, is_called) in numbers.items():
            sql.row("SELECT setval(?::regclass, ?, ?)", name, last, is_called)


@dataclass(slots=True)
class _Watch:
    """Cancels what a driver's connection does once the time is over, until it is let go."""

    raw: Any
    seconds: float
    is_over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch over the block."""
        thread = threading.Thread(target=self._run, name="trial", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._done.set()
            thread.join()

    def _run(self) -> None:
        pause = self.seconds
        while not self._done.wait(pause):
            pause = _INSIST
            with self._lock:
                if not self._done.is_set():
                    self.is_over = True
                    self._cancel()

    def _cancel(self) -> None:
        # Whatever keeps it from being cancelled now may be over the next time.
        with suppress(Exception):
            if hasattr(self.raw, "interrupt"):
                self.raw.interrupt()
            else:
                self.raw.cancel_safe(timeout=1)
